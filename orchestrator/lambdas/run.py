"""The Lambda entry point for a whole run: an event in, its totals out; it fails where the run as a whole failed.

Clients are made at the first invocation and stay warm; nothing is read or made at import.
"""

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from orchestrator.domain.environment import stack_set_name
from orchestrator.domain.errors import NothingToDo
from orchestrator.domain.model import RunRequest, Trigger
from orchestrator.lambdas.events import IamEvents, Onboarding, OnDemand, check_narrows, check_time, parse_event
from orchestrator.lambdas.iam_batch import handle_iam_events
from orchestrator.lambdas.queue_events import read_new_accounts
from orchestrator.lambdas.runtime import Invocation, LambdaContext, finish_invocation, handle_once, start_invocation
from orchestrator.wiring import describe_organization, make_run_id, run_once

QUEUE_RETENTION = timedelta(days=14)
"""The longest that SQS keeps a message, and so the longest after which it can be delivered once more."""

log = structlog.get_logger(__name__)


def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Carry out the run that an event asks for, and return its totals and where its report is archived.

    Raises ConfigError for an event that is not known, StartError where nothing could start, RunFailed where the
    listing, the archive, the import of findings, the digest or the event failed.
    """
    invocation = start_invocation(context)
    asked = parse_event(event, own_account_id=invocation.own_account_id)
    if isinstance(asked, IamEvents):
        return handle_iam_events(asked, invocation)
    if isinstance(asked, Onboarding):
        return _onboard(asked, invocation)
    hub = invocation.hub
    if isinstance(asked, OnDemand):
        check_narrows(asked, hub.config)
        narrowed = replace(invocation, hub=hub.narrowed(asked.mode, asked.max_changes))
        return _run(Trigger.ON_DEMAND, narrowed, targets=asked.accounts)
    check_time(asked, hub.now())
    run_id = make_run_id(hub.now())
    return handle_once(invocation, asked, lambda: _run(Trigger.SCHEDULE, invocation, run_id=run_id), run_id=run_id)


def _run(
    trigger: Trigger, invocation: Invocation, *, run_id: str | None = None, targets: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Carry out one run and return its totals. Raises RunFailed where the run as a whole failed."""
    hub = invocation.hub
    now = hub.now()
    request = RunRequest(
        run_id=run_id or make_run_id(now),
        mode=hub.config.enforcement.mode,
        trigger=trigger,
        started_at=now,
        targets=targets,
    )
    structlog.contextvars.bind_contextvars(run_id=request.run_id)
    finished = run_once(hub, request, cancellation=invocation.cancellation, send_digest=True)
    return finish_invocation(finished, is_scheduled=trigger is Trigger.SCHEDULE)


def _onboard(asked: Onboarding, invocation: Invocation) -> dict[str, Any]:
    """Carry out one run over the new accounts that a batch of messages names.

    An event is noted as handled after its run: when a run fails, the queue delivers its events again.
    """
    hub = invocation.hub
    batch = read_new_accounts(
        (message.body for message in asked.records),
        trusted_account_ids=frozenset({invocation.own_account_id, describe_organization(hub).management_account_id}),
        stack_set_name=stack_set_name(os.environ),
    )
    for refusal in batch.refused:
        log.error("event_refused", message=refusal)
    handled = hub.archive.handled_events(hub.now() - QUEUE_RETENTION)
    nothing_new: dict[str, Any] = {"accounts": 0} | batch.left_out
    fresh = {key: account_id for key, account_id in batch.found if key not in handled}
    if not fresh:
        return nothing_new
    account_ids = sorted(set(fresh.values()))
    try:
        result = _run(Trigger.ONBOARDING, invocation, targets=tuple(account_ids))
    except NothingToDo:
        log.warning("accounts_unknown", account_ids=account_ids)
        result = nothing_new
    hub.archive.note_handled(make_run_id(hub.now()), fresh)
    return result
