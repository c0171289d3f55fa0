"""Compares a run with an earlier one, and adds since when users have been without MFA. Pure.

Accounts are matched by ID, users too, or by name where the earlier report has no IDs. An account that one of the runs
did not read, and a user whose MFA one of them did not know, count as unchanged.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

from orchestrator.domain.model import IamUser, Mode, Outcome, RunRequest, Status, Verdict
from orchestrator.domain.outcomes import ENFORCED
from orchestrator.domain.records import find_record, record_key
from orchestrator.reports.history import HISTORY_UNREADABLE, History
from orchestrator.reports.report import (
    AccountReport,
    ChangedAccount,
    ChangedUser,
    Changes,
    EnrolledUser,
    FirstSight,
    RunReport,
    UserReport,
)
from orchestrator.reports.stored_run import PastAccount, PastUser, StoredRun, was_read

Kind = Literal[
    "newly_without_mfa", "enrolled", "newly_enforced", "enforcement_undone", "newly_exempt", "newly_released"
]

User = TypeVar("User", bound=ChangedUser)


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
    found: dict[Kind, list[ChangedUser]] = {}
    listed: dict[str, ChangedAccount] = {}
    for account in report.accounts:
        listed[account.id] = _name(account)
        for kind, user in _read_both(account, base, history):
            found.setdefault(kind, []).append(_describe(kind, account, user))
    is_whole = report.complete and not report.narrowed
    new = [account for account in listed.values() if account.id not in base.accounts] if is_whole else []
    met = {one.id for one in report.accounts if one.status is Status.SKIPPED} | history.onboarded
    missed = [account for account in new if account.id not in met] if expects_onboarding else []
    gone = [_name(account) for account in base.accounts.values() if account.id not in listed] if is_whole else []
    return Changes(
        since_run_id=base.run_id,
        since=base.started_at,
        newly_without_mfa=_sorted(found.get("newly_without_mfa", [])),
        enrolled=_sorted([user for user in found.get("enrolled", []) if isinstance(user, EnrolledUser)]),
        newly_enforced=_sorted(found.get("newly_enforced", [])),
        enforcement_undone=_sorted(found.get("enforcement_undone", [])),
        newly_exempt=_sorted(found.get("newly_exempt", [])),
        newly_released=_sorted(found.get("newly_released", [])),
        new_accounts=_sorted_accounts(new),
        unannounced_accounts=_sorted_accounts(missed),
        gone_accounts=_sorted_accounts(gone),
    )


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
    """Yield the changes of a user; `before` None: there was no such user, or it had MFA and no EnforceMFA.

    A user who was enforced before and whom this run enforces lost EnforceMFA in between: it is not newly enforced.
    """
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
    if was_enforced and user.outcome is not Outcome.ALREADY_ENFORCED and not was_released:
        yield "enforcement_undone"


def _describe(kind: Kind, account: AccountReport, user: UserReport) -> ChangedUser:
    changed = ChangedUser(account_id=account.id, account_alias=account.alias, account_name=account.name, name=user.name)
    if kind != "enrolled":
        return changed
    return EnrolledUser(**changed.model_dump(), device=user.mfa_device, enrolled_at=user.mfa_enrolled_at)


def _sorted(users: list[User]) -> tuple[User, ...]:
    return tuple(sorted(users, key=lambda user: (user.account_id, user.name.casefold(), user.name)))


def _name(account: AccountReport | PastAccount) -> ChangedAccount:
    return ChangedAccount(id=account.id, name=account.name, alias=account.alias)


def _sorted_accounts(accounts: Iterable[ChangedAccount]) -> tuple[ChangedAccount, ...]:
    return tuple(sorted(accounts, key=lambda account: account.id))


def _count_failures(account: AccountReport, before: int) -> int:
    """Return how many runs in a row an account failed; a run that did not reach it leaves the count."""
    match account.status:
        case Status.FAILED:
            return before + 1
        case Status.NOT_REACHED if not was_read(account):
            return before
        case _:
            return 0
