"""The Lambda entry point: an event in, one run, its totals out; it fails where the run must be seen to fail.

Clients are made at the first invocation and stay warm; nothing is read or made at import.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import structlog

from orchestrator.config import load_config, stack_set_name
from orchestrator.errors import ConfigError, NothingToDo, OrgmfaError, StartError
from orchestrator.events import Onboarding, OnDemand, event_key, parse_event
from orchestrator.logs import configure_logs
from orchestrator.metrics import emit_metrics
from orchestrator.model import Mode, RunRequest, Stage, Trigger
from orchestrator.onboarding import News, read_news
from orchestrator.pool import Halt
from orchestrator.ports import Finished
from orchestrator.reporting import RunReport
from orchestrator.wiring import Hub, describe_organization, make_hub, make_run_id, run_once

PACKAGED_CONFIG = Path(__file__).parent.parent / "config.yaml"
RESERVE_SECONDS = 60.0
"""How long before the function's time is up nothing more is started: to finish what is under way, and report."""

QUEUE_RETENTION = timedelta(days=14)
"""The longest that SQS keeps a message, and so the longest after which it can be delivered once more."""
RUN_FAILING_STAGES = frozenset({Stage.SELECT, Stage.ARCHIVE, Stage.FINDINGS, Stage.DIGEST})

log = structlog.get_logger(__name__)


class RunFailed(OrgmfaError):
    """The run as a whole failed: its organization, its archive or its digest. Failed accounts alone do not raise it."""


class LambdaContext(Protocol):
    """What the run needs of the Lambda context."""

    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may still last, in milliseconds."""
        ...


class _Quiet:
    """Observes a run that nobody watches."""

    def phase(self, name: str, total: int | None) -> None: ...
    def found(self, count: int) -> None: ...
    def done(self, *, changes: int, failed: bool) -> None: ...


_warm: dict[str, Hub] = {}


def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Carry out the run that an event asks for, and return its totals and where its report is archived.

    Raises ConfigError for an event that is not known, StartError where nothing could start, RunFailed where the
    listing, the archive, the import of findings or the digest failed.
    """
    structlog.contextvars.clear_contextvars()
    configure_logs(as_json=True)
    hub = _hub()
    own_account_id = context.invoked_function_arn.split(":")[4]
    halt = Halt.after(context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS)
    asked = parse_event(event, own_account_id=own_account_id)
    if isinstance(asked, Onboarding):
        return _onboard(asked, hub, halt, own_account_id=own_account_id)
    key = event_key(asked)
    if key is not None and not hub.archive.claim_event(key):
        log.warning("event_repeated", key=key)
        return {"repeated": True, "event": key}
    if isinstance(asked, OnDemand):
        return _run(_limited(hub, asked), Trigger.ON_DEMAND, halt, targets=asked.accounts, mode=asked.mode)
    try:
        return _run(hub, Trigger.SCHEDULE, halt)
    except (ConfigError, StartError):
        if key is not None:
            hub.archive.forget_event(key)
        raise


def _run(
    hub: Hub, trigger: Trigger, halt: Halt, *, targets: tuple[str, ...] = (), mode: Mode | None = None
) -> dict[str, Any]:
    """Carry out one run and return its totals. Raises RunFailed where the run as a whole failed."""
    now = hub.now()
    request = RunRequest(
        run_id=make_run_id(now),
        mode=mode or hub.config.enforcement.mode,
        trigger=trigger,
        started_at=now,
        targets=targets,
    )
    structlog.contextvars.bind_contextvars(run_id=request.run_id)
    finished = run_once(hub, request, halt=halt, observer=_Quiet(), confirm=lambda _: True, sends_digest=True)
    failure = _failure(finished.report)
    emit_metrics(finished, is_failed=failure is not None)
    if failure is not None:
        raise RunFailed(failure)
    return _result(finished)


def _onboard(asked: Onboarding, hub: Hub, halt: Halt, *, own_account_id: str) -> dict[str, Any]:
    """Carry out one run over the accounts that a batch of messages tells are new.

    An event is noted as handled after its run: a run that fails has the queue deliver its events again.
    """
    news = read_news(
        (message.body for message in asked.records),
        trusted_account_ids=frozenset({own_account_id, describe_organization(hub).management_account_id}),
        stack_set_name=stack_set_name(os.environ),
    )
    for refusal in news.refused:
        log.error("event_refused", message=refusal)
    handled = hub.archive.handled_events(hub.now() - QUEUE_RETENTION)
    fresh = {key: account_id for key, account_id in news.account_id_by_event_id.items() if key not in handled}
    if not fresh:
        return _nothing_new(news)
    try:
        result = _run(hub, Trigger.ONBOARDING, halt, targets=tuple(sorted(set(fresh.values()))))
    except NothingToDo:
        log.warning("accounts_unknown", account_ids=sorted(set(fresh.values())))
        result = _nothing_new(news)
    hub.archive.note_handled(make_run_id(hub.now()), fresh)
    return result


def _nothing_new(news: News) -> dict[str, Any]:
    return {"accounts": 0, "passed_over": news.passed_over, "refused": len(news.refused)}


def _hub() -> Hub:
    if "hub" not in _warm:
        _warm["hub"] = make_hub(load_config(None, os.environ, fallback=PACKAGED_CONFIG), os.environ)
    return _warm["hub"]


def _limited(hub: Hub, asked: OnDemand) -> Hub:
    if asked.max_changes is None:
        return hub
    return hub.with_max_changes(None if asked.max_changes == "none" else asked.max_changes)


def _failure(report: RunReport) -> str | None:
    """Return how the run as a whole failed, or None where it did not."""
    failures = [f"{error.stage}: {error.message}" for error in report.errors if error.stage in RUN_FAILING_STAGES]
    if not failures and report.complete:
        return None
    told = "; ".join(failures) or "the accounts could not be listed to the end"
    return f"run {report.run_id} failed: {told}"


def _result(finished: Finished) -> dict[str, Any]:
    report = finished.report
    return {
        "run_id": report.run_id,
        "mode": report.mode.value,
        "complete": report.complete,
        "totals": report.totals.model_dump(),
        "report": finished.address,
    }
