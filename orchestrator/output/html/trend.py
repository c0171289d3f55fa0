"""How the last runs compare: three small charts drawn by leather as SVG, and the same numbers as a table. Pure.

SVG that is drawn here needs no script in the page, so the trend shows in any viewer and prints. The style sheet gives
it the colours of the theme.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import NamedTuple

import leather
from markupsafe import Markup, escape

from orchestrator.domain.outcomes import ENFORCED
from orchestrator.output.words import format_date
from orchestrator.reports.report import RunReport, Totals

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


class Chart(NamedTuple):
    """One chart: the last value, and what became of the first."""

    title: str
    last: int
    change: str
    svg: Markup


class Run(NamedTuple):
    """What the trend keeps of a run, so that no more of many runs is in memory."""

    finished_at: datetime
    run_id: str
    totals: Totals


class Trend(NamedTuple):
    """The last runs, the newest at the end, and their charts."""

    charts: list[Chart]
    runs: list[Run]


def draw_trend(reports: Iterable[RunReport]) -> Trend | None:
    """Return the charts and the table of the last runs, each once, or None while there are too few."""
    by_run_id = {report.run_id: Run(report.finished_at, report.run_id, report.totals) for report in reports}
    runs = sorted(by_run_id.values(), key=lambda run: (run.finished_at, run.run_id))[-MAX_RUNS:]
    if len({run.finished_at.astimezone(UTC).date() for run in runs}) < MIN_DAYS:
        return None
    charts = [_chart(title, runs, [measure(run.totals) for run in runs]) for title, measure in MEASURES[:_DRAWN]]
    return Trend(charts, runs)


def _chart(title: str, runs: Sequence[Run], values: Sequence[int]) -> Chart:
    first, last = values[0], values[-1]
    since = format_date(runs[0].finished_at)
    spoken = (
        f"{title}: {first:,} on {since}, {last:,} on {format_date(runs[-1].finished_at)}; "
        f"between {min(values):,} and {max(values):,} in {len(runs)} runs."
    )
    change = f"{last - first:+,} since {since}" if last != first else f"as on {since}"
    return Chart(title, last, change, _draw(runs, values, spoken))


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
    """Return the lowest value of an axis and its step: a round number of which four hold all values.

    The axis starts at zero unless that would make a line of small changes flat.
    """
    least, most = min(values), max(values)
    base = 0 if least <= 3 * (most - least) else least
    steps = (size * 10**power for power in count() for size in (1, 2, 5))
    step = next(step for step in steps if base // step * step + _STEPS * step >= most)
    return base // step * step, step
