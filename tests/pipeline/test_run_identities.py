"""First sights and releases belong to a person, not to a name: one may be renamed, deleted, or enrolled for a while."""

import json
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.reports.report import NO_WHOLE_RUN, exit_code
from tests.aws_server import MANAGEMENT
from tests.builders import make_run_report, make_seen_account
from tests.pipeline.served import ServedDays
from tests.pipeline.stage import outcomes, user_of

pytestmark = pytest.mark.thorough


def opened_on(report: Any, served: ServedDays, name: str = "alice") -> float:
    """Return on which day a user was first seen without MFA."""
    since = user_of(report, name).open_since
    assert since is not None
    return (since - served.start) / timedelta(days=1)


# -- who somebody is


def test_report_tells_the_id_of_each_user_as_iam_does(served: ServedDays) -> None:
    served.add("alice", "bob")
    users = {user["UserName"]: user["UserId"] for user in served.iam.list_users()["Users"]}

    report = served.play(0, "plan")

    assert {user.name: user.id for account in report.accounts for user in account.users} == users


def test_rename_does_not_begin_the_notice_anew(served: ServedDays) -> None:
    served.add("alice")
    served.play(0)
    served.rename("alice", "alicia")
    renamed = served.play(3)
    served.rename("alicia", "alice-2")

    last = served.play(7)

    assert (outcomes(renamed), outcomes(last)) == ({"alicia": "in_grace"}, {"alice-2": "enforced"})
    assert [opened_on(renamed, served, "alicia"), opened_on(last, served, "alice-2")] == [0, 0]


def test_new_person_under_an_old_name_is_given_the_whole_notice(served: ServedDays) -> None:
    served.add("alice", "bob")
    served.play(0)
    served.delete("alice")
    served.add("alice")

    after = [served.play(day) for day in (7, 13.9, 14)]

    assert [outcomes(report)["alice"] for report in after] == ["in_grace", "in_grace", "enforced"]
    assert outcomes(after[0])["bob"] == "enforced"
    assert opened_on(after[-1], served) == 7


def test_two_who_change_names_keep_each_their_own_first_sight(served: ServedDays) -> None:
    served.add("alice")
    served.play(0)
    served.add("bob")
    served.play(4)
    served.rename("alice", "carol")
    served.rename("bob", "alice")

    assert outcomes(served.play(7)) == {"carol": "enforced", "alice": "in_grace"}
    assert outcomes(served.play(11)) == {"carol": "already_enforced", "alice": "enforced"}


def test_new_person_under_the_name_of_one_who_could_not_be_read_begins_anew(served: ServedDays) -> None:
    served.add("alice", "bob")
    served.play(0)
    served.aws.missing_roles.add((served.payments, "orgmfa-member"))
    served.play(2)
    served.aws.missing_roles.clear()
    served.delete("alice")
    served.add("alice")

    assert outcomes(served.play(7)) == {"alice": "in_grace", "bob": "enforced"}


# -- enrolled for a while


@pytest.mark.parametrize(
    ("enrolled", "seen_again", "opened"),
    [(1, 2, 0), (1, 7.9, 0), (1, 8, 8), (1, 30, 30), (6.5, 8, 0)],
)
def test_enrolment_shorter_than_the_notice_does_not_begin_it_anew(
    served: ServedDays, enrolled: float, seen_again: float, opened: float
) -> None:
    served.add("alice")
    served.play(0)
    served.enrol("alice")
    away = served.play(enrolled)
    served.disenrol("alice")

    back = served.play(seen_again)

    assert outcomes(away) == {"alice": "none"}
    assert opened_on(back, served) == opened
    assert outcomes(back)["alice"] == ("enforced" if seen_again - opened >= 7 else "in_grace")


def test_mfa_on_every_other_day_postpones_nothing(served: ServedDays) -> None:
    served.add("alice")
    seen = []
    for day in range(8):
        (served.enrol if day % 2 else served.disenrol)("alice")
        if day == 7:
            served.disenrol("alice")
        seen.append(outcomes(served.play(day))["alice"])

    assert seen == ["in_grace", "none"] * 3 + ["in_grace", "enforced"]


def test_enrolment_that_lasts_through_many_runs_counts_from_its_first_sight(served: ServedDays) -> None:
    served.add("alice")
    served.play(0)
    served.enrol("alice")
    for day in (1, 3, 6):
        served.play(day)
    served.disenrol("alice")

    assert opened_on(served.play(8), served) == 8


def test_enrolment_is_remembered_where_the_account_cannot_be_read_meanwhile(served: ServedDays) -> None:
    served.add("alice")
    served.play(0)
    served.enrol("alice")
    served.play(1)
    served.aws.missing_roles.add((served.payments, "orgmfa-member"))
    unread = served.play(2)
    served.aws.missing_roles.clear()
    served.disenrol("alice")

    assert [account.unread_open_since for account in unread.accounts] == [{}, {}]
    assert outcomes(served.play(7)) == {"alice": "enforced"}


# -- records of earlier versions, by name alone


def forget_id(user: dict[str, Any]) -> None:
    user["id"] = None


def test_record_by_name_counts_for_the_user_of_that_name(served: ServedDays) -> None:
    served.add("alice")
    served.play(0)
    served.rewrite(forget_id)

    adopted = served.play(3)
    served.rename("alice", "alicia")
    last = served.play(7)

    assert opened_on(adopted, served) == 0
    assert outcomes(last) == {"alicia": "enforced"}


def test_record_by_name_does_not_count_for_one_who_was_created_after_it(served: ServedDays) -> None:
    served.add("alice", "bob")
    served.start -= timedelta(days=6)
    served.play(0)
    served.rewrite(forget_id)

    report = served.play(7)

    assert outcomes(report) == {"alice": "in_grace", "bob": "in_grace"}
    assert opened_on(report, served) == 7


def test_record_by_name_of_one_who_could_not_be_read_counts_too(served: ServedDays) -> None:
    served.add("alice")
    served.play(0)
    served.aws.missing_roles.add((served.payments, "orgmfa-member"))
    served.play(2)
    served.aws.missing_roles.clear()
    served.rewrite(forget_id)

    assert outcomes(served.play(7)) == {"alice": "enforced"}


# -- releases

ALL = {"enforcement": {"notice": "0d"}}


def test_release_follows_the_person_and_not_the_name(served: ServedDays) -> None:
    served.add("alice", "bob")
    served.play(0, config=ALL)
    served.play(1, "release", config=ALL, user_names=frozenset({"alice"}), release_for=timedelta(days=7))
    served.date(served.folder / "releases" / "run-002.json", minutes=24 * 60)
    served.rename("alice", "alicia")
    served.add("alice")

    report = served.play(2, config=ALL)

    assert outcomes(report) == {"alicia": "in_grace", "alice": "enforced", "bob": "already_enforced"}
    assert user_of(report, "alicia").reason is not None
    assert report.changes is not None
    assert report.changes.enforcement_undone == ()
    assert [user.name for user in report.changes.newly_without_mfa] == ["alice"]


@pytest.mark.parametrize(("is_recreated", "outcome"), [(False, "in_grace"), (True, "enforced")])
def test_release_noted_by_name_counts_for_the_user_who_was_there(
    served: ServedDays, is_recreated: bool, outcome: str
) -> None:
    served.add("alice")
    until = f"{served.start + timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}"
    note = {"run_id": "run-0", "until": until, "users": [{"account_id": served.payments, "user_name": "alice"}]}
    (served.folder / "releases").mkdir(parents=True)
    path = served.folder / "releases" / "run-0.json"
    path.write_text(json.dumps(note), encoding="utf-8")
    served.date(path, minutes=-5 if is_recreated else 5)

    assert outcomes(served.play(1, config=ALL)) == {"alice": outcome}


# -- how far back


def test_hundreds_of_narrowed_runs_hide_no_first_sight(served: ServedDays) -> None:
    served.add("alice")
    whole = served.play(0)
    for number in range(150):
        at = served.start + timedelta(days=1, minutes=number)
        narrow = {"run_id": f"narrow-{number:03}", "narrowed": True, "started_at": at, "finished_at": at}
        empty = make_seen_account(account_id=MANAGEMENT)
        served.archive.save(make_run_report(empty, organization_id=whole.organization_id, **narrow))

    report = served.play(7)

    assert outcomes(report) == {"alice": "enforced"}
    assert report.errors == ()


def test_archive_without_a_whole_run_is_told_and_is_no_failure(served: ServedDays) -> None:
    served.add("alice")
    empty = served.play(0, targets=(served.payments,))
    again = served.play(7, targets=(MANAGEMENT,))
    whole = served.play(7.5)
    after = served.play(8)

    assert [[error.code for error in report.errors] for report in (empty, again, whole, after)] == [
        [],
        [NO_WHOLE_RUN],
        [NO_WHOLE_RUN],
        [],
    ]
    assert [exit_code(report) for report in (empty, again, whole, after)] == [0] * 4
    assert opened_on(whole, served) == 0
    assert outcomes(whole)["alice"] == "enforced"


def test_without_notice_nothing_is_said_of_whole_runs(served: ServedDays) -> None:
    served.play(0, targets=(served.payments,), config=ALL)

    assert served.play(1, targets=(served.payments,), config=ALL).errors == ()
