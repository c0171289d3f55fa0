"""The preflight of an SCP on one screen: a number and a sentence for each group of users, with some of their names."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from orchestrator.domain.config import Config
from orchestrator.domain.outcomes import Tone
from orchestrator.output.preflight import count_blocked, group_users
from orchestrator.output.terminal.layout import make_lines, make_theme, print_lines, style_of, tidy
from orchestrator.output.terminal.report import Shown
from orchestrator.output.words import count, format_minute, some_of
from orchestrator.reports.report import RunReport

MAX_NAMED = 3
_WIDTH = 7


def print_preflight(report: RunReport, console: Console, shown: Shown, *, config: Config) -> None:
    """Print the preflight of an SCP; who is hit is named in part, and in whole where all rows are wanted."""
    with console.use_theme(make_theme(console)), tidy(console):
        print_lines(_lines(report, console.width, shown, config=config), console)


def _lines(report: RunReport, width: int, shown: Shown, *, config: Config) -> Iterator[Text]:
    blocked = count_blocked(report)
    where = count(report.totals.inspected, "account")
    title = f"An SCP over the {where} that were read would block {count(blocked, 'more user')} at once"
    yield from make_lines(f"{title}, {format_minute(report.started_at)}", width, tone=Tone.WARN if blocked else None)
    if not report.complete:
        yield from make_lines("INCOMPLETE: accounts are missing here, run again.", width, tone=Tone.BAD)
    yield Text()
    for group in group_users(report, config):
        by = _WIDTH + 2 * group.is_part
        names = "" if shown.brief else f": {some_of(group.names, shown.most(MAX_NAMED))}"
        first, *others = make_lines(f"{group.words}{names}", width, by=by)
        number = f"{group.number:>{by - 1},} "
        yield Text.assemble((number, style_of(group.tone)), first.plain.strip())
        yield from others
    yield Text()
    for error in report.errors:
        yield from make_lines(f"{error.message}. {error.remedy}", width, tone=Tone.BAD)
    yield Text("Nothing was written or archived. --all shows why, user by user.")
    yield Text(f"Page:   orgmfa plan --scp{shown.narrowing}{shown.options} --output json > scp.json")
    yield Text("        orgmfa report scp.json --html scp.html (or --csv scp.csv)")
    yield Text("Next:   exempt, enrol or move whom it names; then orgmfa policy --scp")
