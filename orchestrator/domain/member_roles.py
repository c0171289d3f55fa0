"""The two roles of a member account as `member_role/template.yaml` makes them, and how deployed roles differ from them.

Pure; `aws.doctor_reads` reads the deployed roles. Three things are not in the configuration and never count as a
difference: the names of the security account's roles and AllowSessionContext (parameters of the StackSet), and which
users are protected (a deny, which grants nothing).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.config import Config
from orchestrator.domain.policy_document import (
    TemplateResolver,
    is_same_policy,
    read_document,
    read_statements,
    read_template,
)

MEMBER_ROLE, RELEASE_ROLE = "MemberRole", "ReleaseRole"
PROTECTED_USERS = "protected-users"  # the name of the inline policy that the template makes from ProtectedUserArns

Document = Mapping[str, Any] | str


@dataclass(frozen=True, slots=True)
class DeployedRole:
    """A role: its trust policy, inline policies by name, attached policies and permissions boundary."""

    name: str
    trust: Document
    policies: Mapping[str, Document]
    attached_policy_arns: tuple[str, ...] = ()
    boundary_arn: str | None = None


@dataclass(frozen=True, slots=True)
class Trusted:
    """Names of the security account's roles that the member roles trust, and whether with AllowSessionContext."""

    orchestrator: str
    operator: str
    with_context: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """The account and the configuration that the values of the template's parameters are taken from."""

    partition: str
    account_id: str
    organization_id: str
    security_account_id: str
    config: Config

    def parameters(self) -> dict[str, str]:
        """Return the values of the template's parameters; those not known here have their defaults."""
        roles, policy = self.config.member_role, self.config.policy
        return _defaults() | {
            "AWS::Partition": self.partition,
            "AWS::AccountId": self.account_id,
            "OrganizationId": self.organization_id,
            "SecurityAccountId": self.security_account_id,
            "RoleName": roles.name,
            "ReleaseRoleName": roles.release_name,
            "RolePath": roles.path,
            "PolicyName": policy.name,
            "GroupName": policy.group,
            "PolicyPath": policy.path,
            "AllowPolicyManagement": "true" if policy.managed_by == "orchestrator" else "false",
        }


def default_trusted() -> Trusted:
    """Return the trusted roles by the template's defaults."""
    defaults = _defaults()
    return Trusted(defaults["OrchestratorRoleName"], defaults["OperatorRoleName"])


def render_role(role: str, settings: RoleSettings, trusted: Trusted, *, enforcement: str = "on") -> DeployedRole:
    """Return a role as the template makes it, without protected users; `enforcement: off` has it only read."""
    template = read_template()
    names = {
        "OrchestratorRoleName": trusted.orchestrator,
        "OperatorRoleName": trusted.operator,
        "AllowSessionContext": str(trusted.with_context).lower(),
        "Enforcement": enforcement,
    }
    resolver = TemplateResolver(values=settings.parameters() | names, conditions=template["Conditions"])
    properties = template["Resources"][role]["Properties"]
    policies = [*properties["Policies"], *_separate_policies(role, resolver)]
    return DeployedRole(
        name=resolver.resolve(properties["RoleName"]),
        trust=resolver.resolve(properties["AssumeRolePolicyDocument"]),
        policies={one["PolicyName"]: resolver.resolve(one["PolicyDocument"]) for one in policies},
    )


def read_trusted(member: DeployedRole, release: DeployedRole, settings: RoleSettings) -> Trusted:
    """Return the roles that the deployed roles trust; the default ones where the trust has not the template's shape."""
    by_member, by_release = (_role_names(role.trust, settings) for role in (member, release))
    others = by_member - by_release
    if len(by_release) != 1 or len(others) > 1 or not by_release <= by_member:
        return default_trusted()
    (operator,) = by_release
    return Trusted(next(iter(others), operator), operator, with_context="TagSession" in str(release.trust))


def list_differences(deployed: DeployedRole, expected: DeployedRole) -> tuple[str, ...]:
    """Return the differences between a deployed role and the one that the template makes, in words."""
    found = list(_policy_differences(deployed, expected))
    if not is_same_policy(deployed.trust, expected.trust):
        found.insert(0, "trusts others than the template says, or under other conditions")
    found += [
        f"has {arn} attached, which the template does not give it" for arn in sorted(deployed.attached_policy_arns)
    ]
    if deployed.boundary_arn is not None:
        found.append(f"has the permissions boundary {deployed.boundary_arn}, which may withhold calls")
    return tuple(f"{expected.name} {words}" for words in found)


def _policy_differences(deployed: DeployedRole, expected: DeployedRole) -> Iterator[str]:
    for name, document in expected.policies.items():
        if name not in deployed.policies:
            yield f"lacks the policy {name!r}"
        elif not is_same_policy(deployed.policies[name], document):
            yield f"has another text in its policy {name!r}"
    for name in sorted(deployed.policies.keys() - expected.policies.keys()):
        if not (name == PROTECTED_USERS and _only_protects(deployed.policies[name])):
            yield f"has the policy {name!r}, which the template does not give it"


def _separate_policies(role: str, resolver: TemplateResolver) -> Iterator[dict[str, Any]]:
    """Yield the role's policies that are resources of their own in the template, where their condition holds."""
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
        statements = read_statements(document)
    except ValueError:
        return False
    return all(one.get("Effect") == "Deny" and one.get("Action") == "iam:AttachUserPolicy" for one in statements)


def _defaults() -> dict[str, str]:
    return {name: str(declared.get("Default", "")) for name, declared in read_template()["Parameters"].items()}
