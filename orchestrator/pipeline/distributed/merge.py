"""The last step of a run: everything that the others left becomes one report, archived, imported and told of once.

A batch that did not come back is reported, never dropped. Where one was lost while it was applied, a look at its
accounts tells what had been written by then.
"""

from dataclasses import dataclass, field, replace

import structlog

from orchestrator.domain.errors import ArchiveError
from orchestrator.domain.model import AccountResult, Mode, Outcome, Status
from orchestrator.pipeline.apply import Progress, as_not_reached
from orchestrator.pipeline.context import Finished, RunContext
from orchestrator.pipeline.distributed.state import RunManifest, RunState, Usage
from orchestrator.pipeline.earlier_runs import history_problems, with_history
from orchestrator.pipeline.executor import AccountExecutor, explain_unreached, leave_out, skip
from orchestrator.pipeline.gate import hold_all
from orchestrator.pipeline.ou_paths import OuPathLookup
from orchestrator.pipeline.publishing import close_run
from orchestrator.pipeline.results import Results

LOST = "lost"
OU_TIMEOUT_SECONDS = 240.0
"""How long the report of a run in steps waits for the OUs: its organization is large, and all else is done."""

log = structlog.get_logger(__name__)


@dataclass
class _Efforts:
    """What the batches took, added up."""

    calls: int = 0
    throttles: int = 0
    ended: set[str] = field(default_factory=set)

    @property
    def reason(self) -> str | None:
        """Why the run ended early, if it did: that something was lost is told before all else."""
        return LOST if LOST in self.ended else next(iter(self.ended), None)

    def add(self, effort: Usage) -> None:
        self.calls += effort.calls
        self.throttles += effort.throttles
        self.ended |= {effort.ended} if effort.ended else set()


def merge(outline: RunManifest, context: RunContext, *, room: RunState) -> Finished:
    """Return the finished run. Raises ArchiveError where what the steps left cannot be read."""
    ous = OuPathLookup(context.directory, outline.request, context.cancellation, timeout_seconds=OU_TIMEOUT_SECONDS)
    context = replace(with_history(context, room.history()), find_ous=ous.finish)
    order: dict[str, int] = {}
    results, efforts = Results(order), _Efforts()
    _gather_plans(room, context, len(outline.sizes), results=results, efforts=efforts, order=order)
    verdict = room.verdict()
    if verdict is not None and verdict.hold is not None:
        hold_all(results, verdict.hold)
    elif outline.request.mode is Mode.APPLY and results.with_changes:
        unsettled = _gather_applied(room, results, efforts)
        _settle(unsettled, context, results=results, was_let_go=verdict is not None)
    errors = [
        *outline.problems,
        *history_problems(context),
        *explain_unreached(results, efforts.reason),
    ]
    finished = close_run(results, context, errors=errors, is_complete=outline.is_complete)
    if finished.address is not None:
        _clear(room)
    return replace(
        finished,
        api_calls=efforts.calls + finished.api_calls,
        api_throttles=efforts.throttles + finished.api_throttles,
    )


def _gather_plans(
    room: RunState, context: RunContext, batches: int, *, results: Results, efforts: _Efforts, order: dict[str, int]
) -> None:
    """Put the plan of every account into the results; those of a batch that did not come back are not reached."""
    kept = room.kept("plans")
    for number in range(batches):
        accounts = [entry.account for entry in room.batch(number)]
        order.update({account.id: len(order) + index for index, account in enumerate(accounts)})
        if number in kept:
            part = room.part("plans", number)
            efforts.add(part.effort)
            found = part.results
        else:
            log.error("batch_lost", batch=number, accounts=len(accounts))
            efforts.ended.add(LOST)
            found = [skip(account, context) or leave_out(account, LOST) for account in accounts]
        for result in found:
            results.put(result)


def _gather_applied(room: RunState, results: Results, efforts: _Efforts) -> list[str]:
    """Put what became of the plans into the results, and return the accounts of which nothing is known."""
    unsettled = dict.fromkeys(results.with_changes)
    for number in sorted(room.kept("applied")):
        part = room.part("applied", number)
        efforts.add(part.effort)
        for result in part.results:
            results.put(result)
            unsettled.pop(result.account.id, None)
    if unsettled:
        log.error("applied_batches_lost", accounts=len(unsettled))
        efforts.ended.add(LOST)
    return list(unsettled)


def _settle(account_ids: list[str], context: RunContext, *, results: Results, was_let_go: bool) -> None:
    """Put into the results how accounts stand whose batch did not come back from being applied.

    Without the word of the gate nothing was applied; else the accounts are inspected anew, as planning does.
    """
    seen = Results({account_id: index for index, account_id in enumerate(account_ids)})
    if was_let_go and account_ids:
        AccountExecutor(context, seen).plan_all([results[account_id].account for account_id in account_ids])
    now = {result.account.id: result for result in seen}
    for account_id in account_ids:
        plan = results[account_id]
        progress = _written(plan, now[account_id]) if account_id in now else Progress()
        results.put(as_not_reached(plan, progress, LOST))


def _written(plan: AccountResult, now: AccountResult) -> Progress:
    """Return what was planned for an account and stands now."""
    via_by_name = {
        decision.user.name: decision.via for decision in now.decisions if decision.outcome is Outcome.ALREADY_ENFORCED
    }
    enforced = [
        replace(decision, outcome=Outcome.ENFORCED, via=via_by_name[decision.user.name], changes=())
        for decision in plan.decisions
        if decision.outcome is Outcome.PLANNED and decision.user.name in via_by_name
    ]
    is_known = now.status is Status.INSPECTED
    return Progress(enforced, [one for one in plan.policy_changes if is_known and one not in now.policy_changes])


def _clear(room: RunState) -> None:
    """Clear the work room; what is left there goes with the oldest runs."""
    try:
        room.clear()
    except ArchiveError as error:
        log.warning("workroom_not_cleared", message=str(error))
