"""The part of the page above the accounts: notices, tiles of coverage, devices that users enrolled. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.domain.model import Outcome, Trigger, Verdict
from orchestrator.domain.outcomes import ENFORCED, OUTCOMES, Tone, label_of
from orchestrator.output.causes import Subject, format_cause
from orchestrator.output.counts import count_devices
from orchestrator.output.story import Story
from orchestrator.output.words import DEVICES, STAGES, count, format_date, list_counts, seconds_taken, some_of, title_of
from orchestrator.reports.report import ChangedAccount, ChangedUser, EnrolledUser, RunReport

MAX_ERRORS = 20
MAX_ROOTS = 5
MAX_NAMED = 50
"""How many users or accounts of one kind of change are named; the rest is counted."""
TRIGGERS = {
    Trigger.CLI: "the command line",
    Trigger.SCHEDULE: "the schedule",
    Trigger.ON_DEMAND: "a request",
    Trigger.ONBOARDING: "a new account",
    Trigger.MAP: "the state machine",
}


class Notice(NamedTuple):
    """What somebody should know before reading on."""

    tone: Tone
    text: str
    title: str = ""


class Tile(NamedTuple):
    """How much of something is covered."""

    title: str
    number: int
    total: int
    note: str


def format_duration(report: RunReport) -> str:
    """Return how long a run took."""
    minutes, rest = divmod(seconds_taken(report), 60)
    return f"{count(minutes, 'minute')} {rest} s" if minutes else f"{rest} s"


def list_notices(story: Story) -> Iterator[Notice]:
    """Yield the gate of the run, earlier texts of EnforceMFA, errors, root users without MFA, keys that stop."""
    report = story.report
    if story.gate:
        yield Notice(Tone.BAD, story.gate)
    yield from _notices_of(Subject.POLICY, story)
    if story.incomplete:
        yield Notice(Tone.BAD, story.incomplete)
    for error in report.errors[:MAX_ERRORS]:
        said = (f": {error.message}" if error.message else "") + (f" Try: {error.remedy}" if error.remedy else "")
        yield Notice(Tone.BAD, said, f"Error {STAGES[error.stage]} ({error.code})")
    if len(report.errors) > MAX_ERRORS:
        yield Notice(Tone.BAD, f"{count(len(report.errors) - MAX_ERRORS, 'more error')} of the run.")
    yield from _notices_of(Subject.ROOT_USER, story)
    if story.keys:
        yield Notice(Tone.WARN, story.keys)
    yield from (Notice(Tone.QUIET, said) for said in (story.guards, story.unused) if said)
    yield from (Notice(Tone.WARN, note) for note in story.notes)


def _notices_of(subject: Subject, story: Story) -> Iterator[Notice]:
    """Yield what is said of the causes of a subject, policies or root users, above all accounts."""
    for cause in (cause for cause in story.causes if cause.subject is subject):
        if subject is Subject.ROOT_USER:
            roots = some_of([title_of(member.account) for member in cause.members], MAX_ROOTS)
            yield Notice(Tone.WARN, f"Root user without MFA, but with a password or keys: {roots}")
        else:
            yield Notice(Tone.BAD if cause.users else Tone.WARN, f"{format_cause(cause, cause.code)}. {cause.remedy}")


def list_tiles(report: RunReport) -> Iterator[Tile]:
    """Yield how many accounts were inspected, how many users have MFA, and how many more are enforced."""
    totals = report.totals
    left_out = [(totals.failed, "failed"), (totals.not_reached, "not reached"), (totals.skipped, "skipped")]
    verdicts = [(totals.non_compliant, "without"), (totals.unknown, "unknown")]
    uncovered = [outcome for outcome in OUTCOMES if outcome not in ENFORCED | {Outcome.NONE}]
    outcomes = [(totals.of(outcome), label_of(outcome, report.mode)) for outcome in uncovered]
    covered = sum(
        user.verdict is Verdict.COMPLIANT or user.outcome in ENFORCED
        for account in report.accounts
        for user in account.users
    )
    entered = totals.accounts - totals.skipped
    enforced = list_counts([(totals.of(*ENFORCED), "enforced"), *outcomes]) or "nothing to enforce"
    yield Tile("Accounts inspected", totals.inspected, entered, list_counts(left_out) or "none left out")
    with_mfa = filter(None, (list_counts(verdicts) or "all that were read", count_devices(totals)))
    yield Tile("Users with MFA", totals.compliant, totals.users, "; ".join(with_mfa))
    yield Tile("Users with MFA or enforced", covered, totals.users, enforced)


def describe_device(changed: ChangedUser | ChangedAccount) -> str:
    """Return what a user enrolled, and when; nothing of others."""
    if not isinstance(changed, EnrolledUser):
        return ""
    when = format_date(changed.enrolled_at) if changed.enrolled_at else "date unknown"
    return f": {DEVICES[changed.device] or 'kind of device unknown'}, {when}"
