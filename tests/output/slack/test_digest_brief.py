from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.model import Gate, Mode, Outcome, Stage, Status
from orchestrator.output.slack.digest import FEW, Brief, fair_shares
from orchestrator.output.slack.mrkdwn import plain
from orchestrator.output.story import Story
from orchestrator.output.words import in_brief
from orchestrator.reports.report import (
    AccountReport,
    ChangedAccount,
    ChangedUser,
    Changes,
    EnrolledUser,
    ProblemReport,
    ReasonReport,
    RunReport,
)
from tests.builders import NOW, days_ago, make_run_report, make_seen, make_seen_account

UNREAD = ProblemReport(
    stage=Stage.ASSUME_ROLE, code="AccessDenied", message="no", remedy="The role is gone: deploy it."
)


def make_unread(number: int, **changes: Any) -> AccountReport:
    values: dict[str, Any] = {"status": Status.FAILED, "error": UNREAD, "alias": f"acme-{number}"}
    return make_seen_account(account_id=f"{number:012}", **(values | changes))


def make_held(name: str, code: str = "active_key") -> Any:
    return make_seen(name, Outcome.HELD, error=ReasonReport(code=code, message="as AWS said it"))


def tell(report: RunReport, *, names: bool = True, notes: tuple[str, ...] = ()) -> Brief:
    return Brief(Story(report, blocks_access_keys=True, notes=notes), names=names)


def read(lines: Iterable[str]) -> list[str]:
    return list(map(plain, lines))


def count_lines(brief: Brief) -> int:
    """Return the lines of the whole message, with the title of what is to fix, and the link."""
    lines = [*brief.top, *brief.to_fix, *brief.bottom, *brief.asides]
    return len(lines) + 2 + bool(brief.to_fix)


@pytest.mark.parametrize(
    ("remedy", "step"),
    [
        ("", ""),
        ("Deploy the StackSet.", "deploy the StackSet"),
        ("Run again for this account (--account 111122223333).", "run again for this account"),
        ("EnforceMFA has an earlier text. Update the StackSet.", "update the StackSet"),
        ("AWS throttled every try: run again; findings are imported anew.", "run again"),
        ("IAM is slow: wait", "wait"),
        ("EnforceMFA was taken off", "EnforceMFA was taken off"),
        (
            "The role is gone (or not): check that the StackSet has reached the account, then its role's trust policy.",
            "check that the StackSet has reached the account",
        ),
        (" ".join(["word"] * 20), " ".join(["word"] * 12) + "…"),
    ],
)
def test_remedy_in_brief_is_what_to_do_in_a_dozen_words(remedy: str, step: str) -> None:
    assert in_brief(remedy) == step


@given(st.text(max_size=300))
def test_remedy_in_brief_is_a_dozen_words_at_most(text: str) -> None:
    assert len(in_brief(text).split()) <= 12


def test_cause_with_few_accounts_has_a_line_for_each_with_its_runs() -> None:
    brief = tell(make_run_report(make_unread(1, failing_runs=3), make_unread(2), make_seen_account(make_held("ana"))))

    assert read(brief.to_fix) == [
        "✗ acme-1 - unread, 3 runs: deploy it",
        "✗ acme-2 - unread: deploy it",
        "! acme-payments - ana: key in use, move its caller to a role, or exempt the user",
    ]


def test_cause_with_many_accounts_is_one_line_with_their_share() -> None:
    accounts = [make_unread(number, failing_runs=number) for number in range(FEW + 1)]
    accounts += [make_seen_account(make_held("ana"), account_id=f"{number:012}") for number in range(10, 24)]

    brief = tell(make_run_report(*accounts))

    assert read(brief.to_fix) == [
        "✗ 4 accounts (22 %) - unread, up to 3 runs: deploy it",
        "! 14 users in 14 accounts - key in use: move its caller to a role, or exempt the user",
    ]
    assert brief.headline == "Apply: 18 to fix"


def test_users_of_an_account_are_named_where_they_are_few_and_counted_elsewhere() -> None:
    report = make_run_report(make_seen_account(*map(make_held, "abc")), make_seen_account(make_held("d", "new")))

    assert [line[2:].partition(" -")[2] for line in read(tell(report).to_fix)] == [
        " key in use, 3 users: move its caller to a role, or exempt the user",
        " d: held (new), see the report",
    ]
    assert "d: " not in "".join(read(tell(report, names=False).to_fix))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("active_key", "key in use, move its caller to a role, or exempt the user"),
        ("active_credential", "credential in use, deactivate it, or move what uses it to a role"),
        ("cannot_enrol", "would be locked out, allow the user to enrol an MFA device, or exempt the user"),
        (
            "cannot_tell",
            "might be locked out, put the key that it lacks, such as aws:SourceIp, into enforcement.context",
        ),
        ("not_told", "could not be told, give the user a tag with an address of nudge.domains"),
        ("over_limit", "over the account's limit, read the plan, then allow one run with --max-changes-per-account"),
        ("policy_drifted", "policy changed, compare with orgmfa policy"),
        ("policy_outdated", "policy outdated, update the StackSet, with AccessKeys as policy.access_keys says"),
        ("stopped", "stopped, nothing is written until it is cleared"),
        ("undone_by_others", "undone by others, find out who, and free people with orgmfa release"),
    ],
)
def test_whatever_holds_a_user_is_told_in_words_with_what_to_do(code: str, words: str) -> None:
    brief = tell(make_run_report(make_seen_account(make_held("ana", code))))

    assert read(brief.to_fix) == [f"! acme-payments - ana: {words}"]


def test_accounts_of_a_cause_share_a_line_where_there_is_no_room_for_each() -> None:
    codes = ["active_key", "cannot_enrol", "quota_exceeded", "policy_drifted", "over_limit"]
    accounts = [
        make_seen_account(
            *(make_held("ana", code) for code in codes), account_id=f"{number:012}", alias=f"acme-{number}"
        )
        for number in range(FEW)
    ]

    lines = read(tell(make_run_report(*accounts)).to_fix)

    where = "3 users in 3 accounts (acme-0, acme-1, acme-2)"
    assert [line for line in lines if not line.startswith("! acme-")] == [
        f"! {where} - policy changed: compare with orgmfa policy",
        f"! {where} - held (quota_exceeded): detach one, or have the quota raised",
    ]
    assert len(lines) == 11


def test_what_to_do_names_no_account_id_and_no_arn() -> None:
    remedy = "It is off: switch it on in account 111122223333, or allow it on arn:aws:securityhub:x::product/y."
    error = UNREAD.model_copy(update={"remedy": remedy})

    brief = tell(make_run_report(make_unread(1, error=error), errors=(error,)))

    assert read(brief.to_fix) == ["✗ acme-1 - unread: switch it on in account ID, or allow it on ARN"]
    assert read(brief.top)[0] == "Error assuming the role: switch it on in account ID, or allow it on ARN"


def test_what_has_no_line_is_counted() -> None:
    users = [make_held("ana", f"code-{number}") for number in range(30)]
    notes = tuple(f"note {number}" for number in range(30))
    gate = Gate(code="over_limit", planned=1442, limit=100, message="too many", remedy="Read the plan.")
    errors = (UNREAD,) * 5

    brief = tell(make_run_report(make_seen_account(*users), complete=False, errors=errors, gate=gate), notes=notes)

    assert count_lines(brief) == 15
    assert read(brief.to_fix)[-1] == f"and {31 - len(brief.to_fix)} more causes"
    assert read(brief.asides)[-1] == f"and {31 - len(brief.asides)} more remarks"
    assert read(brief.top)[2:4] == ["Error assuming the role: deploy it", "and 4 more errors"]


def test_remarks_take_three_lines_from_what_is_to_fix_and_no_more() -> None:
    users, notes = [make_held("ana", f"code-{number}") for number in range(8)], tuple(map("note {}".format, range(6)))

    brief = tell(make_run_report(make_seen_account(*users)), notes=notes)

    assert count_lines(brief) == 15
    assert len(brief.to_fix) == 8
    assert read(brief.asides) == ["note 0", "note 1", "and 4 more remarks"]


def test_new_device_is_told_with_its_day() -> None:
    user: dict[str, Any] = {"account_id": "1", "account_alias": "acme", "account_name": "Acme", "device": "fido"}
    enrolled = [EnrolledUser(**user, name=name, enrolled_at=days_ago(1)) for name in "abc"]
    report = make_run_report(changes=Changes(since_run_id="r", since=days_ago(1), enrolled=tuple(enrolled)))
    day = f"{days_ago(1).day} {days_ago(1):%b}"

    assert read(tell(report).asides) == [
        f"New device: a (acme, {day}), b (acme, {day}) and 1 more - ask if it was them"
    ]
    assert read(tell(report, names=False).asides) == ["New device: 3 users - ask if it was them"]


def test_what_else_changed_and_asks_for_somebody_has_a_line() -> None:
    user = ChangedUser(account_id="1", account_alias="acme", account_name="Acme", name="hal")
    changes = Changes(
        since_run_id="r",
        since=days_ago(1),
        enforcement_undone=(user,),
        newly_exempt=(user,),
        newly_without_mfa=(user,),
        newly_enforced=(user,),
        unannounced_accounts=(ChangedAccount(id="2", name="New", alias=None),),
    )

    assert read(tell(make_run_report(changes=changes), notes=("one note",)).asides) == [
        "Enforcement undone by others: hal (acme) - EnforceMFA was taken off, not by orgmfa release",
        "Newly exempt or protected: hal (acme) - a user can be renamed to a protected name",
        "New accounts of which no event told: New - check its rule, and the forwarder in the management account",
        "one note",
    ]


@pytest.mark.parametrize(
    ("since", "words"),
    [
        (NOW.replace(hour=1, minute=30), "Since 01:30 UTC: nothing changed"),
        (days_ago(1), "Since yesterday: nothing changed"),
        (datetime.fromisoformat("2025-06-05T12:00:00+02:00"), "Since 5 Jun: nothing changed"),
    ],
)
def test_changes_are_counted_since_a_day_that_people_know(since: datetime, words: str) -> None:
    read_account, changes = make_seen_account(make_seen("ana", "none")), Changes(since_run_id="r", since=since)

    assert read(tell(make_run_report(read_account, changes=changes)).top)[-1] == words
    assert ", where accounts were read: " in read(tell(make_run_report(make_unread(1), changes=changes)).top)[-1]


@pytest.mark.parametrize(
    ("mode", "outcome", "words"),
    [
        (Mode.APPLY, "enforced", "2 of 3 users have MFA or are enforced (was 1)"),
        (Mode.PLAN, "planned", "1 of 3 users have MFA or are enforced (would be 2)"),
        (Mode.APPLY, "planned", "1 of 3 users have MFA or are enforced (33 %)"),
    ],
)
def test_users_who_are_covered_are_told_with_what_the_run_changes(mode: Mode, outcome: str, words: str) -> None:
    account = make_seen_account(make_seen("a", "none"), make_seen("b", outcome), make_held("c"))

    assert read(tell(make_run_report(account, mode=mode)).top)[0] == words


def test_release_says_of_nobody_whether_they_have_mfa() -> None:
    account = make_seen_account(
        make_seen("a", "none", verdict="unknown"), make_seen("b", "released", verdict="unknown")
    )

    assert read(tell(make_run_report(account, mode=Mode.RELEASE)).top)[0] == (
        "1 account inspected. 2 users, whose MFA a release does not look at. 1 released"
    )


def test_keys_that_stop_are_named_where_they_are_of_few_users() -> None:
    users = [make_seen(name, "enforced", active_access_keys=1) for name in "abc"]

    def told(number: int, *, names: bool = True) -> str:
        return read(tell(make_run_report(make_seen_account(*users[:number])), names=names).top)[1]

    assert told(2) == "2 access keys stopped working without MFA: a, b"
    assert told(2, names=False) == "2 access keys stopped working without MFA"
    assert told(3) == "3 access keys stopped working without MFA"


def test_run_that_was_held_says_first_what_to_decide() -> None:
    gate = Gate(code="over_limit", planned=1442, limit=100, message="too many", remedy="Read the plan.")
    account = make_seen_account(make_seen("bob", "planned", active_access_keys=1))

    brief = tell(make_run_report(account, make_unread(1), gate=gate))

    assert brief.headline == "NOTHING WAS WRITTEN: 1,442 changes planned, the limit is 100"
    assert read(brief.top) == ["Decide: Read the plan.", "1 access key would stop working without MFA: bob"]
    assert read(brief.bottom) == ["0 of 1 users have MFA or are enforced (0 %)"]


def test_run_that_something_else_held_says_why() -> None:
    gate = Gate(code="under_way", planned=3, limit=None, message="run 7 writes", remedy="Run again.")

    brief = tell(make_run_report(gate=gate))

    assert (brief.headline, read(brief.top)[0]) == ("NOTHING WAS WRITTEN", "Decide: run 7 writes. Run again.")


@given(room=st.integers(0, 10_000), wants=st.lists(st.integers(0, 20_000), max_size=20))
def test_room_is_shared_so_that_none_is_crowded_out(room: int, wants: list[int]) -> None:
    shares = fair_shares(room, wants)

    assert sum(shares) <= room
    assert all(share <= want for share, want in zip(shares, wants, strict=True))
    assert all(share == want for share, want in zip(shares, wants, strict=True) if want * len(wants) <= room)
