"""Behind the queue of IAM events: one run over exactly the users that a batch of messages names.

While another run holds the lease on writing, or is another run of IAM events, the messages go back to the queue for 30
seconds; after an hour they are left to the daily run. The answer names the messages that are to come again.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import structlog

from orchestrator.aws.hub_services import postpone_messages
from orchestrator.aws.retries import Retrier
from orchestrator.domain.errors import AwsError, NothingToDo, RunUnderWay
from orchestrator.domain.model import IamEvent, RunRequest, Status, Trigger
from orchestrator.lambdas.events import IamEvents
from orchestrator.lambdas.iam_events import read_iam_batch
from orchestrator.lambdas.runtime import Invocation, finish_invocation
from orchestrator.pipeline.context import Finished
from orchestrator.pipeline.event_permit import EventPermit, event_turn
from orchestrator.pipeline.event_run import leave_to_daily_run
from orchestrator.wiring import make_run_id, run_once

POSTPONE_SECONDS = 30
PATIENCE = timedelta(hours=1)
"""How old a message may be that has to wait; an older one is left to the daily run."""

log = structlog.get_logger(__name__)


def handle_iam_events(asked: IamEvents, invocation: Invocation) -> dict[str, Any]:
    """Carry out the run that a batch asks for, and return its totals and which messages are to come again.

    Raises RunFailed where the run as a whole failed, StartError where it could not start: then all come again.
    """
    hub = invocation.hub
    batch = read_iam_batch(((one.message_id, one.body) for one in asked.records), hub.config.policy)
    for refusal in batch.refused:
        log.error("event_refused", message=refusal)
    told = {"passed_over": batch.passed_over, "refused": len(batch.refused)}
    if not batch.events:
        return {"accounts": 0, "batchItemFailures": []} | told
    run_id, waiting = make_run_id(hub.now()), {message_id for message_id, _ in batch.events}
    structlog.contextvars.bind_contextvars(run_id=run_id)
    result: dict[str, Any] = {"accounts": 0}
    try:
        with event_turn(hub.store, run_id):
            try:
                finished = _run([event for _, event in batch.events], run_id, invocation)
            except RunUnderWay as error:
                log.warning("events_wait", message=str(error))
                waiting = _leave_old(asked, waiting, run_id=run_id, invocation=invocation)
            else:
                waiting = _leave_old(asked, _unreached(batch.events, finished), run_id=run_id, invocation=invocation)
                result = finish_invocation(finished, is_scheduled=False) if finished else result
    except RunUnderWay as error:
        log.warning("events_wait", message=str(error))
    _postpone(asked, waiting, invocation)
    return result | told | {"batchItemFailures": [{"itemIdentifier": one} for one in sorted(waiting)]}


def _run(events: list[IamEvent], run_id: str, invocation: Invocation) -> Finished | None:
    """Carry out one run, or return None where no account of the organization is named. Raises RunUnderWay."""
    hub = invocation.hub
    mode = hub.config.enforcement.mode
    if why := EventPermit(hub.store, run_id, read_releases=dict).acquire():
        raise RunUnderWay(why)
    request = RunRequest(
        run_id=run_id,
        mode=mode,
        trigger=Trigger.IAM_EVENT,
        started_at=hub.now(),
        targets=tuple(dict.fromkeys(event.account_id for event in events)),
        events=tuple({event.id: event for event in events}.values()),
    )
    try:
        return run_once(hub, request, cancellation=invocation.cancellation, send_digest=True)
    except NothingToDo:
        return None


def _leave_old(asked: IamEvents, waiting: set[str], *, run_id: str, invocation: Invocation) -> set[str]:
    """Return the messages that may wait longer; the others are left to the daily run."""
    now = invocation.hub.now()
    oldest = (now - PATIENCE).timestamp() * 1000
    young = {one.message_id for one in asked.records if one.attributes.sent is None or one.attributes.sent > oldest}
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
            asked.queue_arn,
            handles=handles,
            seconds=POSTPONE_SECONDS,
        )
    except AwsError as error:  # they come again after the visibility timeout of the queue
        log.warning("events_not_postponed", code=error.code, message=str(error))
