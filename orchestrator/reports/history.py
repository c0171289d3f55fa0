"""History of a run: what it knows of earlier ones, and what is compared with them.

Each archived report repeats what the ones before it knew: since when each user has been without MFA, also users it
could not read itself and those with MFA for a short time (`first_sights`), and how often in a row an account has
failed. So the newest whole run and the narrowed ones since are enough, however long an account has not been readable.
There is no state file: several runs would write it at once, and a killed one would not.

Accounts are matched by ID, users too, or by name where the earlier report has no IDs. An account that one of the runs
did not read, and a user whose MFA one of them did not know, count as unchanged. Pure; `archive` reads the files.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Literal

from pydantic import TypeAdapter

from orchestrator.domain.model import IamUser, Mode, Outcome, Problem, RunRequest, Status, Trigger, Verdict, Via
from orchestrator.domain.outcomes import ENFORCED
from orchestrator.domain.records import find_record, record_key
from orchestrator.reports.event_ledger import EventLedger
from orchestrator.reports.report import (
    AccountReport,
    ChangedAccount,
    ChangedUser,
    Changes,
    EnrolledUser,
    FirstSight,
    ReleaseReport,
    RunReport,
    UserReport,
    UtcTime,
)
from orchestrator.reports.report_json import load_json, split_report

HISTORY_UNREADABLE = "history_unreadable"
"""Code of the problem of a run that could not read the archive: it has no first sightings."""
MAX_RUNS_BACK = 100
"""Number of runs in which one to compare with is looked for; one or two are enough, unless most were narrowed."""


@dataclass(frozen=True, slots=True)
class PastUser:
    """A user as an earlier run saw it."""

    name: str
    verdict: Verdict
    outcome: Outcome
    via: Via | None
    open_since: UtcTime | None = None
    id: str | None = None

    @property
    def is_enforced(self) -> bool:
        """Whether EnforceMFA reached the user, with or without MFA."""
        return self.outcome in ENFORCED or (self.outcome is Outcome.NONE and self.via is not None)


@dataclass(frozen=True, slots=True)
class PastAccount:
    """An account as an earlier run saw it."""

    id: str
    name: str
    alias: str | None
    status: Status
    users: tuple[PastUser, ...]
    failing_runs: int = 0
    unread_open_since: dict[str, UtcTime] = field(default_factory=dict)
    first_sights: tuple[FirstSight, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredRun:
    """An earlier run as a later one needs it: its accounts by ID, without users who have MFA and no EnforceMFA."""

    run_id: str
    started_at: UtcTime
    accounts: Mapping[str, PastAccount]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a run knows of earlier ones.

    `base` is the run to compare with. `sights` has the first sights by account ID, then key of the record; all there
    are where `is_whole`. `released` are the users whom `orgmfa release` has freed since the base, by account ID and key
    of the record. `releases` were in force at the newest runs; a run keeps those whose notes are gone. `onboarded` are
    the accounts of the onboarding runs since the base. `problem` says why nothing is known, or not all. `events` is the
    ledger of event runs, None where it is not known.
    """

    base: StoredRun | None = None
    sights: Mapping[str, Mapping[str, FirstSight]] = field(default_factory=dict)
    is_whole: bool = True
    failing_runs: Mapping[str, int] = field(default_factory=dict)
    releases: tuple[ReleaseReport, ...] = ()
    onboarded: frozenset[str] = frozenset()
    released: frozenset[tuple[str, str]] = frozenset()
    problem: Problem | None = None
    events: EventLedger | None = None

    def with_events(self, ledger: EventLedger | None) -> "History":
        """Return the history with the first sights of event runs, as far as the reports do not have them."""
        seen = ledger.sights if ledger else {}
        added = {key: {record_key(one.id, one.name): one for one in sights} for key, sights in seen.items()}
        sights = {key: {**added.get(key, {}), **self.sights.get(key, {})} for key in {**added, **self.sights}}
        return replace(self, sights=sights, events=ledger)

    def without_ended(self, moment: datetime) -> "History":
        """Return the history without the first sights of users who have been seen with MFA since this moment."""
        sights = {
            account_id: {key: one for key, one in known.items() if one.ended_at is None or one.ended_at > moment}
            for account_id, known in self.sights.items()
        }
        return replace(self, sights=sights)

    def open_in_base(self, account_id: str) -> frozenset[str]:
        """Return the users of an account who had no MFA in the base."""
        account = self.base.accounts.get(account_id) if self.base else None
        users = account.users if account else ()
        return frozenset(user.name for user in users if user.verdict is Verdict.NON_COMPLIANT)


ArchivedRuns = Iterable[tuple[RunReport, Callable[[], StoredRun | None]]]
"""Archived runs, newest first: each without its accounts, and a function that loads it; None: it is broken."""

Kind = Literal[
    "newly_without_mfa", "enrolled", "newly_enforced", "enforcement_undone", "newly_exempt", "newly_released"
]
"""The changes of users, by the names that the report has for them."""


@cache
def _reader() -> TypeAdapter[PastAccount]:
    return TypeAdapter(PastAccount)


def read_past(lines: Iterable[bytes]) -> StoredRun:
    """Return a stored run from the JSON of its report, one account at a time. Raises ValueError for what is none."""
    head, texts = split_report(lines)
    accounts: dict[str, PastAccount] = {}
    for text in texts:
        account = _reader().validate_python(load_json(text))
        kept = (user for user in account.users if user.verdict is not Verdict.COMPLIANT or user.is_enforced)
        status = Status.INSPECTED if was_read(account) else account.status
        accounts[account.id] = replace(account, status=status, users=tuple(kept))
    return StoredRun(head.run_id, head.started_at, accounts)


def was_read(account: AccountReport | PastAccount) -> bool:
    """Return whether the users of an account are known: it was inspected, even where it failed or ended later."""
    return account.status is Status.INSPECTED or bool(account.users)


def build_history(runs: ArchivedRuns, mode: Mode, organization_id: str) -> History:
    """Return the history of a run of this mode; no more earlier runs are loaded than needed.

    First sights are searched back to a whole run, however many narrowed ones came after it. The base is the last whole
    run of the mode. One that did not reach every account is used only where there is no other: with it, changes of the
    accounts that were not reached would never be reported.
    """
    base: StoredRun | None = None
    sights: dict[str, Mapping[str, FirstSight]] = {}
    failing_runs: dict[str, int] = {}
    releases: dict[tuple[str, str], ReleaseReport] = {}
    onboarded: set[str] = set()
    is_base_full = are_sights_full = False
    for number, (head, load) in enumerate(runs, start=1):
        can_be_base = head.mode is mode and is_whole(head) and (base is None or not head.totals.not_reached)
        is_base = can_be_base and not is_base_full and number <= MAX_RUNS_BACK
        has_sights = not are_sights_full and all(error.code != HISTORY_UNREADABLE for error in head.errors)
        is_onboarding = head.trigger is Trigger.ONBOARDING
        is_wanted = is_of(organization_id, head) and (is_base or has_sights or is_onboarding)
        run = load() if is_wanted else None
        if run is not None and is_onboarding:
            onboarded.update(run.accounts)
        if is_of(organization_id, head):
            releases = {one.key: one for one in head.releases} | releases  # what the newest run told counts
        if run is not None and has_sights:  # the newest sight of an account counts
            for account in run.accounts.values():
                failing_runs.setdefault(account.id, account.failing_runs)
                sights.setdefault(account.id, _sights(account, run.started_at))
            are_sights_full = is_whole(head)
        if run is not None and is_base:
            base, is_base_full = run, not head.totals.not_reached
        if are_sights_full and (is_base_full or number >= MAX_RUNS_BACK):
            break
    return History(
        base=base,
        sights=sights,
        failing_runs=failing_runs,
        releases=tuple(releases.values()),
        onboarded=frozenset(onboarded),
        is_whole=are_sights_full,
    )


def is_of(organization_id: str, head: RunReport) -> bool:
    """Return whether a run judged the users of an organization; a release judges nobody."""
    return head.organization_id == organization_id and head.mode is not Mode.RELEASE


def is_whole(head: RunReport) -> bool:
    """Return whether a run listed all accounts of the organization."""
    return head.complete and not head.narrowed


def _sights(account: PastAccount, started_at: datetime) -> Mapping[str, FirstSight]:
    """Return the first sights of an account by their keys; the start of the run where it had no date."""
    seen = (
        FirstSight(id=user.id, name=user.name, since=user.open_since or started_at)
        for user in account.users
        if user.verdict is Verdict.NON_COMPLIANT
    )
    known = [*account.first_sights, *seen]
    names = {one.name for one in known}  # all of `unread_open_since` in a report of this version
    unread = account.unread_open_since.items()
    by_name = (FirstSight(name=name, since=since) for name, since in unread if name not in names)
    return {record_key(one.id, one.name): one for one in (*by_name, *known)}


def with_history(
    account: AccountReport, history: History, request: RunRequest, *, users: Iterable[IamUser]
) -> AccountReport:
    """Return an account with its failing runs and the dates since when its users are without MFA: now for new ones.

    `users` are the account's as they were read. Accounts of a release, which judges nobody, are returned unchanged.
    """
    if request.mode is Mode.RELEASE:
        return account
    sights = history.sights.get(account.id, {})
    update: dict[str, object] = {"failing_runs": _count_failures(account, history.failing_runs.get(account.id, 0))}
    kept = tuple(sights.values())
    if was_read(account):
        known = {user.id: one for user in users if (one := find_record(sights.get, user))} if sights else {}
        is_unreadable = history.problem is not None and history.problem.code == HISTORY_UNREADABLE
        begins = None if is_unreadable else request.started_at
        seen = [(user, known.get(user.id or "")) for user in account.users]
        kept = tuple(_keep(user, one, request) for user, one in seen if one and not _is_open(user))
        update["users"] = tuple(
            user.model_copy(update={"open_since": one.since if one else begins}) if _is_open(user) else user
            for user, one in seen
        )
    update["first_sights"] = kept
    update["unread_open_since"] = {one.name: one.since for one in kept if one.ended_at is None}
    return account.model_copy(update=update)


def _is_open(user: UserReport) -> bool:
    return user.verdict is Verdict.NON_COMPLIANT


def _keep(user: UserReport, sight: FirstSight, request: RunRequest) -> FirstSight:
    """Return the first sight of a user who was not seen without MFA by this run, to survive a short enrolment."""
    ended_at = (sight.ended_at or request.started_at) if user.verdict is Verdict.COMPLIANT else sight.ended_at
    return sight.model_copy(update={"id": user.id, "name": user.name, "ended_at": ended_at})


def compare(report: RunReport, history: History, *, expects_onboarding: bool = False) -> Changes | None:
    """Return what changed since the base, or None where there is none.

    Accounts are new or gone only where both runs listed all of them; a narrowed run reports on its own accounts only.
    With `expects_onboarding`, new accounts that may be entered should have been met by an onboarding run.
    """
    base = history.base
    if base is None or report.mode is Mode.RELEASE:
        return None
    found: dict[str, list[ChangedUser]] = defaultdict(list)
    listed: dict[str, ChangedAccount] = {}
    for account in report.accounts:
        listed[account.id] = _name(account)
        for kind, user in _read_both(account, base, history):
            found[kind].append(_describe(kind, account, user))
    new, gone = [], []
    if is_whole(report):
        new = [listed[account_id] for account_id in sorted(listed.keys() - base.accounts.keys())]
        gone = [_name(base.accounts[account_id]) for account_id in sorted(base.accounts.keys() - listed.keys())]
    met = {one.id for one in report.accounts if one.status is Status.SKIPPED} | history.onboarded
    missed = [account for account in new if account.id not in met] if expects_onboarding else []
    for users in found.values():
        users.sort(key=lambda user: (user.account_id, user.name.casefold(), user.name))
    changes = {"new_accounts": new, "unannounced_accounts": missed, "gone_accounts": gone, **found}
    return Changes.model_validate({"since_run_id": base.run_id, "since": base.started_at, **changes})


def _read_both(account: AccountReport, base: StoredRun, history: History) -> Iterator[tuple[Kind, UserReport]]:
    """Yield each change of a user of an account that was read by both runs; all users of a new account are new."""
    before = base.accounts.get(account.id)
    if before is not None and not was_read(before):
        return
    users = {record_key(user.id, user.name): user for user in before.users} if before else {}
    for user in account.users:
        keys = (record_key(user.id, user.name), record_key(None, user.name))
        was_released = any((account.id, key) in history.released for key in keys)
        for kind in _kinds(user, users.get(keys[0]) or users.get(keys[1]), was_released=was_released):
            yield kind, user


def _kinds(user: UserReport, before: PastUser | None, *, was_released: bool) -> Iterator[Kind]:
    """Yield the changes of a user; `before` None: there was no such user, or it had MFA and no EnforceMFA."""
    was_clean = before is None or before.verdict is Verdict.COMPLIANT
    was_enforced = before is not None and before.is_enforced
    if user.outcome is Outcome.EXEMPT and (before is None or before.outcome is not Outcome.EXEMPT):
        yield "newly_exempt"
    if was_released:
        yield "newly_released"
    if user.verdict is Verdict.COMPLIANT and before is not None and before.verdict is Verdict.NON_COMPLIANT:
        yield "enrolled"
    if user.verdict is not Verdict.NON_COMPLIANT:
        return
    if was_clean:
        yield "newly_without_mfa"
    if user.outcome in ENFORCED and not was_enforced:
        yield "newly_enforced"
    # Who was enforced before, and whom this run enforces, lost EnforceMFA in between.
    if was_enforced and user.outcome is not Outcome.ALREADY_ENFORCED and not was_released:
        yield "enforcement_undone"


def _describe(kind: Kind, account: AccountReport, user: UserReport) -> ChangedUser:
    changed = ChangedUser(account_id=account.id, account_alias=account.alias, account_name=account.name, name=user.name)
    if kind != "enrolled":
        return changed
    return EnrolledUser(**changed.model_dump(), device=user.mfa_device, enrolled_at=user.mfa_enrolled_at)


def _name(account: AccountReport | PastAccount) -> ChangedAccount:
    return ChangedAccount(id=account.id, name=account.name, alias=account.alias)


def _count_failures(account: AccountReport, before: int) -> int:
    """Return how many runs in a row an account failed; a run that did not reach it leaves the count."""
    if account.status is Status.FAILED:
        return before + 1
    return before if account.status is Status.NOT_REACHED and not was_read(account) else 0
