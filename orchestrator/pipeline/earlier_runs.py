"""History of earlier runs for a run: read from the archive before the first account is inspected."""

from dataclasses import replace

import structlog

from orchestrator.domain.errors import ArchiveError, StartError
from orchestrator.domain.model import Mode, Problem, Stage
from orchestrator.pipeline.context import RunContext
from orchestrator.reports.history import HISTORY_UNREADABLE, History
from orchestrator.reports.report import NO_WHOLE_RUN

log = structlog.get_logger(__name__)

_NO_WHOLE_RUN = Problem(
    Stage.INSPECT,
    NO_WHOLE_RUN,
    "no run in the archive is over the whole organization: enforcement.notice begins now for whom none of them saw",
    "Run once over all accounts: `orgmfa plan` will do.",
)
"""Of no stage that fails an invocation: nothing is enforced too early."""


def read_earlier_runs(context: RunContext) -> RunContext:
    """Return the context with the history of the organization; releases are not compared with earlier runs.

    An archive that cannot be read is a problem of the run. Raises StartError where `enforcement.notice` is set: without
    the archive it is not known when users were first seen, and they would be enforced too early.
    """
    if context.request.mode is Mode.RELEASE:
        return context
    notice = context.config.enforcement.notice
    try:
        history = context.archive.build_history(context.request.mode, context.organization.id)
    except ArchiveError as error:
        if notice:
            message = (
                f"{error}. With enforcement.notice the archive tells when users were first seen: nothing was done."
            )
            raise StartError(message) from error
        log.error("history_unreadable", message=str(error))  # noqa: TRY400 - a known failure, no traceback
        remedy = "Make archive.location readable; nothing in this report is compared with earlier runs."
        history = History(problem=Problem(Stage.ARCHIVE, HISTORY_UNREADABLE, str(error), remedy))
    if notice and not history.is_whole:
        history = replace(history, problem=_NO_WHOLE_RUN)
        log.warning(NO_WHOLE_RUN, message=_NO_WHOLE_RUN.message)
    return with_history(context, history.without_ended(context.request.started_at - notice))


def with_history(context: RunContext, history: History) -> RunContext:
    """Return the context with this history, for its rules too."""
    return replace(context, history=history, rules=replace(context.rules, sights=history.sights))


def history_problems(context: RunContext) -> list[Problem]:
    """Return the problem of a history that could not be read, or has no whole run, if any."""
    return [context.history.problem] if context.history.problem else []
