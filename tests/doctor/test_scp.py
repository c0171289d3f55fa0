"""Which calls a service control policy may deny."""

import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.doctor.scp import RegionalCall, is_guard, list_denied, list_denied_calls
from tests.doctor.ward import PROTECT

ATTACH, ASSUME = "iam:AttachUserPolicy", "sts:AssumeRole"
USER, MEMBER_ARN = "arn:aws:iam::999999999999:user/somebody", "arn:aws:iam::999999999999:role/orgmfa-member"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, (ATTACH, ASSUME)),
        ({"Effect": "Deny", "Action": "IAM:attach*", "Resource": "*"}, (ATTACH,)),
        ({"Effect": "Deny", "Action": ["iam:CreateUser", "sts:AssumeRole"], "Resource": "*"}, (ASSUME,)),
        ({"Effect": "Deny", "Action": "iam:*", "Resource": "arn:aws:iam::111122223333:user/*"}, (ATTACH,)),
        ({"Effect": "Deny", "Action": "sts:*", "Resource": "arn:aws:iam::*:role/admin"}, ()),
        ({"Effect": "Deny", "Action": "iam:*", "NotResource": "arn:aws:iam::*:role/*"}, (ATTACH,)),
        ({"Effect": "Deny", "NotAction": ["iam:*"], "Resource": "*"}, (ASSUME,)),
        ({"Effect": "Deny", "Action": "iam:CreateUser", "Resource": "*"}, ()),
        ({"Effect": "Allow", "Action": "*", "Resource": "*"}, ()),
        ({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:x": "true"}}}, ()),
    ],
)
def test_control_policy_may_deny(statement: dict[str, Any], expected: tuple[str, ...]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})

    assert list_denied(document, (ATTACH, ASSUME), (USER, MEMBER_ARN)) == expected


def test_control_policy_with_a_key_twice_cannot_be_judged() -> None:
    document = '{"Statement": {"Effect": "Deny", "Effect": "Allow", "Action": "*", "Resource": "*"}}'

    with pytest.raises(ValueError, match="a key twice"):
        list_denied(document, (ATTACH,), (USER,))


POLICY = "arn:aws:iam::999999999999:policy/EnforceMFA"
WRITES = ["iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:SetDefaultPolicyVersion"]
SPARING = {"ArnNotLike": {"aws:PrincipalArn": "arn:*:iam::*:role/stacksets-exec-*"}}


@pytest.mark.parametrize(
    ("changes", "is_one"),
    [
        ({}, True),
        ({"Condition": SPARING}, True),
        ({"Condition": {"ArnNotLike": {"AWS:PrincipalARN": "arn:aws:iam::*:role/x"}}}, True),
        ({"Action": "iam:*"}, True),
        ({"Action": WRITES[:2]}, False),
        ({"Action": WRITES[1:]}, False),
        ({"Action": WRITES[::2]}, False),
        ({"Effect": "Allow"}, False),
        ({"Resource": ["arn:aws:iam::*:policy/Other", "arn:aws:iam::*:policy/Enforce*"]}, True),
        ({"Resource": "*"}, True),
        ({"Resource": "arn:aws:iam::*:policy/Other"}, False),
        ({"Resource": "arn:aws:iam::111122223333:policy/EnforceMFA"}, False),
        ({"Resource": "arn:aws:iam::999999999999:policy/EnforceMFA"}, False),
        ({"Resource": None, "NotResource": "arn:aws:iam::*:policy/EnforceMFA"}, False),
        ({"Condition": {"ArnNotLike": {"aws:PrincipalArn": "*"}}}, False),
        ({"Condition": {"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/x", "arn:*:iam::*:role/*"]}}}, False),
        ({"Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}}}, False),
        ({"Condition": SPARING | {"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}}, False),
        ({"Condition": {"ArnNotLike": {"aws:SourceArn": "arn:aws:iam::*:role/x"}}}, False),
    ],
)
def test_guard_denies_every_way_to_rewrite_the_policy_to_all_but_named_principals(
    changes: dict[str, Any], is_one: bool
) -> None:
    deny = {"Effect": "Deny", "Action": WRITES, "Resource": "arn:*:iam::*:policy/EnforceMFA"} | changes
    statement = {key: value for key, value in deny.items() if value is not None}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    assert is_guard(document, POLICY) is is_one


ONLY_FRANKFURT = {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-1"]}}
EXECUTION = "arn:aws:iam::999999999999:role/stacksets-exec-0"
RULE = RegionalCall(
    "events:PutRule", "us-east-1", EXECUTION, "arn:aws:events:us-east-1:999999999999:rule/orgmfa-iam-events"
)


@pytest.mark.parametrize(
    ("statement", "may_be_denied"),
    [
        ({}, True),
        ({"Action": "iam:*"}, False),
        ({"Effect": "Allow"}, False),
        ({"Resource": "arn:aws:events:*:*:event-bus/*"}, False),
        ({"Condition": ONLY_FRANKFURT}, True),
        ({"Condition": {"StringNotLikeIfExists": {"aws:requestedregion": "us-*"}}}, False),
        ({"Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-1", "us-east-1"]}}}, False),
        ({"Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}}, True),
        ({"Condition": {"ForAnyValue:StringEquals": {"aws:RequestedRegion": "us-west-2"}}}, False),
        # What spares the StackSet's role spares the rule; other keys may or may not.
        (
            {
                "Condition": ONLY_FRANKFURT
                | {"ArnNotLike": {"aws:PrincipalARN": "arn:aws:iam::*:role/stacksets-exec-*"}}
            },
            False,
        ),
        ({"Condition": ONLY_FRANKFURT | {"ArnNotLike": {"aws:PrincipalARN": "arn:aws:iam::*:role/admin"}}}, True),
        ({"Condition": ONLY_FRANKFURT | {"StringNotLike": {"aws:PrincipalTag/team": "platform"}}}, True),
        ({"Condition": ONLY_FRANKFURT | {"Null": {"aws:RequestedRegion": "false"}}}, True),
        ({"Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/stacksets-exec-*"}}}, False),
        ({"Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/admin"}}}, True),
        ({"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}}}, False),
    ],
)
def test_call_of_a_region_that_a_control_policy_may_deny(statement: dict[str, Any], *, may_be_denied: bool) -> None:
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*"} | statement
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})

    assert list_denied_calls(document, [RULE]) == (("events:PutRule in us-east-1",) if may_be_denied else ())


def test_ours_denies_the_stack_set_nothing() -> None:
    assert list_denied_calls(PROTECT, [RULE]) == ()
    assert list_denied_calls(PROTECT, [replace(RULE, principal_arn=USER)]) != ()


def test_ours_is_a_guard_and_of_no_other_policy() -> None:
    assert is_guard(PROTECT, POLICY)
    assert not is_guard(PROTECT, f"{POLICY}2")
