"""The end of a run: archive, findings, digest, event. Each failure becomes one of the errors of the run."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from operator import itemgetter

import structlog

from orchestrator.domain.errors import ArchiveError, AwsError, DigestError
from orchestrator.domain.model import AccountResult, Gate, Mode, Problem, Stage, Trigger
from orchestrator.domain.remedies import explain_event_error, explain_findings, explain_findings_error
from orchestrator.output.security_hub import render_findings
from orchestrator.output.words import archive_link
from orchestrator.pipeline.context import Finished, RunContext
from orchestrator.pipeline.nudging import Messages, find_due, tell_users
from orchestrator.pipeline.results import Results
from orchestrator.reports.build import amend_report, build_report, report_account
from orchestrator.reports.history import compare, with_history
from orchestrator.reports.report import AccountReport, ReleaseReport, RunReport
from orchestrator.reports.run_finished import RUN_FINISHED, describe_run

log = structlog.get_logger(__name__)


def close_run(
    results: Results, context: RunContext, *, errors: list[Problem], is_complete: bool, gate: Gate | None
) -> Finished:
    """Return the finished run, published unless it is a preflight; failures are added to `errors`."""
    if context.request.preflight:
        report = report_run(results, context, errors, is_complete=is_complete, gate=gate)
        return Finished(report, None, api_calls=context.counter.calls, api_throttles=context.counter.throttles)
    report = report_and_tell(results, context, errors, is_complete=is_complete, gate=gate)
    address, page = archive_report(report, context, errors=errors)
    import_findings(report, context, errors=errors)
    notify_channels(amend_report(report, errors, context.now()), context, errors=errors)
    return finish_run(report, context, (address, page), errors=errors)


def finish_run(
    report: RunReport, context: RunContext, addresses: tuple[str | None, str | None], *, errors: list[Problem]
) -> Finished:
    """Return the finished run, once its event is put on the bus, if any; `addresses` are those of report and page."""
    address, page = addresses
    report = amend_report(report, errors, context.now())
    if (bus := context.event_bus) is not None:
        link = archive_link(context.config.archive.link, report)
        event = describe_run(report, address=address, page=page, link=link)
        try:
            bus.put(RUN_FINISHED, event.model_dump_json())
        except AwsError as error:
            log.error("event_failed", code=error.code, message=str(error))  # noqa: TRY400 - a known failure, no traceback
            errors.append(explain_event_error(error, bus.name))
    report = amend_report(report, errors, context.now())
    log.info("run_finished", complete=report.complete, **report.totals.model_dump())
    counter = context.counter
    return Finished(report, address, api_calls=counter.calls, api_throttles=counter.throttles)


def report_and_tell(
    results: Results, context: RunContext, errors: list[Problem], *, is_complete: bool, gate: Gate | None
) -> RunReport:
    """Return the report of a run, once its users are told what they are due to be told, if the archive can be written.

    It is archived before: a date that a user is told must be known to the next run, whatever becomes of this one.
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
    request, history, place_of = context.request, context.history, context.find_places()
    unused_after = timedelta() if request.mode is Mode.RELEASE else context.config.enforcement.unused_after
    unused_before = request.started_at - unused_after if unused_after else None

    def report_one(result: AccountResult) -> AccountReport:
        place = place_of(result.account.id)
        account = report_account(result, place, unused_before=unused_before, messages=messages or {})
        return with_history(account, history, request, users=(decision.user for decision in result.decisions))

    accounts, now = map(report_one, results), context.now()
    report = build_report(
        request, context.organization.id, accounts, errors=errors, is_complete=is_complete, finished_at=now, gate=gate
    )
    releases = tuple(
        ReleaseReport(account_id=account_id, **asdict(release))
        for (account_id, _), release in sorted(context.rules.released_until.items(), key=itemgetter(0))
        if account_id in results and request.mode is not Mode.RELEASE and not request.preflight
    )
    ledger, base = history.events, history.base
    return report.model_copy(
        update={
            "changes": compare(report, history, expects_onboarding=context.expects_onboarding),
            "events": ledger.summary(base.started_at) if ledger and base and not request.is_narrowed else None,
            "releases": releases,
        }
    )


def archive_report(report: RunReport, context: RunContext, *, errors: list[Problem]) -> tuple[str | None, str | None]:
    """Archive the report, and its page where nobody sees the run; return their addresses. Adds failures to `errors`."""
    address, page = None, None
    try:
        address = context.archive.save(report)
        context.archive.save_lines(report)
        if report.trigger not in {Trigger.CLI, Trigger.IAM_EVENT}:
            page = context.archive.save_page(report, _render_page(report, context))
        context.archive.prune(report.finished_at, event_runs=report.trigger is Trigger.IAM_EVENT)
    except ArchiveError as error:
        log.error("archive_failed", message=str(error))  # noqa: TRY400 - a known failure, no traceback
        left = "is in the output of this run alone" if address is None else "was archived, not all that goes with it"
        remedy = f"Make archive.location writable; this report {left}."
        errors.append(Problem(Stage.ARCHIVE, "archive_failed", str(error), remedy))
    return address, page


def _render_page(report: RunReport, context: RunContext) -> Iterable[str]:
    """Return the HTML page of a run, with the trend of earlier runs. Raises ArchiveError."""
    from orchestrator.output.html import MAX_RUNS, render_page  # noqa: PLC0415 - draws a chart: not at cold start

    trend = context.archive.trend(report.organization_id, most=MAX_RUNS)
    return render_page(report, trend=trend, blocks_access_keys=context.config.policy.blocks_access_keys)


def import_findings(report: RunReport, context: RunContext, *, errors: list[Problem]) -> None:
    """Import the findings of a plan or apply run into Security Hub; a failure is added to `errors`."""
    hub = context.securityhub
    if hub is None or report.mode is Mode.RELEASE:
        return
    findings = render_findings(report, context.history, hub.product)
    try:
        imported = hub.import_findings(findings, context.cancellation)
        for refused in imported.refused:
            log.error("finding_refused", finding_id=refused.id, code=refused.code, message=refused.message)
        log.info("findings_imported", sent=imported.sent, refused=len(imported.refused))
        problem = explain_findings(imported, len(findings), hub.product)
    except AwsError as error:
        problem = explain_findings_error(error, hub.product)
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
