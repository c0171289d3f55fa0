from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Mode
from orchestrator.lambdas.events import (
    EventBridgeRule,
    EventBridgeSchedule,
    Onboarding,
    OnDemand,
    check_time,
    parse_event,
)
from tests.onboarding_events import batch, stack_set_event

HUB = "999988887777"

SCHEDULED_RULE: dict[str, Any] = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": HUB,
    "time": "2026-03-02T12:00:00Z",
    "region": "eu-central-1",
    "resources": [f"arn:aws:events:eu-central-1:{HUB}:rule/orgmfa-daily"],
    "detail": {},
}
SCHEDULE = {"trigger": "schedule", "scheduled_time": "2026-03-02T12:00:00Z"}
ON_DEMAND = {"accounts": ["111122223333", "011111111111"]}


def parsed(event: object) -> Any:
    return parse_event(event, own_account_id=HUB)


@pytest.mark.parametrize(
    ("event", "kind", "key"),
    [
        (SCHEDULED_RULE, EventBridgeRule, "rule-53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa"),
        (SCHEDULE, EventBridgeSchedule, "schedule-2026-03-02T12:00:00Z"),
        (ON_DEMAND, OnDemand, None),
        (batch(stack_set_event("444455556666"), "no event at all"), Onboarding, None),
    ],
)
def test_known_event_is_known_and_has_the_key_of_its_delivery(event: object, kind: type[Any], key: str | None) -> None:
    asked = parsed(event)

    assert isinstance(asked, kind)
    assert getattr(asked, "key", None) == key


def test_batch_of_the_queue_keeps_the_bodies_of_its_messages_in_order() -> None:
    asked = parsed(batch("first", "second"))

    assert [message.body for message in asked.records] == ["first", "second"]


@pytest.mark.parametrize("time", ["2026-03-02T12:00:00Z", "2026-03-02T13:00:00+01:00", "2026-03-02 12:00:00.4+00:00"])
def test_one_moment_is_one_event_however_it_is_written(time: str) -> None:
    assert parsed(SCHEDULE | {"scheduled_time": time}).key == "schedule-2026-03-02T12:00:00Z"


@pytest.mark.parametrize("event", [SCHEDULE, SCHEDULED_RULE])
@pytest.mark.parametrize(
    ("seconds", "is_refused"),
    [(-301, True), (-300, False), (0, False), (8100, False), (8101, True), (-400 * 86400, True), (86400, True)],
)
def test_scheduled_event_counts_from_5_minutes_before_its_time_until_it_cannot_be_underway_any_more(
    event: dict[str, Any], seconds: int, is_refused: bool
) -> None:
    asked = parsed(event)
    refusal = pytest.raises(ConfigError, match=r"is of 2026-03-02T12:00:00\+00:00, and came at") if is_refused else None

    with refusal or nullcontext():
        check_time(asked, asked.time + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("more", "mode", "max_changes"),
    [
        ({}, None, None),
        ({"mode": "plan"}, Mode.PLAN, None),
        ({"mode": "apply", "max_changes": 5}, Mode.APPLY, 5),
        ({"max_changes": 0}, None, 0),
        ({"max_changes": "none"}, None, "none"),
        ({"mode": None, "max_changes": None}, None, None),
    ],
)
def test_run_on_demand_may_say_mode_and_limit(more: dict[str, Any], mode: Mode | None, max_changes: object) -> None:
    asked = parsed(ON_DEMAND | more)

    assert asked.accounts == ("111122223333", "011111111111")
    assert (asked.mode, asked.max_changes) == (mode, max_changes)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"mode": "apply"},
        {"mode": "apply", "max_changes": "none"},
        {"account": "111122223333"},
        {"source": "aws.events", "account": HUB},
        {"httpMethod": "GET", "path": "/"},
    ],
)
def test_unknown_event_is_an_error_that_names_its_keys(event: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="unknown event with the keys") as caught:
        parsed(event)

    assert str(sorted(event)) in str(caught.value)


@pytest.mark.parametrize("event", [None, [], [SCHEDULE], "schedule", 7, True])
def test_event_that_is_no_object_is_an_error(event: object) -> None:
    with pytest.raises(ConfigError, match=f"the event is a {type(event).__name__}; an object is expected"):
        parsed(event)


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (SCHEDULED_RULE | {"detail-type": "AWS API Call via CloudTrail"}, "detail-type"),
        (SCHEDULED_RULE | {"source": "com.example"}, "source"),
        (SCHEDULED_RULE | {"account": 999988887777}, "account"),
        (SCHEDULED_RULE | {"account": "*"}, "account"),
        (SCHEDULED_RULE | {"id": ""}, "id"),
        (SCHEDULED_RULE | {"mode": "apply"}, "mode"),
        (SCHEDULED_RULE | {"accounts": ["111122223333"]}, "accounts"),
        ({"detail-type": "Scheduled Event"}, "id"),
        (SCHEDULE | {"trigger": "now"}, "trigger"),
        (SCHEDULE | {"mode": "apply"}, "mode"),
        (SCHEDULE | {"accounts": ["111122223333"]}, "accounts"),
        (SCHEDULE | {"scheduled_time": ""}, "scheduled_time"),
        (SCHEDULE | {"scheduled_time": "x" * 65}, "scheduled_time"),
        (SCHEDULE | {"scheduled_time": 0}, "scheduled_time"),
        (SCHEDULE | {"scheduled_time": "2026-03-02T12:00:00"}, "scheduled_time"),
        (SCHEDULE | {"scheduled_time": "today at noon"}, "scheduled_time"),
        (SCHEDULE | {"time": "2026-03-02T12:00:00Z"}, "time"),
        (SCHEDULED_RULE | {"time": ""}, "time"),
        (SCHEDULED_RULE | {"time": 1772452800}, "time"),
        ({key: value for key, value in SCHEDULED_RULE.items() if key != "time"}, "time"),
        ({"trigger": "schedule"}, "scheduled_time"),
        ({"accounts": []}, "accounts"),
        ({"accounts": None}, "accounts"),
        ({"accounts": "111122223333"}, "accounts"),
        ({"accounts": ["*"]}, "accounts.0"),
        ({"accounts": ["acme-payments"]}, "accounts.0"),
        ({"accounts": ["111122223333", 111122223333]}, "accounts.1"),
        (ON_DEMAND | {"mode": "release"}, "mode"),
        (ON_DEMAND | {"mode": "APPLY"}, "mode"),
        (ON_DEMAND | {"max_changes": -1}, "max_changes"),
        (ON_DEMAND | {"max_changes": True}, "max_changes"),
        (ON_DEMAND | {"max_changes": "5"}, "max_changes"),
        (ON_DEMAND | {"max_changes": "all"}, "max_changes"),
        (ON_DEMAND | {"users": ["alice"]}, "users"),
        ({"Records": []}, "Records"),
        ({"Records": None}, "Records"),
        ({"Records": [{"eventSource": "aws:sqs"}]}, "Records.0.body"),
        ({"Records": [{"eventSource": "aws:sqs", "body": {}}]}, "Records.0.body"),
        ({"Records": [{"eventSource": "aws:s3", "body": "{}"}]}, "Records.0.eventSource"),
        ({"Records": [{"body": "{}"}]}, "Records.0.eventSource"),
        (batch(stack_set_event("444455556666")) | {"mode": "apply"}, "mode"),
    ],
)
def test_event_with_a_key_that_cannot_be_used_is_an_error_that_names_it(event: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match="the event cannot be used: ") as caught:
        parsed(event)

    assert f"{key}: " in f"{caught.value}".replace("max_changes.", "max_changes: ")


def test_event_of_another_account_is_refused() -> None:
    with pytest.raises(ConfigError, match=f"comes from account 111122223333, not from {HUB}"):
        parsed(SCHEDULED_RULE | {"account": "111122223333"})


KNOWN_KEYS = st.sampled_from([*SCHEDULED_RULE, *SCHEDULE, *ON_DEMAND, "mode", "max_changes", "Records", "users"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["schedule", "none", HUB]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
EVENTS = JSON_VALUES | st.dictionaries(KNOWN_KEYS | st.text(max_size=5), JSON_VALUES, max_size=6)
NEAR_EVENTS = st.builds(
    lambda event, more: event | more,
    st.sampled_from([SCHEDULED_RULE, SCHEDULE, ON_DEMAND]),
    st.dictionaries(KNOWN_KEYS, JSON_VALUES, max_size=2),
)


@given(EVENTS | NEAR_EVENTS)
@settings(deadline=None)
def test_any_event_is_understood_or_refused_and_never_a_sweep_by_accident(event: object) -> None:
    try:
        asked = parsed(event)
    except ConfigError:
        return

    assert isinstance(event, dict)
    if isinstance(asked, OnDemand):
        assert asked.accounts
    elif isinstance(asked, Onboarding):
        assert asked.records
    else:
        assert "accounts" not in event
        assert event.get("trigger") == "schedule" or event.get("detail-type") == "Scheduled Event"
