"""Who can do what: each row is one request, and what IAM decides about it.

The documents are those of the template, rendered. Nothing here is about what the program calls.
"""

from typing import Any

import pytest

from orchestrator.aws.sessions import READ_ACTIONS
from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.permission_samples import (
    A_ROLE,
    ADMIN_POLICY,
    ANA,
    ANA_UNDER_PATH,
    BOB,
    BOB_UNDER_ANA,
    DEVICE,
    GROUP,
    GROUP_UNDER_PATH,
    IAM,
    MEMBER_ROLE,
    NO,
    NOTHING,
    OPERATIONS,
    OTHER_GROUP,
    OTHER_POLICY,
    POLICY,
    POLICY_OF_SIBLING,
    POLICY_UNDER_PATH,
    RELEASE_ROLE,
    YES,
)
from tests.member_role.rendering import MEMBER, permissions_of

BREAK_GLASS = f"{IAM}:user/break-glass-1"

USERS = (ANA, ANA_UNDER_PATH)
POLICIES = (POLICY, OTHER_POLICY, ADMIN_POLICY, POLICY_UNDER_PATH, POLICY_OF_SIBLING)
GROUPS = (GROUP, OTHER_GROUP, GROUP_UNDER_PATH)
TARGETS = ("*", *USERS, *POLICIES, *GROUPS, DEVICE, A_ROLE, MEMBER_ROLE, RELEASE_ROLE)
ATTACHED = (None, *POLICIES)
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
