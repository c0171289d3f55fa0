import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO, StringIO, TextIOWrapper
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from orchestrator.domain.model import Mode, Outcome, PolicyChange, Stage, Status, Trigger, Verdict, Via
from orchestrator.output.terminal import MAX_LINES, ProgressView, Shown, print_report, print_runs
from orchestrator.reports.build import count_totals
from orchestrator.reports.report import (
    AccountReport,
    ProblemReport,
    ReasonReport,
    RootUserReport,
    RunReport,
    UserReport,
    pack_accounts,
)

NOON = datetime(2025, 11, 24, 12, 0, tzinfo=UTC)
ESCAPE_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ROLE_MISSING = (
    "The role orgmfa-member is missing in the account, or does not trust this caller (AWS answers both alike): "
    "check that the StackSet has reached the account, then the role's trust policy."
)
REFUSED = (
    "User: arn:aws:sts::999988887777:assumed-role/orgmfa-operator/orgmfa-20251124 is not authorized to perform: "
    "sts:AssumeRole on resource: arn:aws:iam::{}:role/orgmfa-member"
)
OVER_LIMIT = "214 changes planned, limits.max_changes_per_run is 100: nothing is written anywhere"
NO_PASSWORD = "no console password; enforcement.users is console"

_ids = count(100000000001)


def make_user(
    name: str = "ana",
    outcome: Outcome = Outcome.NONE,
    *,
    verdict: Verdict | None = None,
    keys: int | None = 0,
    via: Via | None = None,
    error: tuple[str, str] | None = None,
    reason: str | None = None,
) -> UserReport:
    by_outcome = Verdict.COMPLIANT if outcome is Outcome.NONE else Verdict.NON_COMPLIANT
    return UserReport(
        name=name,
        arn=f"arn:aws:iam::111122223333:user/{name}",
        verdict=verdict or by_outcome,
        console_password=True,
        active_access_keys=keys,
        keys_last_used=None,
        outcome=outcome,
        via=via,
        error=error and ReasonReport(code=error[0], message=error[1]),
        reason=reason,
    )


def make_users(number: int, outcome: Outcome) -> list[UserReport]:
    return [make_user(f"user-{index:03}", outcome) for index in range(number)]


def make_problem(
    stage: Stage = Stage.ASSUME_ROLE,
    *,
    code: str = "AccessDenied",
    message: str = "the role refused",
    remedy: str = ROLE_MISSING,
) -> ProblemReport:
    return ProblemReport(stage=stage, code=code, message=message, remedy=remedy)


def make_account(
    alias: str | None = None,
    users: Iterable[UserReport] = (),
    *,
    name: str = "",
    account_id: str | None = None,
    ou: str | None = None,
    status: Status = Status.INSPECTED,
    error: ProblemReport | None = None,
    root: tuple[bool, bool] | None = (False, False),
    policy_changes: tuple[PolicyChange, ...] = (),
) -> AccountReport:
    return AccountReport(
        id=account_id or str(next(_ids)),
        name=name,
        alias=alias,
        ou=ou,
        status=status,
        error=error,
        root_user=root and RootUserReport(has_credentials=root[0], has_mfa=root[1]),
        users=tuple(users),
        policy_changes=policy_changes,
    )


def make_failed(alias: str, **problem: Any) -> AccountReport:
    return make_account(alias, status=Status.FAILED, error=make_problem(**problem))


def make_report(
    *accounts: AccountReport,
    mode: Mode = Mode.PLAN,
    is_complete: bool = True,
    errors: Iterable[ProblemReport] = (),
) -> RunReport:
    return RunReport(
        run_id="20251124T120000Z-4f2a",
        mode=mode,
        trigger=Trigger.CLI,
        organization_id="o-exampleorg1",
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=74),
        complete=is_complete,
        errors=tuple(errors),
        totals=count_totals(accounts),
        accounts=pack_accounts(accounts),
    )


def show(report: RunReport, *, width: int = 80, keys_stop: bool = True, notes: Iterable[str] = (), **shown: Any) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=False)
    print_report(report, console, Shown(**shown), keys_stop=keys_stop, notes=notes)
    return written(console)


def written(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def flat(text: str) -> str:
    return " ".join(text.split())


def row_of(text: str, title: str) -> str:
    """Return, on one line, what stands in the row of the table that begins with this title."""
    lines = text.splitlines()
    [start] = [index for index, line in enumerate(lines) if re.match(rf"{re.escape(title)}(?: |$)", line)]
    rest = lines[start + 1 :]
    end = next((i for i, line in enumerate(rest) if not re.match(r"(?: |\d{12}(?: |$))", line)), len(rest))
    return flat(" ".join([lines[start], *rest[:end]]))


def assert_in_order(text: str, *parts: str) -> None:
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)


def all_situations() -> RunReport:
    return make_report(
        make_account("clean", [make_user()]),
        make_account("suspended", status=Status.SKIPPED, error=make_problem(Stage.SELECT, code="suspended")),
        make_account("service", [make_user("robot", Outcome.OUT_OF_SCOPE, reason=NO_PASSWORD)]),
        make_account("rooted", [make_user()], root=(True, False)),
        make_account("changing", [make_user("bo", Outcome.PLANNED, keys=2, via=Via.USER)]),
        make_account("holding", [make_user("dora", Outcome.HELD, error=("active_key", "a key was used yesterday"))]),
        make_account("late", status=Status.NOT_REACHED, error=make_problem(Stage.INSPECT, code="interrupted")),
        make_failed("broken"),
        is_complete=False,
        errors=[make_problem(Stage.SELECT, code="TooManyRequestsException", message="listing broke off")],
    )


def test_report_goes_from_what_is_to_fix_to_the_next_step() -> None:
    text = show(all_situations(), address="./orgmfa-runs/run.json.gz")

    assert_in_order(
        text,
        "8 accounts, 3 users without MFA, 1 would be enforced, 1 user to fix, 1 account\n",
        "INCOMPLETE",
        "listing broke off",
        "TO FIX (4)",
        "1 account failed, assuming the role (AccessDenied)",
        "    broken (",
        "1 account not reached, reading IAM (interrupted)",
        "Held (active_key): 1 user in 1 account",
        "holding: dora",
        "Root user without MFA: 1 account",
        "\nholding ",
        "\nrooted ",
        "\nchanging ",
        "2 accounts clean: every user has MFA or is left alone (1 out of scope).",
        "1 account skipped: 1 suspended.",
        "8 accounts: ",
        "Report: ./orgmfa-runs/run.json.gz",
        "Page:   orgmfa report 20251124T120000Z-4f2a --html orgmfa.html",
        "Next:   orgmfa apply (enforces MFA on 1 user in 1 account, after asking)",
    )


def test_summary_counts_everything_in_one_sentence() -> None:
    text = flat(show(all_situations()))

    assert (
        "8 accounts: 5 inspected, 1 failed, 1 not reached, 1 skipped. "
        "5 users: 2 with MFA, 3 without MFA. 1 held, 1 would be enforced, 1 out of scope. "
        "Nothing was written. Access keys that would stop working without an MFA session: 2."
    ) in text


@pytest.mark.parametrize(
    ("report", "step"),
    [
        (
            make_report(make_account("a", [make_user("bo", Outcome.HELD)])),
            "fix what stands under TO FIX, then orgmfa plan",
        ),
        (make_report(make_account("a", [make_user()])), None),
        (
            make_report(make_account("a", [make_user("bo", Outcome.HELD, error=("over_limit", OVER_LIMIT))])),
            "read the plan, then orgmfa apply --max-changes 214 --sandbox",
        ),
    ],
)
def test_next_step_is_named_where_there_is_one(report: RunReport, step: str | None) -> None:
    text = show(report, address="a file", options=" --sandbox")

    assert ("Next:" in text) == (step is not None)
    assert (step or "") in text
    assert "Page:" not in text


def test_run_that_its_limit_held_says_first_that_nothing_was_written() -> None:
    users = [make_user("bo", Outcome.HELD, error=("over_limit", OVER_LIMIT))]

    text = show(make_report(make_account("shop", users), mode=Mode.APPLY))

    assert_in_order(text, "STOPPED: 214 changes planned, limit 100. Nothing written.", "TO FIX", "\nshop")


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


def test_reason_and_remedy_are_complete_however_long_where_all_is_wanted() -> None:
    message, remedy = REFUSED.format("1" * 200), ROLE_MISSING * 3

    text = show(make_report(make_failed("shop-prod", message=message, remedy=remedy)), whole_texts=True)

    assert flat(text).count(f"{message} Remedy: {remedy}") == 1


def test_error_of_aws_is_shortened_to_its_code_and_the_action_that_was_refused() -> None:
    text = show(make_report(make_failed("shop-prod", message=REFUSED.format("1" * 12))))

    assert "1 account failed, assuming the role (AccessDenied, sts:AssumeRole)\n    shop-prod (" in text
    assert "arn:" not in text


@pytest.mark.parametrize("width", [40, 80])
def test_arn_is_never_broken(width: int) -> None:
    arn = f"arn:aws:sts::999988887777:assumed-role/orgmfa-member/{'long' * 30}"

    text = show(make_report(make_failed("shop", message=f"User: {arn} may not")), width=width, whole_texts=True)

    assert f"    {arn}\n" in text


def test_reason_of_a_held_user_is_told_with_its_code() -> None:
    message = "an access key was used on 2025-11-23 and would stop working: " + "move the caller to a role, " * 5

    text = show(make_report(make_account("shop", [make_user("ci", Outcome.HELD, error=("active_key", message))])))

    assert f"Held (active_key): 1 user in 1 account shop: ci {message.strip()}" in flat(text)


def test_long_reason_is_cut_and_says_how_to_see_the_rest() -> None:
    user = make_user("ci", Outcome.HELD, error=("code", "because " * 100))

    text, whole = (show(make_report(make_account("shop", [user])), whole_texts=whole) for whole in (False, True))

    assert "... (-v: the whole text)" in flat(text)
    assert whole.count("because") == 100


def test_accounts_that_failed_alike_are_one_cause_with_one_remedy() -> None:
    accounts = [make_failed(f"shop-{n}", message=REFUSED.format(f"{n}" * 12)) for n in range(1, 10)]

    text = show(make_report(*accounts))

    assert text.count("Remedy:") == text.count("9 accounts failed, assuming the role") == 1
    named = ", ".join(f"{account.alias} ({account.id})" for account in accounts[:3])
    assert f"{named} and 6 more accounts" in flat(text)
    assert all(account.id in show(make_report(*accounts), every_row=True) for account in accounts)


def test_accounts_that_were_not_reached_for_one_reason_are_one_cause() -> None:
    error = make_problem(Stage.INSPECT, code="interrupted", message="the run was interrupted", remedy="Run again.")
    accounts = [make_account(f"dev-{n:02}", status=Status.NOT_REACHED, error=error) for n in range(30)]

    text = show(make_report(*accounts))

    assert text.count("30 accounts not reached, reading IAM (interrupted)") == 1
    assert text.count("the run was interrupted") == 1


@pytest.mark.parametrize("status", [Status.FAILED, Status.NOT_REACHED])
def test_account_that_failed_without_a_word_is_still_shown(status: Status) -> None:
    accounts = [make_account(alias, status=status) for alias in ("dev-1", "dev-2")]

    alone, together = show(make_report(accounts[0])), show(make_report(*accounts))

    words = status.value.replace("_", " ")
    first, second = (f"{account.alias} ({account.id})" for account in accounts)
    assert f"1 account {words}, no reason given\n    {first}\n" in alone
    assert f"2 accounts {words}, no reason given\n    {first}, {second}\n" in together
    assert row_of(show(make_report(accounts[0]), every_row=True), "dev-1") == f"dev-1 {words} {accounts[0].id}"
    assert "Remedy" not in alone + together


def test_account_that_failed_while_writing_shows_what_was_written() -> None:
    users = [make_user("ana", Outcome.ENFORCED), make_user("bo", Outcome.FAILED, error=("Throttling", "slow down"))]
    account = make_account("a", users, status=Status.FAILED, error=make_problem(Stage.APPLY))

    text = show(make_report(account, mode=Mode.APPLY), width=119)

    row = row_of(text, "a")
    assert "failed, writing to IAM (AccessDenied)" in row
    assert "1 failed (Throttling): bo 1 enforced: ana" in row


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
    freed = make_user("fay", Outcome.RELEASED, verdict=Verdict.UNKNOWN)

    text = show(make_report(make_account("shop", [unread, freed]), mode=Mode.RELEASE), width=119)

    assert_in_order(text, "2 users to fix", "TO FIX", "MFA unknown (AccessDenied)", "iam:ListMFADevices is refused")
    assert "1 MFA unknown (AccessDenied): eve" in text
    assert "1 released, MFA unknown: fay" in text
    assert "2 unknown" in text
    assert "clean" not in text


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


@pytest.mark.parametrize(
    ("mode", "outcome", "sentence"),
    [
        (Mode.PLAN, Outcome.PLANNED, "Nothing was written."),
        (Mode.APPLY, Outcome.ENFORCED, "1 user was enforced."),
        (Mode.APPLY, Outcome.HELD, "No user was enforced."),
        (Mode.RELEASE, Outcome.RELEASED, "1 user was released."),
        (Mode.RELEASE, Outcome.ALREADY_ENFORCED, "No user was released."),
    ],
)
def test_what_was_written_is_said_in_words(mode: Mode, outcome: Outcome, sentence: str) -> None:
    text = flat(show(make_report(make_account("shop", [make_user("bo", outcome)]), mode=mode)))

    assert sentence in text
    assert ("Nothing was written." in text) == (mode is Mode.PLAN)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (Mode.PLAN, "1 would be enforced: bo"),
        (Mode.APPLY, "1 not yet enforced: bo"),
        (Mode.RELEASE, "1 not yet released: bo"),
    ],
)
def test_planned_change_is_never_taken_for_a_made_one(mode: Mode, words: str) -> None:
    text = show(make_report(make_account("shop", [make_user("bo", Outcome.PLANNED)]), mode=mode))

    assert f"{words}\n" in text
    assert ("Would be done" in text) == (mode is Mode.PLAN)


def test_access_keys_that_stop_are_counted_and_shown_with_their_users() -> None:
    users = [
        make_user("ana", Outcome.ENFORCED, keys=2),
        make_user("bo", Outcome.ENFORCED, keys=None),
        make_user("cy", Outcome.ENFORCED),
        make_user("dora", Outcome.PLANNED, keys=1),
        make_user("eve", Outcome.HELD, keys=1),
        make_user("fay", keys=1),
    ]

    text = flat(show(make_report(make_account("shop", users), mode=Mode.APPLY), width=119))

    assert "3 enforced: ana (2 keys), bo (keys unknown), cy" in text
    assert "not yet enforced: dora (1 key)" in text
    assert (
        "Access keys that stop working without an MFA session: 2, and those of 1 user that could not be read." in text
    )


@pytest.mark.parametrize(("mode", "keys_stop"), [(Mode.PLAN, False), (Mode.RELEASE, True)])
def test_no_word_about_keys_where_none_stops(mode: Mode, *, keys_stop: bool) -> None:
    account = make_account("shop", [make_user("bo", Outcome.PLANNED, keys=2)])

    text = show(make_report(account, mode=mode), keys_stop=keys_stop)

    assert "key" not in text


@pytest.mark.parametrize("root", [None, (False, False), (True, True), (False, True)])
def test_root_user_that_cannot_sign_in_or_has_mfa_is_no_finding(root: tuple[bool, bool] | None) -> None:
    text = show(make_report(make_account("shop", root=root)))

    assert "oot user" not in text
    assert "1 account clean" in text


def test_root_finding_keeps_an_account_from_being_clean() -> None:
    text = show(make_report(make_account("shop", [make_user()], root=(True, False), account_id="111122223333")))

    assert row_of(text, "shop") == "shop 1 0 root user without MFA 111122223333"
    assert "Remedy: It has a password or access keys: register an MFA device, or delete the root credentials." in flat(
        text
    )
    assert "clean" not in text


def test_skipped_accounts_are_counted_by_reason_and_listed_where_all_are_wanted() -> None:
    codes = [("b", "excluded"), ("c", "closed"), ("a", "closed")]
    accounts = [
        make_account(alias, status=Status.SKIPPED, error=make_problem(Stage.SELECT, code=code)) for alias, code in codes
    ]

    text, whole = show(make_report(*accounts)), show(make_report(*accounts), every_row=True)

    assert "3 accounts skipped: 2 closed, 1 excluded.\n" in text
    assert not [account for account in accounts if account.id in text]
    assert [row_of(whole, alias)[:-13] for alias, _ in codes] == [
        f"{alias} skipped, selecting accounts ({code})" for alias, code in codes
    ]


def test_listing_that_broke_off_is_said_above_everything_else() -> None:
    lines = show(make_report(make_account("shop"), is_complete=False)).splitlines()

    assert lines[3].startswith("INCOMPLETE: The organization could not be listed to its end")


def test_errors_of_the_run_are_shown_with_their_remedy() -> None:
    error = make_problem(Stage.DIGEST, code="digest_failed", message="Slack refused it", remedy="Mend the settings.")

    text = show(make_report(make_account("shop"), errors=[error]))

    assert "ERRORS OF THE RUN\n  sending the digest (digest_failed)\n    Slack refused it\n" in text
    assert "    Remedy: Mend the settings.\n" in text


def test_clean_run_is_short() -> None:
    accounts = [make_account(f"dev-{n}", [make_user()]) for n in range(1200)]

    assert show(make_report(*accounts)).splitlines() == [
        "Plan run 20251124T120000Z-4f2a of o-exampleorg1, 2025-11-24 12:00 UTC, 74 s",
        "1,200 accounts, every user has MFA",
        "",
        "1,200 accounts clean: every user has MFA.",
        "",
        "1,200 accounts inspected. 1,200 users: 1,200 with MFA. Nothing was written.",
    ]


def test_organization_without_users_reads_well() -> None:
    assert "\n1 account inspected. Nothing was written.\n" in show(make_report(make_account("shop")))


HOSTILE_NAMES = ["[bold]x[/bold]", "[/]", "[link=https://example.com]here[/link]", ":skull:", "<!channel>", r"\[red]"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_markup_in_text_from_outside_stands_as_it_is(name: str) -> None:
    user = make_user(name, Outcome.HELD, error=(name, f"message {name}"))
    accounts = [
        make_account(name, [user], root=(True, False)),
        make_failed(name, message=f"failure {name}", remedy=f"remedy {name}"),
        make_account(name, status=Status.SKIPPED, error=make_problem(code=name)),
    ]

    text = show(
        make_report(*accounts, errors=[make_problem(message=f"error {name}")]),
        address=name,
        width=300,
        notes=[f"about {name}"],
    )

    assert f"1 held ({name}): {name}\n" in text
    for words in ("message", "failure", "Remedy: remedy", "error", "Report:", "Note: about"):
        assert f"{words} {name}\n" in text
    assert f"1 account skipped: 1 {name}.\n" in text
    assert f"    {name}: {name}\n" in text
    assert re.search(rf"^{re.escape(name)} ", text, re.MULTILINE)
    assert f"    {name} ({accounts[1].id})\n" in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines\r\nand\ttab", "two lines and tab"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("bell\x07", r"bell\x07"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("line\u2028break", "line break"),
        ("Größe 東京", "Größe 東京"),
    ],
)
def test_characters_that_would_act_on_the_terminal_are_made_harmless(name: str, shown: str) -> None:
    user = make_user("bo", Outcome.HELD, error=("code", name))
    account = make_account(users=[user], name=name, root=(True, False))

    text = show(make_report(account), address=name, width=300)

    assert f"\n{shown} " in text
    assert f"    {shown} ({account.id})\n" in text
    assert f"    {shown}: bo\n" in text
    assert f"    {shown}\n" in text
    assert f"Report: {shown}\n" in text


TEXTS = st.text(max_size=90)


@given(name=TEXTS, message=TEXTS, outcome=st.sampled_from(Outcome), width=st.integers(60, 120), every=st.booleans())
def test_no_text_breaks_the_table(*, name: str, message: str, outcome: Outcome, width: int, every: bool) -> None:
    accounts = [
        make_account(name, [make_user(name, outcome, error=(name[:20], message), reason=message)]),
        make_account(None, name=message, root=(True, False)),
        make_failed(name, code=name[:20], message=message, remedy=message),
    ]

    text = show(make_report(*accounts), width=width, every_row=every, whole_texts=every)

    assert not {char for char in text if unicodedata.category(char).startswith("C")} - {"\n"}
    assert max(map(cell_len, text.split("\n"))) <= width


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_console_nor_ends_in_blanks(width: int) -> None:
    long = [
        make_failed("a" * 63, message="x" * 300, remedy=ROLE_MISSING),
        make_account(None, [make_user("u" * 64, Outcome.PLANNED)], name="n" * 50, root=(True, False)),
    ]

    text = show(make_report(*all_situations().accounts, *long), width=width)

    assert max(map(len, text.splitlines())) <= width
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_address_is_never_broken_into_lines() -> None:
    address = "s3://bucket/" + "prefix/" * 20 + "run.json.gz"

    assert f"\nReport: {address}\n" in show(make_report(make_account("shop")), address=address)


def on_terminal(*, is_terminal: bool = True, **environment: str) -> Console:
    return Console(
        file=StringIO(),
        width=80,
        force_terminal=is_terminal,
        color_system="standard",
        _environ={"TERM": "xterm-256color"} | environment,
    )


def test_colour_only_repeats_what_words_say() -> None:
    console = on_terminal()

    print_report(all_situations(), console)

    coloured = written(console)
    bare = [line.rstrip() for line in ESCAPE_CODES.sub("", coloured).splitlines()]
    assert "\x1b[1;31mTO FIX" in coloured
    assert re.sub(r"\d{12}", "", "\n".join(bare)) == re.sub(r"\d{12}", "", show(all_situations()).rstrip())


def test_no_color_leaves_no_escape_codes() -> None:
    console = on_terminal(NO_COLOR="1")

    print_report(all_situations(), console)

    assert "failed, assuming the role" in written(console)
    assert "\x1b" not in written(console)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_output_that_cannot_encode_a_name_still_gets_the_report(*, is_terminal: bool) -> None:
    file = TextIOWrapper(BytesIO(), encoding="ascii", newline="\n")
    console = Console(file=file, width=80, force_terminal=is_terminal, no_color=True)

    print_report(make_report(make_account("größe")), console, Shown(address="./läufe", every_row=True))

    file.seek(0)
    text = file.read()
    assert r"gr\xf6\xdfe" in text
    assert "\nReport: ./l\\xe4ufe\n" in text


def test_notes_are_wrapped_and_leave_no_blanks_at_the_ends_of_lines() -> None:
    notes = ["exemption [red] ends on 2025-12-01 and then no longer counts", "\x1b[2J"]

    text = show(make_report(make_account("shop")), width=40, notes=notes)

    assert text.splitlines()[-6:-3] == [
        "Note: exemption [red] ends on 2025-12-01",
        "and then no longer counts",
        "Note: \\x1b[2J",
    ]


def test_runs_are_listed_in_the_order_given_with_what_they_came_to() -> None:
    console = Console(file=StringIO(), width=80, force_terminal=False)
    users = [make_user(name, Outcome.EXEMPT) for name in ("ana", "bob")]
    accounts = [make_account("acme", users), make_failed("broken"), make_account(status=Status.NOT_REACHED)]
    run_id = "20251124T120000Z-0a1b2c3d"
    newer = make_report(*accounts, mode=Mode.APPLY).model_copy(update={"run_id": run_id, "finished_at": NOON})
    older = make_report(mode=Mode.PLAN, errors=[make_problem()]).model_copy(
        update={"run_id": "[red]", "finished_at": NOON - timedelta(days=1), "complete": False}
    )

    print_runs([newer, older], console, more=1200)

    lines = written(console).splitlines()
    assert lines == [
        "finished (UTC)    mode     no MFA  accounts  failed  run",
        f"2025-11-24 12:00  apply         2         3       2  {run_id}",
        "2025-11-23 12:00  plan          0         0       0  [red] (incomplete, 1 error)",
        "and 1,200 older runs: --output json lists all",
    ]
    assert max(map(len, lines)) <= 80


def test_empty_archive_is_said() -> None:
    console = Console(file=StringIO(), width=80, force_terminal=False)

    print_runs([], console)

    assert written(console) == "The archive holds no run yet.\n"


def screens(console: Console) -> Iterator[str]:
    """Yield the lines a progress bar drew, one after another, without colours, bars and seconds."""
    for line in re.split(r"[\r\n]+", ESCAPE_CODES.sub("", written(console))):
        yield flat(re.sub(r"[━╸╺]|\d:\d\d:\d\d$", "", line))


def test_progress_counts_accounts_changes_and_failures() -> None:
    console = on_terminal()

    with ProgressView(console, Mode.APPLY) as progress:
        progress.phase("inspecting", None)
        progress.done("inspecting", changes=1000, failed=False)
        progress.found("inspecting", 20)
        progress.done("inspecting", changes=234, failed=True)
        progress.phase("applying", 7)
        progress.done("applying", changes=5, failed=False)
        progress._progress.refresh()

    drawn = list(screens(console))
    assert "inspecting 0 accounts 0 planned 0 failed" in drawn
    assert "inspecting 2/20 accounts 1,234 planned 1 failed" in drawn
    assert "applying 1/7 accounts 5 enforced 0 failed" in drawn


def test_progress_total_grows_while_accounts_are_found() -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.phase("inspecting", None)
        for number in (20, 40):
            progress.found("inspecting", number)
            progress._progress.refresh()

    drawn = [line for line in screens(console) if "0/" in line]
    assert_in_order(" ".join(drawn), "0/20 accounts", "0/40 accounts")


@pytest.mark.parametrize(
    ("mode", "word"), [(None, "changed"), (Mode.APPLY, "enforced"), (Mode.RELEASE, "released"), (Mode.PLAN, "planned")]
)
def test_progress_names_what_is_done_to_users(mode: Mode | None, word: str) -> None:
    console = on_terminal()

    with ProgressView(console, mode) as progress:
        progress.phase("applying", 1)

    assert f"applying 0/1 accounts 0 {word} 0 failed" in screens(console)


def test_progress_leaves_nothing_on_the_screen() -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.phase("inspecting", 1)

    assert written(console).endswith("\x1b[1A\x1b[2K")


def test_paused_progress_draws_nothing_until_it_goes_on() -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.phase("inspecting", 3)
        with progress.paused():
            before = written(console)
            progress.done("inspecting", changes=1, failed=False)
            during = written(console)

    assert during == before
    assert "inspecting 1/3 accounts 1 planned 0 failed" in screens(console)


def drive(progress: ProgressView) -> None:
    with progress:
        progress.phase("inspecting", None)
        progress.found("inspecting", 1)
        progress.done("inspecting", changes=1, failed=True)
        with progress.paused():
            pass
        progress.phase("applying", 1)


@pytest.mark.parametrize(
    ("console", "wanted"),
    [
        pytest.param(on_terminal(is_terminal=False), True, id="off a terminal"),
        pytest.param(on_terminal(TERM="dumb"), True, id="on a terminal that cannot redraw"),
        pytest.param(on_terminal(), False, id="not wanted"),
    ],
)
def test_progress_writes_nothing_where_it_has_no_place(console: Console, *, wanted: bool) -> None:
    drive(ProgressView(console, wanted=wanted))

    assert written(console) == ""


def test_progress_before_the_first_phase_is_passed_over() -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.found("inspecting", 3)
        progress.done("inspecting", changes=1, failed=False)

    assert "accounts" not in written(console)


def test_progress_leaves_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.phase("inspecting", None)
        sys.stdout.write('{"data": 1}\n')

    assert capsys.readouterr().out == '{"data": 1}\n'
    assert "data" not in written(console)
