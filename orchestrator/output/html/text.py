"""The words of the page: counts, dates, and what statuses, verdicts and outcomes are called. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from orchestrator.domain.model import DeviceKind, Mode, Outcome, Stage, Status, Verdict, Via
from orchestrator.domain.outcomes import OutcomeGroup, outcomes_of
from orchestrator.reports.report import AccountReport, UserReport


class Tone(StrEnum):
    """How grave a word is; the page gives each a sign of its own beside its colour."""

    BAD = "bad"
    WARN = "warn"
    GOOD = "good"
    QUIET = "quiet"


class Word(NamedTuple):
    """What something is called, and how grave it is."""

    label: str
    tone: Tone


STATUSES: Mapping[Status, Word] = {
    Status.FAILED: Word("failed", Tone.BAD),
    Status.NOT_REACHED: Word("not reached", Tone.BAD),
    Status.INSPECTED: Word("inspected", Tone.QUIET),
    Status.SKIPPED: Word("skipped", Tone.QUIET),
}
"""In the order in which accounts are listed."""
VERDICTS: Mapping[Verdict, Word] = {
    Verdict.NON_COMPLIANT: Word("without MFA", Tone.WARN),
    Verdict.UNKNOWN: Word("MFA unknown", Tone.BAD),
    Verdict.COMPLIANT: Word("with MFA", Tone.GOOD),
}
STAGES: Mapping[Stage, str] = {
    Stage.SELECT: "selecting accounts",
    Stage.ASSUME_ROLE: "assuming the role",
    Stage.INSPECT: "reading IAM",
    Stage.APPLY: "writing to IAM",
    Stage.ARCHIVE: "archiving the report",
    Stage.FINDINGS: "importing findings into Security Hub",
    Stage.DIGEST: "sending the digest",
}
VIAS: Mapping[Via | None, str] = {None: "", Via.USER: "user", Via.GROUP: "group"}
DEVICES: Mapping[DeviceKind | None, str] = {
    None: "",
    "virtual": "authenticator app",
    "fido": "passkey or security key",
    "hardware": "hardware token",
}
_OUTCOMES: Mapping[Outcome, Word] = {
    Outcome.FAILED: Word("failed", Tone.BAD),
    Outcome.HELD: Word("held", Tone.WARN),
    Outcome.QUOTA_EXCEEDED: Word("over quota", Tone.WARN),
    Outcome.PLANNED: Word("planned", Tone.WARN),
    Outcome.ENFORCED: Word("enforced", Tone.GOOD),
    Outcome.RELEASED: Word("released", Tone.WARN),
    Outcome.IN_GRACE: Word("in grace", Tone.QUIET),
    Outcome.EXEMPT: Word("exempt", Tone.QUIET),
    Outcome.OUT_OF_SCOPE: Word("out of scope", Tone.QUIET),
    Outcome.ALREADY_ENFORCED: Word("already enforced", Tone.GOOD),
    Outcome.NONE: Word("nothing to do", Tone.QUIET),
}
OUTCOME_RANK: Mapping[Outcome, int] = {outcome: rank for rank, outcome in enumerate(_OUTCOMES)}
"""The gravest first."""
_PLANNED = {Mode.PLAN: "would be enforced", Mode.APPLY: "not yet enforced", Mode.RELEASE: "not yet released"}


def outcome_words(mode: Mode) -> dict[Outcome, Word]:
    """Return what the outcomes are called in a run of this mode, worst first."""
    words = dict(_OUTCOMES)
    words[Outcome.PLANNED] = words[Outcome.PLANNED]._replace(label=_PLANNED[mode])
    if mode is Mode.RELEASE:
        words[Outcome.ALREADY_ENFORCED] = Word("still enforced", Tone.GOOD)
    return words


def needs_hand(user: UserReport) -> bool:
    """Return whether only a person can help a user."""
    return user.outcome in outcomes_of(OutcomeGroup.TO_FIX) or user.verdict is Verdict.UNKNOWN


def is_root_open(account: AccountReport) -> bool:
    """Return whether the root user can sign in, and has no MFA."""
    root = account.root_user
    return root is not None and root.has_credentials and not root.has_mfa


def is_read(account: AccountReport) -> bool:
    """Return whether the users of an account are known: none listed is not the same as none there."""
    return account.status is Status.INSPECTED or bool(account.users)


def title_of(account: AccountReport) -> str:
    """Return what an account is called: its alias, else its Organizations name, else its ID."""
    return (account.alias or "").strip() or account.name.strip() or account.id


def reason_of(user: UserReport) -> str:
    """Return why a user was left alone, or could not be helped."""
    if user.error is None:
        return user.reason or ""
    code, message = user.error.code, user.error.message
    return message if code == user.outcome.value else f"{message} ({code})".strip()


def days_between(since: datetime | None, until: datetime) -> int | None:
    """Return the whole days between two moments, none below zero; None where the first is unknown."""
    return None if since is None else max(0, (until - since) // timedelta(days=1))


def count(number: int, noun: str) -> str:
    """Return a number and its noun: 1 account, 1,200 accounts."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def list_counts(counted: Iterable[tuple[int, str]]) -> str:
    """Return counts with their words, those that are zero left out: 3 failed, 2 skipped."""
    return ", ".join(f"{number:,} {words}" for number, words in counted if number)


def say_date(moment: datetime) -> str:
    """Return a date in UTC that reads the same everywhere: 2 March 2026."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y}"


def say_time(moment: datetime) -> str:
    """Return date and time in UTC: 2 March 2026, 12:03 UTC."""
    return f"{say_date(moment)}, {moment.astimezone(UTC):%H:%M} UTC"
