"""The list of archived runs."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from orchestrator.domain.model import Gate, Mode, Outcome, Status
from orchestrator.output.terminal import print_runs
from tests.output.terminal.report_samples import (
    NOON,
    make_account,
    make_failed,
    make_problem,
    make_report,
    make_user,
    written,
)

GATE = Gate(code="stopped", planned=1, limit=None, message="because", remedy="")


@pytest.mark.parametrize(("mode", "remark"), [(Mode.APPLY, " (nothing written)"), (Mode.PLAN, "")])
def test_run_that_was_held_is_marked_in_the_list(mode: Mode, remark: str) -> None:
    console = Console(file=StringIO(), width=80, force_terminal=False)

    print_runs([make_report(mode=mode, gate=GATE)], console)

    assert written(console).splitlines()[1].endswith(f"20251124T120000Z-4f2a{remark}")


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
