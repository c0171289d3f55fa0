"""How a run ends: the report is archived, then the digest goes out. A failure of either joins the errors of the run."""

import structlog

from orchestrator.desk import Desk
from orchestrator.digest import render_digest
from orchestrator.errors import ArchiveError, DigestError
from orchestrator.model import Problem, Stage, Trigger
from orchestrator.notes import exemption_notes
from orchestrator.ports import Ports
from orchestrator.reporting import RunReport

log = structlog.get_logger(__name__)


def archive_report(report: RunReport, desk: Desk, ports: Ports, *, errors: list[Problem]) -> str | None:
    """Return where the report was archived; a failure joins the errors of the run."""
    try:
        address = ports.archive.save(report)
        if report.trigger is not Trigger.CLI:
            _save_page(report, desk, ports)
        ports.archive.prune(report.finished_at)
    except ArchiveError as error:
        log.error("archive_failed", message=str(error))  # noqa: TRY400 - a known failure, no traceback
        remedy = "Make archive.location writable; this report is in the output of this run alone."
        errors.append(Problem(Stage.ARCHIVE, "archive_failed", str(error), remedy))
        return None
    return address


def _save_page(report: RunReport, desk: Desk, ports: Ports) -> None:
    """Put the page of a run beside its report, with the trend of the runs before it."""
    from orchestrator.page import MAX_RUNS, render_page, trend_point  # noqa: PLC0415 - draws a chart: not at cold start

    earlier = ports.archive.trend(report.organization_id, most=MAX_RUNS)
    trend = [trend_point(run) for run in earlier if run.run_id != report.run_id]
    keys_stop = desk.config.policy.access_keys == "deny"
    ports.archive.save_page(report, render_page(report, trend=trend, keys_stop=keys_stop))


def send_digest(report: RunReport, desk: Desk, ports: Ports, *, errors: list[Problem]) -> None:
    """Send the digest of a run; a failure joins the errors of the run."""
    if ports.notifier is None:
        return
    config = desk.config
    digest = render_digest(
        report,
        config.slack,
        link=archive_link(config.archive.link, report),
        notes=exemption_notes(config.exemptions, report, report.finished_at, names=config.slack.users == "names"),
        keys_stop=config.policy.access_keys == "deny",
    )
    wants_findings = config.slack.when == "findings" or report.trigger is Trigger.ONBOARDING
    if wants_findings and not digest.has_findings:
        return
    try:
        ports.notifier.send(digest.text, digest.blocks)
    except DigestError as error:
        log.error("digest_failed", message=str(error))  # noqa: TRY400 - a known failure, no traceback
        remedy = "The report is archived; mend the Slack settings, then run again."
        errors.append(Problem(Stage.DIGEST, "digest_failed", str(error), remedy))


def archive_link(template: str | None, report: RunReport) -> str | None:
    """Return the link to a run that `archive.link` makes, or None without one."""
    if template is None:
        return None
    return template.replace("{run_id}", report.run_id).replace("{date}", f"{report.started_at:%Y-%m-%d}")
