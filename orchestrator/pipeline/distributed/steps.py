"""The steps of a run before its end: select accounts, plan a batch, let the plans through the gate, apply a batch."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Literal

from orchestrator.domain.errors import StartError
from orchestrator.domain.model import Account, AccountResult, Mode, Problem, Stage
from orchestrator.pipeline.context import RUN_AGAIN, RunContext
from orchestrator.pipeline.distributed.state import BatchOutput, Entry, GateDecision, RunManifest, RunState, Usage
from orchestrator.pipeline.earlier_runs import read_earlier_runs, with_history
from orchestrator.pipeline.executor import AccountExecutor, leave_out
from orchestrator.pipeline.gate import gate
from orchestrator.pipeline.listing import list_accounts
from orchestrator.pipeline.results import Results
from orchestrator.reports.history import History
from orchestrator.reports.stored_run import StoredRun


def list_batches(
    context: RunContext, room: RunState, *, batch_size: int, max_changes: int | Literal["none"] | None
) -> RunManifest:
    """List the accounts of the organization into batches.

    Raises StartError where nothing could start.
    """
    listing = list_accounts(context)
    context = read_earlier_runs(context)
    room.put_history(context.history)
    accounts, problems = iter(listing), listing.problems
    sizes: list[int] = []
    while batch := list(islice(accounts, batch_size)):
        room.put_batch(len(sizes), (_enter(account, context.history) for account in batch))
        sizes.append(len(batch))
        if reason := context.cancellation.reason:
            message = "the run ended while accounts were still being listed"
            problems.append(Problem(Stage.SELECT, reason, message, RUN_AGAIN[reason]))
            break
    outline = RunManifest(context.request, tuple(sizes), listing.is_complete, tuple(problems), max_changes)
    room.put_outline(outline)
    room.put_items("batches.json", range(len(sizes)))
    return outline


def plan_batch(number: int, context: RunContext, *, room: RunState) -> None:
    """Plan the accounts of one batch and keep the plans."""
    entries = room.batch(number)
    context = with_history(context, _history_of(entries, context))
    results = Results({entry.account.id: index for index, entry in enumerate(entries)})
    AccountExecutor(context, results).plan_all(entry.account for entry in entries)
    for entry in entries:  # after cancellation accounts are no longer drawn
        if entry.account.id not in results:
            results.put(leave_out(entry.account, context.cancellation.reason or "interrupted"))
    room.put_output("plans", number, BatchOutput(_effort(context), results))


def gate_plans(outline: RunManifest, context: RunContext, room: RunState) -> list[int]:
    """Return the batches to apply, once all plans are counted; none where the run must write nothing.

    Plans that did not come back are not applied, so they count for nothing.
    """
    planned, changed = 0, []
    for number in sorted(room.kept("plans")):
        results = _results(room.part("plans", number).results)
        planned += results.planned
        if results.with_changes:
            changed.append(number)
    hold = gate(planned, context, has_changes=bool(changed))
    room.put_verdict(GateDecision(hold))
    numbers = changed if hold is None and outline.request.mode is Mode.APPLY else []
    room.put_items("apply.json", numbers)
    return numbers


def apply_batch(number: int, context: RunContext, *, room: RunState) -> None:
    """Apply the plans of one batch and keep what became of them. Raises StartError where the gate has not let it go."""
    verdict = room.verdict()
    if verdict is None or verdict.hold is not None or context.request.mode is not Mode.APPLY:
        raise StartError(f"batch {number} may not be applied: the gate has not let this run go")
    results = _results(room.part("plans", number).results)
    changed = results.with_changes
    AccountExecutor(context, results).apply_all()
    room.put_output("applied", number, BatchOutput(_effort(context), (results[account_id] for account_id in changed)))


def _enter(account: Account, history: History) -> Entry:
    before = history.base.accounts.get(account.id) if history.base else None
    return Entry(account, before, dict(history.open_since.get(account.id, {})))


def _history_of(entries: Sequence[Entry], context: RunContext) -> History:
    """Return what earlier runs knew of the accounts of a batch, as far as planning asks for it."""
    accounts = {entry.before.id: entry.before for entry in entries if entry.before}
    base = StoredRun("", context.request.started_at, accounts)
    return History(base=base, open_since={entry.account.id: entry.open_since for entry in entries})


def _effort(context: RunContext) -> Usage:
    return Usage(context.counter.calls, context.counter.throttles, context.cancellation.reason)


def _results(parts: Iterable[AccountResult]) -> Results:
    order: dict[str, int] = {}
    results = Results(order)
    for result in parts:
        order[result.account.id] = len(order)
        results.put(result)
    return results
