"""Goes over many accounts with the threads of one process: plans them all, holds them all, applies them all.

Serves a run in one process, and each part of one that is spread over many.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import structlog

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.concurrency.pool import Worked, work_through
from orchestrator.domain.model import Account, AccountResult, Problem, Reason, Stage, Status
from orchestrator.domain.planning import hold
from orchestrator.domain.remedies import explain_defect
from orchestrator.domain.selection import skip_account
from orchestrator.pipeline.apply import Settled, apply_account, failed, unfinished
from orchestrator.pipeline.context import RUN_AGAIN, Desk
from orchestrator.pipeline.inspection import inspect_account
from orchestrator.pipeline.ports import APPLYING, INSPECTING, Ports
from orchestrator.pipeline.results import PackedResult, Results, pack_result

T = TypeVar("T")

_TICK_SECONDS = 0.2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Work:
    """An account on its way through apply, and what is settled so far."""

    account_id: str
    settled: Settled = field(default_factory=Settled)


class Sweep:
    """What is done to the accounts of a run, with what becomes of each put into the results."""

    def __init__(self, desk: Desk, ports: Ports, results: Results) -> None:
        """Take what the run works with, and where its results go."""
        self._desk = desk
        self._ports = ports
        self._results = results
        self._unsettled: dict[str, _Work] = {}

    def plan_all(self, accounts: Iterable[Account]) -> None:
        """Plan every account, while accounts are still being listed."""
        self._ports.observer.phase(INSPECTING, None)
        for worked in self._work_through(accounts, self._plan):
            self._put_plan(worked.item, worked)

    def apply_all(self) -> None:
        """Carry out the plan of every account that changes something."""
        work = [self._take_up(account_id) for account_id in self._results.with_changes]
        self._ports.observer.phase(APPLYING, len(work))
        for worked in self._work_through(work, self._apply):
            self._settle(worked.item, worked)
        self._leave_unfinished()

    def plan_and_apply(self, accounts: Iterable[Account], opens: Callable[[int], bool]) -> bool:
        """Plan every account, and carry the plans out once `opens` allows it.

        That is asked when all accounts have been begun, and again after each plan that still comes, with the number of
        those that are outstanding. Returns whether it said yes before they were all there; then everything is applied.
        """
        relay = _Relay(accounts, self._ports.cancellation)
        self._ports.observer.phase(INSPECTING, None)
        try:
            is_open = self._relay(relay, opens)
        finally:
            relay.end()  # whatever happened, or its thread would wait for ever
        self._leave_unfinished()
        return is_open

    def _relay(self, relay: "_Relay", opens: Callable[[int], bool]) -> bool:
        """Work through what a relay holds, feed it, and return whether the gate was opened early."""
        planned, are_begun, is_open = 0, False, False
        for worked in self._work_through(relay, self._do):
            if isinstance(worked.item, _Work):
                self._settle(worked.item, worked)
            elif worked.item is None:
                are_begun = True
            else:
                planned += 1
                self._put_plan(worked.item, worked)
                if is_open and self._results.has_changes(worked.item.id):
                    self._ports.observer.found(APPLYING, relay.give(self._take_up(worked.item.id)))
            outstanding = relay.listed - planned
            if are_begun and outstanding and not is_open and not self._ports.cancellation.reason and opens(outstanding):
                is_open = True
                work = [self._take_up(account_id) for account_id in self._results.with_changes]
                self._ports.observer.phase(APPLYING, relay.give(*work))
            if are_begun and not outstanding and not self._unsettled:
                relay.end()
        return is_open

    def _work_through(
        self, items: Iterable[T], work: Callable[[T], PackedResult | None]
    ) -> Iterator[Worked[T, PackedResult | None]]:
        return work_through(
            items, work, workers=self._desk.config.concurrency.workers, cancellation=self._ports.cancellation
        )

    def _do(self, item: Account | _Work | None) -> PackedResult | None:
        if isinstance(item, _Work):
            return self._apply(item)
        return None if item is None else self._plan(item)

    def _plan(self, account: Account) -> PackedResult:
        return pack_result(skip(account, self._desk) or inspect_account(account, self._desk))

    def _put_plan(self, account: Account, worked: Worked[Any, PackedResult | None]) -> None:
        result = worked.result or pack_result(self._uninspected(account, worked.error))
        self._results.put(result)
        self._ports.observer.found(INSPECTING, self._results.listed)
        self._ports.observer.done(INSPECTING, changes=result.planned, failed=result.status is Status.FAILED)

    def _take_up(self, account_id: str) -> _Work:
        work = self._unsettled[account_id] = _Work(account_id)
        return work

    def _apply(self, work: _Work) -> PackedResult:
        return pack_result(apply_account(self._results[work.account_id], self._desk, work.settled))

    def _settle(self, work: _Work, worked: Worked[Any, PackedResult | None]) -> None:
        result = worked.result or pack_result(self._unapplied(work, worked.error))
        self._results.put(result)
        del self._unsettled[work.account_id]
        self._ports.observer.done(APPLYING, changes=result.written, failed=result.status is Status.FAILED)

    def _leave_unfinished(self) -> None:
        """Mark the accounts whose changes were cut short, or never begun, as not reached."""
        for work in self._unsettled.values():
            self._results.put(self._unapplied(work, None))

    def _uninspected(self, account: Account, error: BaseException | None) -> AccountResult:
        """Return the result of an account whose inspection never returned one."""
        if error is not None:
            _log_defect(error, account)
            return AccountResult(account, Status.FAILED, problem=explain_defect(error, Stage.INSPECT, account))
        return leave_out(account, self._ports.cancellation.reason or "interrupted")

    def _unapplied(self, work: _Work, error: BaseException | None) -> AccountResult:
        """Return the result of an account whose changes never came to an end."""
        plan = self._results[work.account_id]
        if error is None:
            return unfinished(plan, work.settled, self._ports.cancellation.reason or "interrupted")
        _log_defect(error, plan.account)
        return failed(plan, work.settled, explain_defect(error, Stage.APPLY, plan.account))


class _Relay:
    """All accounts, then None when each has been begun, then the work that is given meanwhile, to its end."""

    def __init__(self, accounts: Iterable[Account], cancellation: Cancellation) -> None:
        self._accounts = accounts
        self._cancellation = cancellation
        self._later: SimpleQueue[_Work | None] = SimpleQueue()
        self._given = 0
        self.listed = 0
        """How many accounts have been drawn."""

    def give(self, *work: _Work) -> int:
        """Add work, and return how much has been given by now."""
        for item in work:
            self._later.put(item)
        self._given += len(work)
        return self._given

    def end(self) -> None:
        """Say that no more work comes."""
        self._later.put(None)

    def __iter__(self) -> Iterator[Account | _Work | None]:
        for account in self._accounts:
            self.listed += 1
            yield account
        yield None  # items are begun in the order in which they are drawn
        while not self._cancellation.reason:
            try:
                item = self._later.get(timeout=_TICK_SECONDS)
            except Empty:
                continue
            if item is None:
                return
            yield item


def skip(account: Account, desk: Desk) -> AccountResult | None:
    """Return the result of an account that is not to be entered, or None for any other."""
    problem = skip_account(account, desk.organization, desk.config.organization)
    return None if problem is None else AccountResult(account, Status.SKIPPED, problem=problem)


def hold_all(results: Results, reason: Reason) -> None:
    """Hold every plan for the reason."""
    for account_id in results.with_changes:
        results.put(hold(results[account_id], reason))


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
