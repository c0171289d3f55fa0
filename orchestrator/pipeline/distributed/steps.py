"""The steps of a run: list accounts, plan a batch, let the plans through the gate, apply a batch, merge.

A batch that was lost is reported, never dropped: accounts of one lost while it was applied are inspected again.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Literal

import structlog

from orchestrator.domain.errors import ArchiveError, StartError
from orchestrator.domain.model import AccountResult, Mode, Outcome, Reason, Stage, Status
from orchestrator.domain.planning import OVER_LIMIT, hold
from orchestrator.pipeline.apply import Progress, as_not_reached
from orchestrator.pipeline.context import Finished, RunContext, cut_short
from orchestrator.pipeline.distributed.state import (
    APPLY_ITEMS,
    GATE_DECISION,
    HISTORY,
    MANIFEST,
    PLAN_ITEMS,
    Entry,
    GateDecision,
    RunManifest,
    RunState,
    Usage,
)
from orchestrator.pipeline.earlier_runs import history_problems, read_earlier_runs, with_history
from orchestrator.pipeline.executor import apply_all, explain_unreached, leave_out, plan_all, skip
from orchestrator.pipeline.gate import find_gate, writing
from orchestrator.pipeline.listing import PlaceLookup, list_accounts
from orchestrator.pipeline.publishing import close_run
from orchestrator.pipeline.results import Results
from orchestrator.reports.history import History, StoredRun

LOST = "lost"
PLACES_TIMEOUT_SECONDS = 240.0  # how long the last step waits for OUs and owners: the organization is large

_LOST_BATCH = Usage(calls=0, throttles=0, ended=LOST)

log = structlog.get_logger(__name__)


def list_batches(
    context: RunContext, state: RunState, *, batch_size: int, max_changes: int | Literal["none"] | None
) -> None:
    """List the accounts of the organization into batches. Raises StartError where nothing could start."""
    listing = list_accounts(context)
    history = read_earlier_runs(context).history
    past = history.base.accounts if history.base else {}
    state.write(HISTORY, history)
    accounts, problems = iter(listing), listing.problems
    sizes: list[int] = []
    while batch := list(islice(accounts, batch_size)):
        entries = (Entry(one, past.get(one.id), dict(history.sights.get(one.id, {}))) for one in batch)
        state.write_batch(len(sizes), entries)
        sizes.append(len(batch))
        if reason := context.cancellation.reason:
            problems.append(cut_short(Stage.SELECT, reason, "the run ended while accounts were still being listed"))
            break
    state.write(
        MANIFEST,
        RunManifest(context.request, tuple(sizes), listing.is_complete, tuple(problems), history.releases, max_changes),
    )
    state.write_items(PLAN_ITEMS, range(len(sizes)))


def plan_batch(number: int, context: RunContext, state: RunState) -> None:
    """Plan the accounts of one batch and keep the plans."""
    entries = state.read_batch(number)
    context = _with_history_of(entries, context, state)
    results = Results({entry.account.id: index for index, entry in enumerate(entries)})
    plan_all((entry.account for entry in entries), results, context)
    for entry in entries:  # a cancelled run leaves accounts undrawn
        if entry.account.id not in results:
            results.put(leave_out(entry.account, context.cancellation.reason))
    state.write_output("plans", number, results, usage=_usage(context))


def gate_plans(manifest: RunManifest, context: RunContext, state: RunState) -> list[int]:
    """Return the batches to apply, once all plans are counted; none where the run must write nothing.

    The lease is the run's from here on: the batches join it. Plans of lost batches are not applied, so not counted.
    """
    planned, changed, seen, is_whole = 0, list[int](), 0, manifest.is_complete
    for number, _, plans in state.read_outputs("plans"):
        results = Results.of(plans)
        seen, is_whole = seen + 1, is_whole and not results.not_reached
        planned += results.planned
        if results.with_changes:
            changed.append(number)
    is_whole = is_whole and seen == len(manifest.sizes)
    gate = find_gate(planned, context, has_changes=bool(changed), is_whole=is_whole)
    numbers = changed if gate is None and manifest.request.mode is Mode.APPLY else []
    if numbers:
        with writing(planned, context, keep=True) as gate:
            numbers = [] if gate else numbers
    state.write(GATE_DECISION, GateDecision(gate))
    state.write_items(APPLY_ITEMS, numbers)
    return numbers


def apply_batch(number: int, context: RunContext, state: RunState) -> None:
    """Apply the plans of one batch and keep the results. Raises StartError where the gate has not let the run go on."""
    decision = state.gate_decision()
    if decision is None or decision.gate is not None or context.request.mode is not Mode.APPLY:
        raise StartError(f"batch {number} may not be applied: the gate has not let this run go")
    context = _with_history_of(state.read_batch(number), context, state)
    _, plans = state.read_output("plans", number)
    results = Results.of(plans)
    changed = results.with_changes
    with writing(results.planned, context, keep=True) as gate:
        if gate is not None and gate.code == OVER_LIMIT:  # lowered since the gate, or the plan is another one now
            for one in changed:
                results.put(hold(results[one], Reason(OVER_LIMIT, gate.message)))
        else:
            if gate is not None and gate.code == "under_way":
                context.cancellation.end("lease_lost")
            apply_all(results, context)
    state.write_output("applied", number, (results[one] for one in changed), usage=_usage(context))


def merge(manifest: RunManifest, context: RunContext, state: RunState) -> Finished:
    """Return the finished run. Raises ArchiveError where the output of the steps cannot be read."""
    order: dict[str, int] = {}
    places = PlaceLookup(context, order, timeout_seconds=PLACES_TIMEOUT_SECONDS)
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
        try:
            state.clear()
        except ArchiveError as error:  # what is left is pruned with the oldest runs
            log.warning("workroom_not_cleared", message=str(error))
    return replace(
        finished,
        api_calls=finished.api_calls + sum(usage.calls for usage in usages),
        api_throttles=finished.api_throttles + sum(usage.throttles for usage in usages),
    )


def _with_history_of(entries: Sequence[Entry], context: RunContext, state: RunState) -> RunContext:
    """Return the context with the history of a batch: without it a look would take each user for first seen now."""
    before = {entry.before.id: entry.before for entry in entries if entry.before}
    sights = {entry.account.id: entry.sights for entry in entries}
    base = StoredRun("", context.request.started_at, before)
    return with_history(context, History(base=base, sights=sights, releases=state.read(MANIFEST).releases))


def _usage(context: RunContext) -> Usage:
    return Usage(context.counter.calls, context.counter.throttles, context.cancellation.reason)


def _gather_plans(
    manifest: RunManifest, context: RunContext, state: RunState, *, results: Results, order: dict[str, int]
) -> list[Usage]:
    """Put the plan of every account into the results; accounts of lost batches are not reached."""
    usages: dict[int, Usage] = {}
    for number, usage, plans in state.read_outputs("plans"):
        usages[number] = usage
        for plan in plans:
            results.put(plan)
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
    for _, usage, applied in state.read_outputs("applied"):
        usages.append(usage)
        for result in applied:
            results.put(result)
            lost.pop(result.account.id, None)
    if lost:
        log.error("applied_batches_lost", accounts=len(lost))
        usages.append(_LOST_BATCH)
        _inspect_lost(list(lost), context, results=results, was_let_go=was_let_go)
    return usages


def _inspect_lost(account_ids: list[str], context: RunContext, *, results: Results, was_let_go: bool) -> None:
    """Put the results of lost accounts: inspected again, unless the gate never decided, and so nothing was applied."""
    seen = Results({account_id: index for index, account_id in enumerate(account_ids)})
    if was_let_go:
        plan_all((results[account_id].account for account_id in account_ids), seen, context)
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
        for decision in plan.planned
        if decision.user.name in via_by_name
    ]
    is_known = now.status is Status.INSPECTED
    return Progress(enforced, [one for one in plan.policy_changes if is_known and one not in now.policy_changes])
