"""History of a run: the earlier run it is compared with, and since when users have been seen without MFA.

Each archived report repeats what the ones before it knew: since when each user has been without MFA, also users it
could not read itself and those with MFA for a short time (`first_sights`), and how often in a row an account has
failed. So the newest whole run and the narrowed ones since are enough, however long an account has not been readable.
There is no state file: several runs would write it at once, and a run that is killed would not write it. A report is
written once, by its own run, and a lost one costs only its own sightings. Pure; `archive` reads the files.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from orchestrator.domain.model import Mode, Problem, Trigger, Verdict
from orchestrator.domain.records import record_key
from orchestrator.reports.event_ledger import EventLedger
from orchestrator.reports.report import FirstSight, ReleaseReport, RunReport
from orchestrator.reports.stored_run import PastAccount, StoredRun

HISTORY_UNREADABLE = "history_unreadable"
"""Code of the problem of a run that could not read the archive: it has no first sightings."""
MAX_RUNS_BACK = 100
"""Number of runs in which one to compare with is looked for; one or two are enough, unless most were narrowed."""


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
