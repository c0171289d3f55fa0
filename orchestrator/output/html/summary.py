"""The part of the page above the accounts: notices, what to do, devices that users enrolled. Pure."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlencode

from orchestrator.domain.model import Outcome, Trigger
from orchestrator.domain.outcomes import Tone
from orchestrator.output.causes import Cause, Subject, format_cause
from orchestrator.output.story import Story
from orchestrator.output.words import DEVICES, STAGES, count, format_date, seconds_taken, some_of, title_of
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


class Notice(NamedTuple):
    """What somebody should know before reading on."""

    tone: Tone
    text: str
    title: str = ""


class Task(NamedTuple):
    """One thing to do, for all accounts that it concerns; `link` filters the list to them."""

    tone: Tone
    title: str
    link: str
    accounts: str
    text: str
    remedy: str


def format_duration(report: RunReport) -> str:
    """Return how long a run took."""
    minutes, rest = divmod(seconds_taken(report), 60)
    return f"{count(minutes, 'minute')} {rest} s" if minutes else f"{rest} s"


def list_notices(story: Story) -> Iterator[Notice]:
    """Yield the gate of the run, why accounts are missing, errors, keys that stop, notes."""
    report = story.report
    if story.gate:
        yield Notice(Tone.BAD, story.gate)
    if story.incomplete:
        yield Notice(Tone.BAD, story.incomplete)
    for error in report.errors[:MAX_ERRORS]:
        said = (f": {error.message}" if error.message else "") + (f" Try: {error.remedy}" if error.remedy else "")
        yield Notice(Tone.BAD, said, f"Error {STAGES[error.stage]} ({error.code})")
    if len(report.errors) > MAX_ERRORS:
        yield Notice(Tone.BAD, f"{count(len(report.errors) - MAX_ERRORS, 'more error')} of the run.")
    if story.keys:
        yield Notice(Tone.WARN, story.keys)
    yield from (Notice(Tone.QUIET, said) for said in (story.guards, story.unused) if said)
    yield from (Notice(Tone.WARN, note) for note in story.notes)


def list_tasks(story: Story) -> Iterator[Task]:
    """Yield what is to fix, by cause, each with a link to the accounts that it concerns."""
    for number, cause in enumerate(story.causes[:MAX_TASKS], start=1):
        tells_all = cause.subject is not Subject.USER or cause.is_example
        text = "" if cause.action or (cause.is_example and cause.remedy) else cause.text
        titles = [title_of(member.account) for member in cause.members[:MAX_TITLES]]
        yield Task(
            Tone.WARN if cause.subject is Subject.ROOT_USER or not (cause.users or cause.stage) else Tone.BAD,
            format_cause(cause, ", ".join(filter(None, (cause.code, cause.action)))),
            f"#{urlencode({'cause': number} | _users_of(cause))}",
            some_of(titles, MAX_TITLES, total=len(cause.members)),
            f"for example: {text}" if text and cause.is_example else text,
            cause.remedy if tells_all or not text else "",
        )


def _users_of(cause: Cause) -> dict[str, str]:
    """Return the filter of the list that shows the users of a cause alone, where it holds for users."""
    if cause.subject is not Subject.USER:
        return {}
    user = cause.members[0].users[0]
    return {"users": user.verdict.value} if user.outcome is Outcome.NONE else {"outcome": user.outcome.value}


def describe_device(changed: ChangedUser | ChangedAccount) -> str:
    """Return what a user enrolled, and when; nothing of others."""
    if not isinstance(changed, EnrolledUser):
        return ""
    when = format_date(changed.enrolled_at) if changed.enrolled_at else "date unknown"
    return f": {DEVICES[changed.device] or 'kind of device unknown'}, {when}"
