"""Which IAM events get from an account to the queue: the patterns of both rules, read by moto, on events like AWS's."""

import json
from typing import Any, cast

import pytest
from moto.events.models import EventPattern

from orchestrator.domain.config import Config
from orchestrator.lambdas.queue_events import KIND_BY_NAME
from tests import iam_event_samples
from tests.member_role.rendering import MEMBER, SECURITY
from tests.stackset.rendering import EVENTS, EVERYTHING, IAM_BUS, REGION, SENDING, resources

POLICY, GROUP = f"arn:aws:iam::{MEMBER}:policy/EnforceMFA", "EnforceMFA"
USERS = ("CreateLoginProfile", "DeactivateMFADevice", "EnableMFADevice", "UpdateUser")
USERS_WITH_KEYS = ("CreateUser", "CreateAccessKey", "UpdateAccessKey")
ON_POLICY = (
    "DetachUserPolicy",
    "CreatePolicyVersion",
    "SetDefaultPolicyVersion",
    "DeletePolicyVersion",
    "DeletePolicy",
)
ON_GROUP = (
    "RemoveUserFromGroup",
    "AttachGroupPolicy",
    "DetachGroupPolicy",
    "PutGroupPolicy",
    "UpdateGroup",
    "DeleteGroup",
)
EVERY_NAME = {*USERS, *USERS_WITH_KEYS, *ON_POLICY, *ON_GROUP}


def iam_event(name: str, asked: dict[str, Any] | None, **detail: Any) -> dict[str, Any]:
    """Return an event of a call to IAM that asks for this."""
    return iam_event_samples.iam_event(MEMBER, name, requestParameters=asked, **detail)


def in_account(**parameters: str) -> dict[str, Any]:
    """Return the rule of a member account."""
    rule: dict[str, Any] = resources(EVENTS, AccountId=MEMBER, Region="us-east-1", **parameters)["EventsRule"]
    return rule


def central() -> dict[str, Any]:
    """Return the rule of the security account."""
    rule: dict[str, Any] = resources("central", AccountId=SECURITY, **EVERYTHING)["IamEventsRule"]
    return rule


def lets_through(rule: dict[str, Any], event: dict[str, Any]) -> bool:
    return bool(EventPattern.load(json.dumps(rule["EventPattern"])).matches_event(cast("Any", event)))


def asked_by(name: str) -> dict[str, Any]:
    """Return what a call on our policy or group asks for; on a user, nothing: UserName is optional in some of them."""
    if name in ON_POLICY:
        return {"userName": "ana", "policyArn": POLICY}
    return {"userName": "ana", "groupName": GROUP} if name in ON_GROUP else {}


@pytest.mark.parametrize("name", sorted(EVERY_NAME))
@pytest.mark.parametrize("scope", ["console", "all"])
def test_every_event_that_matters_gets_to_the_queue(name: str, scope: str) -> None:
    event = iam_event(name, asked_by(name))

    gets_out = lets_through(in_account(IamEventsScope=scope), event)

    assert gets_out is (scope == "all" or name not in USERS_WITH_KEYS)
    assert lets_through(central(), event)


@pytest.mark.parametrize("name", sorted(EVERY_NAME))
def test_call_that_failed_goes_nowhere(name: str) -> None:
    event = iam_event(name, asked_by(name), errorCode="AccessDenied")

    assert not lets_through(in_account(IamEventsScope="all"), event)
    assert not lets_through(central(), event)


@pytest.mark.parametrize("name", sorted({*USERS, *USERS_WITH_KEYS}))
def test_event_of_a_user_needs_no_name_in_the_request(name: str) -> None:
    assert lets_through(in_account(IamEventsScope="all"), iam_event(name, None))


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("DetachUserPolicy", {"policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, False),
        ("DetachUserPolicy", {"policyArn": POLICY.upper()}, True),
        ("DetachUserPolicy", {"policyArn": POLICY.replace("policy/", "policy/x/")}, False),
        ("DeletePolicyVersion", {"policyArn": f"{POLICY}2"}, False),
        ("RemoveUserFromGroup", {"userName": "ana", "groupName": "enforcemfa"}, True),
        ("RemoveUserFromGroup", {"userName": "ana", "groupName": "developers"}, False),
        ("AttachGroupPolicy", {"groupName": GROUP, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, True),
        ("AttachGroupPolicy", {"groupName": "developers", "policyArn": POLICY}, False),
        ("UpdateGroup", {"groupName": GROUP, "newGroupName": "x"}, True),
        ("ListUsers", {}, False),
        ("DeleteUser", {"userName": "ana"}, False),
        ("AttachUserPolicy", {"userName": "ana", "policyArn": POLICY}, False),
    ],
)
def test_undoing_is_sent_where_it_is_of_our_policy_or_group(
    name: str, asked: dict[str, Any], *, expected: bool
) -> None:
    assert lets_through(in_account(IamEventsScope="all"), iam_event(name, asked)) is expected


def test_policy_and_group_of_other_names_take_the_place_of_the_default_ones() -> None:
    rule = in_account(PolicyName="Mfa", GroupName="Mfas", PolicyPath="/x/")
    policy = f"arn:aws:iam::{MEMBER}:policy/x/Mfa"

    assert lets_through(rule, iam_event("DetachUserPolicy", {"policyArn": policy}))
    assert lets_through(rule, iam_event("RemoveUserFromGroup", {"groupName": "Mfas"}))
    assert not lets_through(rule, iam_event("DetachUserPolicy", {"policyArn": POLICY}))
    assert not lets_through(rule, iam_event("RemoveUserFromGroup", {"groupName": GROUP}))


@pytest.mark.parametrize(
    "change",
    [
        {"source": "custom"},
        {"source": "aws.s3"},
        {"detail-type": "AWS Service Event via CloudTrail"},
        {"account": SECURITY},
    ],
)
def test_rule_of_an_account_sends_what_iam_did_there_alone(change: dict[str, str]) -> None:
    event = iam_event("CreateLoginProfile", {"userName": "ana"})

    assert not lets_through(in_account(), event | change)
    assert lets_through(central(), event | change) is ("account" in change)


def test_rule_of_the_security_account_lets_through_the_names_that_accounts_send_and_the_program_knows() -> None:
    names = central()["EventPattern"]["detail"]["eventName"]
    alternatives = in_account(IamEventsScope="all")["EventPattern"]["detail"]["$or"]

    assert set(names) == EVERY_NAME == {name for one in alternatives for name in one["eventName"]}
    assert KIND_BY_NAME.keys() == EVERY_NAME
    assert len(names) == len(EVERY_NAME)


@pytest.mark.parametrize("scope", ["console", "all"])
def test_pattern_fits_into_a_rule_with_the_longest_names(scope: str) -> None:
    longest = {"PolicyName": "p" * 128, "GroupName": "g" * 128, "PolicyPath": "/" + "x" * 510 + "/"}
    patterns = [
        in_account(IamEventsScope=scope, Partition="aws-us-gov", **longest)["EventPattern"],
        central()["EventPattern"],
    ]

    # EventBridge user guide, quotas: event pattern size. IAM user guide, quotas: names and paths.
    assert max(len(json.dumps(one)) for one in patterns) <= 2_048


def test_what_an_account_sends_goes_to_the_bus_under_the_role_and_from_there_to_the_queue() -> None:
    [sent], [queued] = in_account()["Targets"], central()["Targets"]

    assert sent == {
        "Id": "security-account",
        "Arn": SENDING["IamEventBusArn"],
        "RoleArn": f"arn:aws:iam::{MEMBER}:role/EventsRole",
    }
    assert central()["EventBusName"] == "IamEventBus"
    assert resources("central", **EVERYTHING)["IamEventBus"]["Name"] == IAM_BUS.rpartition("/")[2]
    assert queued["Arn"] == f"arn:aws:sqs:{REGION}:{SECURITY}:orgmfa-iam-events"


def test_names_in_the_templates_are_those_of_the_configuration() -> None:
    config, rule = Config(), json.dumps(in_account()["EventPattern"])

    assert f"policy{config.policy.path}{config.policy.name}" in rule
    assert json.dumps({"equals-ignore-case": config.policy.group}) in rule
