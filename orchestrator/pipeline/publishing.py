"""The end of a run: archives the report, imports the findings, notifies the channels.

A failure of any becomes one of the errors of the run.
"""

from collections.abc import Iterable
from operator import itemgetter

import structlog

from orchestrator.domain.errors import ArchiveError, AwsError, DigestError
from orchestrator.domain.model import Gate, Mode, Problem, Stage, Trigger
from orchestrator.domain.remedies import explain_findings, explain_findings_error
from orchestrator.output.security_hub import render_findings
from orchestrator.pipeline.context import Finished, RunContext
from orchestrator.pipeline.nudging import Messages, find_due, tell_users
from orchestrator.pipeline.results import Results
from orchestrator.reports.build import amend_report, build_report, report_account
from orchestrator.reports.changes import compare, with_history
from orchestrator.reports.report import EventSummary, ReleaseReport, RunReport

log = structlog.get_logger(__name__)


def close_run(
    results: Results, context: RunContext, *, errors: list[Problem], is_complete: bool, gate: Gate | None
) -> Finished:
    """Return the finished run: archived, findings imported, channels notified. Failures are added to `errors`."""
    report = report_and_tell(results, context, errors, is_complete=is_complete, gate=gate)
    address = archive_report(report, context, errors=errors)
    import_findings(report, context, errors=errors)
    notify_channels(amend_report(report, errors, context.now()), context, errors=errors)
    report = amend_report(report, errors, context.now())
    log.info("run_finished", complete=report.complete, **report.totals.model_dump())
    counter = context.counter
    return Finished(report, address, api_calls=counter.calls, api_throttles=counter.throttles)


def report_and_tell(
    results: Results, context: RunContext, errors: list[Problem], *, is_complete: bool, gate: Gate | None
) -> RunReport:
    """Return the report of a run, once its users are told what they are due to be told.

    It is archived before: a date that a user is told must be known to the next run, whatever becomes of this one.
    Without the archive nobody is told, which is added to `errors`.
    """
    report = report_run(results, context, errors, is_complete=is_complete, gate=gate)
    try:
        due = find_due(results, context)
        if due and context.request.mode is Mode.APPLY:
            context.archive.save(report)
    except ArchiveError as error:
        log.error("users_not_told", message=str(error))  # noqa: TRY400 - a known failure, no traceback
        remedy = "Let the caller read and write nudges/ in the archive; the next run tells who is in grace still."
        errors.append(Problem(Stage.ARCHIVE, "users_not_told", str(error), remedy))
        return amend_report(report, errors, context.now())
    if not due:
        return report
    return report_run(results, context, errors, is_complete=is_complete, gate=gate, messages=tell_users(due, context))


def report_run(
    results: Results,
    context: RunContext,
    errors: Iterable[Problem],
    *,
    is_complete: bool,
    gate: Gate | None,
    messages: Messages | None = None,
) -> RunReport:
    """Return the report of a run so far, compared with earlier runs; `messages` are those to its users."""
    request, history, ou_path = context.request, context.history, context.find_ous()
    report = build_report(
        request,
        context.organization.id,
        (
            with_history(
                report_account(result, ou_path(result.account.id), messages or {}),
                history,
                request,
                users=(decision.user for decision in result.decisions),
            )
            for result in results
        ),
        errors=errors,
        is_complete=is_complete,
        finished_at=context.now(),
        gate=gate,
    )
    releases = tuple(
        ReleaseReport(
            account_id=account_id,
            user_name=release.user_name,
            user_id=release.user_id,
            since=release.since,
            until=release.until,
        )
        for (account_id, _), release in sorted(context.rules.released_until.items(), key=itemgetter(0))
        if account_id in results and request.mode is not Mode.RELEASE
    )
    return report.model_copy(
        update={
            "changes": compare(report, history, expects_onboarding=context.expects_onboarding),
            "events": _summarize_events(context),
            "releases": releases,
        }
    )


def _summarize_events(context: RunContext) -> EventSummary | None:
    """Return what runs of IAM events did since the base, in a whole run of the schedule."""
    history = context.history
    if history.events is None or history.base is None or context.request.is_narrowed:
        return None
    return history.events.summary(history.base.started_at)


def archive_report(report: RunReport, context: RunContext, *, errors: list[Problem]) -> str | None:
    """Archive the report and return its address, or None; a failure is added to `errors`."""
    try:
        address = context.archive.save(report)
        if report.trigger not in {Trigger.CLI, Trigger.IAM_EVENT}:
            context.archive.save_page(report, _render_page(report, context))
        context.archive.prune(report.finished_at, event_runs=report.trigger is Trigger.IAM_EVENT)
    except ArchiveError as error:
        log.error("archive_failed", message=str(error))  # noqa: TRY400 - a known failure, no traceback
        remedy = "Make archive.location writable; this report is in the output of this run alone."
        errors.append(Problem(Stage.ARCHIVE, "archive_failed", str(error), remedy))
        return None
    return address


def _render_page(report: RunReport, context: RunContext) -> Iterable[str]:
    """Return the HTML page of a run, with the trend of earlier runs. Raises ArchiveError."""
    from orchestrator.output.html import MAX_RUNS, render_page, trend_point  # noqa: PLC0415 - draws a chart: not at cold start

    earlier = context.archive.trend(report.organization_id, most=MAX_RUNS)
    trend = [trend_point(run) for run in earlier if run.run_id != report.run_id]
    return render_page(report, trend=trend, blocks_access_keys=context.config.policy.blocks_access_keys)


def import_findings(report: RunReport, context: RunContext, *, errors: list[Problem]) -> None:
    """Import the findings of a plan or apply run into Security Hub; a failure is added to `errors`."""
    hub = context.securityhub
    if hub is None or report.mode is Mode.RELEASE:
        return
    findings = render_findings(report, context.history, hub.product)
    problem: Problem | None
    try:
        imported = hub.import_findings(findings, context.cancellation)
    except AwsError as error:
        problem = explain_findings_error(error, hub.product)
    else:
        for refused in imported.refused:
            log.error("finding_refused", finding_id=refused.id, code=refused.code, message=refused.message)
        log.info("findings_imported", sent=imported.sent, refused=len(imported.refused))
        problem = explain_findings(imported, len(findings), hub.product)
    if problem is not None:
        log.error("findings_failed", code=problem.code, message=problem.message)
        errors.append(problem)


def notify_channels(report: RunReport, context: RunContext, *, errors: list[Problem]) -> None:
    """Post a run in each channel; a failure is added to `errors`."""
    for notifier in context.notifiers:
        try:
            notifier.notify(report, render_page=lambda: _render_page(report, context))
        except DigestError as error:
            log.error(error.code, message=str(error))  # noqa: TRY400 - a known failure, no traceback
            errors.append(Problem(Stage.DIGEST, error.code, str(error), error.remedy))
