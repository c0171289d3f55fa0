"""Policies, boundaries and SCPs of others that deny without MFA, and a policy simulator that evaluates them.

moto has no simulator: `Simulation` takes its place at the served AWS. It decides by `tests.iam_evaluator` and answers
in the shape of botocore 1.44: the organization's decision at the top level alone, with `implicitDeny` where SCPs deny.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.aws_server import Answer, Call, members, simulated, simulation
from tests.iam_evaluator import Decision, Document, Request, decide

SIMULATE = "SimulatePrincipalPolicy"
SPARED = [
    "iam:CreateVirtualMFADevice",
    "iam:EnableMFADevice",
    "iam:Get*",
    "iam:List*",
    "iam:ChangePassword",
    "signin:*",
]
"""What such policies leave undenied, so that a user can enrol."""


def document(*statements: Mapping[str, Any]) -> Document:
    """Return a policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


ALLOW_ALL = document({"Effect": "Allow", "Action": "*", "Resource": "*"})


def deny(condition: Mapping[str, Any] | None = None, **changes: Any) -> Mapping[str, Any]:
    """Return a statement that denies all but enrolling without MFA, keys included; `condition` takes its place."""
    body: dict[str, Any] = {"NotAction": SPARED} if "Action" not in changes else {}
    body |= {"Resource": "*"} if "NotResource" not in changes else {}
    when = {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}} if condition is None else condition
    return {"Effect": "Deny", **body, "Condition": when, **changes}


DENY_KEYS_TO_ENROL = deny({"Null": {"aws:MultiFactorAuthPresent": "true"}}, Action="iam:EnableMFADevice")
GUARD = document(deny(), DENY_KEYS_TO_ENROL)
"""Denies what EnforceMFA denies, to keys too; and keys may not enrol."""
SPARES_KEYS = {"Bool": {"aws:MultiFactorAuthPresent": "false"}}


@dataclass
class Simulation:
    """The policy simulator of accounts whose users may do all but what these policies deny; a fault of `AwsServer`."""

    policies: dict[str, Document] = field(default_factory=dict)
    boundary: Document | None = None
    scps: list[Document] = field(default_factory=list)
    is_silent: bool = False
    """Whether the organization's decision is left out of answers."""

    def __call__(self, call: Call) -> Answer | None:
        if call.action != SIMULATE:
            return None
        (resource,) = members(call, "ResourceArns")
        context = context_of(call)
        requests = [Request(action, resource, context) for action in members(call, "ActionNames")]
        answer = simulation(*(self._decide(request) for request in requests))
        return Answer(200, answer.body.replace("OrganizationsDecisionDetail", "Other")) if self.is_silent else answer

    def _decide(self, request: Request) -> str:
        named = {"AdministratorAccess": ALLOW_ALL, **self.policies}
        if decide(request, [ALLOW_ALL, *self.scps]) is not Decision.ALLOW:
            return simulated(request.action, request.resource, "implicitDeny", organization=False)
        denying = [name for name, one in named.items() if decide(request, [one]) is Decision.EXPLICIT_DENY]
        if denying:
            return simulated(request.action, request.resource, "explicitDeny", matched=denying)
        if self.boundary and (decision := decide(request, [self.boundary])) is not Decision.ALLOW:
            word = "explicitDeny" if decision is Decision.EXPLICIT_DENY else "implicitDeny"
            return simulated(request.action, request.resource, word, boundary=False)
        return simulated(request.action, request.resource, matched=["AdministratorAccess"])


def context_of(call: Call) -> dict[str, str]:
    """Return the context keys of a question, each with its first value."""
    said = call.parameters
    entries = [name.removesuffix(".ContextKeyName") for name in said if name.endswith(".ContextKeyName")]
    return {said[f"{entry}.ContextKeyName"]: said[f"{entry}.ContextKeyValues.member.1"] for entry in entries}


def questions(calls: Sequence[Call], account_id: str | None = None) -> list[tuple[str, str | None]]:
    """Return what was asked about guards: the resource, and what was said of MFA; questions about enrolling are not."""
    return [
        (members(call, "ResourceArns")[0], context_of(call).get("aws:MultiFactorAuthPresent"))
        for call in calls
        if call.action == SIMULATE
        and call.account_id == (account_id or call.account_id)
        and "PolicyInputList.member.1" not in call.parameters
    ]
