"""CloudWatch metrics of a run, by the embedded metric format: a line on standard output that CloudWatch Logs reads.

Namespace `orgmfa`, one dimension `service` = `orgmfa`: a dimension by account or user would make each value a metric to
pay for. docs/metrics.md lists the names; stackset/central.yaml draws them and sets alarms on them.
"""

from orchestrator.domain.model import Mode
from orchestrator.pipeline.context import Finished

NAMESPACE = "orgmfa"
SERVICE = "orgmfa"


def emit_metrics(finished: Finished, *, is_failed: bool, is_scheduled: bool) -> None:
    """Write the metrics of one run to standard output."""
    from aws_lambda_powertools import Metrics  # noqa: PLC0415 - only a Lambda run writes metrics
    from aws_lambda_powertools.metrics import MetricUnit  # noqa: PLC0415 - the same

    metrics = Metrics(namespace=NAMESPACE, service=SERVICE)
    for name, value in count_metrics(finished, is_failed=is_failed, is_scheduled=is_scheduled).items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    report = finished.report
    duration = (report.finished_at - report.started_at).total_seconds()
    metrics.add_metric(name="DurationSeconds", unit=MetricUnit.Seconds, value=duration)
    metrics.flush_metrics()


def count_metrics(finished: Finished, *, is_failed: bool, is_scheduled: bool) -> dict[str, float]:
    """Return the counts that are written, by the names of the metrics; one is written by the schedule's runs alone."""
    totals = finished.report.totals
    return {
        "RunsFinished": 1,
        **({"ScheduledRunsFinished": 1} if is_scheduled else {}),
        "RunsFailed": int(is_failed),
        "RunsHeld": int(finished.report.gate is not None and finished.report.mode is not Mode.PLAN),
        "AccountsInspected": totals.inspected,
        "AccountsFailed": totals.failed,
        "AccountsNotReached": totals.not_reached,
        "AccountsSkipped": totals.skipped,
        "Users": totals.users,
        "UsersWithoutMfa": totals.non_compliant,
        "UsersUnknown": totals.unknown,
        "UsersPlanned": totals.planned,
        "UsersEnforced": totals.enforced,
        "UsersAlreadyEnforced": totals.already_enforced,
        "UsersHeld": totals.held,
        "UsersFailed": totals.failed_users,
        "UsersOverQuota": totals.quota_exceeded,
        "UsersExempt": totals.exempt,
        "UsersInGrace": totals.in_grace,
        "UsersOutOfScope": totals.out_of_scope,
        "ApiCalls": finished.api_calls,
        "ApiThrottles": finished.api_throttles,
    }
