"""The table tells what changed since the last run, and for how long things have been as they are."""

import re
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.model import Outcome, Stage, Status
from orchestrator.output.words import days_between
from orchestrator.reports.report import ChangedAccount, ChangedUser, Changes, EnrolledUser, RunReport
from tests.output.terminal.report_samples import (
    HOSTILE_NAMES,
    NOON,
    assert_in_order,
    flat,
    make_account,
    make_failed,
    make_problem,
    make_report,
    make_user,
    row_of,
    show,
)

DAY = timedelta(days=1)
IN_SHOP: dict[str, Any] = {"account_id": "111122223333", "account_alias": "shop", "account_name": "Shop"}
GONE = ChangedAccount(id="444455556666", name="Lab", alias=None)


def make_changes(**lists: Any) -> Changes:
    return Changes(since_run_id="run-0", since=NOON - DAY, **lists)


def changed(*names: str, **changes: Any) -> tuple[ChangedUser, ...]:
    return tuple(ChangedUser(**(IN_SHOP | changes), name=name) for name in names)


def with_changes(**lists: Any) -> RunReport:
    report = make_report(make_account("shop", [make_user()]))
    return report.model_copy(update={"changes": make_changes(**lists)})


def opened(days: float, outcome: Outcome = Outcome.ALREADY_ENFORCED, **changes: Any) -> Any:
    report = make_report()
    return make_user("ana", outcome, **changes).model_copy(update={"open_since": report.finished_at - days * DAY})


def test_changes_are_counted_and_named_before_the_summary() -> None:
    enrolled = EnrolledUser(**IN_SHOP, name="eva", device="fido", enrolled_at=NOON - DAY / 2)

    text = show(
        with_changes(
            newly_without_mfa=changed("ana", "bo"),
            enrolled=(enrolled,),
            newly_enforced=changed("ana"),
            enforcement_undone=changed("cy"),
            new_accounts=(ChangedAccount(id="777788889999", name="New", alias="new"),),
            gone_accounts=(GONE,),
        ),
        width=200,
    )

    assert_in_order(
        text,
        (
            "Since the run of 2025-11-23 12:00 UTC: 2 newly without MFA, 1 enrolled (1 FIDO), 1 newly enforced, "
            "1 enforcement undone by others, 1 new account, 1 account gone.\n"
        ),
        "  Enforcement undone by others: cy (shop)\n",
        "    EnforceMFA was taken off, not by orgmfa release; ",
        "  New device: eva (shop; FIDO, 2025-11-24 00:00 UTC)\n",
        "    A new device can be a thief's: ",
        "  Newly without MFA: ana (shop), bo (shop)\n",
        "  New accounts: new (777788889999)\n",
        "  Accounts gone: Lab (444455556666)\n",
        "1 account clean: every user has MFA.",
    )


def test_run_without_changes_says_so_and_a_first_run_says_nothing() -> None:
    assert "Since the run of 2025-11-23 12:00 UTC: nothing changed.\n" in show(with_changes())
    assert "Since" not in show(make_report(make_account("shop", [make_user()])))


def test_names_of_changed_users_are_capped_and_the_rest_is_counted() -> None:
    names = [f"user-{number:02}" for number in range(25)]

    text = flat(show(with_changes(newly_without_mfa=changed(*names))))

    assert "user-09 (shop) and 15 more" in text
    assert "user-10" not in text
    assert "user-24 (shop)" in flat(show(with_changes(newly_without_mfa=changed(*names)), every_row=True))


@pytest.mark.parametrize(
    ("names", "title"),
    [({}, "shop"), ({"account_alias": None}, "Shop"), ({"account_alias": "", "account_name": "\n"}, "111122223333")],
)
def test_changed_user_bears_its_account(names: dict[str, Any], title: str) -> None:
    assert f"Newly without MFA: ana ({title})\n" in show(with_changes(newly_without_mfa=changed("ana", **names)))


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "\x1b[2Jgone", "two\nlines"])
def test_foreign_text_in_changes_is_harmless(name: str) -> None:
    account = ChangedAccount(id="444455556666", name=name, alias=name)

    text = show(
        with_changes(
            newly_without_mfa=changed(name, account_alias=name), new_accounts=(account,), gone_accounts=(account,)
        ),
        width=200,
    )

    shown = name.replace("\x1b", r"\x1b").replace("\n", " ")
    assert f"Newly without MFA: {shown} ({shown})\n" in text
    assert text.count(f"{shown} (444455556666)\n") == 2


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (opened(0.9), "1 already enforced: ana\n"),
        (opened(1), "1 already enforced: ana (open 1 day)\n"),
        (opened(63.5), "1 already enforced: ana (open 63 days)\n"),
        (opened(12, Outcome.PLANNED, keys=2), "1 would be enforced: ana (2 keys, open 12 days)\n"),
        (
            opened(3, Outcome.IN_GRACE, reason="why").model_copy(
                update={"grace_ends": make_report().finished_at + 4 * DAY}
            ),
            "1 in grace: ana (4 days left) - why\n",
        ),
    ],
)
def test_user_is_shown_with_the_days_it_has_been_open_or_has_left(user: Any, words: str) -> None:
    report = make_report(make_account("shop", [user]))
    days = days_between(user.open_since, report.finished_at)

    text, whole = show(report, width=119), show(report, width=119, every_row=True)

    assert words in re.sub(r"  +\d+ d\n", "\n", whole)
    assert bool(days) == (f"  {days} d\n" in text) == (f"  {days} d\n" in whole)
    assert ("left" in words) == ("left" in text)


def test_summary_tells_how_long_users_have_been_open() -> None:
    report = make_report(make_account("shop", [opened(3), opened(63.5, Outcome.PLANNED)]))

    assert "2 users have been without MFA for a day or more, the longest for 63 days." in flat(show(report))
    assert "for a day or more" not in show(make_report(make_account("shop", [opened(0.5)])))


def test_account_that_keeps_failing_is_shown_with_the_runs() -> None:
    for_long = make_failed("old").model_copy(update={"failing_runs": 3})
    other = make_account("late", status=Status.NOT_REACHED, error=make_problem(Stage.INSPECT, code="interrupted"))

    alone, together = show(make_report(for_long, other)), show(make_report(for_long, make_failed("new")), width=100)

    assert f"    old ({for_long.id}) for 3 runs\n" in alone
    assert row_of(show(make_report(for_long), every_row=True), "old").endswith("for 3 runs")
    assert f", old ({for_long.id}) for 3 runs\n" in together
    assert together.count("for 3 runs") == 1
