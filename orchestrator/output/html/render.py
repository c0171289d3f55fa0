"""The page of a run: one file that needs nothing beside it, made from the report alone. Pure.

Template, style sheet and script lie beside this module. A policy in the page lets nothing else run or be loaded: not
what a name might smuggle in, and nothing from anywhere else.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from importlib import resources
from string import Template

from orchestrator.output.html.accounts import OU_HEAD, render_accounts, worst_first
from orchestrator.output.html.changes import render_changes
from orchestrator.output.html.data import render_data
from orchestrator.output.html.markup import escape
from orchestrator.output.html.summary import (
    render_coverage,
    render_facts,
    render_notices,
    render_sentence,
    say_run,
    say_sentence,
)
from orchestrator.output.html.text import say_date
from orchestrator.output.html.trend import TrendPoint, render_trend, trend_point
from orchestrator.reports.history import is_whole
from orchestrator.reports.report import RunReport

_DATA = "$data"


def render_page(report: RunReport, *, trend: Iterable[TrendPoint], keys_stop: bool) -> Iterator[str]:
    """Yield the page of a run piece by piece, so that a huge one need not be in memory twice.

    `trend` holds runs over the whole organization in any order: those before this one are shown, and this one joins
    them if it was one. `keys_stop` is whether EnforceMFA stops access keys (`policy.access_keys: deny`).
    """
    accounts = worst_first(report)
    tells_ous = any(account.ou for account in accounts)
    style, script = _read("page.css"), _read("page.js")
    before, after = _read("page.html").split(_DATA)
    sentence = say_sentence(report)
    yield Template(before).substitute(
        policy=_policy(style, script),
        title=escape(f"{sentence} · {say_date(report.finished_at)} · orgmfa"),
        style=style,
        run=escape(say_run(report)),
        sentence=render_sentence(report),
        facts=render_facts(report),
        notices=render_notices(report, keys_stop=keys_stop),
        coverage=render_coverage(report),
        changes=render_changes(report.changes),
        trend=render_trend(_until(report, trend)),
        ou_head=OU_HEAD if tells_ous else "",
        accounts=render_accounts(report, accounts, tells_ous=tells_ous),
    )
    yield from render_data(report, accounts)
    yield Template(after).substitute(script=script)


def _until(report: RunReport, trend: Iterable[TrendPoint]) -> Iterator[TrendPoint]:
    yield from (point for point in trend if point.finished_at <= report.finished_at)
    if is_whole(report):
        yield trend_point(report)


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: this style sheet and this script by their hashes, the empty icon, no more."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
