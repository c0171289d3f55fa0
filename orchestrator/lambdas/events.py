"""The events that the Lambda understands, and what each asks for. Pure; an event that is not known is an error."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from orchestrator.domain.config import AccountId
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Mode

SCHEDULED = "Scheduled Event"
SCHEDULED_SOURCE = "aws.events"


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EventBridgeRule(_Event):
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


class EventBridgeSchedule(_Event):
    """What EventBridge Scheduler sends; its `scheduled_time` is the same at each attempt."""

    trigger: Literal["schedule"]
    scheduled_time: Annotated[str, Field(min_length=1, max_length=64)]


class OnDemand(_Event):
    """A run of some accounts, asked for by invoking the function."""

    accounts: Annotated[tuple[AccountId, ...], Field(min_length=1)]
    mode: Literal[Mode.PLAN, Mode.APPLY] | None = None
    max_changes: Annotated[StrictInt, Field(ge=0)] | Literal["none"] | None = None


class QueueMessage(BaseModel):
    """One message of the onboarding queue; SQS tells more of it than is of use here."""

    model_config = ConfigDict(frozen=True)

    body: str
    event_source: Annotated[Literal["aws:sqs"], Field(alias="eventSource")]


class Onboarding(_Event):
    """A batch of the onboarding queue: what its messages say is read by `onboarding`."""

    records: Annotated[tuple[QueueMessage, ...], Field(alias="Records", min_length=1)]


Event = EventBridgeRule | EventBridgeSchedule | OnDemand | Onboarding


def parse_event(event: object, *, own_account_id: str) -> Event:
    """Return what an event asks for.

    Raises ConfigError for an event of no known shape, with unknown keys, or from another account: never a sweep.
    """
    if not isinstance(event, dict):
        raise ConfigError(f"the event is a {type(event).__name__}; an object is expected")
    if "detail-type" in event:
        kind: type[Event] = EventBridgeRule
    elif "trigger" in event:
        kind = EventBridgeSchedule
    elif "accounts" in event:
        kind = OnDemand
    elif "Records" in event:
        kind = Onboarding
    else:
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
    """Return what is wrong with an event, key by key."""
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())


def event_key(event: Event) -> str | None:
    """Return what identifies an event that may be delivered twice, or None where each delivery is meant."""
    match event:
        case EventBridgeRule():
            return f"rule-{event.id}"
        case EventBridgeSchedule():
            return f"schedule-{event.scheduled_time}"
        case OnDemand() | Onboarding():
            return None
