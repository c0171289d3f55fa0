"""Who gets at the buses, the queues and the bucket: the policies that stand at them."""

from typing import Any

import pytest

from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.rendering import MEMBER, ORGANIZATION, SECURITY
from tests.stackset.permission_samples import IAM_QUEUE_ARN, NOTHING, QUEUE, YES, actions
from tests.stackset.rendering import EVENTS, EVERYTHING, IAM_BUS, MANAGEMENT, REGION, resources


@pytest.mark.parametrize(
    ("account_id", "action", "expected"),
    [
        (MANAGEMENT, "events:PutEvents", YES),
        (MANAGEMENT, "events:PutRule", NOTHING),
        (MEMBER, "events:PutEvents", NOTHING),
        (SECURITY, "events:PutEvents", NOTHING),
    ],
)
def test_the_bus_hears_the_management_account_alone(account_id: str, action: str, expected: Decision) -> None:
    deployed = resources("central", **EVERYTHING)
    bus = f"arn:aws:events:{REGION}:{SECURITY}:event-bus/orgmfa"
    document = {"Version": "2012-10-17", "Statement": deployed["ForwarderEventBusPolicy"]["Statement"]}
    caller = {"aws:PrincipalArn": f"arn:aws:iam::{account_id}:role/any"}

    assert decide(Request(action, bus, caller), [document]) == expected


IAM_EVENT: dict[str, str | tuple[str, ...]] = {
    "aws:PrincipalOrgID": ORGANIZATION,
    "events:source": ("aws.iam",),
    "events:detail-type": "AWS API Call via CloudTrail",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, YES),
        ({"events:source": "aws.iam"}, YES),
        ({"aws:PrincipalOrgID": "o-somebodyelse"}, NOTHING),
        ({"aws:PrincipalOrgID": f"{ORGANIZATION}x"}, NOTHING),
        ({"aws:PrincipalOrgID": ()}, NOTHING),
        ({"events:source": ("aws.s3",)}, NOTHING),
        ({"events:source": ("aws.iam", "aws.s3")}, NOTHING),
        ({"events:source": ("aws.iam.custom",)}, NOTHING),
        ({"events:source": ()}, NOTHING),
        ({"events:detail-type": "AWS Service Event via CloudTrail"}, NOTHING),
        ({"events:detail-type": "AWS Console Sign In via CloudTrail"}, NOTHING),
        ({"events:detail-type": ()}, NOTHING),
    ],
)
@pytest.mark.parametrize("account_id", [MEMBER, MANAGEMENT])
def test_bus_of_iam_events_takes_from_the_organization_and_iam_alone(
    account_id: str, change: dict[str, Any], expected: Decision
) -> None:
    statement = resources("central", **EVERYTHING)["IamEventBusPolicy"]["Statement"]
    document = {"Version": "2012-10-17", "Statement": statement}
    context = IAM_EVENT | {"aws:PrincipalArn": f"arn:aws:iam::{account_id}:role/orgmfa-events"} | change

    def ask(action: str, bus: str = IAM_BUS) -> Decision:
        return decide(Request(action, bus, context), [document])

    assert ask("events:PutEvents") == expected
    assert {ask(action) for action in ("events:PutRule", "events:PutTargets", "events:DeleteEventBus")} == {NOTHING}
    assert ask("events:PutEvents", IAM_BUS.removesuffix("-iam")) == NOTHING


def test_role_of_the_events_may_send_to_the_one_bus_alone() -> None:
    [policy] = resources(EVENTS)["EventsRole"]["Policies"]

    assert decide(Request("events:PutEvents", IAM_BUS), [policy["PolicyDocument"]]) == YES
    for bus in (IAM_BUS.removesuffix("-iam"), IAM_BUS.replace(SECURITY, MEMBER), IAM_BUS.replace(REGION, "us-east-1")):
        assert decide(Request("events:PutEvents", bus), [policy["PolicyDocument"]]) == NOTHING
    assert list(actions(policy["PolicyDocument"])) == ["events:PutEvents"]


def test_queue_of_iam_events_takes_from_our_rule_alone() -> None:
    [statement] = resources("central", IamEvents="on")["IamEventsQueuePolicy"]["PolicyDocument"]["Statement"]

    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert (statement["Action"], statement["Resource"]) == ("sqs:SendMessage", IAM_QUEUE_ARN)
    assert statement["Condition"] == {
        "ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{SECURITY}:rule/IamEventsRule"}
    }


def test_the_bucket_is_for_its_own_account_until_the_management_account_is_named() -> None:
    [by_default] = resources("bootstrap")["BucketPolicy"]["PolicyDocument"]["Statement"]
    _, reads = resources("bootstrap", ManagementAccountId=MANAGEMENT)["BucketPolicy"]["PolicyDocument"]["Statement"]

    def may(action: str, key: str, account_id: str = MANAGEMENT) -> bool:
        caller = {"aws:PrincipalArn": f"arn:aws:iam::{account_id}:role/any"}
        document = {"Version": "2012-10-17", "Statement": [reads]}
        return decide(Request(action, f"arn:aws:s3:::Bucket/{key}", caller), [document]) == YES

    assert by_default["Effect"] == "Deny"
    assert may("s3:GetObject", "artifacts/member-0123.yaml")
    assert not may("s3:PutObject", "artifacts/member-0123.yaml")
    assert not may("s3:GetObject", "archive/runs/x")
    assert not may("s3:GetObject", "artifacts/member-0123.yaml", MEMBER)


def test_the_bucket_refuses_calls_without_tls() -> None:
    [deny] = resources("bootstrap")["BucketPolicy"]["PolicyDocument"]["Statement"]

    assert deny["Principal"] == "*"
    assert deny["Action"] == "s3:*"
    assert deny["Resource"] == ["arn:aws:s3:::Bucket", "arn:aws:s3:::Bucket/*"]
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("parts", "rules"),
    [
        ({}, ["StackSetRule"]),
        ({"ControlTower": "on"}, ["StackSetRule", "NewAccountRule"]),
        ({"ForwarderBus": "on", "ManagementAccountId": MANAGEMENT}, ["StackSetRule", "ForwardedStackSetRule"]),
        (
            {"ControlTower": "on", "ForwarderBus": "on", "ManagementAccountId": MANAGEMENT},
            ["StackSetRule", "NewAccountRule", "ForwardedStackSetRule", "ForwardedNewAccountRule"],
        ),
    ],
)
def test_the_queue_takes_from_our_rules_alone(parts: dict[str, str], rules: list[str]) -> None:
    deployed = resources("central", Onboarding="on", **parts)
    [statement] = deployed["OnboardingQueuePolicy"]["PolicyDocument"]["Statement"]

    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == QUEUE
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"] == [
        f"arn:aws:events:{REGION}:{SECURITY}:rule/{rule}" for rule in rules
    ]
    assert {name for name in deployed if name.endswith("Rule")} == set(rules)
