"""What a user under EnforceMFA can do, without MFA and with it."""

from typing import Any

import pytest

from orchestrator.domain.policy_document import PARTITIONS
from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.permission_samples import (
    A_ROLE,
    ANA,
    ANA_UNDER_PATH,
    ANAB,
    BOB,
    BOB_UNDER_ANA,
    DEVICE,
    FULL_ACCESS,
    GROUP,
    IAM,
    NO,
    NOTHING,
    OPERATIONS,
    POLICY,
    SESSIONS,
    YES,
)
from tests.member_role.rendering import MEMBER, enforcement_document

# who, action, resource, decision with AccessKeys=deny, and with AccessKeys=allow.
# The user has EnforceMFA and no other policy.
USER_ROWS = [
    # A password, stolen or not, and no device: enrolling, one's own password, and no more.
    ("console", "iam:GetAccountPasswordPolicy", "*", YES, YES),
    ("console", "iam:ListVirtualMFADevices", "*", YES, YES),
    ("console", "iam:GetUser", ANA, YES, YES),
    ("console", "iam:GetUser", ANA_UNDER_PATH, YES, YES),
    ("console", "iam:ListMFADevices", ANA, YES, YES),
    ("console", "iam:ListMFADevices", ANA_UNDER_PATH, YES, YES),
    ("console", "iam:GetMFADevice", ANA, YES, YES),
    ("console", "iam:ChangePassword", ANA, YES, YES),
    ("console", "iam:ChangePassword", ANA_UNDER_PATH, YES, YES),
    ("console", "iam:CreateVirtualMFADevice", DEVICE, YES, YES),
    ("console", "iam:CreateVirtualMFADevice", f"{IAM}:mfa/ana", YES, YES),
    ("console", "iam:CreateVirtualMFADevice", f"{IAM}:mfa/path/phone", YES, YES),
    ("console", "iam:EnableMFADevice", ANA, YES, YES),
    ("console", "iam:EnableMFADevice", ANA_UNDER_PATH, YES, YES),
    ("console", "iam:ResyncMFADevice", ANA, YES, YES),
    ("console", "iam:EnableMFADevice", BOB, NO, NO),
    ("console", "iam:EnableMFADevice", BOB_UNDER_ANA, NO, NO),
    ("console", "iam:EnableMFADevice", ANAB, NO, NO),
    ("console", "iam:ResyncMFADevice", BOB, NO, NO),
    ("console", "iam:GetUser", BOB, NOTHING, NOTHING),
    ("console", "iam:ChangePassword", BOB, NOTHING, NOTHING),
    ("console", "iam:ListMFADevices", BOB, NOTHING, NOTHING),
    ("console", "iam:DeactivateMFADevice", ANA, NO, NO),
    ("console", "iam:DeleteVirtualMFADevice", DEVICE, NO, NO),
    ("console", "iam:CreateAccessKey", ANA, NO, NO),
    ("console", "iam:ListAccessKeys", ANA, NO, NO),
    ("console", "iam:UpdateLoginProfile", ANA, NO, NO),
    ("console", "iam:ListUsers", "*", NO, NO),
    ("console", "iam:GetAccountSummary", "*", NO, NO),
    ("console", "sts:AssumeRole", A_ROLE, NO, NO),
    ("console", "sts:GetFederationToken", ANA, NO, NO),
    ("console", "s3:ListAllMyBuckets", "*", NO, NO),
    ("console", "ec2:DescribeInstances", "*", NO, NO),
    # The policy takes nothing from those who have MFA, and gives them nothing.
    ("console, MFA", "iam:GetUser", ANA, YES, YES),
    ("console, MFA", "iam:EnableMFADevice", ANA, YES, YES),
    ("console, MFA", "iam:ResyncMFADevice", ANA_UNDER_PATH, YES, YES),
    ("console, MFA", "iam:EnableMFADevice", BOB, NOTHING, NOTHING),
    ("console, MFA", "iam:DeactivateMFADevice", ANA, NOTHING, NOTHING),
    ("console, MFA", "iam:DeleteVirtualMFADevice", DEVICE, NOTHING, NOTHING),
    ("console, MFA", "s3:ListAllMyBuckets", "*", NOTHING, NOTHING),
    # A stolen key cannot enrol a device of the thief, in either mode.
    ("key", "iam:EnableMFADevice", ANA, NO, NO),
    ("key", "iam:EnableMFADevice", ANA_UNDER_PATH, NO, NO),
    ("key", "iam:EnableMFADevice", BOB, NO, NO),
    ("key", "iam:ResyncMFADevice", BOB, NO, NO),
    # Nor is it granted what would let a thief fill the account's virtual devices.
    ("key", "iam:ResyncMFADevice", ANA, NOTHING, NOTHING),
    ("key", "iam:CreateVirtualMFADevice", DEVICE, NOTHING, NOTHING),
    ("key", "iam:ListVirtualMFADevices", "*", NOTHING, NOTHING),
    ("key", "iam:ListMFADevices", ANA, NOTHING, NOTHING),
    ("key", "iam:GetMFADevice", ANA, NOTHING, NOTHING),
    ("key", "iam:GetUser", ANA, YES, YES),
    ("key", "iam:ChangePassword", ANA, YES, YES),
    ("key", "iam:DeactivateMFADevice", ANA, NO, NOTHING),
    ("key", "iam:DeleteVirtualMFADevice", DEVICE, NO, NOTHING),
    ("key", "iam:CreateAccessKey", ANA, NO, NOTHING),
    ("key", "s3:ListAllMyBuckets", "*", NO, NOTHING),
    # GetSessionToken takes no permission; not denied, it is the way to an MFA session.
    ("key", "sts:GetSessionToken", "*", NOTHING, NOTHING),
    ("token", "s3:ListAllMyBuckets", "*", NO, NO),
    ("token", "sts:AssumeRole", A_ROLE, NO, NO),
    ("token, MFA", "s3:ListAllMyBuckets", "*", NOTHING, NOTHING),
    ("token, MFA", "iam:EnableMFADevice", ANA, YES, YES),
    # A service that acts for the user works on, and is no way to enrol.
    ("service", "s3:ListAllMyBuckets", "*", NOTHING, NOTHING),
    ("service", "iam:CreateVirtualMFADevice", DEVICE, NOTHING, NOTHING),
    ("service", "iam:EnableMFADevice", ANA, NO, NO),
    ("service", "iam:EnableMFADevice", BOB, NO, NO),
]

# The user is an administrator as well.
ADMINISTRATOR_ROWS = [
    ("console", "iam:EnableMFADevice", ANA, YES, YES),
    ("console", "iam:EnableMFADevice", BOB, NO, NO),
    ("console", "iam:ResyncMFADevice", BOB, NO, NO),
    ("console", "iam:DeactivateMFADevice", ANA, NO, NO),
    ("console", "iam:DeactivateMFADevice", BOB, NO, NO),
    ("console", "iam:DeleteVirtualMFADevice", DEVICE, NO, NO),
    ("console", "iam:AttachUserPolicy", ANA, NO, NO),
    ("console", "iam:DetachUserPolicy", ANA, NO, NO),
    ("console", "iam:RemoveUserFromGroup", GROUP, NO, NO),
    ("console", "iam:CreatePolicyVersion", POLICY, NO, NO),
    ("console", "iam:PutUserPolicy", ANA, NO, NO),
    ("console", "iam:CreateUser", BOB, NO, NO),
    ("console", "iam:CreateAccessKey", BOB, NO, NO),
    ("console", "iam:UpdateLoginProfile", BOB, NO, NO),
    ("console", "iam:CreateRole", A_ROLE, NO, NO),
    ("console", "iam:ListUsers", "*", NO, NO),
    ("console", "s3:ListAllMyBuckets", "*", NO, NO),
    ("console", "sts:AssumeRole", A_ROLE, NO, NO),
    # What an administrator may read of others without MFA: the price of sparing what enrolling takes.
    ("console", "iam:GetUser", BOB, YES, YES),
    ("console", "iam:ListMFADevices", BOB, YES, YES),
    ("console, MFA", "iam:EnableMFADevice", BOB, YES, YES),
    ("console, MFA", "iam:DeactivateMFADevice", BOB, YES, YES),
    ("console, MFA", "iam:DeleteVirtualMFADevice", DEVICE, YES, YES),
    ("console, MFA", "iam:DetachUserPolicy", ANA, YES, YES),
    ("console, MFA", "iam:CreateUser", BOB, YES, YES),
    ("console, MFA", "s3:ListAllMyBuckets", "*", YES, YES),
    # With allow, the key of an administrator does all but enrol: nothing holds it (README.md says so).
    ("key", "iam:EnableMFADevice", ANA, NO, NO),
    ("key", "iam:EnableMFADevice", BOB, NO, NO),
    ("key", "iam:ResyncMFADevice", BOB, NO, NO),
    ("key", "iam:DeactivateMFADevice", BOB, NO, YES),
    ("key", "iam:DetachUserPolicy", ANA, NO, YES),
    ("key", "iam:CreateUser", BOB, NO, YES),
    ("key", "s3:ListAllMyBuckets", "*", NO, YES),
    ("key", "sts:GetSessionToken", "*", YES, YES),
    ("token", "s3:ListAllMyBuckets", "*", NO, NO),
    ("token", "iam:DetachUserPolicy", ANA, NO, NO),
    ("token, MFA", "s3:ListAllMyBuckets", "*", YES, YES),
    ("token, MFA", "iam:DeactivateMFADevice", ANA, YES, YES),
    ("service", "s3:ListAllMyBuckets", "*", YES, YES),
    ("service", "glue:GetTable", "*", YES, YES),
    ("service", "iam:EnableMFADevice", ANA, NO, NO),
    ("service", "iam:EnableMFADevice", BOB, NO, NO),
]


@pytest.mark.parametrize(("who", "action", "resource", "deny_mode", "allow_mode"), USER_ROWS)
def test_a_user_under_enforcement(
    who: str, action: str, resource: str, *, deny_mode: Decision, allow_mode: Decision
) -> None:
    assert both_modes(who, action, resource) == (deny_mode, allow_mode)


@pytest.mark.parametrize(("who", "action", "resource", "deny_mode", "allow_mode"), ADMINISTRATOR_ROWS)
def test_an_administrator_under_enforcement(
    who: str, action: str, resource: str, *, deny_mode: Decision, allow_mode: Decision
) -> None:
    assert both_modes(who, action, resource, FULL_ACCESS) == (deny_mode, allow_mode)


def both_modes(who: str, action: str, resource: str, *rights: dict[str, Any]) -> tuple[Decision, Decision]:
    request = Request(action, resource, SESSIONS[who] | {"aws:username": "ana"})
    return (
        decide(request, [enforcement_document(AccessKeys="deny"), *rights]),
        decide(request, [enforcement_document(AccessKeys="allow"), *rights]),
    )


SPARED = {
    "ChangePassword",
    "CreateVirtualMFADevice",
    "EnableMFADevice",
    "GetAccountPasswordPolicy",
    "GetMFADevice",
    "GetUser",
    "ListMFADevices",
    "ListVirtualMFADevices",
    "ResyncMFADevice",
}


@pytest.mark.parametrize(
    ("who", "deny_mode", "allow_mode"),
    [
        ("console", SPARED, SPARED),
        ("console, MFA", set(OPERATIONS), set(OPERATIONS)),
        ("key", SPARED - {"EnableMFADevice"}, set(OPERATIONS) - {"EnableMFADevice"}),
        ("token, MFA", set(OPERATIONS), set(OPERATIONS)),
        ("service", set(OPERATIONS) - {"EnableMFADevice"}, set(OPERATIONS) - {"EnableMFADevice"}),
    ],
)
def test_what_an_administrator_can_do_of_all_of_iam(who: str, *, deny_mode: set[str], allow_mode: set[str]) -> None:
    decisions = {name: both_modes(who, f"iam:{name}", ANA, FULL_ACCESS) for name in OPERATIONS}

    assert {name for name, (denied, _) in decisions.items() if denied == YES} == deny_mode
    assert {name for name, (_, allowed) in decisions.items() if allowed == YES} == allow_mode


def test_the_documents_of_other_partitions_reach_their_own_users() -> None:
    for partition in PARTITIONS[1:]:
        document = enforcement_document(Partition=partition)
        context = SESSIONS["console"] | {"aws:username": "ana"}
        own, foreign = (f"arn:{name}:iam::{MEMBER}:user/ana" for name in (partition, "aws"))

        assert decide(Request("iam:EnableMFADevice", own, context), [document]) == YES
        assert decide(Request("iam:EnableMFADevice", foreign, context), [document]) == NO
