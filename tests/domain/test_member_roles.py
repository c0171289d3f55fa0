"""What the program takes the member roles to be is what CloudFormation makes of the template."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from orchestrator.domain.config import Config, MemberRoleConfig, PolicyConfig
from orchestrator.domain.member_roles import (
    MEMBER_ROLE,
    PROTECTED_USERS,
    RELEASE_ROLE,
    DeployedRole,
    RoleSettings,
    Trusted,
    default_trusted,
    list_differences,
    read_trusted,
    render_role,
)
from orchestrator.domain.policy_document import is_same_policy
from tests.member_role.rendering import MEMBER, ORGANIZATION, SECURITY, permissions_of, resources

SETTINGS = RoleSettings(
    partition="aws",
    account_id=MEMBER,
    organization_id=ORGANIZATION,
    security_account_id=SECURITY,
    config=Config(),
)
MANAGING = replace(SETTINGS, config=Config(policy=PolicyConfig(managed_by="orchestrator")))
OTHER_NAMES = replace(
    SETTINGS,
    partition="aws-us-gov",
    config=Config(
        member_role=MemberRoleConfig(name="mfa-member", release_name="mfa-release", path="/security/"),
        policy=PolicyConfig(name="NoMfaNoWork", group="no-mfa", path="/security/"),
    ),
)
OTHER_PARAMETERS = {
    "Partition": "aws-us-gov",
    "RoleName": "mfa-member",
    "ReleaseRoleName": "mfa-release",
    "RolePath": "/security/",
    "PolicyName": "NoMfaNoWork",
    "GroupName": "no-mfa",
    "PolicyPath": "/security/",
    "OrchestratorRoleName": "mfa-lambda",
    "OperatorRoleName": "mfa-people",
}
OTHER_TRUSTED = Trusted("mfa-lambda", "mfa-people")
WITH_CONTEXT = replace(default_trusted(), with_context=True)
ADMIN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.mark.parametrize("role", [MEMBER_ROLE, RELEASE_ROLE])
@pytest.mark.parametrize(
    ("settings", "trusted", "parameters"),
    [
        (SETTINGS, default_trusted(), {}),
        (MANAGING, default_trusted(), {"AllowPolicyManagement": "true"}),
        (SETTINGS, WITH_CONTEXT, {"AllowSessionContext": "true"}),
        (OTHER_NAMES, OTHER_TRUSTED, OTHER_PARAMETERS),
    ],
)
def test_a_role_is_rendered_as_cloudformation_makes_it(
    role: str, settings: RoleSettings, trusted: Trusted, parameters: dict[str, str]
) -> None:
    made = resources(**parameters)[role]

    rendered = render_role(role, settings, trusted)

    assert rendered.name == made["RoleName"]
    assert is_same_policy(rendered.trust, made["AssumeRolePolicyDocument"])
    expected = permissions_of(role, **parameters)
    assert len(rendered.policies) == len(expected)
    assert all(any(is_same_policy(one, other) for other in expected) for one in rendered.policies.values())


def test_the_trusted_roles_are_those_that_the_template_names() -> None:
    assert default_trusted() == Trusted("orgmfa-orchestrator", "orgmfa-operator")


def member(**changes: Any) -> DeployedRole:
    return replace(render_role(MEMBER_ROLE, SETTINGS, default_trusted()), **changes)


def release(**changes: Any) -> DeployedRole:
    return replace(render_role(RELEASE_ROLE, SETTINGS, default_trusted()), **changes)


def test_a_role_does_not_differ_from_itself() -> None:
    assert list_differences(member(), member()) == ()
    assert list_differences(release(), release()) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trust": ADMIN}, "trusts others"),
        ({"trust": release().trust}, "trusts others"),
        ({"policies": {}}, "lacks the policy 'member'"),
        ({"policies": {"member": ADMIN}}, "another text in its policy 'member'"),
        ({"policies": {**member().policies, "more": ADMIN}}, "has the policy 'more'"),
        ({"policies": {**member().policies, PROTECTED_USERS: ADMIN}}, f"has the policy '{PROTECTED_USERS}'"),
        ({"attached_policy_arns": ("arn:aws:iam::aws:policy/AdministratorAccess",)}, "AdministratorAccess attached"),
        ({"boundary_arn": "arn:aws:iam::111122223333:policy/edge"}, "boundary arn:aws:iam::111122223333:policy/edge"),
    ],
)
def test_each_difference_is_told(changes: dict[str, Any], words: str) -> None:
    (told,) = list_differences(member(**changes), member())

    assert told.startswith("orgmfa-member ")
    assert words in told


def twice(document: Any) -> str:
    """Return the URL-encoded text of a document that has its Statement twice, the other one first."""
    return quote('{"Statement": ' + json.dumps(ADMIN["Statement"]) + ", " + json.dumps(document)[1:])


def test_role_read_as_url_encoded_text_is_as_the_template_makes_it() -> None:
    read = member(
        trust=quote(json.dumps(member().trust)),
        policies={name: quote(json.dumps(document)) for name, document in member().policies.items()},
    )

    assert list_differences(read, member()) == ()
    assert read_trusted(read, release(), SETTINGS) == default_trusted()


def test_role_whose_documents_have_a_key_twice_is_told() -> None:
    protects = {"Statement": {"Effect": "Deny", "Action": "iam:AttachUserPolicy", "Resource": "*"}}
    policies = {name: twice(document) for name, document in member().policies.items()}
    read = member(trust=twice(member().trust), policies={**policies, PROTECTED_USERS: twice(protects)})

    told = list_differences(read, member())

    assert "trusts others" in told[0]
    assert "another text in its policy 'member'" in told[1]
    assert f"has the policy '{PROTECTED_USERS}'" in told[2]
    assert read_trusted(read, release(), SETTINGS) == default_trusted()


def test_policy_management_that_is_not_configured_is_a_difference() -> None:
    managing = render_role(MEMBER_ROLE, MANAGING, default_trusted())

    assert list_differences(managing, member()) == (
        "orgmfa-member has the policy 'policy-management', which the template does not give it",
    )
    assert list_differences(member(), managing) == ("orgmfa-member lacks the policy 'policy-management'",)


def test_protected_users_are_whom_the_stackset_says() -> None:
    arns = "arn:aws:iam::*:user/break-glass-1,arn:aws:iam::*:user/break-glass-2"
    protects = permissions_of(MEMBER_ROLE, ProtectedUserArns=arns)[1]

    assert list_differences(member(policies={**member().policies, PROTECTED_USERS: protects}), member()) == ()


@pytest.mark.parametrize(
    "trusted", [default_trusted(), OTHER_TRUSTED, Trusted("one-for-both", "one-for-both"), WITH_CONTEXT]
)
def test_trusted_roles_are_read_from_the_roles_themselves(trusted: Trusted) -> None:
    deployed = [render_role(role, SETTINGS, trusted) for role in (MEMBER_ROLE, RELEASE_ROLE)]

    assert read_trusted(deployed[0], deployed[1], SETTINGS) == trusted


@pytest.mark.parametrize(
    ("of_member", "of_release"),
    [
        (ADMIN, ADMIN),
        (render_role(RELEASE_ROLE, SETTINGS, OTHER_TRUSTED).trust, member().trust),
        (member().trust, render_role(RELEASE_ROLE, SETTINGS, OTHER_TRUSTED).trust),
        (member().trust, ADMIN),
    ],
)
def test_roles_of_another_shape_are_compared_with_the_default(of_member: Any, of_release: Any) -> None:
    found = read_trusted(member(trust=of_member), release(trust=of_release), SETTINGS)

    assert found == default_trusted()
