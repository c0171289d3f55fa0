"""The Lambda entry point for a whole run: an event in, its totals out; it fails where the run as a whole failed.

A batch of IAM events makes one run over exactly the users that its messages name. While another run holds the lease on
writing, or is another run of IAM events, the messages go back to the queue for 30 seconds; after an hour they are left
to the daily run. The answer names the messages that are to come again.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from orchestrator.aws.hub_services import postpone_messages
from orchestrator.aws.retries import Retrier
from orchestrator.domain.environment import stack_set_name
from orchestrator.domain.errors import AwsError, NothingToDo, RunUnderWay
from orchestrator.domain.model import IamEvent, RunRequest, Status, Trigger
from orchestrator.lambdas.events import IamEvents, Onboarding, OnDemand, check_narrows, check_time, parse_event
from orchestrator.lambdas.queue_events import read_iam_events, read_new_accounts
from orchestrator.lambdas.runtime import Invocation, LambdaContext, finish_invocation, handle_once, start_invocation
from orchestrator.pipeline.context import Finished
from orchestrator.pipeline.event_run import leave_to_daily_run
from orchestrator.pipeline.lease import EventPermit, event_turn
from orchestrator.wiring import build_context, describe_organization, make_run_id, run_once

QUEUE_RETENTION = timedelta(days=14)
"""The longest that SQS keeps a message, and so the longest after which it can be delivered once more."""
POSTPONE_SECONDS = 30
PATIENCE = timedelta(hours=1)
"""How old a message of IAM events may be that has to wait; an older one is left to the daily run."""

log = structlog.get_logger(__name__)


def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Carry out the run that an event asks for, and return its totals and where its report is archived.

    Raises ConfigError for an event that is not known, StartError where nothing could start, RunFailed where the
    listing, the archive, the import of findings, the digest or the event failed. The queues deliver messages again
    after any of these.
    """
    invocation = start_invocation(context)
    asked = parse_event(event, own_account_id=invocation.own_account_id)
    if isinstance(asked, IamEvents):
        return _handle_iam_events(asked, invocation)
    if isinstance(asked, Onboarding):
        return _onboard(asked, invocation)
    hub = invocation.hub
    if isinstance(asked, OnDemand):
        check_narrows(asked, hub.config)
        narrowed = replace(invocation, hub=hub.narrowed(asked.mode, asked.max_changes))
        return finish_invocation(_run(Trigger.ON_DEMAND, narrowed, targets=asked.accounts))
    check_time(asked, hub.now())
    run_id = make_run_id(hub.now())

    def run() -> dict[str, Any]:
        return finish_invocation(_run(Trigger.SCHEDULE, invocation, run_id=run_id), is_scheduled=True)

    return handle_once(invocation, asked, run, run_id=run_id)


def _run(
    trigger: Trigger,
    invocation: Invocation,
    *,
    run_id: str | None = None,
    targets: tuple[str, ...] = (),
    events: tuple[IamEvent, ...] = (),
) -> Finished:
    hub, now = invocation.hub, invocation.hub.now()
    request = RunRequest(
        run_id=run_id or make_run_id(now),
        mode=hub.config.enforcement.mode,
        trigger=trigger,
        started_at=now,
        targets=targets,
        events=events,
    )
    structlog.contextvars.bind_contextvars(run_id=request.run_id)
    return run_once(build_context(hub, request, cancellation=invocation.cancellation, send_digest=True))


def _onboard(asked: Onboarding, invocation: Invocation) -> dict[str, Any]:
    """Carry out one run over new accounts. Events are noted after it: when it fails, the queue delivers them again."""
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
        result = finish_invocation(_run(Trigger.ONBOARDING, invocation, targets=tuple(account_ids)))
    except NothingToDo:
        log.warning("accounts_unknown", account_ids=account_ids)
        result = nothing_new
    hub.archive.note_handled(make_run_id(hub.now()), fresh)
    return result


def _handle_iam_events(asked: IamEvents, invocation: Invocation) -> dict[str, Any]:
    """Carry out the run that a batch asks for, and return its totals and which messages are to come again."""
    hub = invocation.hub
    batch = read_iam_events(((one.message_id, one.body) for one in asked.records), hub.config.policy)
    for refusal in batch.refused:
        log.error("event_refused", message=refusal)
    if not batch.found:
        return {"accounts": 0, "batchItemFailures": []} | batch.left_out
    run_id, waiting = make_run_id(hub.now()), {message_id for message_id, _ in batch.found}
    structlog.contextvars.bind_contextvars(run_id=run_id)
    result: dict[str, Any] = {"accounts": 0}
    try:
        with event_turn(hub.store, run_id):
            finished = None
            try:
                finished = _run_events([event for _, event in batch.found], run_id, invocation)
                waiting = _unreached(batch.found, finished)
            except RunUnderWay as error:
                log.warning("events_wait", message=str(error))
            waiting = _leave_old(asked, waiting, run_id=run_id, invocation=invocation)
            result = finish_invocation(finished) if finished else result
    except RunUnderWay as error:
        log.warning("events_wait", message=str(error))
    _postpone(asked, waiting, invocation)
    return result | batch.left_out | {"batchItemFailures": [{"itemIdentifier": one} for one in sorted(waiting)]}


def _run_events(events: list[IamEvent], run_id: str, invocation: Invocation) -> Finished | None:
    """Carry out one run, or return None where no account of the organization is named. Raises RunUnderWay."""
    if why := EventPermit(invocation.hub.store, run_id, read_releases=dict).acquire():
        raise RunUnderWay(why)
    targets = tuple(dict.fromkeys(event.account_id for event in events))
    once_each = tuple({event.id: event for event in events}.values())
    try:
        return _run(Trigger.IAM_EVENT, invocation, run_id=run_id, targets=targets, events=once_each)
    except NothingToDo:
        return None


def _leave_old(asked: IamEvents, waiting: set[str], *, run_id: str, invocation: Invocation) -> set[str]:
    """Return the messages that may wait longer; the others are left to the daily run."""
    now = invocation.hub.now()
    oldest = (now - PATIENCE).timestamp() * 1000
    young = {one.message_id for one in asked.records if one.sent is None or one.sent > oldest}
    if old := waiting - young:
        leave_to_daily_run(invocation.hub.archive, run_id, now=now, left=len(old))
    return waiting & young


def _unreached(events: Iterable[tuple[str, IamEvent]], finished: Finished | None) -> set[str]:
    """Return the messages about accounts that the run did not come to the end of."""
    accounts = finished.report.accounts if finished else ()
    left = {account.id for account in accounts if account.status is Status.NOT_REACHED}
    return {message_id for message_id, event in events if event.account_id in left}


def _postpone(asked: IamEvents, waiting: set[str], invocation: Invocation) -> None:
    handles = [one.receipt_handle for one in asked.records if one.message_id in waiting]
    if not handles:
        return
    try:
        postpone_messages(
            invocation.hub.clients.sqs,
            Retrier(invocation.cancellation),
            asked.records[0].queue_arn,
            handles=handles,
            seconds=POSTPONE_SECONDS,
        )
    except AwsError as error:  # they come again after the visibility timeout of the queue
        log.warning("events_not_postponed", code=error.code, message=str(error))
