"""The list of the archived runs, a line a run."""

from collections.abc import Sequence
from datetime import UTC

from rich.console import Console
from rich.text import Text

from orchestrator.domain.model import Mode
from orchestrator.output.terminal.layout import tidy
from orchestrator.output.words import count, plain
from orchestrator.reports.report import RunReport


def print_runs(heads: Sequence[RunReport], console: Console, *, more: int = 0) -> None:
    """Print a line a run, in the order given; `more` is how many are left out."""
    with tidy(console):
        if not heads:
            console.print(Text("The archive holds no run yet."))
            return
        console.print(Text("finished (UTC)    mode     no MFA  accounts  failed  run"))
        for head in heads:
            console.print(Text(_run_line(head)), soft_wrap=True)
        if more:
            console.print(Text(f"and {count(more, 'older run')}: --output json lists all"))


def _run_line(head: RunReport) -> str:
    totals = head.totals
    without = "" if head.mode is Mode.RELEASE else f"{totals.non_compliant:,}"
    counts = f"{without:>6}  {totals.accounts:>8,}  {totals.failed + totals.not_reached:>6,}"
    remarks = ["nothing written" if head.gate and head.mode is not Mode.PLAN else ""]
    remarks += ["" if head.complete else "incomplete", count(len(head.errors), "error") if head.errors else ""]
    remark = ", ".join(filter(None, remarks))
    when = f"{head.finished_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    return f"{when}  {head.mode.value:7}  {counts}  {plain(head.run_id)}{f' ({remark})' if remark else ''}"
