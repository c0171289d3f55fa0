"""Events that start a run, each as a model, and their parsing. Pure; an event that is not known is an error."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from orchestrator.domain.config import AccountId
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Mode

MaxChanges = Annotated[StrictInt, Field(ge=0)] | Literal["none"] | None


class StrictEvent(BaseModel):
    """Base of the events: unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EventBridgeRule(StrictEvent):
    """The envelope of an EventBridge scheduled rule."""

    version: str = "0"
    id: Annotated[str, Field(min_length=1)]
    detail_type: Annotated[Literal["Scheduled Event"], Field(alias="detail-type")]
    source: Literal["aws.events"]
    account: AccountId
    time: str = ""
    region: str = ""
    resources: tuple[str, ...] = ()
    detail: dict[str, Any] = Field(default_factory=dict)


class EventBridgeSchedule(StrictEvent):
    """The event of EventBridge Scheduler; `scheduled_time` is the same at each attempt."""

    trigger: Literal["schedule"]
    scheduled_time: Annotated[str, Field(min_length=1, max_length=64)]


class RunOptions(StrictEvent):
    """Options of a run that a person starts; None: as the configuration says."""

    mode: Literal[Mode.PLAN, Mode.APPLY] | None = None
    max_changes: MaxChanges = None


class OnDemand(RunOptions):
    """A run of some accounts, started by invoking the function."""

    accounts: Annotated[tuple[AccountId, ...], Field(min_length=1)]


class QueueMessage(BaseModel):
    """One message of the onboarding queue; the other fields of SQS are ignored."""

    model_config = ConfigDict(frozen=True)

    body: str
    event_source: Annotated[Literal["aws:sqs"], Field(alias="eventSource")]


class Onboarding(StrictEvent):
    """A batch of messages of the onboarding queue; `onboarding_events` reads their bodies."""

    records: Annotated[tuple[QueueMessage, ...], Field(alias="Records", min_length=1)]


Event = EventBridgeRule | EventBridgeSchedule | OnDemand | Onboarding

_KIND_BY_KEY: dict[str, type[Event]] = {
    "detail-type": EventBridgeRule,
    "trigger": EventBridgeSchedule,
    "accounts": OnDemand,
    "Records": Onboarding,
}
"""The kinds of events by the key that each has and no other."""


def parse_event(event: object, *, own_account_id: str) -> Event:
    """Return an event as the model of its kind.

    Raises ConfigError for an event of no known kind, with unknown keys, or from another account: such an event must
    never start a run of all accounts.
    """
    if not isinstance(event, dict):
        raise ConfigError(f"the event is a {type(event).__name__}; an object is expected")
    kind = next((kind for key, kind in _KIND_BY_KEY.items() if key in event), None)
    if kind is None:
        raise ConfigError(
            f"unknown event with the keys {sorted(map(str, event))}: docs/operating.md lists those that are known"
        )
    try:
        parsed = kind.model_validate(event)
    except ValidationError as error:
        raise ConfigError(f"the event cannot be used: {list_problems(error)}") from error
    if isinstance(parsed, EventBridgeRule) and parsed.account != own_account_id:
        raise ConfigError(f"the event comes from account {parsed.account}, not from {own_account_id}")
    return parsed


def list_problems(error: ValidationError) -> str:
    """Return the validation errors of an event as one line, key by key."""
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())


def event_key(event: Event) -> str | None:
    """Return the key by which a repeated delivery is told, or None for an event whose every delivery starts a run."""
    match event:
        case EventBridgeRule():
            return f"rule-{event.id}"
        case EventBridgeSchedule():
            return f"schedule-{event.scheduled_time}"
        case OnDemand() | Onboarding():
            return None
