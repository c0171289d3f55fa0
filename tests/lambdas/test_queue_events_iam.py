"""IAM events: which user, account or policy each shape asks to look at, and what is refused."""

import json
from typing import Any

import pytest

from orchestrator.domain.config import PolicyConfig
from orchestrator.domain.model import IamEvent
from orchestrator.lambdas.queue_events import KIND_BY_NAME, EventBatch, read_iam_events
from tests.iam_event_samples import by_user, iam_event, undone

ACCOUNT = "111122223333"
KEY = {"accessKey": {"userName": "alice", "status": "Active", "accessKeyId": "AKIAEXAMPLE"}}
ARN = f"arn:aws:iam::{ACCOUNT}:policy"


def read(*events: Any) -> EventBatch[tuple[str, IamEvent]]:
    bodies = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return read_iam_events([(str(number), body) for number, body in enumerate(bodies)], PolicyConfig())


def asked(**parameters: Any) -> dict[str, Any]:
    return {"requestParameters": parameters}


@pytest.mark.parametrize(
    ("name", "detail", "kind", "user"),
    [
        ("CreateLoginProfile", asked(userName="alice", passwordResetRequired=True), "sign_in", "alice"),
        ("DeactivateMFADevice", asked(userName="alice", serialNumber="arn:aws:iam::1:mfa/a"), "sign_in", "alice"),
        ("DeactivateMFADevice", asked(serialNumber="GAHT1") | by_user("alice", ACCOUNT), "sign_in", "alice"),
        ("DeactivateMFADevice", {"requestParameters": None} | by_user("alice", ACCOUNT), "sign_in", "alice"),
        ("EnableMFADevice", asked(userName="alice", serialNumber="GAHT1"), "enrolled", "alice"),
        ("EnableMFADevice", asked(serialNumber="GAHT1") | by_user("alice", ACCOUNT), "enrolled", "alice"),
        ("UpdateUser", asked(userName="al", newUserName="alice"), "sign_in", "alice"),
        ("UpdateUser", asked(userName="alice", newPath="/eng/"), "sign_in", "alice"),
        ("CreateUser", asked(userName="alice", path="/eng/"), "sign_in", "alice"),
        ("CreateUser", {"responseElements": {"user": {"userName": "alice", "path": "/"}}}, "sign_in", "alice"),
        ("CreateAccessKey", {"responseElements": KEY} | by_user("mallory", ACCOUNT), "sign_in", "alice"),
        ("CreateAccessKey", {"requestParameters": None} | by_user("alice", ACCOUNT), "sign_in", "alice"),
        ("UpdateAccessKey", asked(userName="alice", status="Active"), "sign_in", "alice"),
        ("DetachUserPolicy", asked(userName="alice", policyArn=f"{ARN}/EnforceMFA"), "undone", "alice"),
        ("RemoveUserFromGroup", asked(userName="alice", groupName="EnforceMFA"), "undone", "alice"),
        ("RemoveUserFromGroup", asked(userName="alice", groupName="enforcemfa"), "undone", "alice"),
        ("DetachGroupPolicy", asked(groupName="EnforceMFA", policyArn=f"{ARN}/EnforceMFA"), "policy", None),
        ("AttachGroupPolicy", asked(groupName="EnforceMFA", policyArn=f"{ARN}/Admin"), "policy", None),
        ("AttachGroupPolicy", asked(groupName="staff", policyArn=f"{ARN}/EnforceMFA"), "policy", None),
        ("PutGroupPolicy", asked(groupName="EnforceMFA", policyName="x"), "policy", None),
        ("UpdateGroup", asked(groupName="EnforceMFA", newGroupName="Other"), "policy", None),
        ("DeleteGroup", asked(groupName="EnforceMFA"), "policy", None),
        ("CreatePolicyVersion", asked(policyArn=f"{ARN}/EnforceMFA", setAsDefault=True), "policy", None),
        ("SetDefaultPolicyVersion", asked(policyArn=f"{ARN}/EnforceMFA", versionId="v1"), "policy", None),
        ("DeletePolicyVersion", asked(policyArn=f"{ARN}/EnforceMFA", versionId="v1"), "policy", None),
        ("DeletePolicy", asked(policyArn=f"{ARN}/EnforceMFA"), "policy", None),
        ("DeletePolicy", {"requestParameters": None}, "policy", None),
    ],
)
def test_event_asks_to_look_at_its_user_or_at_the_policy(
    name: str, detail: dict[str, Any], kind: str, user: str | None
) -> None:
    ((_, event),) = read(iam_event(ACCOUNT, name, **detail)).found

    assert (event.account_id, event.kind, event.user_name) == (ACCOUNT, kind, user)


def test_table_above_has_every_event_that_counts() -> None:
    marks = test_event_asks_to_look_at_its_user_or_at_the_policy.pytestmark

    assert {row[0] for row in marks[0].args[1]} == set(KIND_BY_NAME)


@pytest.mark.parametrize(
    "identity",
    [
        {"type": "Root", "accountId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root"},
        {"type": "AWSService", "invokedBy": "cloudformation.amazonaws.com"},
        {"type": "AssumedRole", "accountId": ACCOUNT, "invokedBy": "cloudformation.amazonaws.com"},
        {"type": "SomethingNew", "userName": "mallory"},
        None,
    ],
)
def test_who_called_is_no_reason_to_pass_an_event_over(identity: object) -> None:
    batch = read(iam_event(ACCOUNT, "CreateLoginProfile", user="alice", userIdentity=identity))

    assert [event.user_name for _, event in batch.found] == ["alice"]


def test_device_and_address_of_a_new_device_are_kept_as_told() -> None:
    event = iam_event(ACCOUNT, "EnableMFADevice", **asked(userName="alice", serialNumber="GAHT1"))

    ((_, found),) = read(event).found

    assert (found.device, found.address) == ("GAHT1", "198.51.100.7")


def test_event_that_another_region_recorded_is_looked_at_all_the_same() -> None:
    event = iam_event(ACCOUNT, "CreateLoginProfile", user="alice", awsRegion="eu-west-1") | {"region": "eu-west-1"}

    assert len(read(event).found) == 1


@pytest.mark.parametrize(
    "event",
    [
        iam_event(ACCOUNT, "CreateLoginProfile", user="alice", errorCode="AccessDenied"),
        iam_event(ACCOUNT, "CreateRole", **asked(roleName="x")),
        iam_event(ACCOUNT, "SomethingNew", user="alice"),
        undone(ACCOUNT, "alice", policy="Other"),
        undone(ACCOUNT, "alice", policy="team/EnforceMFA"),
        iam_event(ACCOUNT, "RemoveUserFromGroup", **asked(userName="alice", groupName="staff")),
        iam_event(ACCOUNT, "DeletePolicy", **asked(policyArn=f"{ARN}/Other")),
        iam_event(ACCOUNT, "DeleteGroup", **asked(groupName="staff")),
    ],
)
def test_event_about_something_else_is_passed_over(event: dict[str, Any]) -> None:
    batch = read(event)

    assert (batch.found, batch.refused, batch.passed_over) == ((), (), 1)


@pytest.mark.parametrize(
    "event",
    [
        "no event at all",
        "[" * 100_000,
        "{}",
        {"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "account": ACCOUNT},
        iam_event(ACCOUNT, "CreateLoginProfile", user="alice") | {"source": "orgmfa.test"},
        iam_event(ACCOUNT, "CreateLoginProfile", user="alice") | {"detail-type": "Something Else"},
        iam_event("everybody", "CreateLoginProfile", user="alice"),
        iam_event(ACCOUNT, "CreateLoginProfile", user="alice", recipientAccountId="444455556666"),
        iam_event(ACCOUNT, "CreateLoginProfile", user="alice", userIdentity={"accountId": "444455556666"}),
        iam_event(ACCOUNT, "CreateLoginProfile", user="alice", recipientAccountId=""),
        iam_event(ACCOUNT, "CreateLoginProfile", user="alice", recipientAccountId={"of": "somebody"}),
        iam_event(ACCOUNT, "CreateLoginProfile", user="alice", userIdentity={"accountId": [ACCOUNT]}),
        iam_event(ACCOUNT, "CreateLoginProfile", user="../alice"),
        iam_event(ACCOUNT, "CreateLoginProfile", user="a" * 65),
        iam_event(ACCOUNT, "CreateLoginProfile", requestParameters=None),
        iam_event(ACCOUNT, "CreateLoginProfile", user="alice", eventID="x y"),
    ],
)
def test_message_that_cannot_be_ours_is_refused_and_the_one_beside_it_counts(event: object) -> None:
    batch = read(event, iam_event(ACCOUNT, "CreateLoginProfile", user="bob"))

    assert (len(batch.refused), [found.user_name for _, found in batch.found]) == (1, ["bob"])
