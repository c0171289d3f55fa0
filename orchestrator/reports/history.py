"""What a run knows of earlier ones: the run it is compared with, and since when users have been seen without MFA.

Reports are all that the archive keeps for it. Each carries on what the ones before it knew: the first sighting of each
user without MFA, also of those it could not read itself (`unread_open_since`), and how often in a row an account has
failed. So the newest whole run and the narrowed ones since tell all, however long an account has not been readable.
A state file beside the reports would be written by several runs at once, or by none that is killed before it ends; a
report is written once, by its own run, and a lost one costs its own sightings alone. Pure; `archive` reads the files.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.model import Mode, Problem, Verdict
from orchestrator.reports.report import RunReport
from orchestrator.reports.stored_run import PastAccount, StoredRun

HISTORY_UNREADABLE = "history_unreadable"
"""The code of the problem of a run that could not read the archive: it knows nothing of first sightings."""


@dataclass(frozen=True, slots=True)
class Base:
    """The run that a later one is compared with, by account ID; its clean users are left out, as in `StoredRun`."""

    run_id: str
    started_at: datetime
    accounts: Mapping[str, PastAccount]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a run knows of earlier ones.

    `open_since` and `failing_runs` go by account ID, the first then by user name. `released` are the users, by account
    ID and name, whom `orgmfa release` has freed since the base. `problem` says why nothing is known.
    """

    base: Base | None = None
    open_since: Mapping[str, Mapping[str, datetime]] = field(default_factory=dict)
    failing_runs: Mapping[str, int] = field(default_factory=dict)
    released: frozenset[tuple[str, str]] = frozenset()
    problem: Problem | None = None

    def open_in_base(self, account_id: str) -> frozenset[str]:
        """Return the users of an account who had no MFA at the run that this one is compared with."""
        account = self.base.accounts.get(account_id) if self.base else None
        users = account.users if account else ()
        return frozenset(user.name for user in users if user.verdict is Verdict.NON_COMPLIANT)


Shelf = Iterable[tuple[RunReport, Callable[[], StoredRun | None]]]
"""Archived runs, the newest first: each without its accounts, and what loads the whole; None: it is broken."""


def build_history(shelf: Shelf, mode: Mode, organization_id: str) -> History:
    """Return what a run of this mode knows of the runs of its organization; as few are loaded as will do.

    It is compared with the last whole run of its mode. One that did not reach every account serves only where no other
    does: with it, changes of the accounts that were not reached would never be told.
    """
    bases, sights = _Bases(mode), _FirstSeen()
    for head, load in shelf:
        if not (is_of(organization_id, head) and (bases.want(head) or sights.want(head))):
            continue
        if (run := load()) is None:
            continue
        if sights.want(head):
            sights.add(run, is_last=is_whole(head))
        if bases.want(head):
            bases.add(run, is_second=bool(head.totals.not_reached))
        if bases.best is not None and sights.is_settled:
            break
    return History(base=bases.best or bases.second, open_since=sights.open_since, failing_runs=sights.failing_runs)


class _Bases:
    """The run to compare with: the newest whole one of a mode; one that left accounts out where there is no other."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self.best: Base | None = None
        self.second: Base | None = None

    def want(self, head: RunReport) -> bool:
        """Return whether a run serves better than what was found so far."""
        serves = self.best is None and head.mode is self._mode and is_whole(head)
        return serves and (self.second is None or not head.totals.not_reached)

    def add(self, run: StoredRun, *, is_second: bool) -> None:
        """Take a run."""
        base = Base(run.run_id, run.started_at, {account.id: account for account in run.accounts})
        if is_second:
            self.second = base
        else:
            self.best = base


class _FirstSeen:
    """The newest sight of each account, gathered from the newest run on; settled once a whole run was among them."""

    def __init__(self) -> None:
        self.open_since: dict[str, Mapping[str, datetime]] = {}
        self.failing_runs: dict[str, int] = {}
        self.is_settled = False

    def want(self, head: RunReport) -> bool:
        """Return whether a run can tell of accounts that are not known yet."""
        return not self.is_settled and all(error.code != HISTORY_UNREADABLE for error in head.errors)

    def add(self, run: StoredRun, *, is_last: bool) -> None:
        """Take what an older run knew of the accounts that no newer one had."""
        for account in run.accounts:
            if account.id not in self.failing_runs:
                self.failing_runs[account.id] = account.failing_runs
                self.open_since[account.id] = _open_users(account, run.started_at)
        self.is_settled = is_last


def is_of(organization_id: str, head: RunReport) -> bool:
    """Return whether a run judged the users of an organization; a release judges nobody."""
    return head.organization_id == organization_id and head.mode is not Mode.RELEASE


def is_whole(head: RunReport) -> bool:
    """Return whether a run listed all accounts of the organization."""
    return head.complete and not head.narrowed


def _open_users(account: PastAccount, started_at: datetime) -> Mapping[str, datetime]:
    """Return since when users were without MFA; one without a date was seen by a run that knew no earlier ones."""
    seen = {user.name: user.open_since or started_at for user in account.users if user.verdict is Verdict.NON_COMPLIANT}
    return account.unread_open_since | seen
