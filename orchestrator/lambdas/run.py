"""The Lambda entry point: an event in, one run, its totals out; it fails where the run must be seen to fail.

Clients are made at the first invocation and stay warm; nothing is read or made at import.
"""

import os
from datetime import timedelta
from typing import Any

import structlog

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.environment import stack_set_name
from orchestrator.domain.errors import ConfigError, NothingToDo, StartError
from orchestrator.domain.model import Mode, RunRequest, Trigger
from orchestrator.lambdas.events import Onboarding, OnDemand, event_key, parse_event
from orchestrator.lambdas.onboarding_events import News, read_news
from orchestrator.lambdas.runtime import LambdaContext, finish_invocation, start_invocation, with_max_changes
from orchestrator.pipeline.ports import Unobserved
from orchestrator.wiring import Hub, describe_organization, make_run_id, run_once

QUEUE_RETENTION = timedelta(days=14)
"""The longest that SQS keeps a message, and so the longest after which it can be delivered once more."""

log = structlog.get_logger(__name__)


def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Carry out the run that an event asks for, and return its totals and where its report is archived.

    Raises ConfigError for an event that is not known, StartError where nothing could start, RunFailed where the
    listing, the archive, the import of findings or the digest failed.
    """
    invocation = start_invocation(context)
    hub, cancellation = invocation.hub, invocation.cancellation
    asked = parse_event(event, own_account_id=invocation.own_account_id)
    if isinstance(asked, Onboarding):
        return _onboard(asked, hub, cancellation, own_account_id=invocation.own_account_id)
    key = event_key(asked)
    if key is not None and not hub.archive.claim_event(key):
        log.warning("event_repeated", key=key)
        return {"repeated": True, "event": key}
    if isinstance(asked, OnDemand):
        return _run(
            with_max_changes(hub, asked.max_changes),
            Trigger.ON_DEMAND,
            cancellation,
            targets=asked.accounts,
            mode=asked.mode,
        )
    try:
        return _run(hub, Trigger.SCHEDULE, cancellation)
    except (ConfigError, StartError):
        if key is not None:
            hub.archive.forget_event(key)
        raise


def _run(
    hub: Hub, trigger: Trigger, cancellation: Cancellation, *, targets: tuple[str, ...] = (), mode: Mode | None = None
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
    finished = run_once(hub, request, cancellation=cancellation, observer=Unobserved(), confirm=None, send_digest=True)
    return finish_invocation(finished)


def _onboard(asked: Onboarding, hub: Hub, cancellation: Cancellation, *, own_account_id: str) -> dict[str, Any]:
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
        result = _run(hub, Trigger.ONBOARDING, cancellation, targets=tuple(sorted(set(fresh.values()))))
    except NothingToDo:
        log.warning("accounts_unknown", account_ids=sorted(set(fresh.values())))
        result = _nothing_new(news)
    hub.archive.note_handled(make_run_id(hub.now()), fresh)
    return result


def _nothing_new(news: News) -> dict[str, Any]:
    return {"accounts": 0, "passed_over": news.passed_over, "refused": len(news.refused)}
