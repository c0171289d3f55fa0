"""The gate between the plans and the writing: limits, the stop switch, and the question to a person."""

import structlog

from orchestrator.domain.errors import ArchiveError, StartError
from orchestrator.domain.model import Mode, Reason
from orchestrator.domain.planning import hold, hold_at_gate
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.results import Results
from orchestrator.reports.report import RunReport

log = structlog.get_logger(__name__)


def gate(planned: int, context: RunContext, *, has_changes: bool) -> Reason | None:
    """Return why a run must write nothing at all, or None where it may go on; a release always may."""
    if context.request.mode is Mode.RELEASE or not has_changes:
        return None
    reason = hold_at_gate(
        planned, context.config.limits, stop_reason=context.stop_reason(), trigger=context.request.trigger
    )
    if reason is not None:
        log.warning("run_held", code=reason.code, message=reason.message, planned=planned)
    return reason


def hold_all(results: Results, reason: Reason) -> None:
    """Hold every plan for the reason."""
    for account_id in results.with_changes:
        results.put(hold(results[account_id], reason))


def approve(plan: RunReport, context: RunContext) -> bool:
    """Return whether a plan may be carried out: asks the person, if any, and records a release in the archive.

    Raises StartError where the release cannot be recorded: the next run would undo it unknowingly.
    """
    if context.confirm is not None and not context.confirm(plan):
        return False
    if context.request.mode is Mode.RELEASE:
        try:
            context.archive.remember_release(plan, context.now() + context.request.release_for)
        except ArchiveError as error:
            message = f"{error}. Nobody was released: the next run would have undone it unknowingly."
            raise StartError(message) from error
    return True
