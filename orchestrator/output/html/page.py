"""The page of a run: one file that needs nothing beside it, made from the report alone. Pure.

Template, style sheet and script lie beside this module. All that is put into the template is escaped. A policy in the
page lets nothing else run or be loaded: not what a name might smuggle in, and nothing from anywhere else.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from itertools import chain
from typing import NamedTuple
from urllib.parse import urlencode

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from orchestrator.domain.model import Mode, Outcome, Trigger
from orchestrator.domain.outcomes import Tone
from orchestrator.output import words
from orchestrator.output.attention import count_without_mfa, is_root_open
from orchestrator.output.causes import Cause, Subject, format_cause
from orchestrator.output.change_summary import account_of
from orchestrator.output.html.accounts import MAX_ACCOUNTS, MAX_USERS, AccountRow, render_data
from orchestrator.output.html.coverage import MEASURES, draw_trend, list_ous, list_owners, list_tiles
from orchestrator.output.story import Story
from orchestrator.reports.history import is_whole, was_read
from orchestrator.reports.report import ChangedAccount, ChangedUser, EnrolledUser, RunReport

MAX_ERRORS = 20
MAX_TASKS = 30
MAX_TITLES = 3
MAX_NAMED = 50
"""How many users or accounts of one kind of change are named; the rest is counted."""
TRIGGERS = {
    Trigger.CLI: "the command line",
    Trigger.SCHEDULE: "the schedule",
    Trigger.ON_DEMAND: "a request",
    Trigger.ONBOARDING: "a new account",
    Trigger.IAM_EVENT: "IAM events",
    Trigger.MAP: "the state machine",
}
_COLUMNS = 6
_DATA = "<!--data-->"
"""Where the data goes; nothing that is put into the template can hold it, since that is escaped."""


class Task(NamedTuple):
    """One thing to do, for all accounts that it concerns; `link` filters the list to them."""

    tone: Tone
    title: str
    link: str
    accounts: str
    text: str
    remedy: str


def render_page(report: RunReport, *, trend: Iterable[RunReport], blocks_access_keys: bool) -> Iterator[str]:
    """Return the page of a run in pieces, made one by one, so that a huge one need not be in memory twice.

    `trend` holds runs over the whole organization in any order, which may have no accounts: those before this one are
    shown, and this one joins them if it was one. `blocks_access_keys` is that of `policy`.
    """
    story = Story(report, blocks_access_keys=blocks_access_keys)
    judges = report.mode is not Mode.RELEASE
    tells_ous = any(account.ou for account in story.accounts)
    until = (run for run in trend if run.finished_at <= report.finished_at)
    charts, runs = draw_trend(chain(until, [report] if is_whole(report) else []))
    style, script = _read("page.css"), _read("page.js")
    minutes, seconds = divmod(words.seconds_taken(report), 60)
    page = _template().render(
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - ours, as it lies beside this module
        script=Markup(script),  # noqa: S704 - as above
        report=report,
        story=story,
        trigger=TRIGGERS[report.trigger],
        took=f"{words.count(minutes, 'minute')} {seconds} s" if minutes else f"{seconds} s",
        notices=list(_notices(story)),
        tasks=list(_tasks(story)),
        more_tasks=len(story.causes) - MAX_TASKS,
        tiles=list(list_tiles(story)),
        groups=[("OU", list_ous(report.accounts)), ("Owner", list_owners(report.accounts))] if judges else [],
        judges=judges,
        most_changed=MAX_NAMED,
        charts=charts,
        runs=runs,
        measures=MEASURES,
        tells_ous=tells_ous,
        columns=_COLUMNS + tells_ous - (not judges),
        rows=(AccountRow(report, account) for account in story.accounts[:MAX_ACCOUNTS]),
        most_users=MAX_USERS,
        statuses=words.STATUSES,
        stages=words.STAGES,
        hidden=len(story.accounts) - MAX_ACCOUNTS,
    )
    before, after = page.split(_DATA)
    return chain((before,), render_data(story), (after,))


@cache
def _template() -> Template:
    """Return the template: it escapes everything, and makes what cannot be seen visible."""
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: (
            value if isinstance(value, Markup) or not isinstance(value, str) else words.visible(value)
        ),
    )
    environment.filters |= {
        "account": account_of,
        "date": words.format_date,
        "device": _describe_device,
        "is_read": was_read,
        "is_root_open": is_root_open,
        "number": "{:,}".format,
        "share": "{:g}".format,
        "time": words.format_time,
        "title": words.title_of,
        "without_mfa": count_without_mfa,
    }
    return environment.get_template("page.html")


def _policy(*ours: str) -> str:
    """Return the Content-Security-Policy: this style sheet and this script by their hashes, the empty icon, no more."""
    style, script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in ours)
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _notices(story: Story) -> Iterator[tuple[Tone, str, str]]:
    """Yield what to know before reading on, by tone, title and text: gate, why accounts are missing, errors, notes."""
    errors = story.report.errors
    yield from ((Tone.BAD, "", said) for said in (story.gate, story.incomplete) if said)
    for error in errors[:MAX_ERRORS]:
        said = (f": {error.message}" if error.message else "") + (f" Try: {error.remedy}" if error.remedy else "")
        yield Tone.BAD, f"Error {words.STAGES[error.stage]} ({error.code})", said
    if len(errors) > MAX_ERRORS:
        yield Tone.BAD, "", f"{words.count(len(errors) - MAX_ERRORS, 'more error')} of the run."
    if story.keys:
        yield Tone.WARN, "", story.keys
    yield from ((Tone.QUIET, "", said) for said in (story.guards, story.unused) if said)
    yield from ((Tone.WARN, "", note) for note in story.notes)


def _tasks(story: Story) -> Iterator[Task]:
    """Yield what is to fix, by cause, each with a link to the accounts that it concerns."""
    for number, cause in enumerate(story.causes[:MAX_TASKS], start=1):
        tells_all = cause.subject is not Subject.USER or cause.is_example
        text = "" if cause.action or (cause.is_example and cause.remedy) else cause.text
        titles = [words.title_of(member.account) for member in cause.members[:MAX_TITLES]]
        yield Task(
            Tone.WARN if cause.subject is Subject.ROOT_USER or not (cause.users or cause.stage) else Tone.BAD,
            format_cause(cause, ", ".join(filter(None, (cause.code, cause.action)))),
            f"#{urlencode({'cause': number} | _users_of(cause))}",
            words.some_of(titles, MAX_TITLES, total=len(cause.members)),
            f"for example: {text}" if text and cause.is_example else text,
            cause.remedy if tells_all or not text else "",
        )


def _users_of(cause: Cause) -> dict[str, str]:
    """Return the filter of the list that shows the users of a cause alone, where it holds for users."""
    if cause.subject is not Subject.USER:
        return {}
    user = cause.members[0].users[0]
    return {"users": user.verdict.value} if user.outcome is Outcome.NONE else {"outcome": user.outcome.value}


def _describe_device(changed: ChangedUser | ChangedAccount) -> str:
    """Return what a user enrolled, and when; nothing of others."""
    if not isinstance(changed, EnrolledUser):
        return ""
    when = words.format_date(changed.enrolled_at) if changed.enrolled_at else "date unknown"
    return f": {words.DEVICES[changed.device] or 'kind of device unknown'}, {when}"
