"""IAM policy simulator: tells whether a user could still enrol an MFA device once EnforceMFA is attached.

A permissions boundary or a service control policy can deny what EnforceMFA allows; such a user would be locked out for
good. Source: IAM API Reference, SimulatePrincipalPolicy; it tells the boundary's and the organization's decision.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.aws.errors import reads_answers
from orchestrator.aws.retries import Retrier
from orchestrator.domain.errors import Malformed

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import ContextEntryTypeDef

ENABLE, CREATE = "iam:EnableMFADevice", "iam:CreateVirtualMFADevice"


class EnrolmentSimulator:
    """Policy simulator of the entered account."""

    def __init__(self, client: "IAMClient", retrier: Retrier, document: str) -> None:
        """Take the shared client and the text of EnforceMFA."""
        self._client = client
        self._call = retrier.call
        self._document = document

    @reads_answers
    def enrolment_blocker(self, user_name: str, user_arn: str) -> str | None:
        """Return what would keep a user from enrolling in the console under EnforceMFA, or None; takes one call.

        Raises AwsError where the simulation fails.
        """
        partition, account_id = user_arn.split(":")[1], user_arn.split(":")[4]
        resource_by_action = {ENABLE: user_arn, CREATE: f"arn:{partition}:iam::{account_id}:mfa/{user_name}"}
        answer = self._call(
            self._client.simulate_principal_policy,
            PolicySourceArn=user_arn,
            PolicyInputList=[self._document],
            ActionNames=list(resource_by_action),
            ResourceArns=list(resource_by_action.values()),
            ContextEntries=_console_session(user_name),
        )
        decisions = {
            (action, resource): (decision, result)
            for result in answer["EvaluationResults"]
            for action, resource, decision in _decisions(result)
        }
        for action, resource in resource_by_action.items():
            if (action, resource) not in decisions:
                message = f"the simulator did not decide on {action}"
                raise Malformed(message, code="MalformedAnswer", operation="SimulatePrincipalPolicy")
            decision, result = decisions[action, resource]
            if decision != "allowed":
                return f"{_who_denies(result)} keeps the user from {action}"
        return None


def _console_session(user_name: str) -> "list[ContextEntryTypeDef]":
    """Return the context keys of a console session without MFA, in which a user enrols."""
    return [
        {"ContextKeyName": "aws:MultiFactorAuthPresent", "ContextKeyType": "boolean", "ContextKeyValues": ["false"]},
        {"ContextKeyName": "aws:ViaAWSService", "ContextKeyType": "boolean", "ContextKeyValues": ["false"]},
        {"ContextKeyName": "aws:username", "ContextKeyType": "string", "ContextKeyValues": [user_name]},
    ]


def _decisions(result: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (action, resource, decision) of a result, which can have a decision for each resource."""
    action = result["EvalActionName"]
    for specific in result.get("ResourceSpecificResults", ()):
        yield action, specific["EvalResourceName"], specific["EvalResourceDecision"]
    if "EvalResourceName" in result:
        yield action, result["EvalResourceName"], result["EvalDecision"]


def _who_denies(result: Mapping[str, Any]) -> str:
    if not result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True):
        return "an organization policy (SCP)"
    if not result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary", True):
        return "the user's permissions boundary"
    return "another policy of the user"
