"""Who can do what: each row is one request, and what IAM decides about it.

The documents are those of the template, rendered. Nothing here is about what the program calls.
"""

import json
from typing import Any

import pytest
from botocore.loaders import Loader

from orchestrator.aws.sessions import READ_ACTIONS
from orchestrator.domain.policy_document import PARTITIONS
from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.rendering import (
    FOLDER,
    MEMBER,
    ORGANIZATION,
    SECURITY,
    SIBLING,
    enforcement_document,
    permissions_of,
    resources,
)

# NOTHING: no statement applies, so nothing is granted. NO: a statement denies, whatever else is granted.
YES, NOTHING, NO = Decision.ALLOW, Decision.IMPLICIT_DENY, Decision.EXPLICIT_DENY

IAM = f"arn:aws:iam::{MEMBER}"
POLICY, GROUP = f"{IAM}:policy/EnforceMFA", f"{IAM}:group/EnforceMFA"
OTHER_POLICY, OTHER_GROUP = f"{IAM}:policy/EnforceMFA2", f"{IAM}:group/EnforceMFA2"
ADMIN_POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"
POLICY_UNDER_PATH, GROUP_UNDER_PATH = f"{IAM}:policy/x/EnforceMFA", f"{IAM}:group/x/EnforceMFA"
POLICY_OF_SIBLING = f"arn:aws:iam::{SIBLING}:policy/EnforceMFA"
ANA, ANA_UNDER_PATH = f"{IAM}:user/ana", f"{IAM}:user/engineering/eu/ana"
BOB, BOB_UNDER_ANA, ANAB = f"{IAM}:user/bob", f"{IAM}:user/ana/bob", f"{IAM}:user/anab"
BREAK_GLASS = f"{IAM}:user/break-glass-1"
DEVICE = f"{IAM}:mfa/any-name"
A_ROLE, MEMBER_ROLE, RELEASE_ROLE = (f"{IAM}:role/{name}" for name in ("any", "orgmfa-member", "orgmfa-release"))
EVENTS_ROLE, EVENTS_RULE = f"{IAM}:role/orgmfa-events", f"arn:aws:events:us-east-1:{MEMBER}:rule/orgmfa-iam-events"

USERS = (ANA, ANA_UNDER_PATH)
POLICIES = (POLICY, OTHER_POLICY, ADMIN_POLICY, POLICY_UNDER_PATH, POLICY_OF_SIBLING)
GROUPS = (GROUP, OTHER_GROUP, GROUP_UNDER_PATH)
TARGETS = ("*", *USERS, *POLICIES, *GROUPS, DEVICE, A_ROLE, MEMBER_ROLE, RELEASE_ROLE)
ATTACHED = (None, *POLICIES)

FULL_ACCESS = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"},
}

OPERATIONS = sorted(Loader().load_service_model("iam", "service-2")["operations"])
READS_OF_THE_ACCOUNT = [
    "iam:GenerateCredentialReport",
    "iam:GetAccountAuthorizationDetails",
    "iam:GetAccountSummary",
    "iam:GetCredentialReport",
    "iam:ListAccountAliases",
    "iam:ListServiceSpecificCredentials",
    "iam:ListVirtualMFADevices",
]
READS_OF_USERS = [
    "iam:GetAccessKeyLastUsed",
    "iam:GetLoginProfile",
    "iam:GetUser",
    "iam:ListAccessKeys",
    "iam:ListAttachedUserPolicies",
    "iam:ListGroupsForUser",
    "iam:ListMFADevices",
    "iam:ListSSHPublicKeys",
    "iam:SimulatePrincipalPolicy",
]


def everything_allowed(policies: list[dict[str, Any]]) -> set[tuple[str, str, str | None]]:
    """Return every IAM action that is allowed, with the resource and the policy it is about.

    All operations that botocore knows are tried on resources of each kind, with our policy, others, and none.
    """
    return {
        (operation, resource, attached)
        for operation in OPERATIONS
        for resource in TARGETS
        for attached in ATTACHED
        if decide(about(f"iam:{operation}", resource, attached), policies) == YES
    }


def allowing(actions: str | list[str]) -> dict[str, Any]:
    """Return a policy that allows these actions on everything."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}


def about(action: str, resource: str, attached: str | None = None) -> Request:
    return Request(action, resource, {"iam:PolicyARN": attached} if attached else {})


# A thief of the Lambda function, or of the operator's role: holds orgmfa-member in every account.
WRITES = ["iam:AttachUserPolicy", "iam:AddUserToGroup"]
MEMBER_ROLE_ROWS = [
    *((action, "*", None, YES) for action in READS_OF_THE_ACCOUNT),
    *((action, ANA, None, YES) for action in READS_OF_USERS),
    *((action, ANA_UNDER_PATH, None, YES) for action in READS_OF_USERS),
    ("iam:GetPolicy", POLICY, None, YES),
    ("iam:GetPolicy", OTHER_POLICY, None, NOTHING),
    ("iam:GetPolicy", POLICY_UNDER_PATH, None, NOTHING),
    ("iam:GetPolicyVersion", POLICY, None, YES),
    ("iam:GetPolicyVersion", ADMIN_POLICY, None, NOTHING),
    ("iam:ListAttachedGroupPolicies", GROUP, None, YES),
    ("iam:ListAttachedGroupPolicies", OTHER_GROUP, None, NOTHING),
    ("iam:ListGroupPolicies", GROUP, None, YES),
    ("iam:ListGroupPolicies", GROUP_UNDER_PATH, None, NOTHING),
    ("iam:GetGroupPolicy", GROUP, None, NOTHING),
    ("iam:GetGroup", GROUP, None, NOTHING),
    # What it is there for.
    ("iam:AttachUserPolicy", ANA, POLICY, YES),
    ("iam:AttachUserPolicy", ANA_UNDER_PATH, POLICY, YES),
    ("iam:AddUserToGroup", GROUP, None, YES),
    # Attaching anything else would be a grant.
    ("iam:AttachUserPolicy", ANA, ADMIN_POLICY, NOTHING),
    ("iam:AttachUserPolicy", ANA, OTHER_POLICY, NOTHING),
    ("iam:AttachUserPolicy", ANA, POLICY_UNDER_PATH, NOTHING),
    ("iam:AttachUserPolicy", ANA, POLICY_OF_SIBLING, NOTHING),
    ("iam:AttachUserPolicy", ANA, None, NOTHING),
    ("iam:AttachRolePolicy", A_ROLE, POLICY, NOTHING),
    ("iam:AttachGroupPolicy", GROUP, POLICY, NOTHING),
    ("iam:AttachGroupPolicy", GROUP, ADMIN_POLICY, NOTHING),
    ("iam:AddUserToGroup", OTHER_GROUP, None, NOTHING),
    ("iam:AddUserToGroup", GROUP_UNDER_PATH, None, NOTHING),
    ("iam:PutUserPolicy", ANA, None, NOTHING),
    ("iam:PutGroupPolicy", GROUP, None, NOTHING),
    ("iam:PutUserPermissionsBoundary", ANA, None, NOTHING),
    # Undoing, or making the policy a grant.
    ("iam:DetachUserPolicy", ANA, POLICY, NOTHING),
    ("iam:RemoveUserFromGroup", GROUP, None, NOTHING),
    ("iam:DetachGroupPolicy", GROUP, POLICY, NOTHING),
    ("iam:CreatePolicyVersion", POLICY, None, NOTHING),
    ("iam:SetDefaultPolicyVersion", POLICY, None, NOTHING),
    ("iam:DeletePolicy", POLICY, None, NOTHING),
    ("iam:DeleteGroup", GROUP, None, NOTHING),
    # Becoming a user, or taking a user's device.
    ("iam:CreateUser", ANA, None, NOTHING),
    ("iam:CreateAccessKey", ANA, None, NOTHING),
    ("iam:CreateLoginProfile", ANA, None, NOTHING),
    ("iam:UpdateLoginProfile", ANA, None, NOTHING),
    ("iam:CreateVirtualMFADevice", DEVICE, None, NOTHING),
    ("iam:EnableMFADevice", ANA, None, NOTHING),
    ("iam:DeactivateMFADevice", ANA, None, NOTHING),
    ("iam:DeleteVirtualMFADevice", DEVICE, None, NOTHING),
    # Its own chains.
    ("iam:PutRolePolicy", MEMBER_ROLE, None, NOTHING),
    ("iam:UpdateAssumeRolePolicy", MEMBER_ROLE, None, NOTHING),
    ("iam:UpdateAssumeRolePolicy", RELEASE_ROLE, None, NOTHING),
    ("iam:PassRole", A_ROLE, None, NOTHING),
    ("sts:AssumeRole", RELEASE_ROLE, None, NOTHING),
    # And nothing else of the account.
    ("s3:GetObject", "arn:aws:s3:::bucket/key", None, NOTHING),
    ("s3:ListAllMyBuckets", "*", None, NOTHING),
    ("organizations:ListAccounts", "*", None, NOTHING),
    ("cloudformation:UpdateStack", f"arn:aws:cloudformation:us-east-1:{MEMBER}:stack/a/b", None, NOTHING),
]


@pytest.mark.parametrize(("action", "resource", "attached", "expected"), MEMBER_ROLE_ROWS)
def test_a_thief_of_the_member_role(action: str, resource: str, attached: str | None, *, expected: Decision) -> None:
    assert decide(about(action, resource, attached), permissions_of("MemberRole")) == expected


def test_the_member_role_can_make_no_other_iam_call() -> None:
    whatever_is_attached = [
        *((action, target) for action in READS_OF_THE_ACCOUNT for target in TARGETS),
        *((action, user) for action in READS_OF_USERS for user in USERS),
        ("iam:GetPolicy", POLICY),
        ("iam:GetPolicyVersion", POLICY),
        ("iam:ListAttachedGroupPolicies", GROUP),
        ("iam:ListGroupPolicies", GROUP),
        ("iam:AddUserToGroup", GROUP),
    ]

    allowed = everything_allowed(permissions_of("MemberRole"))

    assert allowed == {
        *(
            (action.removeprefix("iam:"), target, attached)
            for action, target in whatever_is_attached
            for attached in ATTACHED
        ),
        ("AttachUserPolicy", ANA, POLICY),
        ("AttachUserPolicy", ANA_UNDER_PATH, POLICY),
    }


@pytest.mark.parametrize("managing", ["true", "false"])
def test_without_enforcement_the_member_role_reads_the_same_and_writes_nothing(managing: str) -> None:
    reads = everything_allowed(permissions_of("MemberRole")) - everything_allowed([allowing(WRITES)])
    documents = permissions_of("MemberRole", Enforcement="off", AllowPolicyManagement=managing)
    with_all = [
        *documents,
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
    ]

    assert everything_allowed(documents) == reads
    assert {action.split(":")[1] for action in READ_ACTIONS} >= {action for action, *_ in reads}
    assert decide(about("iam:AttachUserPolicy", ANA, POLICY), with_all) == NO
    assert decide(about("iam:AddUserToGroup", GROUP), with_all) == NO


def test_without_enforcement_the_way_out_is_the_same() -> None:
    assert permissions_of("ReleaseRole", Enforcement="off") == permissions_of("ReleaseRole")


# A thief of the operator's role alone holds orgmfa-release.
RELEASE_ROLE_ROWS = [
    ("iam:DetachUserPolicy", ANA, POLICY, YES),
    ("iam:DetachUserPolicy", ANA_UNDER_PATH, POLICY, YES),
    ("iam:RemoveUserFromGroup", GROUP, None, YES),
    ("iam:DetachUserPolicy", ANA, ADMIN_POLICY, NOTHING),
    ("iam:DetachUserPolicy", ANA, OTHER_POLICY, NOTHING),
    ("iam:DetachUserPolicy", ANA, POLICY_UNDER_PATH, NOTHING),
    ("iam:DetachUserPolicy", ANA, None, NOTHING),
    ("iam:RemoveUserFromGroup", OTHER_GROUP, None, NOTHING),
    ("iam:RemoveUserFromGroup", GROUP_UNDER_PATH, None, NOTHING),
    ("iam:DetachGroupPolicy", GROUP, POLICY, NOTHING),
    ("iam:DetachRolePolicy", A_ROLE, POLICY, NOTHING),
    ("iam:AttachUserPolicy", ANA, POLICY, NOTHING),
    ("iam:AddUserToGroup", GROUP, None, NOTHING),
    ("iam:DeleteUser", ANA, None, NOTHING),
    ("iam:DeactivateMFADevice", ANA, None, NOTHING),
    ("iam:GetUser", ANA, None, NOTHING),
    ("iam:ListAttachedUserPolicies", ANA, None, NOTHING),
    ("iam:GetAccountAuthorizationDetails", "*", None, NOTHING),
    ("s3:ListAllMyBuckets", "*", None, NOTHING),
]


@pytest.mark.parametrize(("action", "resource", "attached", "expected"), RELEASE_ROLE_ROWS)
def test_a_thief_of_the_release_role(action: str, resource: str, attached: str | None, *, expected: Decision) -> None:
    assert decide(about(action, resource, attached), permissions_of("ReleaseRole")) == expected


def test_the_release_role_can_make_no_other_iam_call() -> None:
    allowed = everything_allowed(permissions_of("ReleaseRole", AllowPolicyManagement="true"))

    assert allowed == {
        *(("RemoveUserFromGroup", GROUP, attached) for attached in ATTACHED),
        ("DetachUserPolicy", ANA, POLICY),
        ("DetachUserPolicy", ANA_UNDER_PATH, POLICY),
    }


PROTECTED = f"arn:aws:iam::*:user/break-glass-*, {BOB}"


@pytest.mark.parametrize(
    ("action", "resource", "attached", "expected"),
    [
        ("iam:AttachUserPolicy", BREAK_GLASS, POLICY, NO),
        ("iam:AttachUserPolicy", BOB, POLICY, NO),
        ("iam:AttachUserPolicy", BOB, ADMIN_POLICY, NO),
        ("iam:AttachUserPolicy", BOB_UNDER_ANA, POLICY, YES),
        ("iam:AttachUserPolicy", ANA, POLICY, YES),
        ("iam:ListMFADevices", BREAK_GLASS, None, YES),
        # The way that stays open: the user is no resource of this call.
        ("iam:AddUserToGroup", GROUP, None, YES),
    ],
)
def test_protected_users_cannot_be_attached_to(
    action: str, resource: str, attached: str | None, *, expected: Decision
) -> None:
    policies = permissions_of("MemberRole", ProtectedUserArns=PROTECTED)

    assert decide(about(action, resource, attached), policies) == expected


@pytest.mark.parametrize(
    ("action", "resource", "attached", "expected"),
    [
        ("iam:CreatePolicy", POLICY, None, YES),
        ("iam:TagPolicy", POLICY, None, YES),
        ("iam:CreatePolicyVersion", POLICY, None, YES),
        ("iam:DeletePolicyVersion", POLICY, None, YES),
        ("iam:ListPolicyVersions", POLICY, None, YES),
        ("iam:CreateGroup", GROUP, None, YES),
        ("iam:GetGroup", GROUP, None, YES),
        ("iam:AttachGroupPolicy", GROUP, POLICY, YES),
        ("iam:AttachUserPolicy", ANA, POLICY, YES),
        ("iam:CreatePolicy", OTHER_POLICY, None, NOTHING),
        ("iam:CreatePolicy", POLICY_UNDER_PATH, None, NOTHING),
        ("iam:CreatePolicyVersion", OTHER_POLICY, None, NOTHING),
        ("iam:TagPolicy", OTHER_POLICY, None, NOTHING),
        ("iam:CreateGroup", OTHER_GROUP, None, NOTHING),
        ("iam:GetGroup", OTHER_GROUP, None, NOTHING),
        ("iam:AttachGroupPolicy", GROUP, ADMIN_POLICY, NOTHING),
        ("iam:AttachGroupPolicy", GROUP, None, NOTHING),
        ("iam:AttachGroupPolicy", OTHER_GROUP, POLICY, NOTHING),
        ("iam:AttachUserPolicy", ANA, ADMIN_POLICY, NOTHING),
        ("iam:AttachRolePolicy", A_ROLE, POLICY, NOTHING),
        ("iam:DeletePolicy", POLICY, None, NOTHING),
        ("iam:SetDefaultPolicyVersion", POLICY, None, NOTHING),
        ("iam:DeleteGroup", GROUP, None, NOTHING),
        ("iam:UpdateGroup", GROUP, None, NOTHING),
        ("iam:DetachGroupPolicy", GROUP, POLICY, NOTHING),
        ("iam:DetachUserPolicy", ANA, POLICY, NOTHING),
    ],
)
def test_the_member_role_that_manages_the_policy(
    action: str, resource: str, attached: str | None, *, expected: Decision
) -> None:
    policies = permissions_of("MemberRole", AllowPolicyManagement="true")

    assert decide(about(action, resource, attached), policies) == expected


def test_paths_and_names_move_the_permissions_along() -> None:
    policies = permissions_of("MemberRole", PolicyPath="/x/", PolicyName="Mfa", GroupName="Mfas")
    policy, group = f"{IAM}:policy/x/Mfa", f"{IAM}:group/x/Mfas"

    decisions = [
        decide(about("iam:AttachUserPolicy", ANA, policy), policies),
        decide(about("iam:AddUserToGroup", group), policies),
        decide(about("iam:GetPolicy", policy), policies),
        decide(about("iam:AttachUserPolicy", ANA, POLICY), policies),
        decide(about("iam:AddUserToGroup", GROUP), policies),
    ]

    assert decisions == [YES, YES, YES, NOTHING, NOTHING]


# What a request carries, by how the user signs it (IAM user guide, Global condition context keys).
# IAM itself refuses its own API to GetSessionToken credentials without MFA, whatever a policy says.
SESSIONS = {
    "console": {"aws:MultiFactorAuthPresent": "false", "aws:ViaAWSService": "false"},
    "console, MFA": {"aws:MultiFactorAuthPresent": "true", "aws:ViaAWSService": "false"},
    "key": {"aws:ViaAWSService": "false"},
    "token": {"aws:MultiFactorAuthPresent": "false", "aws:ViaAWSService": "false"},
    "token, MFA": {"aws:MultiFactorAuthPresent": "true", "aws:ViaAWSService": "false"},
    "service": {"aws:MultiFactorAuthPresent": "false", "aws:ViaAWSService": "true"},
}

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


SECURITY_IAM = f"arn:aws:iam::{SECURITY}"

# caller, its organization, may assume orgmfa-member, may assume orgmfa-release.
TRUST_ROWS = [
    (f"{SECURITY_IAM}:role/orgmfa-orchestrator", ORGANIZATION, YES, NOTHING),
    (f"{SECURITY_IAM}:role/orgmfa-operator", ORGANIZATION, YES, YES),
    (f"{SECURITY_IAM}:role/any", ORGANIZATION, NOTHING, NOTHING),
    (f"{SECURITY_IAM}:role/orgmfa-operator2", ORGANIZATION, NOTHING, NOTHING),
    (f"{SECURITY_IAM}:role/path/orgmfa-operator", ORGANIZATION, NOTHING, NOTHING),
    (f"{SECURITY_IAM}:user/orgmfa-operator", ORGANIZATION, NOTHING, NOTHING),
    (f"{SECURITY_IAM}:root", ORGANIZATION, NOTHING, NOTHING),
    (f"arn:aws:iam::{SIBLING}:role/orgmfa-orchestrator", ORGANIZATION, NOTHING, NOTHING),
    (f"arn:aws:iam::{SIBLING}:role/orgmfa-operator", ORGANIZATION, NOTHING, NOTHING),
    (f"{IAM}:role/orgmfa-operator", ORGANIZATION, NOTHING, NOTHING),
    (f"{IAM}:user/administrator", ORGANIZATION, NOTHING, NOTHING),
    (MEMBER_ROLE, ORGANIZATION, NOTHING, NOTHING),
    (f"arn:aws-cn:iam::{SECURITY}:role/orgmfa-operator", ORGANIZATION, NOTHING, NOTHING),
    # The security account left the organization, or another account has its number in another organization.
    (f"{SECURITY_IAM}:role/orgmfa-orchestrator", "o-zzzzzzzzzz", NOTHING, NOTHING),
    (f"{SECURITY_IAM}:role/orgmfa-operator", "o-zzzzzzzzzz", NOTHING, NOTHING),
    (f"{SECURITY_IAM}:role/orgmfa-operator", None, NOTHING, NOTHING),
]


@pytest.mark.parametrize(("caller", "organization", "member", "release"), TRUST_ROWS)
def test_who_may_assume_the_roles(
    caller: str, organization: str | None, *, member: Decision, release: Decision
) -> None:
    context = {"aws:PrincipalArn": caller}
    if organization is not None:
        context["aws:PrincipalOrgID"] = organization
    deployed = resources()

    decisions = [
        decide(
            Request("sts:AssumeRole", f"{IAM}:role/{deployed[role]['RoleName']}", context),
            [deployed[role]["AssumeRolePolicyDocument"]],
        )
        for role in ("MemberRole", "ReleaseRole")
    ]

    assert decisions == [member, release]


@pytest.mark.parametrize(("role", "arn"), [("MemberRole", MEMBER_ROLE), ("ReleaseRole", RELEASE_ROLE)])
@pytest.mark.parametrize(
    ("action", "allowed_with_context"),
    [
        ("sts:TagSession", True),
        ("sts:SetSourceIdentity", True),
        ("sts:AssumeRoleWithSAML", False),
        ("sts:AssumeRoleWithWebIdentity", False),
        ("sts:SetContext", False),
    ],
)
@pytest.mark.parametrize("allows", ["false", "true"])
def test_the_trust_is_for_assuming_alone_unless_the_session_may_keep_its_context(
    role: str, arn: str, action: str, allows: str, *, allowed_with_context: bool
) -> None:
    operator, other = (f"{SECURITY_IAM}:role/{name}" for name in ("orgmfa-operator", "any"))
    trust = resources(AllowSessionContext=allows)[role]["AssumeRolePolicyDocument"]

    def judge(caller: str, organization: str = ORGANIZATION) -> Decision:
        context = {"aws:PrincipalArn": caller, "aws:PrincipalOrgID": organization}
        return decide(Request(action, arn, context), [trust])

    assert judge(operator) == (YES if allowed_with_context and allows == "true" else NOTHING)
    assert judge(other) == NOTHING
    assert judge(operator, "o-zzzzzzzzzz") == NOTHING


STACKSET = f"{IAM}:role/stacksets-exec-0123456789abcdef0123456789abcdef"
MEMBER_OF_STACKSETS = (
    f"{IAM}:role/aws-service-role/member.org.stacksets.cloudformation.amazonaws.com/"
    "AWSServiceRoleForCloudFormationStackSetsOrgMember"
)
STACK = f"arn:aws:cloudformation:us-east-1:{MEMBER}:stack/StackSet-orgmfa-member-0a1b/2c3d"
WHO = {
    "administrator": f"{IAM}:user/administrator",
    "SSO administrator": f"{IAM}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0a1b",
    "root user": f"{IAM}:root",
    "StackSet": STACKSET,
    "StackSets service": MEMBER_OF_STACKSETS,
    "member role": MEMBER_ROLE,
    "release role": RELEASE_ROLE,
    "impostor": f"{IAM}:role/path/orgmfa-release",
}

OUTSIDERS = ("administrator", "SSO administrator", "root user")
POLICY_WRITES = (
    "iam:CreatePolicy",
    "iam:CreatePolicyVersion",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:SetDefaultPolicyVersion",
    "iam:TagPolicy",
    "iam:UntagPolicy",
)
GROUP_WRITES = (
    "iam:AttachGroupPolicy",
    "iam:CreateGroup",
    "iam:DeleteGroup",
    "iam:DeleteGroupPolicy",
    "iam:DetachGroupPolicy",
    "iam:PutGroupPolicy",
    "iam:UpdateGroup",
)
ROLE_WRITES = (
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
    "iam:UpdateRoleDescription",
)
STACK_WRITES = (
    "cloudformation:CancelUpdateStack",
    "cloudformation:ContinueUpdateRollback",
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:RollbackStack",
    "cloudformation:SetStackPolicy",
    "cloudformation:UpdateStack",
    "cloudformation:UpdateTerminationProtection",
)

RULE_WRITES = (
    "events:DeleteRule",
    "events:DisableRule",
    "events:PutRule",
    "events:PutTargets",
    "events:RemoveTargets",
)

# who, action, resource, the policy that is attached or detached, decision. By policy, everyone may do all.
SCP_ROWS = [
    # The account stays in the organization: outside it, no control policy holds.
    *(
        (who, action, "*", None, NO)
        for who in WHO
        for action in ("account:CloseAccount", "organizations:LeaveOrganization")
    ),
    ("administrator", "organizations:DescribeOrganization", "*", None, YES),
    ("administrator", "account:GetContactInformation", "*", None, YES),
    # The policy.
    *((who, action, POLICY, None, NO) for who in (*OUTSIDERS, "release role", "impostor") for action in POLICY_WRITES),
    ("StackSet", "iam:CreatePolicy", POLICY, None, YES),
    ("StackSet", "iam:CreatePolicyVersion", POLICY, None, YES),
    ("StackSet", "iam:DeletePolicyVersion", POLICY, None, YES),
    ("StackSet", "iam:DeletePolicy", POLICY, None, YES),
    ("StackSet", "iam:SetDefaultPolicyVersion", POLICY, None, YES),
    ("administrator", "iam:CreatePolicyVersion", OTHER_POLICY, None, YES),
    ("administrator", "iam:GetPolicyVersion", POLICY, None, YES),
    # The group.
    *((who, action, GROUP, POLICY, NO) for who in (*OUTSIDERS, "release role", "impostor") for action in GROUP_WRITES),
    ("administrator", "iam:AttachGroupPolicy", GROUP, ADMIN_POLICY, NO),
    ("StackSet", "iam:CreateGroup", GROUP, None, YES),
    ("StackSet", "iam:AttachGroupPolicy", GROUP, POLICY, YES),
    ("StackSet", "iam:DetachGroupPolicy", GROUP, POLICY, YES),
    ("StackSet", "iam:DeleteGroup", GROUP, None, YES),
    ("administrator", "iam:AttachGroupPolicy", OTHER_GROUP, POLICY, YES),
    ("administrator", "iam:DeleteGroup", OTHER_GROUP, None, YES),
    ("administrator", "iam:GetGroup", GROUP, None, YES),
    # The member role still enforces, and manages the policy where its own permissions let it.
    ("member role", "iam:AttachUserPolicy", ANA, POLICY, YES),
    ("member role", "iam:AddUserToGroup", GROUP, None, YES),
    ("member role", "iam:CreatePolicy", POLICY, None, YES),
    ("member role", "iam:TagPolicy", POLICY, None, YES),
    ("member role", "iam:CreatePolicyVersion", POLICY, None, YES),
    ("member role", "iam:DeletePolicyVersion", POLICY, None, YES),
    ("member role", "iam:CreateGroup", GROUP, None, YES),
    ("member role", "iam:AttachGroupPolicy", GROUP, POLICY, YES),
    ("member role", "iam:DeletePolicy", POLICY, None, NO),
    ("member role", "iam:SetDefaultPolicyVersion", POLICY, None, NO),
    ("member role", "iam:DetachGroupPolicy", GROUP, POLICY, NO),
    ("member role", "iam:PutGroupPolicy", GROUP, None, NO),
    # Enforcement is undone by the release role alone.
    ("administrator", "iam:DetachUserPolicy", ANA, POLICY, NO),
    ("SSO administrator", "iam:DetachUserPolicy", ANA, POLICY, NO),
    ("root user", "iam:DetachUserPolicy", ANA, POLICY, NO),
    ("member role", "iam:DetachUserPolicy", ANA, POLICY, NO),
    ("impostor", "iam:DetachUserPolicy", ANA, POLICY, NO),
    ("release role", "iam:DetachUserPolicy", ANA, POLICY, YES),
    ("administrator", "iam:DetachUserPolicy", ANA, ADMIN_POLICY, YES),
    ("administrator", "iam:DetachUserPolicy", ANA, OTHER_POLICY, YES),
    ("administrator", "iam:RemoveUserFromGroup", GROUP, None, NO),
    ("root user", "iam:RemoveUserFromGroup", GROUP, None, NO),
    ("member role", "iam:RemoveUserFromGroup", GROUP, None, NO),
    ("release role", "iam:RemoveUserFromGroup", GROUP, None, YES),
    ("administrator", "iam:RemoveUserFromGroup", OTHER_GROUP, None, YES),
    # The roles, and the StackSet's own, else anyone could make a role of that name.
    *(
        (who, action, role, ADMIN_POLICY, NO)
        for who in (*OUTSIDERS, "member role", "release role")
        for role in (EVENTS_ROLE, MEMBER_ROLE, RELEASE_ROLE, STACKSET)
        for action in ROLE_WRITES
    ),
    ("administrator", "iam:CreateRole", f"{IAM}:role/stacksets-exec-mine", None, NO),
    ("StackSet", "iam:CreateRole", MEMBER_ROLE, None, YES),
    ("StackSet", "iam:UpdateAssumeRolePolicy", MEMBER_ROLE, None, YES),
    ("StackSet", "iam:PutRolePolicy", RELEASE_ROLE, None, YES),
    ("StackSet", "iam:DeleteRole", RELEASE_ROLE, None, YES),
    # SCPs do not reach service-linked roles at all; the exception keeps it right where that would change.
    ("StackSets service", "iam:CreateRole", STACKSET, None, YES),
    ("StackSets service", "iam:AttachRolePolicy", STACKSET, ADMIN_POLICY, YES),
    ("StackSets service", "iam:DeleteRole", STACKSET, None, YES),
    ("administrator", "iam:CreateRole", A_ROLE, None, YES),
    ("administrator", "iam:PutRolePolicy", A_ROLE, None, YES),
    ("administrator", "iam:GetRole", MEMBER_ROLE, None, YES),
    # The rule that sends IAM's events.
    *(
        (who, action, EVENTS_RULE, None, NO)
        for who in (*OUTSIDERS, "member role", "release role")
        for action in RULE_WRITES
    ),
    *(("StackSet", action, EVENTS_RULE, None, YES) for action in RULE_WRITES),
    ("StackSet", "iam:CreateRole", EVENTS_ROLE, None, YES),
    ("administrator", "events:DescribeRule", EVENTS_RULE, None, YES),
    ("administrator", "events:PutRule", EVENTS_RULE.replace("orgmfa-", "other-"), None, YES),
    # The rule of the security account stands on another bus, and is the deployer's.
    ("administrator", "events:PutRule", EVENTS_RULE.replace("rule/", "rule/orgmfa-iam/"), None, YES),
    # The StackSet's stack.
    *((who, action, STACK, None, NO) for who in (*OUTSIDERS, "member role", "release role") for action in STACK_WRITES),
    ("StackSet", "cloudformation:UpdateStack", STACK, None, YES),
    ("StackSet", "cloudformation:DeleteStack", STACK, None, YES),
    ("administrator", "cloudformation:DescribeStacks", STACK, None, YES),
    ("administrator", "cloudformation:DeleteStack", STACK.replace("orgmfa", "other"), None, YES),
    # And nothing else.
    ("administrator", "iam:CreateUser", ANA, None, YES),
    ("administrator", "iam:AttachUserPolicy", ANA, POLICY, YES),
    ("administrator", "iam:AddUserToGroup", GROUP, None, YES),
    ("administrator", "iam:DeactivateMFADevice", ANA, None, YES),
    ("administrator", "s3:ListAllMyBuckets", "*", None, YES),
]


@pytest.mark.parametrize(("who", "action", "resource", "attached", "expected"), SCP_ROWS)
def test_a_member_account_under_the_service_control_policy(
    who: str, action: str, resource: str, *, attached: str | None, expected: Decision
) -> None:
    protect = json.loads((FOLDER / "protect.scp.json").read_text("utf-8"))
    context = {"aws:PrincipalArn": WHO[who]} | ({"iam:PolicyARN": attached} if attached else {})

    decision = decide(Request(action, resource, context), [FULL_ACCESS], limits=[[FULL_ACCESS, protect]])

    assert decision == expected
