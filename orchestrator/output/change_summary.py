"""What changed since the last run: counted in one sentence, then group by group. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.output.words import count, format_minute, list_counts
from orchestrator.reports.report import ChangedAccount, ChangedUser, Changes, EnrolledUser, RunReport

_DEVICES = {"virtual": "virtual", "fido": "FIDO", "hardware": "hardware", None: "unknown device"}


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """Users or accounts to whom one thing happened, what to make of it, and whether it is a finding by itself."""

    title: str
    changed: Sequence[ChangedUser | ChangedAccount]
    note: str = ""
    is_finding: bool = True

    @property
    def is_of_users(self) -> bool:
        """Whether it is of users, not of accounts."""
        return isinstance(self.changed[0], ChangedUser)


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    """The changes in one sentence, its counts alone, whether all accounts were read, and groups, the gravest first."""

    sentence: str
    words: str
    is_whole: bool
    groups: tuple[ChangeGroup, ...]


def summarize_changes(report: RunReport) -> ChangeSummary | None:
    """Return what changed since the run that a report is compared with, if any, and where, if not all could be read."""
    changes, totals = report.changes, report.totals
    if changes is None:
        return None
    groups = tuple(group for group in _groups(changes) if group.changed)
    words = list_counts(_counted(changes)) or "nothing changed"
    is_whole = report.complete and not totals.failed + totals.not_reached
    where = "" if is_whole else f", in the {count(totals.inspected, 'account')} that could be read"
    sentence = f"Since the run of {format_minute(changes.since)}{where}: {words}."
    return ChangeSummary(sentence, words, is_whole, groups)


def describe_changed_user(user: ChangedUser) -> str:
    """Return what is to be said of a changed user beside its name: of one who enrolled, the device and its date."""
    if not isinstance(user, EnrolledUser):
        return ""
    when = f", {format_minute(user.enrolled_at)}" if user.enrolled_at else ""
    return f"{_DEVICES[user.device]}{when}"


def account_of(changed: ChangedUser | ChangedAccount) -> ChangedAccount:
    """Return the account of a changed user, or the account that changed itself."""
    if isinstance(changed, ChangedAccount):
        return changed
    return ChangedAccount(id=changed.account_id, name=changed.account_name, alias=changed.account_alias)


def _groups(changes: Changes) -> Iterator[ChangeGroup]:
    yield ChangeGroup(
        "Enforcement undone by others",
        changes.enforcement_undone,
        "EnforceMFA was taken off, not by orgmfa release; what did it (Terraform, a person) will do it again.",
    )
    yield ChangeGroup("New device", changes.enrolled, "A new device can be a thief's: ask if it was them.")
    renamed = "They are not enforced: a user can be renamed to a protected name."
    yield ChangeGroup("Newly exempt or protected", changes.newly_exempt, renamed)
    yield ChangeGroup("Released", changes.newly_released)
    yield ChangeGroup("Newly without MFA", changes.newly_without_mfa)
    yield ChangeGroup("Newly enforced", changes.newly_enforced, is_finding=False)
    yield ChangeGroup(
        "New accounts of which no event told",
        changes.unannounced_accounts,
        "Onboarding is on and heard nothing: check its rule, and the forwarder in the management account.",
    )
    yield ChangeGroup("New accounts", changes.new_accounts, is_finding=False)
    yield ChangeGroup("Accounts gone", changes.gone_accounts, is_finding=False)


def _counted(changes: Changes) -> Iterator[tuple[int, str]]:
    devices = Counter(_DEVICES[user.device] for user in changes.enrolled)
    kinds = list_counts((devices[word], word) for word in _DEVICES.values())
    new, gone = len(changes.new_accounts), len(changes.gone_accounts)
    yield len(changes.newly_without_mfa), "newly without MFA"
    yield len(changes.enrolled), f"enrolled ({kinds})"
    yield len(changes.newly_enforced), "newly enforced"
    yield len(changes.enforcement_undone), "enforcement undone by others"
    yield len(changes.newly_exempt), "newly exempt or protected"
    yield len(changes.newly_released), "released"
    yield new, "new account" if new == 1 else "new accounts"
    yield gone, "account gone" if gone == 1 else "accounts gone"
