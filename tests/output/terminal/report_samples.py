"""Builders of reports for the tests of the terminal, and functions that read what is printed."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import count
from typing import Any

from rich.console import Console

from orchestrator.domain.model import Gate, Mode, Outcome, PolicyChange, Stage, Status, Trigger, Verdict, Via
from orchestrator.output.terminal import Shown, print_report
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
OVER_LIMIT = Gate(code="over_limit", planned=214, limit=100, message="too many", remedy="read the plan")
UNDER_WAY = Gate(code="under_way", planned=1, limit=None, message="run 7 writes", remedy="run again later")
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
    gate: Gate | None = None,
) -> RunReport:
    return RunReport(
        gate=gate,
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


def show(
    report: RunReport, *, width: int = 80, blocks_access_keys: bool = True, notes: Iterable[str] = (), **shown: Any
) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=False)
    print_report(report, console, Shown(**shown), blocks_access_keys=blocks_access_keys, notes=notes)
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


HOSTILE_NAMES = ["[bold]x[/bold]", "[/]", "[link=https://example.com]here[/link]", ":skull:", "<!channel>", r"\[red]"]


def on_terminal(*, is_terminal: bool = True, **environment: str) -> Console:
    return Console(
        file=StringIO(),
        width=80,
        force_terminal=is_terminal,
        color_system="standard",
        _environ={"TERM": "xterm-256color"} | environment,
    )
