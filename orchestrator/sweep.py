"""Goes over many accounts with the threads of one process: plans them all, holds them all, applies them all.

Serves a run in one process, and each part of one that is spread over many.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from orchestrator.application import apply_account, failed, unfinished
from orchestrator.desk import RUN_AGAIN, Desk
from orchestrator.inspection import inspect_account
from orchestrator.model import Account, AccountResult, Decision, Outcome, Problem, Reason, Stage, Status
from orchestrator.planning import count_planned, hold
from orchestrator.pool import Halt, Worked, work_through
from orchestrator.ports import Ports
from orchestrator.remedies import explain_defect
from orchestrator.results import Results
from orchestrator.selection import skip_account

_WRITTEN = frozenset({Outcome.ENFORCED, Outcome.RELEASED})

log = structlog.get_logger(__name__)


def plan_all(accounts: Iterable[Account], desk: Desk, ports: Ports, *, results: Results) -> None:
    """Put the plan of every account into the results, while accounts are still being listed."""

    def work(account: Account) -> AccountResult:
        return skip(account, desk) or inspect_account(account, desk)

    ports.observer.phase("inspecting", None)
    for worked in work_through(accounts, work, workers=desk.config.concurrency.workers, halt=ports.halt):
        result = worked.result or _uninspected(worked, ports.halt)
        results.put(result)
        ports.observer.found(results.listed)
        ports.observer.done(changes=count_planned(result), failed=result.status is Status.FAILED)


def skip(account: Account, desk: Desk) -> AccountResult | None:
    """Return the result of an account that is not to be entered, or None for any other."""
    problem = skip_account(account, desk.organization, desk.config.organization)
    return None if problem is None else AccountResult(account, Status.SKIPPED, problem=problem)


def hold_all(results: Results, reason: Reason) -> None:
    """Hold every plan for the reason."""
    for account_id in results.with_changes:
        results.put(hold(results[account_id], reason))


@dataclass(frozen=True, slots=True)
class _Work:
    """An account on its way through apply, and the decisions settled so far."""

    account_id: str
    done: list[Decision] = field(default_factory=list)


def apply_all(results: Results, desk: Desk, ports: Ports) -> None:
    """Carry out the plan of every account that changes something, and put what became of it into the results."""
    work = [_Work(account_id) for account_id in results.with_changes]
    unsettled = {item.account_id: item for item in work}
    ports.observer.phase("applying", len(work))
    for worked in work_through(
        work,
        lambda item: apply_account(results[item.account_id], desk, item.done),
        workers=desk.config.concurrency.workers,
        halt=ports.halt,
    ):
        result = worked.result or _unapplied(worked, results, ports.halt)
        results.put(result)
        del unsettled[worked.item.account_id]
        written = sum(decision.outcome in _WRITTEN for decision in result.decisions)
        ports.observer.done(changes=written, failed=result.status is Status.FAILED)
    for account_id, item in unsettled.items():
        results.put(unfinished(results[account_id], item.done, ports.halt.reason or "interrupted"))


def explain_unreached(results: Results, reason: str | None) -> list[Problem]:
    """Return the problem of a run that ended early, if it did."""
    left = results.not_reached
    if reason is None or not left:
        return []
    stage = Stage.APPLY if results.was_any_decided else Stage.INSPECT
    return [Problem(stage, reason, f"the run ended early; {left} accounts were not reached", RUN_AGAIN[reason])]


def _uninspected(worked: Worked[Account, AccountResult], halt: Halt) -> AccountResult:
    """Return the result of an account whose inspection never returned one."""
    account, reason = worked.item, halt.reason or "interrupted"
    if worked.error is not None:
        _log_defect(worked.error, account)
        problem = explain_defect(worked.error, Stage.INSPECT, account)
        return AccountResult(account, Status.FAILED, problem=problem)
    return leave_out(account, reason)


def leave_out(account: Account, reason: str) -> AccountResult:
    """Return the result of an account that a run did not come to."""
    problem = Problem(Stage.INSPECT, reason, "the run ended before the account was inspected", RUN_AGAIN[reason])
    return AccountResult(account, Status.NOT_REACHED, problem=problem)


def _unapplied(worked: Worked[_Work, AccountResult], results: Results, halt: Halt) -> AccountResult:
    """Return the result of an account whose changes never came to an end."""
    plan, done = results[worked.item.account_id], worked.item.done
    if worked.error is None:
        return unfinished(plan, done, halt.reason or "interrupted")
    _log_defect(worked.error, plan.account)
    return failed(plan, done, explain_defect(worked.error, Stage.APPLY, plan.account))


def _log_defect(error: BaseException, account: Account) -> None:
    log.error("unexpected_error", account_id=account.id, exc_info=error)
