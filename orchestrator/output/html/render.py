"""The page of a run: one file that needs nothing beside it, made from the report alone. Pure.

Template, style sheet and script lie beside this module. All that is put into the template is escaped. A policy in the
page lets nothing else run or be loaded: not what a name might smuggle in, and nothing from anywhere else.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from importlib import resources
from itertools import chain

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.domain.model import Mode
from orchestrator.output.change_summary import account_of
from orchestrator.output.html.accounts import MAX_ACCOUNTS, MAX_USERS, AccountRow
from orchestrator.output.html.coverage import list_ous, list_owners, list_tiles
from orchestrator.output.html.data import render_data
from orchestrator.output.html.summary import (
    MAX_NAMED,
    MAX_TASKS,
    TRIGGERS,
    describe_device,
    format_duration,
    list_notices,
    list_tasks,
)
from orchestrator.output.html.trend import MEASURES, draw_trend
from orchestrator.output.ordering import count_without_mfa, is_read, is_root_open
from orchestrator.output.story import tell_story
from orchestrator.output.words import STAGES, STATUSES, format_date, format_time, title_of, visible
from orchestrator.reports.history import is_whole
from orchestrator.reports.report import ChangedUser, RunReport

_COLUMNS = 6
_DATA = "<!--data-->"
"""Where the data goes; nothing that is put into the template can hold it, since that is escaped."""


def render_page(report: RunReport, *, trend: Iterable[RunReport], blocks_access_keys: bool) -> Iterator[str]:
    """Return the page of a run in pieces, made one by one, so that a huge one need not be in memory twice.

    `trend` holds runs over the whole organization in any order, which may have no accounts: those before this one are
    shown, and this one joins them if it was one. `blocks_access_keys` is whether EnforceMFA stops access keys
    (`policy.access_keys: deny`).
    """
    story = tell_story(report, blocks_access_keys=blocks_access_keys)
    judges = report.mode is not Mode.RELEASE
    tells_ous = any(account.ou for account in story.accounts)
    style, script = _read("page.css"), _read("page.js")
    page = (
        _environment()
        .get_template("page.html")
        .render(
            policy=_policy(style, script),
            style=Markup(style),  # noqa: S704 - ours, as it lies beside this module
            script=Markup(script),  # noqa: S704 - as above
            report=report,
            story=story,
            trigger=TRIGGERS[report.trigger],
            took=format_duration(report),
            notices=list(list_notices(story)),
            tasks=list(list_tasks(story)),
            more_tasks=len(story.causes) - MAX_TASKS,
            tiles=list(list_tiles(report)),
            groups=[("OU", list_ous(report.accounts)), ("Owner", list_owners(report.accounts))] if judges else [],
            judges=judges,
            most_changed=MAX_NAMED,
            trend=draw_trend(_until(report, trend)),
            measures=MEASURES,
            tells_ous=tells_ous,
            columns=_COLUMNS + tells_ous - (not judges),
            rows=(AccountRow(report, account) for account in story.accounts[:MAX_ACCOUNTS]),
            most_users=MAX_USERS,
            statuses=STATUSES,
            stages=STAGES,
            hidden=len(story.accounts) - MAX_ACCOUNTS,
        )
    )
    before, after = page.split(_DATA)
    return chain((before,), render_data(story), (after,))


def _environment() -> Environment:
    """Return what renders the template: escaping everything, with what cannot be seen made visible."""
    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined, finalize=_make_visible
    )
    environment.filters |= {
        "account": lambda changed: account_of(changed) if isinstance(changed, ChangedUser) else changed,
        "date": format_date,
        "device": describe_device,
        "is_read": is_read,
        "is_root_open": is_root_open,
        "number": "{:,}".format,
        "share": "{:g}".format,
        "time": format_time,
        "title": title_of,
        "without_mfa": count_without_mfa,
    }
    return environment


def _make_visible(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _until(report: RunReport, trend: Iterable[RunReport]) -> Iterator[RunReport]:
    yield from (run for run in trend if run.finished_at <= report.finished_at)
    if is_whole(report):
        yield report


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
