"""Plans and applies many accounts with the threads of one process: those of a whole run, or of one batch of it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from orchestrator.concurrency.pool import Worked, work_through
from orchestrator.domain.model import Account, AccountResult, Problem, Stage, Status
from orchestrator.domain.remedies import explain_defect
from orchestrator.domain.selection import skip_account
from orchestrator.pipeline.apply import Settled, apply_account, failed, unfinished
from orchestrator.pipeline.context import RUN_AGAIN, RunContext
from orchestrator.pipeline.inspection import inspect_account
from orchestrator.pipeline.ports import APPLYING, INSPECTING
from orchestrator.pipeline.results import PackedResult, Results, pack_result

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Work:
    """An account on its way through apply, and what is settled so far."""

    account_id: str
    settled: Settled = field(default_factory=Settled)


class Sweep:
    """What is done to the accounts of a run, with what becomes of each put into the results."""

    def __init__(self, context: RunContext, results: Results) -> None:
        """Take the context of the run, and where the results go."""
        self._context = context
        self._results = results
        self._unsettled: dict[str, _Work] = {}

    def plan_all(self, accounts: Iterable[Account]) -> None:
        """Plan every account, while accounts are still being listed."""
        self._context.observer.phase(INSPECTING, None)
        for worked in self._work_through(accounts, self._plan):
            self._put_plan(worked.item, worked)

    def apply_all(self) -> None:
        """Carry out the plan of every account that changes something."""
        work = [self._take_up(account_id) for account_id in self._results.with_changes]
        self._context.observer.phase(APPLYING, len(work))
        for worked in self._work_through(work, self._apply):
            self._settle(worked.item, worked)
        self._leave_unfinished()

    def _work_through(
        self, items: Iterable[T], work: Callable[[T], PackedResult | None]
    ) -> Iterator[Worked[T, PackedResult | None]]:
        return work_through(
            items, work, workers=self._context.config.concurrency.workers, cancellation=self._context.cancellation
        )

    def _plan(self, account: Account) -> PackedResult:
        return pack_result(skip(account, self._context) or inspect_account(account, self._context))

    def _put_plan(self, account: Account, worked: Worked[Any, PackedResult | None]) -> None:
        result = worked.result or pack_result(self._uninspected(account, worked.error))
        self._results.put(result)
        self._context.observer.found(INSPECTING, self._results.listed)
        self._context.observer.done(INSPECTING, changes=result.planned, failed=result.status is Status.FAILED)

    def _take_up(self, account_id: str) -> _Work:
        work = self._unsettled[account_id] = _Work(account_id)
        return work

    def _apply(self, work: _Work) -> PackedResult:
        return pack_result(apply_account(self._results[work.account_id], self._context, work.settled))

    def _settle(self, work: _Work, worked: Worked[Any, PackedResult | None]) -> None:
        result = worked.result or pack_result(self._unapplied(work, worked.error))
        self._results.put(result)
        del self._unsettled[work.account_id]
        self._context.observer.done(APPLYING, changes=result.written, failed=result.status is Status.FAILED)

    def _leave_unfinished(self) -> None:
        """Mark the accounts whose changes were cut short, or never begun, as not reached."""
        for work in self._unsettled.values():
            self._results.put(self._unapplied(work, None))

    def _uninspected(self, account: Account, error: BaseException | None) -> AccountResult:
        """Return the result of an account whose inspection never returned one."""
        if error is not None:
            _log_defect(error, account)
            return AccountResult(account, Status.FAILED, problem=explain_defect(error, Stage.INSPECT, account))
        return leave_out(account, self._context.cancellation.reason or "interrupted")

    def _unapplied(self, work: _Work, error: BaseException | None) -> AccountResult:
        """Return the result of an account whose changes never came to an end."""
        plan = self._results[work.account_id]
        if error is None:
            return unfinished(plan, work.settled, self._context.cancellation.reason or "interrupted")
        _log_defect(error, plan.account)
        return failed(plan, work.settled, explain_defect(error, Stage.APPLY, plan.account))


def skip(account: Account, context: RunContext) -> AccountResult | None:
    """Return the result of an account that is not to be entered, or None for any other."""
    problem = skip_account(account, context.organization, context.config.organization)
    return None if problem is None else AccountResult(account, Status.SKIPPED, problem=problem)


def explain_unreached(results: Results, reason: str | None) -> list[Problem]:
    """Return the problem of a run that ended early, if it did."""
    left = results.not_reached
    if reason is None or not left:
        return []
    stage = Stage.APPLY if results.was_any_decided else Stage.INSPECT
    return [Problem(stage, reason, f"the run ended early; {left} accounts were not reached", RUN_AGAIN[reason])]


def leave_out(account: Account, reason: str) -> AccountResult:
    """Return the result of an account that a run did not come to."""
    problem = Problem(Stage.INSPECT, reason, "the run ended before the account was inspected", RUN_AGAIN[reason])
    return AccountResult(account, Status.NOT_REACHED, problem=problem)


def _log_defect(error: BaseException, account: Account) -> None:
    log.error("unexpected_error", account_id=account.id, exc_info=error)
