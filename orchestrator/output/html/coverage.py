"""How much of an organization is covered: in tiles, by OU and by owner, and how the last runs compare. Pure.

The trend is small charts and the same numbers as a table. The charts are drawn here, by leather as SVG, so that they
need no script and print; the style sheet gives them the colours of the theme.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import NamedTuple
from urllib.parse import urlencode

import leather
from markupsafe import Markup, escape

from orchestrator.domain.model import Mode, Outcome, Status
from orchestrator.domain.outcomes import ENFORCED, OUTCOMES, label_of
from orchestrator.output.attention import is_covered, is_to_fix
from orchestrator.output.story import Story
from orchestrator.output.words import format_date, list_counts, visible
from orchestrator.reports.report import AccountReport, RunReport, Totals

PRINTED_DEPTH = 2
"""The OUs right below the root are printed too; those below them are on the screen alone."""
MIN_DAYS, MAX_RUNS = 3, 90
"""On how many days there must have been runs: two points are no trend."""
WIDTH, HEIGHT = 400, 160
EDGE = 14
"""How much of leather's margin is cut off on each side."""
_SPAN = 1000
"""Both axes run from 0 to this, and their labels tell what stands there: leather's own steps can be parts of a user."""
_STEPS = 4
_TICKS = tuple(range(0, _SPAN + 1, _SPAN // _STEPS))
MEASURES: tuple[tuple[str, Callable[[Totals], int]], ...] = (
    ("Users without MFA", lambda totals: totals.non_compliant),
    ("Enforced", lambda totals: totals.of(*ENFORCED)),
    ("Enrolled", lambda totals: totals.compliant),
    ("Accounts failed", lambda totals: totals.failed),
)
"""What the trend shows of each run: `Enforced` are all who are, `Enrolled` all users with MFA."""
_DRAWN = 3
"""How many of them are drawn; the table has all."""


@dataclass(slots=True)
class Row:
    """The accounts of an OU, those of the OUs below it included, or of an owner."""

    key: str
    name: str
    link: str
    is_deep: bool
    accounts: int = 0
    unread: int = 0
    users: int = 0
    covered: int = 0
    to_fix: int = 0


class Run(NamedTuple):
    """What the trend keeps of a run, so that no more of many runs is in memory."""

    finished_at: datetime
    run_id: str
    totals: Totals


def list_tiles(story: Story) -> Iterator[tuple[str, int, int, str]]:
    """Yield the tiles, each a title, a number, of how many in all, and a note; a release has the first alone."""
    mode, totals, users = story.report.mode, story.report.totals, story.report.totals.users
    left_out = list_counts([(totals.failed, "failed"), (totals.not_reached, "not reached")]) or "none left out"
    skipped = f"; {totals.skipped:,} more skipped" if totals.skipped else ""
    yield "Accounts inspected", totals.inspected, totals.accounts - totals.skipped, left_out + skipped
    if mode is Mode.RELEASE:
        return
    counted = {outcome: (totals.of(outcome), label_of(outcome, mode)) for outcome in OUTCOMES}
    enforced = [counted[outcome] for outcome in OUTCOMES if outcome in ENFORCED]
    others = [counted[outcome] for outcome in OUTCOMES if outcome not in ENFORCED | {Outcome.NONE}]
    covered = list_counts([(totals.compliant, "with MFA"), *enforced]) or "none"
    devices = list_counts(
        [
            (totals.mfa_virtual, "by an app (not phishing-resistant)"),
            (totals.mfa_other, "by a passkey or security key (phishing-resistant) or a hardware token"),
        ]
    )
    yield "Users with MFA, or enforced", story.covered, users, "; ".join(filter(None, (covered, devices)))
    unread = (totals.unknown, "unknown")
    yield "Users without both", users - story.covered, users, list_counts([*others, unread]) or "none"


def list_ous(accounts: Iterable[AccountReport]) -> list[Row]:
    """Return a row for each OU in the order of the tree, the last for accounts of no known OU; none if none is."""
    rows: dict[str, Row] = {}
    for account in accounts:
        names = visible(account.ou or "").split("/")  # as in the data that the links filter
        for depth in range(1, len(names) + 1):
            path, below_root = "/".join(names[:depth]), "/".join(names[1:depth])
            _add(account, rows, kind="ou", key=path, name=below_root or path, is_deep=depth > PRINTED_DEPTH)
    return sorted(rows.values(), key=lambda row: (not row.key, row.key.casefold().split("/"))) if any(rows) else []


def list_owners(accounts: Iterable[AccountReport]) -> list[Row]:
    """Return a row for each owner, who has most users to cover first; none where no owner is known."""
    rows: dict[str, Row] = {}
    for account in accounts:
        owner = visible(account.owner or "")
        _add(account, rows, kind="owner", key=owner, name=owner)
    return sorted(rows.values(), key=lambda row: (row.covered - row.users, row.key.casefold())) if any(rows) else []


def _add(
    account: AccountReport, rows: dict[str, Row], *, kind: str, key: str, name: str, is_deep: bool = False
) -> None:
    row = rows.setdefault(key, Row(key, name or "not known", f"#{urlencode({kind: key})}", is_deep))
    row.accounts += 1
    row.unread += account.status in {Status.FAILED, Status.NOT_REACHED}
    row.users += len(account.users)
    row.covered += sum(map(is_covered, account.users))
    row.to_fix += sum(map(is_to_fix, account.users))


def draw_trend(reports: Iterable[RunReport]) -> tuple[list[tuple[str, int, str, Markup]], list[Run]]:
    """Return the charts of the last runs, none while there are too few, and these runs, each once, the newest last.

    A chart is a title, the last value, what became of the first, and the SVG.
    """
    by_run_id = {report.run_id: Run(report.finished_at, report.run_id, report.totals) for report in reports}
    runs = sorted(by_run_id.values(), key=lambda run: (run.finished_at, run.run_id))[-MAX_RUNS:]
    if len({run.finished_at.astimezone(UTC).date() for run in runs}) < MIN_DAYS:
        return [], runs
    return [_chart(title, runs, [measure(run.totals) for run in runs]) for title, measure in MEASURES[:_DRAWN]], runs


def _chart(title: str, runs: Sequence[Run], values: Sequence[int]) -> tuple[str, int, str, Markup]:
    first, last = values[0], values[-1]
    since = format_date(runs[0].finished_at)
    spoken = (
        f"{title}: {first:,} on {since}, {last:,} on {format_date(runs[-1].finished_at)}; "
        f"between {min(values):,} and {max(values):,} in {len(runs)} runs."
    )
    change = f"{last - first:+,} since {since}" if last != first else f"as on {since}"
    return title, last, change, _draw(runs, values, spoken)


def _draw(runs: Sequence[Run], values: Sequence[int], spoken: str) -> Markup:
    times = [run.finished_at.timestamp() for run in runs]
    began, lasted = times[0], (times[-1] - times[0]) or 1.0
    low, step = fit_axis(values)
    places = [
        (round(_SPAN * (time - began) / lasted), round(_SPAN * (value - low) / (_STEPS * step)))
        for time, value in zip(times, values, strict=True)
    ]
    chart = leather.Chart()
    chart.add_x_scale(0, _SPAN)
    chart.add_y_scale(0, _SPAN)
    ends = [format_date(runs[0].finished_at), format_date(runs[-1].finished_at)]
    chart.add_x_axis(ticks=[0, _SPAN], tick_formatter=lambda _, index, __: ends[index])
    chart.add_y_axis(ticks=_TICKS, tick_formatter=lambda _, index, __: f"{low + index * step:,}")
    chart.add_line(places)
    box = f"{EDGE} {EDGE} {WIDTH - 2 * EDGE} {HEIGHT - 2 * EDGE}"
    opening = f'<svg viewBox="{box}" role="img" aria-label="{escape(spoken)}" '
    svg = str(chart.to_svg(width=WIDTH, height=HEIGHT))
    return Markup(svg.replace("<svg ", opening, 1))  # noqa: S704 - numbers and dates, drawn here


def fit_axis(values: Sequence[int]) -> tuple[int, int]:
    """Return where an axis begins, zero unless small changes would be flat, and a round step: four hold all values."""
    least, most = min(values), max(values)
    base = 0 if least <= 3 * (most - least) else least
    steps = (size * 10**power for power in count() for size in (1, 2, 5))
    step = next(step for step in steps if base // step * step + _STEPS * step >= most)
    return base // step * step, step
