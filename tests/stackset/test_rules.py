"""Which events the rules let through: the patterns of the templates, read by moto, on events as AWS documents them."""

import json
from typing import Any, cast

import pytest
from moto.events.models import EventPattern

from orchestrator.lambdas.queue_events import read_new_accounts
from tests.onboarding_events import HUB, MANAGEMENT, control_tower_event, create_account_event, stack_set_event
from tests.stackset.rendering import EVERYTHING, resources

MEMBER = "111122223333"
FORWARDER = {
    "Forwarder": "on",
    "ControlTower": "on",
    "EventBusArn": f"arn:aws:events:eu-central-1:{HUB}:event-bus/orgmfa",
}


def rules(bus: str) -> dict[str, dict[str, Any]]:
    """Return the rules on a bus of the security account, `default` or `orgmfa`, or of the `management` account."""
    if bus == "management":
        deployed = resources("management", AccountId=MANAGEMENT, **FORWARDER)
    else:
        deployed = resources("central", AccountId=HUB, **EVERYTHING | {"ManagementAccountId": MANAGEMENT})
    on_bus = "ForwarderEventBus" if bus == "orgmfa" else None
    return {name: one for name, one in deployed.items() if name.endswith("Rule") and one.get("EventBusName") == on_bus}


def matching(bus: str, event: dict[str, Any]) -> list[str]:
    """Return the rules that let an event through."""
    return [
        name
        for name, rule in rules(bus).items()
        if EventPattern.load(json.dumps(rule["EventPattern"])).matches_event(cast("Any", event))
    ]


def by(account_id: str, event: dict[str, Any]) -> dict[str, Any]:
    return event | {"account": account_id}


FROM_HUB, FROM_MANAGEMENT = stack_set_event(MEMBER), stack_set_event(MEMBER, owner=MANAGEMENT)
CONTROL_TOWER, CREATED = control_tower_event(MEMBER), create_account_event(MEMBER)


@pytest.mark.parametrize(
    ("bus", "event", "expected"),
    [
        ("default", FROM_HUB, ["StackSetRule"]),
        # A StackSet of a delegated administrator may be the management account's, by its ARN.
        ("default", by(HUB, FROM_MANAGEMENT), ["StackSetRule"]),
        ("default", stack_set_event(MEMBER, action="UPDATE"), []),
        ("default", stack_set_event(MEMBER, action="DELETE"), []),
        ("default", stack_set_event(MEMBER, detailed_status="RUNNING"), []),
        ("default", stack_set_event(MEMBER, detailed_status="FAILED"), []),
        ("default", stack_set_event(MEMBER, stack_set="another"), []),
        ("default", stack_set_event(MEMBER, stack_set="orgmfa-2"), []),
        ("default", stack_set_event(MEMBER, stack_set="not-orgmfa"), []),
        ("default", by(HUB, CONTROL_TOWER), ["NewAccountRule"]),
        ("default", by(HUB, CREATED), ["NewAccountRule"]),
        ("default", FROM_MANAGEMENT, []),
        ("default", CONTROL_TOWER, []),
        ("orgmfa", FROM_MANAGEMENT, ["ForwardedStackSetRule"]),
        ("orgmfa", stack_set_event(MEMBER, owner=MANAGEMENT, action="UPDATE"), []),
        ("orgmfa", CONTROL_TOWER, ["ForwardedNewAccountRule"]),
        ("orgmfa", CREATED, ["ForwardedNewAccountRule"]),
        ("orgmfa", FROM_HUB, []),
        ("orgmfa", by(MEMBER, CONTROL_TOWER), []),
        ("orgmfa", by(MANAGEMENT, CONTROL_TOWER | {"source": "custom"}), []),
        ("management", FROM_MANAGEMENT, ["StackSetRule"]),
        ("management", stack_set_event(MEMBER, owner=MANAGEMENT, stack_set="another"), []),
        ("management", CONTROL_TOWER, ["NewAccountRule"]),
        ("management", CREATED, ["NewAccountRule"]),
        ("management", by(MEMBER, CREATED), []),
    ],
)
def test_rules_that_let_an_event_through(bus: str, event: dict[str, Any], expected: list[str]) -> None:
    assert matching(bus, event) == expected


@pytest.mark.parametrize("event", [FROM_HUB, FROM_MANAGEMENT, CONTROL_TOWER, CREATED])
def test_the_program_takes_what_the_rules_let_through(event: dict[str, Any]) -> None:
    news = read_new_accounts(
        [json.dumps(event)], trusted_account_ids=frozenset({HUB, MANAGEMENT}), stack_set_name="orgmfa"
    )

    assert [account_id for _, account_id in news.found] == [MEMBER]


def test_what_is_forwarded_goes_to_the_bus_under_the_role_and_the_rest_to_the_queue() -> None:
    forwarding = {rule["Targets"][0]["Arn"] for rule in rules("management").values()}
    under = {rule["Targets"][0]["RoleArn"] for rule in rules("management").values()}
    queueing = {rule["Targets"][0]["Arn"] for bus in ("default", "orgmfa") for rule in rules(bus).values()}

    assert forwarding == {FORWARDER["EventBusArn"]}
    assert under == {f"arn:aws:iam::{MANAGEMENT}:role/ForwarderRole"}
    assert queueing == {f"arn:aws:sqs:eu-central-1:{HUB}:OnboardingQueue"}
