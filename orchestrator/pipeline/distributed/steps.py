"""The steps of a run before the last: list accounts, plan a batch, let the plans through the gate, apply a batch."""

from collections.abc import Sequence
from itertools import islice
from typing import Literal

from orchestrator.domain.errors import StartError
from orchestrator.domain.model import Mode, Stage
from orchestrator.pipeline.context import RunContext, cut_short
from orchestrator.pipeline.distributed.state import (
    APPLY_ITEMS,
    GATE_DECISION,
    HISTORY,
    MANIFEST,
    PLAN_ITEMS,
    BatchOutput,
    Entry,
    GateDecision,
    RunManifest,
    RunState,
    Usage,
)
from orchestrator.pipeline.earlier_runs import read_earlier_runs, with_history
from orchestrator.pipeline.executor import AccountExecutor, leave_out
from orchestrator.pipeline.gate import find_gate, writing
from orchestrator.pipeline.listing import list_accounts
from orchestrator.pipeline.results import Results
from orchestrator.reports.history import History
from orchestrator.reports.stored_run import StoredRun


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
    AccountExecutor(context, results).plan_all(entry.account for entry in entries)
    for entry in entries:  # a cancelled run leaves accounts undrawn
        if entry.account.id not in results:
            results.put(leave_out(entry.account, context.cancellation.reason))
    state.write_output("plans", number, BatchOutput(_usage(context), results))


def gate_plans(manifest: RunManifest, context: RunContext, state: RunState) -> list[int]:
    """Return the batches to apply, once all plans are counted; none where the run must write nothing.

    The lease on writing is the run's from here on: the batches join it.

    Plans of batches that were lost are not applied, so they are not counted.
    """
    planned, changed, seen, is_whole = 0, list[int](), 0, manifest.is_complete
    for number, plans in state.read_outputs("plans"):
        results = Results.of(plans.results)
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
    results = Results.of(state.read_output("plans", number).results)
    changed = results.with_changes
    with writing(results.planned, context, keep=True) as gate:
        if gate is not None and gate.code == "under_way":
            context.cancellation.end("lease_lost")
        AccountExecutor(context, results).apply_all()
    state.write_output("applied", number, BatchOutput(_usage(context), (results[one] for one in changed)))


def _with_history_of(entries: Sequence[Entry], context: RunContext, state: RunState) -> RunContext:
    """Return the context with what earlier runs knew of the accounts of a batch, as far as planning and applying ask.

    Both need it: without it the look before a write would take each user for first seen now, and in grace.
    """
    before = {entry.before.id: entry.before for entry in entries if entry.before}
    sights = {entry.account.id: entry.sights for entry in entries}
    base = StoredRun("", context.request.started_at, before)
    return with_history(context, History(base=base, sights=sights, releases=state.read(MANIFEST).releases))


def _usage(context: RunContext) -> Usage:
    return Usage(context.counter.calls, context.counter.throttles, context.cancellation.reason)
