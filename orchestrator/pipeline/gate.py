"""The gate between the plans and the writing: limits, the stop switch, the question to a person, and the lease."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from orchestrator.domain.errors import ArchiveError, RunUnderWay, StartError
from orchestrator.domain.model import Gate, Mode, Trigger
from orchestrator.domain.planning import close_gate
from orchestrator.pipeline.context import RunContext
from orchestrator.reports.report import RunReport

WAIT = "Run again when the other run is over."
PATIENCE_SECONDS = 60.0  # how long a run that somebody waits for, or that comes again, waits for the lease
PUBLISHING_SECONDS = 30.0  # how long before its deadline a scheduled run stops waiting: time to report its plan

log = structlog.get_logger(__name__)


def find_gate(planned: int, context: RunContext, *, has_changes: bool, is_whole: bool = True) -> Gate | None:
    """Return why a run must write nothing at all, or None where it may go on; a release always may.

    `is_whole`: all accounts are listed and planned, so that the number may be told as a limit to allow. A plan through
    a role that others made, or of an SCP, has no gate: no apply can follow it.
    """
    request = context.request
    if request.mode is Mode.RELEASE or request.preflight or not has_changes or context.config.member_role.is_borrowed:
        return None
    limits, trigger = context.config.limits, request.trigger
    found = close_gate(planned, limits, stop_reason=context.stop_reason(), trigger=trigger, is_whole=is_whole)
    if found is not None:
        log.warning("run_held", code=found.code, message=found.message, planned=planned)
    return found


def approve(plan: RunReport, context: RunContext) -> Gate | None:
    """Return why a plan may not be carried out: asks a person, if any, and records a release, or raises StartError."""
    if context.confirm is not None and not context.confirm(plan):
        message, remedy = "nobody agreed to the plan", "Run again, and agree."
        return Gate(code="declined", planned=plan.totals.planned, limit=None, message=message, remedy=remedy)
    if context.request.mode is Mode.RELEASE:
        try:
            context.archive.remember_release(plan, context.now() + context.request.release_for)
            context.archive.forget_releases(context.now())
        except ArchiveError as error:
            message = f"{error}. Nobody was released: the next run would have undone it unknowingly."
            raise StartError(message) from error
    return None


@contextmanager
def writing(planned: int, context: RunContext, *, keep: bool = False) -> Iterator[Gate | None]:
    """Context manager: holds the lease, for a later step too with `keep`; yields why nothing may be written after all.

    The stop switch is read again then. Raises RunUnderWay where another run has it and events come again.
    """
    try:
        if why := context.permit.acquire(_patience(context)):
            if context.request.trigger in {Trigger.ONBOARDING, Trigger.IAM_EVENT}:
                raise RunUnderWay(f"{why}: the events of this batch come again")
            yield Gate(code="under_way", planned=planned, limit=None, message=why, remedy=WAIT)
        else:
            yield find_gate(planned, context, has_changes=True)
    finally:
        context.permit.close(keep=keep)


def _patience(context: RunContext) -> float:
    """Return for how many seconds a run waits for the lease; a release waits for another one."""
    left = context.cancellation.seconds_left
    if context.request.mode is Mode.RELEASE:
        return left
    is_daily = context.request.trigger in {Trigger.SCHEDULE, Trigger.MAP}
    return left - PUBLISHING_SECONDS if is_daily else min(left, PATIENCE_SECONDS)
