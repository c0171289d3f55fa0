"""What every Lambda entry point needs: what stays warm between invocations, their deadline, and what they end in."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import structlog

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config_file import load_config
from orchestrator.domain.errors import OrgmfaError
from orchestrator.domain.model import RunRequest, Stage
from orchestrator.lambdas.metrics import emit_metrics
from orchestrator.logs import configure_logs
from orchestrator.pipeline.context import Finished, RunContext
from orchestrator.pipeline.ports import Unobserved
from orchestrator.reports.report import RunReport
from orchestrator.wiring import Hub, build_context, make_hub

PACKAGED_CONFIG = Path(__file__).parents[2] / "config.yaml"
RESERVE_SECONDS = 60.0
"""How long before the function's time is up nothing more is started: to finish what is under way, and report."""
RUN_FAILING_STAGES = frozenset({Stage.SELECT, Stage.ARCHIVE, Stage.FINDINGS, Stage.DIGEST})


class RunFailed(OrgmfaError):
    """The run as a whole failed: its organization, its archive or its digest. Failed accounts alone do not raise it."""


class LambdaContext(Protocol):
    """What the run needs of the Lambda context."""

    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may still last, in milliseconds."""
        ...


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation: the hub, when to start nothing more, and the account of the function."""

    hub: Hub
    cancellation: Cancellation
    own_account_id: str

    def build_context(self, request: RunRequest, hub: Hub, *, send_digest: bool) -> RunContext:
        """Return the context of one step of a run. Raises StartError or ConfigError where it could not start."""
        return build_context(
            hub,
            request,
            cancellation=self.cancellation,
            observer=Unobserved(),
            confirm=None,
            send_digest=send_digest,
        )


_warm: dict[str, Hub] = {}


def start_invocation(context: LambdaContext) -> Invocation:
    """Return an invocation with its logs configured. Raises ConfigError or StartError where nothing can start."""
    structlog.contextvars.clear_contextvars()
    configure_logs(as_json=True)
    if "hub" not in _warm:
        _warm["hub"] = make_hub(
            load_config(None, os.environ, fallback=PACKAGED_CONFIG, tolerates_switch=True), os.environ
        )
    return Invocation(
        hub=_warm["hub"],
        cancellation=Cancellation.after(context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS),
        own_account_id=context.invoked_function_arn.split(":")[4],
    )


def with_max_changes(hub: Hub, max_changes: int | Literal["none"] | None) -> Hub:
    """Return a hub with the limits on changes that an event asks for, or as it is where it asks for none."""
    if max_changes is None:
        return hub
    return hub.with_max_changes(None if max_changes == "none" else max_changes)


def finish_invocation(finished: Finished) -> dict[str, Any]:
    """Write the metrics of a run, and return its totals and where it is archived.

    Raises RunFailed where the listing, the archive, the import of findings or the digest failed.
    """
    report = finished.report
    failure = _failure(report)
    emit_metrics(finished, is_failed=failure is not None)
    if failure is not None:
        raise RunFailed(failure)
    return {
        "run_id": report.run_id,
        "mode": report.mode.value,
        "complete": report.complete,
        "totals": report.totals.model_dump(),
        "report": finished.address,
    }


def _failure(report: RunReport) -> str | None:
    """Return how the run as a whole failed, or None where it did not."""
    failures = [f"{error.stage}: {error.message}" for error in report.errors if error.stage in RUN_FAILING_STAGES]
    if not failures and report.complete:
        return None
    told = "; ".join(failures) or "the accounts could not be listed to the end"
    return f"run {report.run_id} failed: {told}"
