"""Events that start a run, each as a model, and their parsing. Pure; an event that is not known is an error."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AliasPath, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

from orchestrator.domain.config import AccountId, Config
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Mode

MaxChanges = Annotated[StrictInt, Field(ge=0)] | Literal["none"] | None
IAM_QUEUE = "orgmfa-iam-events"
"""The queue of IAM events in stackset/central.yaml."""
MAX_AHEAD = timedelta(minutes=5)
MAX_AGE = timedelta(hours=2, minutes=15)
"""EventBridge Scheduler and Lambda keep an event for an hour each (stackset/central.yaml); the rest is for clocks."""


# pydantic takes a number for seconds since 1970.
EventTime = Annotated[AwareDatetime, BeforeValidator(lambda value: value if isinstance(value, str) else None)]


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
    time: EventTime
    region: str = ""
    resources: tuple[str, ...] = ()
    detail: dict[str, Any] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """What is the same at each delivery of the event, and at no other's."""
        return f"rule-{self.id}"


class EventBridgeSchedule(StrictEvent):
    """The event of EventBridge Scheduler; its time is the same at each attempt."""

    trigger: Literal["schedule"]
    time: Annotated[EventTime, Field(alias="scheduled_time")]

    @property
    def key(self) -> str:
        """What is the same at each delivery of the event, and at no other's."""
        return f"schedule-{self.time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class RunOptions(StrictEvent):
    """Options of a run that a person starts; None: as the configuration says."""

    mode: Literal[Mode.PLAN, Mode.APPLY] | None = None
    max_changes: MaxChanges = None


class OnDemand(RunOptions):
    """A run of some accounts, started by invoking the function."""

    accounts: Annotated[tuple[AccountId, ...], Field(min_length=1)]


class QueueMessage(BaseModel):
    """One message of a queue; the other fields that SQS hands over are ignored."""

    model_config = ConfigDict(frozen=True)

    message_id: Annotated[str, Field(alias="messageId")] = ""
    receipt_handle: Annotated[str, Field(alias="receiptHandle")] = ""
    body: str
    sent: Annotated[int | None, Field(validation_alias=AliasPath("attributes", "SentTimestamp"))] = None
    """When it was sent, in milliseconds since 1970."""
    event_source: Annotated[Literal["aws:sqs"], Field(alias="eventSource")]
    queue_arn: Annotated[str, Field(alias="eventSourceARN")] = ""


class Onboarding(StrictEvent):
    """A batch of messages of the onboarding queue; `queue_events` reads their bodies."""

    records: Annotated[tuple[QueueMessage, ...], Field(alias="Records", min_length=1)]


class IamEvents(Onboarding):
    """A batch of messages of the queue of IAM events; `queue_events` reads their bodies."""


ScheduledEvent = EventBridgeRule | EventBridgeSchedule
Event = ScheduledEvent | OnDemand | Onboarding

_KIND_BY_KEY: dict[str, type[Event]] = {
    "detail-type": EventBridgeRule,
    "trigger": EventBridgeSchedule,
    "accounts": OnDemand,
    "Records": Onboarding,
}
"""The kinds of events by the key that each has and no other."""


def parse_event(event: object, *, own_account_id: str) -> Event:
    """Return an event as its model. Raises ConfigError where it is unknown or foreign: none may start a whole run."""
    if not isinstance(event, dict):
        raise ConfigError(f"the event is a {type(event).__name__}; an object is expected")
    kind = next((kind for key, kind in _KIND_BY_KEY.items() if key in event), None)
    if kind is None:
        raise ConfigError(
            f"unknown event with the keys {sorted(map(str, event))}: docs/operating.md lists those that are known"
        )
    try:
        parsed = kind.model_validate(event)
        if isinstance(parsed, Onboarding) and _is_of_iam(parsed, own_account_id):
            parsed = IamEvents.model_validate(event)
    except ValidationError as error:
        raise ConfigError(f"the event cannot be used: {list_problems(error)}") from error
    if isinstance(parsed, EventBridgeRule) and parsed.account != own_account_id:
        raise ConfigError(f"the event comes from account {parsed.account}, not from {own_account_id}")
    return parsed


def _is_of_iam(batch: Onboarding, own_account_id: str) -> bool:
    """Return whether a batch comes from the queue of IAM events; the queue tells, never a body."""
    ours = {message.queue_arn.endswith(f":{own_account_id}:{IAM_QUEUE}") for message in batch.records}
    if len(ours) > 1:
        raise ConfigError("the event has messages of more than one queue")
    return ours == {True}


def list_problems(error: ValidationError) -> str:
    """Return the validation errors of an event as one line, key by key."""
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())


def check_time(event: ScheduledEvent, now: datetime) -> None:
    """Raise ConfigError for a scheduled event that cannot be of about now: it would be taken for one of another day."""
    if not now - MAX_AGE <= event.time <= now + MAX_AHEAD:
        raise ConfigError(
            f"the scheduled event is of {event.time.isoformat()}, and came at {now.isoformat(timespec='seconds')}: it "
            "counts from 5 minutes before that time to 2 h 15 min after it. For a run at once see docs/operating.md"
        )


def check_narrows(asked: RunOptions, config: Config) -> None:
    """Raise ConfigError where an event asks for more than the configuration of the functions lets them do."""
    if asked.mode is Mode.APPLY and config.enforcement.mode is not Mode.APPLY:
        raise ConfigError(
            "the event asks for mode apply, and the functions are deployed with enforcement.mode plan, which no event "
            "can widen: have an operator run `orgmfa apply`, or deploy with Mode=apply"
        )
    most, limit = asked.max_changes, config.limits.max_changes_per_run
    if limit is not None and most is not None and (most == "none" or most > limit):
        raise ConfigError(
            f"the event asks for max_changes {most}, and the functions are deployed with a limit of {limit} a run, "
            "which an event can only lower: have an operator run `orgmfa apply --max-changes`, or deploy with a larger "
            "MaxChanges"
        )
