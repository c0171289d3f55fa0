"""What all Lambda entry points share: warm clients, the deadline, handling an event once, result or failure, metrics.

Clients are made at the first invocation, nothing at import. Metrics (docs/metrics.md) go to standard output in the
embedded metric format, with one dimension: one by account or user would make each value a metric to pay for.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config_file import load_config
from orchestrator.domain.errors import OrgmfaError
from orchestrator.domain.model import Mode, Stage
from orchestrator.lambdas.event_mark import EventMark
from orchestrator.lambdas.events import ScheduledEvent
from orchestrator.logs import configure_logs
from orchestrator.pipeline.context import Finished
from orchestrator.wiring import Hub, make_hub

PACKAGED_CONFIG = Path(__file__).parents[2] / "config.yaml"
RESERVE_SECONDS = 60.0
"""How long before the function times out nothing more is started: time to finish what is under way, and to report."""
NAMESPACE = "orgmfa"
SERVICE = "orgmfa"
RUN_FAILING_STAGES = frozenset({Stage.SELECT, Stage.ARCHIVE, Stage.FINDINGS, Stage.DIGEST, Stage.EVENT})

log = structlog.get_logger(__name__)


class RunFailed(OrgmfaError):
    """The run as a whole failed: its organization, its archive or its digest. Failed accounts alone do not raise it."""


class LambdaContext(Protocol):
    """The parts of the Lambda context that are used."""

    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the time left before the function times out, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation: configuration and clients, the cancellation at its deadline, and the function's account."""

    hub: Hub
    cancellation: Cancellation
    own_account_id: str


_warm: dict[str, Hub] = {}


def start_invocation(context: LambdaContext) -> Invocation:
    """Return an invocation with its logs configured. Raises ConfigError or StartError where nothing can start."""
    structlog.contextvars.clear_contextvars()
    configure_logs(as_json=True)
    if "hub" not in _warm:
        config = load_config(None, os.environ, fallback=PACKAGED_CONFIG, tolerates_switch=True)
        _warm["hub"] = make_hub(config.require_own_roles(), os.environ)
    return Invocation(
        hub=_warm["hub"],
        cancellation=Cancellation.after(context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS),
        own_account_id=context.invoked_function_arn.split(":")[4],
    )


def handle_once(
    invocation: Invocation, event: ScheduledEvent, work: Callable[[], dict[str, Any]], *, run_id: str
) -> dict[str, Any]:
    """Return the result of the work, which is the run of this ID, or that its event is a repeated one.

    An event whose run could not start may be delivered again. Raises StartError where another delivery is at work for
    longer than this one has time to wait, ArchiveError where the mark of the event cannot be read or written.
    """
    mark = EventMark(store=invocation.hub.store, archive=invocation.hub.archive, event=event, run_id=run_id)
    if not mark.claim(invocation.cancellation):
        log.warning("event_repeated", key=event.key)
        return {"repeated": True, "event": event.key}
    with mark.kept_alive():
        return work()


def finish_invocation(finished: Finished, *, is_scheduled: bool = False) -> dict[str, Any]:
    """Write the metrics of a run, and return its totals and address. Raises RunFailed where it failed as a whole."""
    report = finished.report
    failures = [f"{error.stage}: {error.message}" for error in report.errors if error.stage in RUN_FAILING_STAGES]
    if not (failures or report.complete):
        failures = ["the accounts could not be listed to the end"]
    emit_metrics(finished, is_failed=bool(failures), is_scheduled=is_scheduled)
    if failures:
        raise RunFailed(f"run {report.run_id} failed: {'; '.join(failures)}")
    return {
        "run_id": report.run_id,
        "mode": report.mode.value,
        "complete": report.complete,
        "totals": report.totals.model_dump(),
        "report": finished.address,
    }


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
