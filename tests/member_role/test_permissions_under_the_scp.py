"""What everyone in a member account can do under protect.scp.json."""

import json

import pytest

from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.permission_samples import (
    A_ROLE,
    ADMIN_POLICY,
    ANA,
    FULL_ACCESS,
    GROUP,
    IAM,
    MEMBER_ROLE,
    NO,
    OTHER_GROUP,
    OTHER_POLICY,
    POLICY,
    RELEASE_ROLE,
    YES,
)
from tests.member_role.rendering import FOLDER, MEMBER

EVENTS_ROLE, EVENTS_RULE = f"{IAM}:role/orgmfa-events", f"arn:aws:events:us-east-1:{MEMBER}:rule/orgmfa-iam-events"

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
