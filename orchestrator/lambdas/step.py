"""The Lambda entry point of the state machine in stackset/: each invocation is one step of a run."""

from dataclasses import replace
from typing import Annotated, Any, Literal

import structlog
from pydantic import AwareDatetime, Field, StrictInt, TypeAdapter, ValidationError

from orchestrator.domain.environment import batch_size
from orchestrator.domain.errors import ConfigError, StartError
from orchestrator.domain.model import Mode, RunRequest, Trigger
from orchestrator.lambdas import events
from orchestrator.lambdas.runtime import Invocation, LambdaContext, finish_invocation, handle_once, start_invocation
from orchestrator.pipeline.distributed.state import APPLY_ITEMS, MANIFEST, PLAN_ITEMS, RunManifest, RunState
from orchestrator.pipeline.distributed.steps import apply_batch, gate_plans, list_batches, merge, plan_batch
from orchestrator.wiring import Hub, build_context, make_run_id


class _OfExecution(events.StrictEvent):
    """A step that is told the input of its execution, by the state machine."""

    input: events.EventBridgeSchedule | events.RunOptions

    @property
    def options(self) -> events.RunOptions:
        """What the run was asked for; nothing by the schedule."""
        return self.input if isinstance(self.input, events.RunOptions) else events.RunOptions()


class FirstStep(_OfExecution):
    """Select the accounts of a new run. Name and start of the execution are the same when the step is tried again."""

    step: Literal["select"]
    execution: Annotated[str, Field(min_length=1)]
    started: AwareDatetime


class BatchStep(events.StrictEvent):
    """Plan or apply one batch."""

    step: Literal["plan", "apply"]
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    batch: Annotated[StrictInt, Field(ge=0)]


class RunStep(_OfExecution):
    """Let the plans of a run through the gate, or merge its results."""

    step: Literal["gate", "merge"]
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


_STEPS: TypeAdapter[FirstStep | BatchStep | RunStep] = TypeAdapter(
    Annotated[FirstStep | BatchStep | RunStep, Field(discriminator="step")]
)


def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Carry out one step of a run, and return what the state machine goes on with.

    Raises ConfigError for an event that is no step, StartError where a step could not start, ArchiveError where what
    the steps leave for each other cannot be read or written, RunFailed where the run as a whole failed.
    """
    invocation = start_invocation(context)
    try:
        asked = _STEPS.validate_python(event)
    except ValidationError as error:
        raise ConfigError(f"the event is no step of a run: {events.list_problems(error)}") from error
    return _start_run(asked, invocation) if isinstance(asked, FirstStep) else _go_on(asked, invocation)


def _start_run(asked: FirstStep, invocation: Invocation) -> dict[str, Any]:
    run_id = make_run_id(asked.started, asked.execution)
    if isinstance(asked.input, events.RunOptions):
        events.check_narrows(asked.input, invocation.hub.config)
        return _list_batches(asked, run_id, invocation)
    events.check_time(asked.input, asked.started)
    return handle_once(invocation, asked.input, lambda: _list_batches(asked, run_id, invocation), run_id=run_id)


def _list_batches(asked: FirstStep, run_id: str, invocation: Invocation) -> dict[str, Any]:
    hub = invocation.hub.narrowed(asked.options.mode, asked.options.max_changes)
    mode = hub.config.enforcement.mode
    request = RunRequest(run_id=run_id, mode=mode, trigger=Trigger.MAP, started_at=asked.started)
    if not hub.store.location.startswith("s3://"):
        raise StartError("archive.location must be s3://bucket/prefix: the steps of a run leave their work there")
    structlog.contextvars.bind_contextvars(run_id=request.run_id)
    context = build_context(hub, request, cancellation=invocation.cancellation, send_digest=True)
    state = RunState(hub.store, request.run_id)
    list_batches(context, state, batch_size=batch_size(hub.environment), max_changes=asked.options.max_changes)
    return {"repeated": False, "run_id": request.run_id} | state.locate_items(PLAN_ITEMS)


def _go_on(asked: BatchStep | RunStep, invocation: Invocation) -> dict[str, Any]:
    structlog.contextvars.bind_contextvars(run_id=asked.run_id)
    state = RunState(invocation.hub.store, asked.run_id)
    manifest, hub = _narrowed(state.read(MANIFEST), asked, invocation.hub)
    context = build_context(
        hub, manifest.request, cancellation=invocation.cancellation, send_digest=asked.step == "merge"
    )
    if manifest.request.mode is Mode.APPLY and hub.config.enforcement.mode is not Mode.APPLY:
        context = replace(context, stop_reason=lambda: "the functions have been set to enforcement.mode plan meanwhile")
    if isinstance(asked, RunStep) and asked.step == "merge":
        is_scheduled = isinstance(asked.input, events.EventBridgeSchedule)
        return finish_invocation(merge(manifest, context, state), is_scheduled=is_scheduled)
    if isinstance(asked, RunStep):
        numbers = gate_plans(manifest, context, state)
        return {"run_id": asked.run_id, "go": bool(numbers)} | state.locate_items(APPLY_ITEMS)
    work = plan_batch if asked.step == "plan" else apply_batch
    work(asked.batch, context, state)
    return {"batch": asked.batch}


def _narrowed(manifest: RunManifest, asked: BatchStep | RunStep, hub: Hub) -> tuple[RunManifest, Hub]:
    """Return manifest and hub, narrowed by each other and by the input of the execution, as far as a step has it."""
    # Whoever can write the archive can write a manifest; the input comes from the state machine.
    hub = hub.narrowed(manifest.request.mode, manifest.max_changes)
    if isinstance(asked, RunStep):
        hub = hub.narrowed(asked.options.mode, asked.options.max_changes)
        if asked.options.mode is Mode.PLAN:
            manifest = replace(manifest, request=replace(manifest.request, mode=Mode.PLAN))
    return manifest, hub
