"""The merge step, the last of a run: combines batch results into one report, archives it, imports findings, notifies.

A batch that was lost is reported, never dropped. Where one was lost while it was applied, its accounts are inspected
again to find out what had been written.
"""

from dataclasses import replace

import structlog

from orchestrator.domain.errors import ArchiveError
from orchestrator.domain.model import AccountResult, Mode, Outcome, Status
from orchestrator.pipeline.apply import Progress, as_not_reached
from orchestrator.pipeline.context import Finished, RunContext
from orchestrator.pipeline.distributed.state import HISTORY, RunManifest, RunState, Usage
from orchestrator.pipeline.earlier_runs import history_problems, with_history
from orchestrator.pipeline.executor import AccountExecutor, explain_unreached, leave_out, skip
from orchestrator.pipeline.places import PlaceLookup
from orchestrator.pipeline.publishing import close_run
from orchestrator.pipeline.results import Results

LOST = "lost"
PLACES_TIMEOUT_SECONDS = 240.0
"""How long the report of a run in steps waits for OUs and owners: its organization is large, and all else is done."""

_LOST_BATCH = Usage(calls=0, throttles=0, ended=LOST)

log = structlog.get_logger(__name__)


def merge(manifest: RunManifest, context: RunContext, state: RunState) -> Finished:
    """Return the finished run. Raises ArchiveError where the output of the steps cannot be read."""
    order: dict[str, int] = {}
    places = PlaceLookup(
        context.directory,
        manifest.request,
        context.cancellation,
        account_ids=order,
        timeout_seconds=PLACES_TIMEOUT_SECONDS,
    )
    context = replace(with_history(context, state.read(HISTORY)), find_places=places.finish)
    if manifest.request.mode is Mode.APPLY:
        context.permit.close()  # the steps that wrote are over
    results = Results(order)
    usages = _gather_plans(manifest, context, state, results=results, order=order)
    decision = state.gate_decision()
    gate = decision.gate if decision is not None else None
    if gate is None and manifest.request.mode is Mode.APPLY and results.with_changes:
        usages += _gather_applied(state, context, results, was_let_go=decision is not None)
    reasons = [usage.ended for usage in usages if usage.ended]
    reason = LOST if LOST in reasons else next(iter(reasons), None)
    errors = [*manifest.problems, *history_problems(context), *explain_unreached(results, reason)]
    finished = close_run(results, context, errors=errors, is_complete=manifest.is_complete, gate=gate)
    if finished.address is not None:
        _clear(state)
    return replace(
        finished,
        api_calls=finished.api_calls + sum(usage.calls for usage in usages),
        api_throttles=finished.api_throttles + sum(usage.throttles for usage in usages),
    )


def _gather_plans(
    manifest: RunManifest, context: RunContext, state: RunState, *, results: Results, order: dict[str, int]
) -> list[Usage]:
    """Put the plan of every account into the results; accounts of lost batches are not reached."""
    usages: dict[int, Usage] = {}
    for number, output in state.read_outputs("plans"):
        usages[number] = output.usage
        for result in output.results:
            results.put(result)
    for number in range(len(manifest.sizes)):
        accounts = [entry.account for entry in state.read_batch(number)]
        order.update({account.id: len(order) + index for index, account in enumerate(accounts)})
        if number not in usages:
            log.error("batch_lost", batch=number, accounts=len(accounts))
            usages[number] = _LOST_BATCH
            for account in accounts:
                results.put(skip(account, context) or leave_out(account, LOST))
    return list(usages.values())


def _gather_applied(state: RunState, context: RunContext, results: Results, *, was_let_go: bool) -> list[Usage]:
    """Put the results of applying into the results, also of the accounts whose batch was lost meanwhile."""
    lost = dict.fromkeys(results.with_changes)
    usages = []
    for _, output in state.read_outputs("applied"):
        usages.append(output.usage)
        for result in output.results:
            results.put(result)
            lost.pop(result.account.id, None)
    if lost:
        log.error("applied_batches_lost", accounts=len(lost))
        usages.append(_LOST_BATCH)
        _inspect_lost(list(lost), context, results=results, was_let_go=was_let_go)
    return usages


def _inspect_lost(account_ids: list[str], context: RunContext, *, results: Results, was_let_go: bool) -> None:
    """Put the results of accounts into the results whose batch was lost while it was applied.

    Nothing was applied if the gate never decided; else the accounts are inspected again, as planning does.
    """
    seen = Results({account_id: index for index, account_id in enumerate(account_ids)})
    if was_let_go:
        AccountExecutor(context, seen).plan_all([results[account_id].account for account_id in account_ids])
    now = {result.account.id: result for result in seen}
    for account_id in account_ids:
        plan = results[account_id]
        progress = _written(plan, now[account_id]) if account_id in now else Progress()
        results.put(as_not_reached(plan, progress, LOST))


def _written(plan: AccountResult, now: AccountResult) -> Progress:
    """Return the planned changes of an account that are in effect now."""
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


def _clear(state: RunState) -> None:
    """Delete the state of the run; what cannot be deleted is pruned with the oldest runs."""
    try:
        state.clear()
    except ArchiveError as error:
        log.warning("workroom_not_cleared", message=str(error))
