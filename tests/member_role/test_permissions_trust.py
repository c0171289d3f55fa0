"""Who may assume the roles of a member account."""

import pytest

from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.permission_samples import IAM, MEMBER_ROLE, NOTHING, RELEASE_ROLE, YES
from tests.member_role.rendering import ORGANIZATION, SECURITY, SIBLING, resources

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
