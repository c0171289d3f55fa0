"""The Lambda entry point of the state machine in stackset/: one step of a run in an invocation.

The state machine passes on what a step returns: names of files and flags. What is large stands in the archive.
"""

from contextlib import AbstractContextManager
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Literal

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictInt, TypeAdapter, ValidationError

from orchestrator.domain.environment import batch_size
from orchestrator.domain.errors import ArchiveError, ConfigError, RunUnderWay, StartError
from orchestrator.domain.model import Mode, RunRequest, Trigger
from orchestrator.lambdas.events import EventBridgeSchedule, event_key, list_problems
from orchestrator.lambdas.runtime import (
    Invocation,
    LambdaContext,
    finish_invocation,
    start_invocation,
    with_max_changes,
)
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.distributed import (
    RunManifest,
    RunState,
    apply_batch,
    gate_plans,
    list_batches,
    merge,
    plan_batch,
)
from orchestrator.wiring import Hub, make_lease

log = structlog.get_logger(__name__)


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(_Event):
    """A run that a person asks for, by starting the state machine; all is as configured where nothing is said."""

    mode: Literal[Mode.PLAN, Mode.APPLY] | None = None
    max_changes: Annotated[StrictInt, Field(ge=0)] | Literal["none"] | None = None


class Select(_Event):
    """Begin a run. Name and start of the execution are the same when the step is tried again."""

    step: Literal["select"]
    execution: Annotated[str, Field(min_length=1)]
    started: AwareDatetime
    input: EventBridgeSchedule | Asked


class Batch(_Event):
    """Plan, or apply, one batch."""

    step: Literal["plan", "apply"]
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    batch: Annotated[StrictInt, Field(ge=0)]


class Whole(_Event):
    """Let the plans of a run through the gate, or bring it to its end."""

    step: Literal["gate", "merge"]
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


_STEPS: TypeAdapter[Select | Batch | Whole] = TypeAdapter(
    Annotated[Select | Batch | Whole, Field(discriminator="step")]
)


def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Carry out one step of a run, and return what the state machine goes on with.

    Raises ConfigError for an event that is no step, StartError where a step could not start, ArchiveError where what
    the steps leave for each other cannot be read or written, RunFailed where the run as a whole failed.
    """
    invocation = start_invocation(context)
    match asked := _parse(event):
        case Select():
            return _start_run(asked, invocation)
        case Batch():
            return _work(asked, invocation)
        case Whole(step="gate"):
            return _gate(asked.run_id, invocation)
        case Whole():
            return _merge(asked.run_id, invocation)


def make_run_id(execution: str, started: datetime) -> str:
    """Return the run ID of an execution: the same for each try of its first step, and sorted by time."""
    return f"{started:%Y%m%dT%H%M%SZ}-{sha256(execution.encode()).hexdigest()[:8]}"


def _parse(event: object) -> Select | Batch | Whole:
    try:
        return _STEPS.validate_python(event)
    except ValidationError as error:
        raise ConfigError(f"the event is no step of a run: {list_problems(error)}") from error


def _start_run(asked: Select, invocation: Invocation) -> dict[str, Any]:
    hub, given = invocation.hub, asked.input
    key = event_key(given) if isinstance(given, EventBridgeSchedule) else None
    if key is not None and not hub.archive.claim_event(key, asked.execution):
        log.warning("event_repeated", key=key)
        return {"repeated": True, "event": key}
    mode, max_changes = (given.mode, given.max_changes) if isinstance(given, Asked) else (None, None)
    request = RunRequest(
        run_id=make_run_id(asked.execution, asked.started),
        mode=mode or hub.config.enforcement.mode,
        trigger=Trigger.MAP,
        started_at=asked.started,
    )
    try:
        return _list_batches(request, with_max_changes(hub, max_changes), invocation, max_changes=max_changes)
    except (ConfigError, StartError):
        if key is not None:
            hub.archive.forget_event(key)
        raise


def _list_batches(
    request: RunRequest, hub: Hub, invocation: Invocation, *, max_changes: int | Literal["none"] | None
) -> dict[str, Any]:
    """Select the accounts of a run, and leave its lease in place for the steps that follow."""
    if not hub.store.location.startswith("s3://"):
        raise StartError("archive.location must be s3://bucket/prefix: the steps of a run leave their work there")
    structlog.contextvars.bind_contextvars(run_id=request.run_id)
    context = invocation.build_context(request, hub, send_digest=True)
    room = RunState(hub.store, request.run_id)
    with make_lease(hub, request, invocation.cancellation, keep=True):
        list_batches(context, room, batch_size=batch_size(hub.environment), max_changes=max_changes)
    bucket, batches = room.place("batches.json")
    return {"repeated": False, "run_id": request.run_id, "bucket": bucket, "batches": batches}


def _work(asked: Batch, invocation: Invocation) -> dict[str, Any]:
    outline, context, room = _resume(asked.run_id, invocation)
    with make_lease(invocation.hub, outline.request, invocation.cancellation, join=True, keep=True):
        if asked.step == "plan":
            plan_batch(asked.batch, context, room=room)
        else:
            apply_batch(asked.batch, context, room=room)
    return {"batch": asked.batch}


def _gate(run_id: str, invocation: Invocation) -> dict[str, Any]:
    outline, context, room = _resume(run_id, invocation)
    with make_lease(invocation.hub, outline.request, invocation.cancellation, join=True, keep=True):
        numbers = gate_plans(outline, context, room)
    bucket, batches = room.place("apply.json")
    return {"run_id": run_id, "bucket": bucket, "batches": batches, "go": bool(numbers)}


def _merge(run_id: str, invocation: Invocation) -> dict[str, Any]:
    outline, context, room = _resume(run_id, invocation, send_digest=True)
    try:
        finished = merge(outline, context, room=room)
    finally:
        _give_back(make_lease(invocation.hub, outline.request, invocation.cancellation, join=True))
    return finish_invocation(finished)


def _give_back(lease: AbstractContextManager[object]) -> None:
    """Give the lease of a run back, if it is still the run's."""
    try:
        with lease:
            pass
    except (RunUnderWay, ArchiveError) as error:
        log.warning("lease_not_given_back", message=str(error))


def _resume(
    run_id: str, invocation: Invocation, *, send_digest: bool = False
) -> tuple[RunManifest, RunContext, RunState]:
    """Return what a later step of a run works with."""
    structlog.contextvars.bind_contextvars(run_id=run_id)
    room = RunState(invocation.hub.store, run_id)
    outline = room.outline()
    hub = with_max_changes(invocation.hub, outline.max_changes)
    return outline, invocation.build_context(outline.request, hub, send_digest=send_digest), room
