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


class AccountExecutor:
    """Plans and applies accounts, and puts the result of each into the results."""

    def __init__(self, context: RunContext, results: Results) -> None:
        """Take the context of the run, and the results to put into."""
        self._context = context
        self._results = results

    def plan_all(self, accounts: Iterable[Account]) -> None:
        """Plan every account while accounts are still being listed."""
        observer = self._context.observer

        def tell_total() -> Iterator[Account]:
            yield from accounts
            observer.found(INSPECTING, self._results.listed)  # known once all are listed

        observer.phase(INSPECTING, None)
        is_alone = len(self._context.request.targets) == 1
        for done in self._work_through(tell_total(), self._plan, has_budgets=not is_alone):
            result = done.result or compress_result(self._uninspected(done.item, done.error))
            self._results.put(result)
            observer.done(INSPECTING, changes=result.planned, failed=result.status is Status.FAILED)

    def apply_all(self) -> None:
        """Carry out the plan of every account that changes something; accounts not come to are marked `not_reached`."""
        observer = self._context.observer
        progress = {account_id: Progress() for account_id in self._results.with_changes}
        left = set(progress)

        def apply(account_id: str) -> CompressedResult:
            return compress_result(apply_account(self._results[account_id], self._context, progress[account_id]))

        observer.phase(APPLYING, len(progress))
        for done in self._work_through(progress, apply):
            account_id = done.item
            result = done.result or compress_result(self._unapplied(account_id, progress[account_id], done.error))
            self._results.put(result)
            left.remove(account_id)
            observer.done(APPLYING, changes=result.written, failed=result.status is Status.FAILED)
        for account_id in left:
            self._results.put(self._unapplied(account_id, progress[account_id], None))

    def _work_through(
        self, items: Iterable[T], work: Callable[[T], CompressedResult], *, has_budgets: bool = False
    ) -> Iterator[TaskResult[T, CompressedResult]]:
        workers, cancellation = self._context.config.concurrency.workers, self._context.cancellation
        return map_unordered(items, work, workers=workers, cancellation=cancellation, has_budgets=has_budgets)

    def _plan(self, account: Account) -> CompressedResult:
        return compress_result(skip(account, self._context) or inspect_account(account, self._context))

    def _uninspected(self, account: Account, error: BaseException | None) -> AccountResult:
        """Return the result of an account whose inspection raised an error, or did not end."""
        if error is not None:
            _log_defect(error, account)
            return AccountResult(account, Status.FAILED, problem=explain_defect(error, Stage.INSPECT, account))
        return leave_out(account, self._context.cancellation.reason or "slow")

    def _unapplied(self, account_id: str, progress: Progress, error: BaseException | None) -> AccountResult:
        """Return the result of an account whose application raised an error, or did not end."""
        plan = self._results[account_id]
        if error is None:
            return as_not_reached(plan, progress, self._context.cancellation.reason)
        _log_defect(error, plan.account)
        return failed(plan, progress, explain_defect(error, Stage.APPLY, plan.account))


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
    return [cut_short(stage, reason, f"the run ended {when}; {left} accounts were not reached")]


def leave_out(account: Account, reason: str | None) -> AccountResult:
    """Return the result of an account that a run did not reach."""
    what = "the run ended before the account was inspected"
    if reason == "slow":
        what = "the account took half of the time that the run had left, and is not waited for any longer"
    problem = cut_short(Stage.INSPECT, reason, what, account_id=account.id)
    return AccountResult(account, Status.NOT_REACHED, problem=problem)


def _log_defect(error: BaseException, account: Account) -> None:
    log.error("unexpected_error", account_id=account.id, exc_info=error)
