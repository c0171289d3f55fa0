"""One run from beginning to end; the one place where the story is told.

select -> inspect -> assess -> plan -> gate -> apply -> report. Accounts are inspected while the next page of them is
being listed. Everything is planned before anything is written: the gate counts the plans, a stop switch or a person may
refuse, and only then is the same plan, account by account, carried out. Whatever happens to an account, it is in the
report once; the report is archived, findings are imported, then the digest goes out. Failures become data: those of AWS
in `inspection`, `apply` and `publishing`, unexpected ones in `executor`.

`distributed` tells the same story in steps, for organizations that one Lambda function cannot finish in its time.
"""

from dataclasses import replace

import structlog

from orchestrator.domain.errors import ArchiveError, StartError
from orchestrator.domain.model import Mode, Problem, Reason, RunRequest, Stage
from orchestrator.domain.planning import hold_at_gate
from orchestrator.pipeline.context import Desk
from orchestrator.pipeline.earlier_runs import history_problems, recall_earlier_runs
from orchestrator.pipeline.executor import Sweep, explain_unreached, hold_all
from orchestrator.pipeline.listing import list_accounts
from orchestrator.pipeline.ou_paths import OuSurvey
from orchestrator.pipeline.ports import Finished, Ports
from orchestrator.pipeline.publishing import close_run, report_run
from orchestrator.pipeline.results import Results
from orchestrator.reports.report import RunReport

log = structlog.get_logger(__name__)


def run(desk: Desk, ports: Ports) -> Finished:
    """Carry out one run and return its report.

    Raises StartError or ConfigError where nothing could start; after that every failure is in the report.
    """
    request = desk.request
    log.info("run_started", mode=request.mode.value, trigger=request.trigger.value)
    listing = list_accounts(desk, ports)
    desk = replace(desk, find_ous=OuSurvey(ports.directory, request, ports.cancellation).finish)
    desk = recall_earlier_runs(desk, ports.archive)
    results = Results(listing.order)
    sweep = Sweep(desk, ports, results)
    sweep.plan_all(listing)
    if reason := gate(results.planned, desk, has_changes=bool(results.with_changes)):
        hold_all(results, reason)
    errors = [*listing.problems, *history_problems(desk), *_unmatched_users(request, results)]

    if request.mode is not Mode.PLAN and results.with_changes:
        if not ports.cancellation.reason and (ports.confirm is not None or request.mode is Mode.RELEASE):
            plan = report_run(results, desk, errors, is_complete=listing.is_complete)
            if ports.confirm is not None and not ports.confirm(plan):
                return Finished(plan, None, was_declined=True)
            if request.mode is Mode.RELEASE:
                _remember_release(plan, desk, ports)
        sweep.apply_all()  # after cancellation nothing is applied, and each account says so
    errors += explain_unreached(results, ports.cancellation.reason)
    return close_run(results, desk, ports, errors=errors, is_complete=listing.is_complete)


def gate(planned: int, desk: Desk, *, has_changes: bool) -> Reason | None:
    """Return why a run must write nothing at all, or None where it may go on; a release passes."""
    if desk.request.mode is Mode.RELEASE or not has_changes:
        return None
    reason = hold_at_gate(planned, desk.config.limits, stop_reason=desk.stop_reason())
    if reason is not None:
        log.warning("run_held", code=reason.code, message=reason.message, planned=planned)
    return reason


def _unmatched_users(request: RunRequest, results: Results) -> list[Problem]:
    """Return a problem for each user whose release was asked for and who is in none of the accounts."""
    if request.user_names is None:
        return []
    missing = request.user_names - {decision.user.name for result in results for decision in result.decisions}
    return [
        Problem(
            Stage.SELECT,
            "user_not_found",
            f"no account of this run has a user {name!r}",
            "Check the name; upper and lower case count.",
        )
        for name in sorted(missing)
    ]


def _remember_release(plan: RunReport, desk: Desk, ports: Ports) -> None:
    """Note in the archive, before anybody is released, whom later runs must leave alone."""
    try:
        ports.archive.remember_release(plan, desk.now() + desk.request.release_for)
    except ArchiveError as error:
        message = f"{error}. Nobody was released: the next run would have undone it unknowingly."
        raise StartError(message) from error
