"""The two roles of a member account as the template makes them, and how those that stand there differ.

Rendered from `member_role/template.yaml`, like the EnforceMFA document. Pure; reading the roles is `aws.checks`'s.
Two things the configuration does not tell, so they are not held against a role: what the roles of the security account
are called (parameters of the StackSet), and which users are protected (a deny, which grants nothing).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# The reader of the template stands there, beside the policy that most of the program reads from it.
from orchestrator.domain.policy_document import TemplateResolver, is_same_policy, read_document, read_template

MEMBER_ROLE, RELEASE_ROLE = "MemberRole", "ReleaseRole"
PROTECTED_USERS = "protected-users"
"""The inline policy that the template makes of ProtectedUserArns."""

Document = Mapping[str, Any] | str


@dataclass(frozen=True, slots=True)
class DeployedRole:
    """A role: whom it trusts, its inline policies by name, and what else hangs on it."""

    name: str
    trust: Document
    policies: Mapping[str, Document]
    attached_policy_arns: tuple[str, ...] = ()
    boundary_arn: str | None = None


@dataclass(frozen=True, slots=True)
class Trusted:
    """The roles of the security account that the member roles trust, by name."""

    orchestrator: str
    operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """What the parameters of the template are in one account, as configuration and caller tell."""

    partition: str
    account_id: str
    organization_id: str
    security_account_id: str
    member_name: str
    release_name: str
    role_path: str
    policy_name: str
    group_name: str
    policy_path: str
    manages_policy: bool

    def parameters(self) -> dict[str, str]:
        """Return the values of the template's parameters; those not known here have their defaults."""
        return _defaults() | {
            "AWS::Partition": self.partition,
            "AWS::AccountId": self.account_id,
            "OrganizationId": self.organization_id,
            "SecurityAccountId": self.security_account_id,
            "RoleName": self.member_name,
            "ReleaseRoleName": self.release_name,
            "RolePath": self.role_path,
            "PolicyName": self.policy_name,
            "GroupName": self.group_name,
            "PolicyPath": self.policy_path,
            "AllowPolicyManagement": "true" if self.manages_policy else "false",
        }


def default_trusted() -> Trusted:
    """Return the roles that are trusted where the StackSet's parameters name no others."""
    defaults = _defaults()
    return Trusted(defaults["OrchestratorRoleName"], defaults["OperatorRoleName"])


def render_role(role: str, settings: RoleSettings, trusted: Trusted) -> DeployedRole:
    """Return MEMBER_ROLE or RELEASE_ROLE as the template makes it, without the policy of the protected users."""
    template = read_template()
    names = {"OrchestratorRoleName": trusted.orchestrator, "OperatorRoleName": trusted.operator}
    resolver = TemplateResolver(values=settings.parameters() | names, conditions=template["Conditions"])
    properties = template["Resources"][role]["Properties"]
    written = [*properties["Policies"], *_policies_beside(role, resolver)]
    return DeployedRole(
        name=resolver.resolve(properties["RoleName"]),
        trust=resolver.resolve(properties["AssumeRolePolicyDocument"]),
        policies={one["PolicyName"]: resolver.resolve(one["PolicyDocument"]) for one in written},
    )


def read_trusted(member: DeployedRole, release: DeployedRole, settings: RoleSettings) -> Trusted:
    """Return whom the deployed roles trust where they are of the template's shape, else whom they trust by default."""
    by_member, by_release = (_role_names(role.trust, settings) for role in (member, release))
    others = by_member - by_release
    if len(by_release) != 1 or len(others) > 1 or not by_release <= by_member:
        return default_trusted()
    (operator,) = by_release
    return Trusted(next(iter(others), operator), operator)


def list_differences(deployed: DeployedRole, expected: DeployedRole) -> tuple[str, ...]:
    """Return in words each way in which a role is not what the template makes."""
    return tuple(f"{expected.name} {words}" for words in _differences(deployed, expected))


def _differences(deployed: DeployedRole, expected: DeployedRole) -> Iterator[str]:
    if not is_same_policy(deployed.trust, expected.trust):
        yield "trusts others than the template says, or under other conditions"
    yield from _policy_differences(deployed, expected)
    for arn in sorted(deployed.attached_policy_arns):
        yield f"has {arn} attached, which the template does not give it"
    if deployed.boundary_arn is not None:
        yield f"has the permissions boundary {deployed.boundary_arn}, which may withhold calls"


def _policy_differences(deployed: DeployedRole, expected: DeployedRole) -> Iterator[str]:
    for name, document in expected.policies.items():
        if name not in deployed.policies:
            yield f"lacks the policy {name!r}"
        elif not is_same_policy(deployed.policies[name], document):
            yield f"has another text in its policy {name!r}"
    for name in sorted(deployed.policies.keys() - expected.policies.keys()):
        if not (name == PROTECTED_USERS and _only_protects(deployed.policies[name])):
            yield f"has the policy {name!r}, which the template does not give it"


def _policies_beside(role: str, resolver: TemplateResolver) -> Iterator[dict[str, Any]]:
    """Yield the policies that are resources of their own and name the role, where their condition holds."""
    for resource in read_template()["Resources"].values():
        properties = resource["Properties"]
        if {"Ref": role} not in properties.get("Roles", ()) or properties["PolicyName"] == PROTECTED_USERS:
            continue
        condition = resource.get("Condition")
        if condition is None or resolver.resolve(resolver.conditions[condition]):
            yield properties


def _role_names(trust: Document, settings: RoleSettings) -> frozenset[str]:
    """Return the names of the security account's roles that a trust policy mentions; none where it cannot be read."""
    prefix = re.escape(f"arn:{settings.partition}:iam::{settings.security_account_id}:role/")
    try:
        text = json.dumps(read_document(trust))
    except ValueError:
        return frozenset()
    return frozenset(re.findall(prefix + r'([\w+=,.@-]{1,64})"', text))


def _only_protects(document: Document) -> bool:
    """Return whether a policy does nothing but keep EnforceMFA off some users: a deny of that one action."""
    try:
        statements = read_document(document).get("Statement", [])
    except ValueError:
        return False
    listed = statements if isinstance(statements, list) else [statements]
    return all(one.get("Effect") == "Deny" and one.get("Action") == "iam:AttachUserPolicy" for one in listed)


def _defaults() -> dict[str, str]:
    return {name: str(declared.get("Default", "")) for name, declared in read_template()["Parameters"].items()}
