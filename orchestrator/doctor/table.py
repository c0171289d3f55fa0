"""The table of `orgmfa doctor` in a terminal or a CI log, a row for each finding. The Lambda has no rich."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from orchestrator.doctor.report import CheckStatus, Finding, group_checks
from orchestrator.doctor.run import DoctorRun
from orchestrator.output.terminal import tidy
from orchestrator.output.words import count, plain, some_of

MAX_ACCOUNTS = 10
"""How many accounts of one finding are named; the others are counted."""

_COLOURS = {CheckStatus.PROBLEM: "bold red", CheckStatus.UNKNOWN: "yellow", CheckStatus.OK: "green"}


def print_examination(examination: DoctorRun, console: Console) -> None:
    """Print the findings in the order of the checks, each worst first, and a sentence that counts the problems."""
    findings = group_checks(examination.report.checks)
    # With NO_COLOR rich alone would still write bold.
    styles = {f"doctor.{status}": "none" if console.no_color else colour for status, colour in _COLOURS.items()}
    with console.use_theme(Theme(styles)), tidy(console):
        console.print(_grid(findings, examination.title_by_account_id))
        console.print(Text(f"\n{_summary(findings)}"))


def _grid(findings: Sequence[Finding], titles: Mapping[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(width=max(map(len, CheckStatus)))
    labels = [finding.name.replace("_", " ") for finding in findings]
    grid.add_column(width=max(map(len, labels), default=0))
    grid.add_column(overflow="fold")
    for label, finding in zip(labels, findings, strict=True):
        status = Text(finding.status, f"doctor.{finding.status}")
        grid.add_row(status, label, Text("\n".join(_lines(finding, titles))))
    return grid


def _lines(finding: Finding, titles: Mapping[str, str]) -> Iterator[str]:
    accounts = finding.account_ids
    if finding.status is CheckStatus.OK and len(accounts) > 1:
        yield f"{len(accounts):,} accounts: {plain(finding.message)}"
    else:
        if accounts:
            yield _names(accounts, titles)
        yield plain(finding.message)
    if finding.remedy:
        yield f"Remedy: {plain(finding.remedy)}"


def _names(account_ids: Sequence[str], titles: Mapping[str, str]) -> str:
    number = f"{count(len(account_ids), 'account')}: " if len(account_ids) > 1 else ""
    named = some_of([f"{plain(titles.get(one, one))} ({one})" for one in account_ids], MAX_ACCOUNTS)
    return f"{number}{named}{' (--output json names all)' if len(account_ids) > MAX_ACCOUNTS else ''}"


def _summary(findings: Sequence[Finding]) -> str:
    number = Counter(finding.status for finding in findings)
    problems, unknown = number[CheckStatus.PROBLEM], number[CheckStatus.UNKNOWN]
    known = f"; {unknown:,} could not be known" if unknown else ""
    return (
        f"{count(problems, 'problem') if problems else 'No problem found'}{known}. Nothing was changed in any account."
    )
