"""History of earlier runs for a run: read from the archive before the first account is inspected."""

from dataclasses import replace

import structlog

from orchestrator.domain.errors import ArchiveError, StartError
from orchestrator.domain.model import Mode, Problem, Stage
from orchestrator.domain.records import Release
from orchestrator.output.words import count, some_of
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
    """Return the context with the history of the organization; releases and preflights are compared with none.

    An archive that cannot be read is a problem of the run. Raises StartError where `enforcement.notice` is set: without
    the archive it is not known when users were first seen, and they would be enforced too early.
    """
    if context.request.mode is Mode.RELEASE or context.request.preflight:
        return context
    notice = context.config.enforcement.notice
    try:
        history = context.archive.build_history(context.request.mode, context.organization.id)
        history = replace(history, releases=context.archive.lost_releases(history.releases, context.now()))
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
    """Return the context with this history, for its rules too; a release whose note is gone holds all the same."""
    lost = {one.key: Release(one.since, one.until, one.user_name, one.user_id) for one in history.releases}
    released = {**context.rules.released_until, **lost}
    return replace(
        context, history=history, rules=replace(context.rules, sights=history.sights, released_until=released)
    )


def history_problems(context: RunContext) -> list[Problem]:
    """Return the problems of a history that could not be read, has no whole run, or lacks notes of releases."""
    history = context.history
    problems = [history.problem] if history.problem else []
    if history.releases:
        accounts = sorted({one.account_id for one in history.releases})
        message = (  # names nobody: a digest may have to keep to counts
            "the archive has lost the notes of releases that are not over; their users are left alone until then: "
            f"{count(len(history.releases), 'user')} in {count(len(accounts), 'account')} ({some_of(accounts, 5)})"
        )
        remedy = (
            "Restore releases/ of the archive (the bucket keeps deleted versions), and find out who deleted them. The "
            "report names the users, in `releases`."
        )
        problems.append(Problem(Stage.ARCHIVE, "release_lost", message, remedy))
    return problems
