"""The table of accounts of a report on a terminal."""

import re
from functools import cache

import pytest

from orchestrator.domain.model import Mode, Outcome, PolicyChange, Verdict, Via
from orchestrator.output.terminal import MAX_LINES
from orchestrator.reports.report import (
    RunReport,
)
from tests.output.terminal.report_samples import (
    REFUSED,
    all_situations,
    assert_in_order,
    flat,
    make_account,
    make_failed,
    make_report,
    make_user,
    make_users,
    show,
)


@pytest.mark.parametrize(
    ("alias", "name", "title"),
    [("shop-prod", "Shop", "shop-prod"), (None, "Shop", "Shop"), ("", "Shop", "Shop"), (" ", "\n", None)],
)
def test_account_bears_its_alias_else_its_name_and_in_the_table_its_id(
    alias: str | None, name: str, title: str | None
) -> None:
    account = make_account(
        alias, [make_user("bo", Outcome.PLANNED)], name=name, account_id="111122223333", root=(True, False)
    )

    text = show(make_report(account))

    listed = f"{title} (111122223333)" if title else "111122223333"
    assert f"Root user without MFA: 1 account\n    {listed}\n" in text
    assert re.search(rf"^{title} .*\n111122223333 " if title else r"^111122223333 .*", text, re.MULTILINE)


@pytest.mark.parametrize(("width", "shown"), [(119, False), (120, True)])
def test_id_and_ou_have_columns_where_there_is_room(width: int, *, shown: bool) -> None:
    ou = "Root/Workloads/[red]"
    account = make_account("acme", make_users(1, Outcome.PLANNED), ou=ou)

    text = show(make_report(account), width=width)

    assert (ou in text) == shown
    assert (f"acme          {account.id}" in text) == shown


def test_every_account_that_asks_for_something_has_a_row_and_with_all_each() -> None:
    report = all_situations()

    text, whole = show(report), show(report, every_row=True)

    assert [account.alias for account in report.accounts if account.id not in text] == ["clean", "suspended", "service"]
    assert [account.alias for account in report.accounts if account.id not in whole] == []


def test_accounts_are_listed_by_how_much_they_need_a_person() -> None:
    held = make_users(3, Outcome.HELD)
    accounts = [
        make_account("clean", [make_user("x", Outcome.ENFORCED)]),
        make_account("rooted", root=(True, False)),
        make_account("held-1", held[:1]),
        make_account("held-3", held),
        make_account("two", [make_user("x", Outcome.FAILED), make_user("y", verdict=Verdict.UNKNOWN)]),
        make_failed("broken"),
    ]

    text = show(make_report(*accounts), every_row=True)

    assert_in_order(text, *(f"\n{title} " for title in ("broken", "held-3", "two", "held-1", "rooted", "clean")))


def test_users_of_an_account_are_listed_worst_first_and_by_name() -> None:
    outcomes = [outcome for outcome in Outcome if outcome is not Outcome.NONE]
    users = [make_user(f"{outcome.value}-user", outcome) for outcome in outcomes]
    users += [make_user("Zoe", Outcome.HELD), make_user("adam", Outcome.HELD), make_user("with-mfa")]

    text = show(make_report(make_account("shop", users), mode=Mode.APPLY), width=160)

    expected = ["1 failed: failed-user", "1 over quota: quota_exceeded-user", "3 held: adam, held-user, Zoe"]
    expected += ["1 enforced: enforced-user", "1 released: released-user", "1 not yet enforced: planned-user"]
    expected += ["1 in grace: in_grace-user", "1 already enforced: already_enforced-user"]
    assert_in_order(text, *expected, "1 exempt: exempt-user", "1 out of scope: out_of_scope-user")
    assert "with-mfa" not in text


def test_user_whose_mfa_is_unknown_is_to_fix_and_never_clean() -> None:
    unread = make_user("eve", verdict=Verdict.UNKNOWN, error=("AccessDenied", "iam:ListMFADevices is refused"))
    under = make_user("fay", Outcome.ENFORCED, verdict=Verdict.UNKNOWN)

    text = show(make_report(make_account("shop", [unread, under]), mode=Mode.APPLY), width=119)

    assert_in_order(text, "2 users to fix", "TO FIX", "MFA unknown (AccessDenied)", "iam:ListMFADevices is refused")
    assert "1 MFA unknown (AccessDenied): eve" in text
    assert "1 enforced, MFA unknown: fay" in text
    assert "2 unknown" in text
    assert "clean" not in text


def test_release_says_that_it_looked_at_nobody_s_mfa_and_names_nobody_as_without() -> None:
    freed, other = make_user("fay", Outcome.RELEASED, verdict=Verdict.NON_COMPLIANT), make_user("eve")

    text = show(make_report(make_account("shop", [freed, other]), mode=Mode.RELEASE), width=119)

    assert "2 users, whose MFA a release does not look at." in text
    assert "1 released: fay" in text
    for words in ("Without", "without MFA", "with MFA", "unknown", "eve"):
        assert words not in text


def test_user_without_mfa_and_without_outcome_does_not_make_an_account_clean() -> None:
    idle, lab = make_account("shop", [make_user(verdict=Verdict.NON_COMPLIANT)]), make_account("lab", [make_user()])

    planned, released = (show(make_report(idle, lab, mode=mode)) for mode in (Mode.PLAN, Mode.RELEASE))

    assert "1 without MFA: ana" in planned
    assert "1 account clean: every user has MFA.\n" in planned
    assert "2 accounts with nothing to release.\n" in released


def test_reason_of_a_user_left_alone_stands_beside_the_name_where_all_is_wanted() -> None:
    user = make_user("break-glass", Outcome.EXEMPT, reason="sealed envelope")

    assert "1 exempt: break-glass - sealed envelope\n" in show(
        make_report(make_account("shop", [user])), every_row=True
    )


def test_reason_that_users_of_many_accounts_share_is_written_once() -> None:
    held = ("over_limit", "214 changes planned, limits.max_changes_per_account is 100")
    accounts = [make_account(f"dev-{n}", [make_user("bo", Outcome.HELD, error=held)]) for n in range(5)]

    text = show(make_report(*accounts))

    assert text.count(held[1]) == 1
    assert "Held (over_limit): 5 users in 5 accounts\n    dev-0: bo; dev-1: bo; dev-2: bo and 2 more accounts\n" in text
    assert text.count("1 held (over_limit): bo\n") == 5


def test_names_of_one_outcome_are_capped_and_the_rest_is_counted() -> None:
    users = make_users(25, Outcome.PLANNED)

    text, whole = (flat(show(make_report(make_account("shop", users)), every_row=every)) for every in (False, True))

    assert "25 would be enforced: user-000, " in text
    assert "user-004 and 20 more" in text
    assert "user-005" not in text
    assert all(user.name in whole for user in users)
    assert "more" not in whole


@cache
def make_large() -> RunReport:
    """Return a run over 2,000 accounts: some failed, each with a message of its own, some held, many to enforce."""
    accounts = [make_failed(f"broken-{n:04}", message=REFUSED.format(f"{n:012}")) for n in range(40)]
    codes = ["active_key", "policy_drifted", *(f"code_{n}" for n in range(20))]
    for number in range(1_960):
        users = [make_user(f"user-{index}", Outcome.PLANNED, keys=1) for index in range(number % 7)]
        if number % 8 == 0:
            users.append(make_user("robot", Outcome.HELD, error=(codes[number % 22], f"reason {number}, " * 40)))
        accounts.append(make_account(f"acme-{number:04}", users))
    return make_report(*accounts)


@pytest.mark.parametrize("width", [80, 160])
def test_report_of_any_size_takes_about_a_hundred_lines_and_counts_the_rest(width: int) -> None:
    report = make_large()

    text = show(report, width=width, address="./run.json.gz")

    assert len(text.splitlines()) <= MAX_LINES + 10
    [hidden] = re.findall(r"and ([\d,]+) more accounts: orgmfa report 20251124T120000Z-4f2a --all", flat(text))
    listed = len(re.findall(r"^(?:broken|acme)-\d{4} ", text, re.MULTILINE))
    without_row = sum(not account.users for account in report.accounts)
    assert listed >= 5
    assert listed + int(hidden.replace(",", "")) + without_row == 2_000
    assert "40 accounts failed, assuming the role (AccessDenied, sts:AssumeRole)" in text
    assert "more causes: orgmfa report" in flat(text)


def test_with_all_every_account_of_a_large_report_has_its_row() -> None:
    text = show(make_large(), every_row=True)

    assert len(re.findall(r"^(?:broken|acme)-\d{4} ", text, re.MULTILINE)) == 2_000
    assert "more" not in text


def test_changes_through_the_group_are_told_from_those_on_the_user() -> None:
    users = [make_user("bo", Outcome.ENFORCED, via=Via.USER), make_user("dora", Outcome.ENFORCED, via=Via.GROUP)]

    text = show(make_report(make_account("shop", users), mode=Mode.APPLY))

    assert "1 enforced: bo\n" in text
    assert "1 enforced through the group: dora\n" in text
    assert "2 users were enforced." in flat(text)


def test_change_of_the_policy_alone_is_shown() -> None:
    changes = (PolicyChange.UPDATE_POLICY, PolicyChange.CREATE_GROUP)

    text = show(make_report(make_account("shop", [make_user()], policy_changes=changes)), width=100)

    assert "policy and group: update policy, create group\n" in text
    assert "clean" not in text
