"""One run from beginning to end, in one process; `distributed` does the same in steps.

select -> inspect -> assess -> plan -> gate -> apply -> report. Accounts are inspected while the next page of them is
being listed. Everything is planned before anything is written: the gate counts the plans, a stop switch or a person may
refuse, and only then the same plans are carried out, by a run that holds the lease on writing. Every account that was
listed is in the report once; the report is archived, findings are imported, then the digest goes out. Failures become
data: errors of AWS in `inspection`, `apply` and `publishing`, unexpected exceptions in `executor`.
"""

from dataclasses import replace

import structlog

from orchestrator.domain.model import Gate, Mode, Problem, RunRequest, Stage, Status, Trigger
from orchestrator.output.words import count
from orchestrator.pipeline.context import Finished, RunContext
from orchestrator.pipeline.earlier_runs import history_problems, read_earlier_runs
from orchestrator.pipeline.event_run import close_event_run, limit_events, reserve
from orchestrator.pipeline.executor import apply_all, explain_unreached, plan_all
from orchestrator.pipeline.gate import approve, find_gate, writing
from orchestrator.pipeline.listing import PlaceLookup, list_accounts
from orchestrator.pipeline.nudging import preview_messages
from orchestrator.pipeline.publishing import close_run, report_run
from orchestrator.pipeline.results import Results

log = structlog.get_logger(__name__)


def run(context: RunContext) -> Finished:
    """Carry out one run. Raises StartError or ConfigError where nothing can start; later failures are in the report."""
    request, cancellation = context.request, context.cancellation
    log.info("run_started", mode=request.mode.value, trigger=request.trigger.value)
    listing = list_accounts(context)
    context = replace(context, find_places=PlaceLookup(context, listing.order).finish)
    context = read_earlier_runs(context)
    results = Results(listing.order)
    plan_all(listing, results, context)
    is_whole = listing.is_complete and not results.not_reached
    is_event = request.trigger is Trigger.IAM_EVENT
    gate = (limit_events(results, context) if is_event else None) or find_gate(
        results.planned, context, has_changes=bool(results.with_changes), is_whole=is_whole
    )
    errors = [*listing.problems, *history_problems(context), *_unmatched_users(request, results, is_whole=is_whole)]

    if request.mode is not Mode.PLAN and results.with_changes and gate is None:
        if not cancellation.reason and (context.confirm is not None or request.mode is Mode.RELEASE):
            would = preview_messages(results, context)
            plan = report_run(results, context, errors, is_complete=listing.is_complete, gate=None, messages=would)
            if declined := approve(plan, context):
                return Finished(plan.model_copy(update={"gate": declined}), None, was_declined=True)
        gate = _apply(results, context)
    is_listed = listing.is_complete or bool(listing.problems)
    errors += explain_unreached(results, cancellation.reason, is_listed=is_listed)
    close = close_event_run if is_event else close_run
    return close(results, context, errors=errors, is_complete=listing.is_complete, gate=gate)


def _apply(results: Results, context: RunContext) -> Gate | None:
    """Carry out the plans under the lease, and return why none may be, if so; a cancelled run says so by account."""
    if context.cancellation.reason:
        apply_all(results, context)
        return None
    with writing(results.planned, context) as gate:
        if gate is None:
            if context.request.trigger is Trigger.IAM_EVENT:
                reserve(results, context)
            apply_all(results, context)
    return gate


def _unmatched_users(request: RunRequest, results: Results, *, is_whole: bool) -> list[Problem]:
    """Return a problem for each user who is to be released and in none of the accounts, once none is left."""
    if request.user_names is None or not is_whole:
        return []
    missing = request.user_names - {decision.user.name for result in results for decision in result.decisions}
    unread = sum(result.status is Status.FAILED for result in results)
    remedy = "Check the name; upper and lower case count."
    if unread:
        remedy = f"{count(unread, 'account')} could not be read: mend what failed there, then run again. {remedy}"
    where = "no account of this run that could be read" if unread else "no account of this run"
    return [Problem(Stage.SELECT, "user_not_found", f"{where} has a user {name!r}", remedy) for name in sorted(missing)]
