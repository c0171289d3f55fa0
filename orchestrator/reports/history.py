"""History of a run: the earlier run it is compared with, and since when users have been seen without MFA.

Each archived report repeats what the ones before it knew: since when each user has been without MFA, also users it
could not read itself (`unread_open_since`), and how often in a row an account has failed. So the newest whole run and
the narrowed ones since are enough, however long an account has not been readable. There is no state file: several
runs would write it at once, and a run that is killed would not write it. A report is written once, by its own run,
and a lost one costs only its own sightings. Pure; `archive` reads the files.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.model import Mode, Problem, Verdict
from orchestrator.reports.report import RunReport
from orchestrator.reports.stored_run import PastAccount, StoredRun

HISTORY_UNREADABLE = "history_unreadable"
"""Code of the problem of a run that could not read the archive: it has no first sightings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a run knows of earlier ones.

    `base` is the run to compare with. `open_since` maps account ID and user name to when the user was first seen
    without MFA. `released` are the users, by account ID and name, whom `orgmfa release` has freed since the base.
    `problem` says why nothing is known.
    """

    base: StoredRun | None = None
    open_since: Mapping[str, Mapping[str, datetime]] = field(default_factory=dict)
    failing_runs: Mapping[str, int] = field(default_factory=dict)
    released: frozenset[tuple[str, str]] = frozenset()
    problem: Problem | None = None

    def open_in_base(self, account_id: str) -> frozenset[str]:
        """Return the users of an account who had no MFA in the base."""
        account = self.base.accounts.get(account_id) if self.base else None
        users = account.users if account else ()
        return frozenset(user.name for user in users if user.verdict is Verdict.NON_COMPLIANT)


ArchivedRuns = Iterable[tuple[RunReport, Callable[[], StoredRun | None]]]
"""Archived runs, newest first: each without its accounts, and a function that loads it; None: it is broken."""


def build_history(runs: ArchivedRuns, mode: Mode, organization_id: str) -> History:
    """Return the history of a run of this mode; no more earlier runs are loaded than needed.

    The base is the last whole run of the mode. One that did not reach every account is used only where there is no
    other: with it, changes of the accounts that were not reached would never be reported.
    """
    base: StoredRun | None = None
    open_since: dict[str, Mapping[str, datetime]] = {}
    failing_runs: dict[str, int] = {}
    is_base_full = are_sights_full = False
    for head, load in runs:
        can_be_base = head.mode is mode and is_whole(head) and (base is None or not head.totals.not_reached)
        is_base = can_be_base and not is_base_full
        has_sights = not are_sights_full and all(error.code != HISTORY_UNREADABLE for error in head.errors)
        if not is_of(organization_id, head) or not (is_base or has_sights) or (run := load()) is None:
            continue
        if has_sights:  # the newest sight of an account counts
            for account in run.accounts.values():
                failing_runs.setdefault(account.id, account.failing_runs)
                open_since.setdefault(account.id, _open_users(account, run.started_at))
            are_sights_full = is_whole(head)
        if is_base:
            base, is_base_full = run, not head.totals.not_reached
        if is_base_full and are_sights_full:
            break
    return History(base=base, open_since=open_since, failing_runs=failing_runs)


def is_of(organization_id: str, head: RunReport) -> bool:
    """Return whether a run judged the users of an organization; a release judges nobody."""
    return head.organization_id == organization_id and head.mode is not Mode.RELEASE


def is_whole(head: RunReport) -> bool:
    """Return whether a run listed all accounts of the organization."""
    return head.complete and not head.narrowed


def _open_users(account: PastAccount, started_at: datetime) -> Mapping[str, datetime]:
    """Return since when users were without MFA; the start of the run where it had no date."""
    seen = {user.name: user.open_since or started_at for user in account.users if user.verdict is Verdict.NON_COMPLIANT}
    return account.unread_open_since | seen
