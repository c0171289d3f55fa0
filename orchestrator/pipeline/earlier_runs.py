"""What a run takes from the runs before it: read from the archive before the first account is inspected."""

from dataclasses import replace

import structlog

from orchestrator.domain.errors import ArchiveError, StartError
from orchestrator.domain.model import Mode, Problem, Stage
from orchestrator.pipeline.context import Desk
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.history import HISTORY_UNREADABLE, History

log = structlog.get_logger(__name__)


def recall_earlier_runs(desk: Desk, archive: RunArchive) -> Desk:
    """Return the desk with the history of the organization; a release has no use for one.

    An archive that cannot be read is a problem of the run. Raises StartError where `enforcement.notice` depends on it:
    a run that took the first sighting of a user from anywhere else would enforce too early.
    """
    if desk.request.mode is Mode.RELEASE:
        return desk
    try:
        history = archive.recall(desk.request.mode, desk.organization.id)
    except ArchiveError as error:
        if desk.rules.notice:
            message = (
                f"{error}. With enforcement.notice the archive tells when users were first seen: nothing was done."
            )
            raise StartError(message) from error
        log.error("history_unreadable", message=str(error))  # noqa: TRY400 - a known failure, no traceback
        remedy = "Make archive.location readable; nothing in this report is compared with earlier runs."
        history = History(problem=Problem(Stage.ARCHIVE, HISTORY_UNREADABLE, str(error), remedy))
    return with_history(desk, history)


def with_history(desk: Desk, history: History) -> Desk:
    """Return the desk of a run that knows this of earlier ones."""
    return replace(desk, history=history, rules=replace(desk.rules, open_since=history.open_since))


def history_problems(desk: Desk) -> list[Problem]:
    """Return why nothing is known of earlier runs, where that is so."""
    return [desk.history.problem] if desk.history.problem else []
