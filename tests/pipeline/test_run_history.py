"""Runs in a row against an organization in memory, with things changing in between: what each tells of the last."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import AccessDenied, NotFound, Throttled
from orchestrator.domain.model import AccountState, LiveUser, MfaDevice
from orchestrator.reports.report import exit_code
from tests.builders import NOW, days_ago, make_user
from tests.fakes import fail
from tests.pipeline.days import FIDO, LAB, PAYMENTS, SEARCH, Days, changes_of, opened_on, told
from tests.pipeline.stage import account_of, outcomes, user_of

# -- what changed


def test_first_run_has_nothing_to_compare_with(days: Days) -> None:
    report = days.play(0)

    assert report.changes is None
    assert days.archived() == report
    assert opened_on(report) == 0


def test_second_run_right_after_the_first_tells_of_no_change(days: Days) -> None:
    days.play(0)

    report = days.play(0.01)

    assert told(report) == {}
    assert changes_of(report).since_run_id == "run-01"


def test_run_tells_what_happened_since_the_last(days: Days) -> None:
    days.aws.add(make_user("dave"))
    days.play(0)
    days.change(PAYMENTS, "alice", has_mfa=True, mfa_device=MfaDevice("virtual", days_ago(-0.5)))
    days.change(PAYMENTS, "bob", has_mfa=False)
    days.change(SEARCH, "carol", attached_policy_arns=frozenset())
    days.aws.accounts[SEARCH].users["erin"] = make_user("erin")
    del days.aws.accounts[LAB]
    days.aws.add(make_user("fay"), account_id="000000000009")

    report = days.play(1)

    assert told(report) == {
        "newly_without_mfa": ["bob", "erin", "fay"],
        "enrolled": ["alice"],
        "newly_enforced": ["bob", "erin", "fay"],
        "enforcement_undone": ["carol"],
        "new_accounts": ["000000000009"],
        "gone_accounts": [LAB],
    }
    (alice,) = changes_of(report).enrolled
    assert (alice.device, alice.enrolled_at) == ("virtual", days_ago(-0.5))
    assert days.archived() == report


def test_plans_are_compared_with_plans_and_applies_with_applies(days: Days) -> None:
    days.play(0, "plan")
    applied = days.play(1)
    planned = days.play(2, "plan")
    again = days.play(3)

    assert applied.changes is None
    assert changes_of(planned).since_run_id == "run-01"
    assert told(planned) == {"newly_enforced": ["alice", "carol"]}
    assert changes_of(again).since_run_id == "run-02"
    assert told(again) == {}


def test_person_is_shown_the_plan_with_what_changed(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "bob", has_mfa=False)
    days.answers = False

    report = days.play(1)

    assert told(report) == {"newly_without_mfa": ["bob"]}


# -- enforcement undone


def test_enforcement_undone_by_others_is_told_and_made_good(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "alice", attached_policy_arns=frozenset())

    undone = days.play(1)
    after = days.play(2)

    assert (told(undone), outcomes(undone)["alice"]) == ({"enforcement_undone": ["alice"]}, "enforced")
    assert told(after) == {}


def test_released_user_was_not_undone_by_others(days: Days) -> None:
    days.play(0)
    released = days.play(0.5, "release", user_names=frozenset({"alice"}))
    days.change(SEARCH, "carol", attached_policy_arns=frozenset())

    report = days.play(1)

    assert released.changes is None
    assert outcomes(report)["alice"] == "in_grace"
    assert told(report) == {"enforcement_undone": ["carol"]}


def test_release_of_long_ago_does_not_hide_what_others_undid(days: Days) -> None:
    days.play(0)
    days.play(0.5, "release", user_names=frozenset({"alice"}), release_for=timedelta(hours=6))
    enforced_again = days.play(1)
    days.change(PAYMENTS, "alice", attached_policy_arns=frozenset())

    report = days.play(2)

    assert told(enforced_again) == {}
    assert told(report) == {"enforcement_undone": ["alice"]}


# -- what could not be read


def test_account_that_failed_yields_no_change_and_is_counted_until_it_is_read_again(days: Days) -> None:
    days.play(0)
    days.refuse(PAYMENTS)
    failing = [days.play(day) for day in (1, 2, 3)]
    days.refuse()

    mended = days.play(4)

    assert [told(report) for report in (*failing, mended)] == [{}] * 4
    assert [account_of(report).failing_runs for report in failing] == [1, 2, 3]
    assert account_of(mended).failing_runs == 0
    assert account_of(failing[-1]).unread_open_since == {"alice": NOW}
    assert opened_on(mended) == 0


def test_user_lost_and_found_while_an_account_failed_is_told_the_run_after(days: Days) -> None:
    days.play(0)
    days.refuse(PAYMENTS)
    days.play(1)
    days.refuse()
    days.play(2)
    days.change(PAYMENTS, "bob", has_mfa=False)

    assert told(days.play(3)) == {"newly_without_mfa": ["bob"], "newly_enforced": ["bob"]}


def test_user_who_could_not_be_looked_at_has_neither_changed_nor_begun_anew(days: Days) -> None:
    days.play(0, "plan")

    def unreadable(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("look", "alice"):
            raise fail(Throttled, "Throttling")

    days.aws.before = unreadable
    unknown = days.play(1, "plan")
    days.refuse()
    after = days.play(2, "plan")

    assert user_of(unknown).verdict == "unknown"
    assert user_of(unknown).open_since is None
    assert told(unknown) == told(after) == {}
    assert opened_on(after) == 0


def test_interrupted_run_is_not_what_the_next_is_compared_with(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "bob", has_mfa=False)
    days.cancellation.event.set()
    interrupted = days.play(1)
    days.cancellation = Cancellation()

    report = days.play(2)

    assert interrupted.totals.not_reached == interrupted.totals.accounts
    assert changes_of(report).since_run_id == "run-01"
    assert told(report) == {"newly_without_mfa": ["bob"], "newly_enforced": ["bob"]}
    assert opened_on(report) == 0


def test_run_whose_listing_broke_off_is_not_what_the_next_is_compared_with(days: Days) -> None:
    days.play(0)

    def break_off(action: str, account_id: str, subject: str) -> None:
        if (action, account_id) == ("list", SEARCH):
            raise fail(Throttled, "TooManyRequestsException", "ListAccounts")

    days.aws.before = break_off
    cut_short = days.play(1)
    days.refuse()

    report = days.play(2)

    assert not cut_short.complete
    assert told(cut_short) == told(report) == {}
    assert changes_of(report).since_run_id == "run-01"
    assert opened_on(report, "carol") == 0


def test_suspended_account_is_not_gone_and_its_users_are_remembered(days: Days) -> None:
    days.play(0)
    account = days.aws.accounts[PAYMENTS]
    opened = account.account
    account.account = replace(opened, state=AccountState.SUSPENDED)
    suspended = days.play(1)
    account.account = opened

    reopened = days.play(2)

    assert told(suspended) == told(reopened) == {}
    assert opened_on(reopened) == 0


# -- narrowed runs


@pytest.mark.parametrize("narrowing", [{"targets": (PAYMENTS,)}, {"targets": ("account-01",)}, {"ou_ids": ("ou-1",)}])
def test_narrowed_run_tells_of_its_accounts_alone_and_is_no_base(days: Days, narrowing: dict[str, Any]) -> None:
    account = days.aws.accounts[PAYMENTS]
    account.account = replace(account.account, ou_ids=frozenset({"ou-1"}))
    days.play(0, stop=True)
    narrowed = days.play(1, **narrowing)
    days.change(SEARCH, "carol", has_mfa=True)

    report = days.play(2)

    assert narrowed.narrowed
    assert not report.narrowed
    assert told(narrowed) == {"newly_enforced": ["alice"]}
    assert told(report) == {"newly_enforced": ["alice"], "enrolled": ["carol"]}
    assert changes_of(report).since_run_id == "run-01"


def test_user_first_seen_by_a_narrowed_run_is_open_since_then(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "bob", has_mfa=False)
    narrowed = days.play(1, targets=(PAYMENTS,))
    days.play(2, targets=(SEARCH,))

    report = days.play(3)

    assert [opened_on(narrowed, name) for name in ("alice", "bob")] == [0, 1]
    assert [opened_on(report, name) for name in ("alice", "bob", "carol")] == [0, 1, 0]


def test_narrowed_run_knows_since_when_its_users_are_open_though_the_last_run_had_another_account(days: Days) -> None:
    days.play(0)
    days.play(1, targets=(PAYMENTS,))

    assert opened_on(days.play(2, targets=(SEARCH,)), "carol") == 0


# -- new devices


def test_new_device_that_the_bulk_reads_do_not_tell_is_looked_at_once(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "alice", has_mfa=True)
    days.aws.accounts[PAYMENTS].live["alice"] = LiveUser(has_mfa=True, mfa_device=FIDO)
    days.aws.calls.clear()

    enrolled = days.play(1)
    looks = [call for call in days.aws.calls if call[0] == "look"]
    days.aws.calls.clear()
    after = days.play(2)

    (alice,) = changes_of(enrolled).enrolled
    assert (alice.device, alice.enrolled_at) == ("fido", FIDO.enrolled_at)
    assert looks == [("look", PAYMENTS, "alice")]
    assert told(after) == {}
    assert not [call for call in days.aws.calls if call[0] == "look"]


def test_no_look_is_made_where_the_bulk_reads_tell_the_device(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "alice", has_mfa=True, mfa_device=MfaDevice("virtual", NOW))
    days.aws.calls.clear()

    days.play(1)

    assert not [call for call in days.aws.calls if call[0] == "look"]


@pytest.mark.parametrize("error", [AccessDenied, NotFound, Throttled])
def test_device_that_cannot_be_looked_at_is_unknown_and_the_user_enrolled_all_the_same(
    days: Days, error: type[AccessDenied | NotFound | Throttled]
) -> None:
    days.play(0)
    days.change(PAYMENTS, "alice", has_mfa=True)

    def refuse(action: str, account_id: str, subject: str) -> None:
        if action == "look":
            raise fail(error)

    days.aws.before = refuse

    report = days.play(1)

    assert [(user.name, user.device) for user in changes_of(report).enrolled] == [("alice", None)]
    assert exit_code(report) == 0


def test_look_at_a_new_device_that_finds_none_outweighs_the_older_report(days: Days) -> None:
    days.play(0)
    days.change(PAYMENTS, "alice", has_mfa=True, attached_policy_arns=frozenset())
    days.aws.accounts[PAYMENTS].live["alice"] = LiveUser(False, True, 0, None)

    report = days.play(1)

    assert outcomes(report)["alice"] == "enforced"
    assert told(report) == {"enforcement_undone": ["alice"]}


def test_of_very_many_new_devices_a_few_are_looked_at(days: Days) -> None:
    users = [make_user(f"user-{number:02}") for number in range(30)]
    days.aws.add(*users, account_id=LAB)
    days.play(0)
    for user in users:
        days.change(LAB, user.name, has_mfa=True)
        days.aws.accounts[LAB].live[user.name] = LiveUser(has_mfa=True, mfa_device=FIDO)
    days.aws.calls.clear()

    report = days.play(1)

    assert [user.device for user in changes_of(report).enrolled] == ["fido"] * 10 + [None] * 20
    assert len([call for call in days.aws.calls if call[0] == "look"]) == 10
