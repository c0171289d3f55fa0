"""What changed since the last run: counted in one sentence, then group by group. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestrator.domain.model import Outcome
from orchestrator.output.words import count, format_minute, list_counts
from orchestrator.reports.report import ChangedAccount, ChangedUser, Changes, EnrolledUser, RunReport, UserReport

_DEVICES = {"virtual": "virtual", "fido": "FIDO", "hardware": "hardware", None: "unknown device"}


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """Users or accounts to whom one thing happened; `note` says what a reader should make of it.

    `is_finding` is whether it asks to be read even where all else is clean.
    """

    title: str
    changed: Sequence[ChangedUser | ChangedAccount]
    note: str = ""
    is_finding: bool = False

    @property
    def users(self) -> list[ChangedUser]:
        """The users of the group."""
        return [changed for changed in self.changed if isinstance(changed, ChangedUser)]

    @property
    def accounts(self) -> list[ChangedAccount]:
        """The accounts of the group."""
        return [changed for changed in self.changed if isinstance(changed, ChangedAccount)]


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    """The changes in one sentence, and in groups; what is most alarming comes first."""

    sentence: str
    groups: tuple[ChangeGroup, ...]


def summarize_changes(changes: Changes) -> ChangeSummary:
    """Return what changed since the run that a report is compared with."""
    groups = (group for group in _groups(changes) if group.changed)
    words = list_counts(_counted(changes)) or "nothing changed"
    return ChangeSummary(f"Since the run of {format_minute(changes.since)}: {words}.", tuple(groups))


def describe_changed_user(user: ChangedUser) -> str:
    """Return what is to be said of a changed user beside its name: of one who enrolled, the device and its date."""
    if not isinstance(user, EnrolledUser):
        return ""
    when = f", {format_minute(user.enrolled_at)}" if user.enrolled_at else ""
    return f"{_DEVICES[user.device]}{when}"


def account_of(user: ChangedUser) -> ChangedAccount:
    """Return the account of a changed user."""
    return ChangedAccount(id=user.account_id, name=user.account_name, alias=user.account_alias)


def _groups(changes: Changes) -> Iterator[ChangeGroup]:
    yield ChangeGroup(
        "Enforcement undone by others",
        changes.enforcement_undone,
        "EnforceMFA was taken off, not by orgmfa release; what did it (Terraform, a person) will do it again.",
        is_finding=True,
    )
    yield ChangeGroup(
        "Enrolled", changes.enrolled, "Ask where in doubt: a new device can be a thief's.", is_finding=True
    )
    yield ChangeGroup("Newly without MFA", changes.newly_without_mfa, is_finding=True)
    yield ChangeGroup("Newly enforced", changes.newly_enforced)
    yield ChangeGroup("New accounts", changes.new_accounts)
    yield ChangeGroup("Accounts gone", changes.gone_accounts)


def _counted(changes: Changes) -> Iterator[tuple[int, str]]:
    devices = Counter(_DEVICES[user.device] for user in changes.enrolled)
    kinds = list_counts((devices[word], word) for word in _DEVICES.values())
    new, gone = (count(len(accounts), "account") for accounts in (changes.new_accounts, changes.gone_accounts))
    yield len(changes.newly_without_mfa), "newly without MFA"
    yield len(changes.enrolled), f"enrolled ({kinds})"
    yield len(changes.newly_enforced), "newly enforced"
    yield len(changes.enforcement_undone), "enforcement undone by others"
    yield len(changes.new_accounts), f"new {new.split()[-1]}"
    yield len(changes.gone_accounts), f"{gone.split()[-1]} gone"


_LEFT_ALONE = frozenset({Outcome.EXEMPT, Outcome.OUT_OF_SCOPE})


@dataclass(frozen=True, slots=True)
class UserNews:
    """Users to whom one thing happened; `note` says what a reader should make of it."""

    title: str
    note: str
    users: Sequence[ChangedUser]


def list_user_news(changes: Changes) -> Iterator[UserNews]:
    """Yield what happened to users, what is most alarming first; nothing without users.

    Who was newly enforced is not among it: a run names those it enforces.
    """
    note = "EnforceMFA was taken off, not by orgmfa release; what did it (Terraform, a person) will do it again."
    news = (
        UserNews("Enforcement undone by others", note, changes.enforcement_undone),
        UserNews("Enrolled", "Ask where in doubt: a new device can be a thief's.", changes.enrolled),
        UserNews("Newly without MFA", "", changes.newly_without_mfa),
    )
    yield from (entry for entry in news if entry.users)


def describe_user(user: ChangedUser) -> str:
    """Return what is to be said of a changed user beside its name: of one who enrolled, the device and its date."""
    if not isinstance(user, EnrolledUser):
        return ""
    when = f", {user.enrolled_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if user.enrolled_at else ""
    return f"{_DEVICES[user.device]}{when}"


def count_changes(changes: Changes) -> str:
    """Return all changes in one sentence, counted."""
    devices = Counter(_DEVICES[user.device] for user in changes.enrolled)
    kinds = ", ".join(f"{devices[word]:,} {word}" for word in _DEVICES.values() if devices[word])
    new, gone = len(changes.new_accounts), len(changes.gone_accounts)
    counted = (
        (len(changes.newly_without_mfa), "newly without MFA"),
        (len(changes.enrolled), f"enrolled ({kinds})"),
        (len(changes.newly_enforced), "newly enforced"),
        (len(changes.enforcement_undone), "enforcement undone by others"),
        (new, "new account" if new == 1 else "new accounts"),
        (gone, "account gone" if gone == 1 else "accounts gone"),
    )
    words = ", ".join(f"{number:,} {what}" for number, what in counted if number)
    return f"{say_since(changes)}: {words or 'nothing changed'}."


def say_since(changes: Changes) -> str:
    """Return with when a run is compared."""
    return f"Since the run of {changes.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def days_open(user: UserReport, now: datetime) -> int | None:
    """Return for how many whole days a user has been seen without MFA, or None where that is not known."""
    return None if user.open_since is None else max(0, (now - user.open_since) // timedelta(days=1))


def days_left(user: UserReport, now: datetime) -> int | None:
    """Return how many days of grace a user has left, a begun one counted whole, or None without grace."""
    return None if user.grace_ends is None else max(0, -((now - user.grace_ends) // timedelta(days=1)))


def age(user: UserReport, now: datetime) -> str:
    """Return how long a user has been without MFA, or how long it is still left alone; nothing on the first day."""
    left, days = days_left(user, now), days_open(user, now)
    if left is not None:
        return f"{_days(left)} left"
    return f"open {_days(days)}" if days else ""


def count_open(report: RunReport) -> str:
    """Return in a sentence how many users have been without MFA for a day or more, the longest one told; or nothing.

    Who is left alone on purpose, for good, is not counted.
    """
    users = (user for account in report.accounts for user in account.users if user.outcome not in _LEFT_ALONE)
    days = [number for user in users if (number := days_open(user, report.finished_at))]
    if not days:
        return ""
    who = "1 user has" if len(days) == 1 else f"{len(days):,} users have"
    longest = "" if len(days) == 1 else "the longest "
    return f"{who} been without MFA for a day or more, {longest}for {_days(max(days))}."


def _days(number: int) -> str:
    return f"{number:,} day{'' if number == 1 else 's'}"
