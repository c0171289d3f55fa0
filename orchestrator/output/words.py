"""Words that all views of a report share: counts, names, dates, ages, labels of statuses and stages. Pure.

Plain text throughout: each view makes it safe for its own medium.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from orchestrator.domain.model import DeviceKind, Mode, Outcome, Stage, Status, Verdict
from orchestrator.domain.outcomes import OUTCOMES, Tone, label_of
from orchestrator.reports.report import AccountReport, ChangedAccount, RunReport, UserReport

Named = AccountReport | ChangedAccount
"""An account with its ID, name and alias."""


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
_NOT_LOOKED_AT = Word("MFA not looked at", Tone.QUIET)
"""Of everybody in a release, whatever the report of an earlier version says."""
STAGES: Mapping[Stage, str] = {
    Stage.SELECT: "selecting accounts",
    Stage.ASSUME_ROLE: "assuming the role",
    Stage.INSPECT: "reading IAM",
    Stage.APPLY: "writing to IAM",
    Stage.ARCHIVE: "archiving the report",
    Stage.FINDINGS: "importing findings into Security Hub",
    Stage.DIGEST: "sending the digest",
    Stage.EVENT: "putting the event on the bus",
}
DEVICES: Mapping[DeviceKind | None, str] = {
    None: "",
    "virtual": "authenticator app",
    "fido": "passkey or security key",
    "hardware": "hardware token",
}


MOST_WORDS = 12
_NAMES_A_USER = re.compile(r"(:user/|\bresource: user |\bwith name |\bhas a user )\S+")


def archive_link(template: str | None, report: RunReport) -> str | None:
    """Return the link to a run that `archive.link` makes, or None without one."""
    if template is None:
        return None
    return template.replace("{run_id}", report.run_id).replace("{date}", f"{report.started_at:%Y-%m-%d}")


def count(number: int, noun: str) -> str:
    """Return a number and its noun: 1 account, 1,200 accounts."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def list_counts(counted: Iterable[tuple[int, str]]) -> str:
    """Return counts with their words, those that are zero left out: 3 failed, 2 skipped."""
    return ", ".join(f"{number:,} {words}" for number, words in counted if number)


def some_of(names: Sequence[str], most: int, noun: str = "", *, total: int | None = None, separator: str = ", ") -> str:
    """Return the first names, and how many more of all there are: `total`, where not all names are given."""
    hidden = (len(names) if total is None else total) - most
    more = f" and {count(hidden, f'more {noun}') if noun else f'{hidden:,} more'}" if hidden > 0 else ""
    return separator.join(names[:most]) + more


def in_brief(remedy: str) -> str:
    """Return what a remedy asks for, in a dozen words and naming nobody: what follows its reason, as far as a comma."""
    said = re.split(r": |\. ", re.sub(r" \([^)]*\)", "", plain(without_users(remedy))), maxsplit=1)[-1]
    words = re.split(r"\. |; ", said, maxsplit=1)[0].rstrip(".").split()
    if words and words[0][1:].islower():
        words[0] = words[0].lower()
    if len(words) <= MOST_WORDS:
        return " ".join(words)
    short = " ".join(words[:MOST_WORDS])
    return short.rpartition(", ")[0] or f"{short}…"


def without_users(text: str) -> str:
    """Return a message of AWS without the names of users that AWS puts into it."""
    return _NAMES_A_USER.sub(r"\1…", text)


def visible(text: str) -> str:
    """Return text from outside on one line, with control, format and unassigned characters as escapes."""
    return text if text.isascii() and text.isprintable() else "".join(map(_show, text))


def plain(text: str) -> str:
    """Return text from outside on one line with single spaces, made harmless as by `visible`."""
    return " ".join(visible(text).split())


def title_of(account: Named) -> str:
    """Return what an account is called: its alias, else its Organizations name, else its ID."""
    return plain(account.alias or "") or plain(account.name) or plain(account.id)


def title_and_id(account: Named) -> str:
    """Return what an account is called, and its ID."""
    title, account_id = title_of(account), plain(account.id)
    return title if title == account_id else f"{title} ({account_id})"


def words_of_outcomes(mode: Mode) -> dict[Outcome, Word]:
    """Return what the outcomes are called in a run of this mode, worst first."""
    return {outcome: Word(label_of(outcome, mode), row.tone) for outcome, row in OUTCOMES.items()}


def word_of(verdict: Verdict, mode: Mode) -> Word:
    """Return what a verdict is called in a run of this mode."""
    return _NOT_LOOKED_AT if mode is Mode.RELEASE else VERDICTS[verdict]


def reason_of(user: UserReport) -> str:
    """Return why a user was left alone, or what is to fix."""
    if user.error is None:
        return user.reason or ""
    code, message = user.error.code, user.error.message
    return message if code == user.outcome.value else f"{message} ({code})".strip()


def guard_of(user: UserReport) -> str:
    """Return who denies a user without MFA already, and whether only in part; or nothing."""
    if user.guarded is None:
        return ""
    return f"denied {'in part ' if user.guarded.partial else ''}without MFA by {', '.join(user.guarded.by)}"


def unused_of(user: UserReport) -> str:
    """Return that a user has not signed in for long, or nothing."""
    if not user.unused or user.password_last_used is None:
        return ""
    used = user.password_last_used
    return "never signed in" if used == "never" else f"not signed in since {used.astimezone(UTC):%Y-%m-%d}"


def list_policy_changes(account: AccountReport) -> str:
    """Return the changes to policy and group themselves."""
    return ", ".join(change.value.replace("_", " ") for change in account.policy_changes)


def format_date(moment: datetime) -> str:
    """Return a date in UTC that reads the same everywhere: 2 March 2026."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y}"


def format_time(moment: datetime) -> str:
    """Return date and time in UTC: 2 March 2026, 12:03 UTC."""
    return f"{format_date(moment)}, {moment.astimezone(UTC):%H:%M} UTC"


def format_minute(moment: datetime) -> str:
    """Return date and time in UTC for lists and logs: 2026-03-02 12:03 UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def format_iso(moment: datetime) -> str:
    """Return date and time in UTC for programs: 2026-03-02T12:03:00Z."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def seconds_taken(report: RunReport) -> int:
    """Return how many seconds a run took."""
    return max(0, round((report.finished_at - report.started_at).total_seconds()))


def days_between(since: datetime | None, until: datetime) -> int | None:
    """Return the whole days between two moments, none below zero; None where the first is unknown."""
    return None if since is None else max(0, (until - since) // timedelta(days=1))


def longest_open(users: Iterable[UserReport], now: datetime) -> int | None:
    """Return the days of the user who has been without MFA for longest, or None where no date is known."""
    days = (days_between(user.open_since, now) for user in users)
    return max((number for number in days if number is not None), default=None)


def age(user: UserReport, now: datetime) -> str:
    """Return how long a user has been without MFA, or how many days of grace are left; nothing on the first day."""
    if user.grace_ends is not None:
        left = max(0, -((now - user.grace_ends) // timedelta(days=1)))  # a begun day counts as a whole one
        return f"{count(left, 'day')} left"
    days = days_between(user.open_since, now)
    return f"open {count(days, 'day')}" if days else ""


def _show(sign: str) -> str:
    if sign.isspace():
        return " "
    return sign.encode("unicode_escape").decode() if unicodedata.category(sign).startswith("C") else sign
