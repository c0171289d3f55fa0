"""Plans and applies the accounts of a run, or of one batch of it, with the threads of one process."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import structlog

from orchestrator.concurrency.pool import TaskResult, map_unordered
from orchestrator.domain.model import Account, AccountResult, Problem, Stage, Status
from orchestrator.domain.remedies import explain_defect
from orchestrator.domain.selection import skip_account
from orchestrator.pipeline.apply import Progress, apply_account, as_not_reached, failed
from orchestrator.pipeline.context import RunContext, cut_short
from orchestrator.pipeline.inspection import inspect_account
from orchestrator.pipeline.ports import APPLYING, INSPECTING
from orchestrator.pipeline.results import CompressedResult, Results, compress_result

T = TypeVar("T")

log = structlog.get_logger(__name__)


def plan_all(accounts: Iterable[Account], results: Results, context: RunContext) -> None:
    """Put the plan of every account into the results, while accounts are still being listed."""
    observer, cancellation = context.observer, context.cancellation

    def tell_total() -> Iterator[Account]:
        yield from accounts
        observer.found(INSPECTING, results.listed)  # known once all are listed

    def plan(account: Account) -> CompressedResult:
        return compress_result(skip(account, context) or inspect_account(account, context))

    def without_result(account: Account, error: BaseException | None) -> AccountResult:
        if error is None:
            return leave_out(account, cancellation.reason or "slow")
        return AccountResult(account, Status.FAILED, problem=_explain_defect(error, Stage.INSPECT, account))

    observer.phase(INSPECTING, None)
    is_alone = len(context.request.targets) == 1
    for done in _work_through(tell_total(), plan, context, has_budgets=not is_alone):
        result = done.result or compress_result(without_result(done.item, done.error))
        results.put(result)
        observer.done(INSPECTING, changes=result.planned, failed=result.status is Status.FAILED)


def apply_all(results: Results, context: RunContext) -> None:
    """Carry out the plan of every account that changes something; accounts not come to are marked `not_reached`."""
    observer = context.observer
    progress = {account_id: Progress() for account_id in results.with_changes}
    left = set(progress)

    def apply(account_id: str) -> CompressedResult:
        return compress_result(apply_account(results[account_id], context, progress[account_id]))

    def without_result(account_id: str, error: BaseException | None) -> AccountResult:
        plan = results[account_id]
        if error is None:
            return as_not_reached(plan, progress[account_id], context.cancellation.reason)
        return failed(plan, progress[account_id], _explain_defect(error, Stage.APPLY, plan.account))

    observer.phase(APPLYING, len(progress))
    for done in _work_through(progress, apply, context):
        result = done.result or compress_result(without_result(done.item, done.error))
        results.put(result)
        left.remove(done.item)
        observer.done(APPLYING, changes=result.written, failed=result.status is Status.FAILED)
    for account_id in left:
        results.put(without_result(account_id, None))


def _work_through(
    items: Iterable[T], work: Callable[[T], CompressedResult], context: RunContext, *, has_budgets: bool = False
) -> Iterator[TaskResult[T, CompressedResult]]:
    workers = context.config.concurrency.workers
    return map_unordered(items, work, workers=workers, cancellation=context.cancellation, has_budgets=has_budgets)


def _explain_defect(error: BaseException, stage: Stage, account: Account) -> Problem:
    log.error("unexpected_error", account_id=account.id, exc_info=error)
    return explain_defect(error, stage, account)


def skip(account: Account, context: RunContext) -> AccountResult | None:
    """Return the result of an account that must not be entered, or None for any other."""
    problem = skip_account(account, context.organization, context.config)
    if problem is None:
        return None
    return AccountResult(account, Status.FAILED if problem.remedy else Status.SKIPPED, problem=problem)


def explain_unreached(results: Results, reason: str | None, *, is_listed: bool = True) -> list[Problem]:
    """Return the problem of a run that ended early, if it did; before the end of the listing, where not `is_listed`."""
    left = results.not_reached
    if reason is None or (is_listed and not left):
        return []
    when = "early" if is_listed else "while accounts were still being listed"
    stage = results.left_at if is_listed else Stage.SELECT
    return [cut_short(stage, reason, f"the run ended {when}; accounts not reached: {left:,}")]


def leave_out(account: Account, reason: str | None) -> AccountResult:
    """Return the result of an account that a run did not reach."""
    what = "the run ended before the account was inspected"
    if reason == "slow":
        what = "the account took half of the time that the run had left, and is not waited for any longer"
    problem = cut_short(Stage.INSPECT, reason, what, account_id=account.id)
    return AccountResult(account, Status.NOT_REACHED, problem=problem)
