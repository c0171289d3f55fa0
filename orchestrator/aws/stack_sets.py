"""Stack instances of a service-managed StackSet: list them, and delete them all.

Source: AWS CloudFormation API Reference (ListStackInstances, DeleteStackInstances, ListStackSetOperationResults).
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from orchestrator.aws.errors import reads_answers
from orchestrator.aws.retries import Retrier
from orchestrator.domain.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackSetOperationPreferencesUnionTypeDef

CallAs = Literal["SELF", "DELEGATED_ADMIN"]

# All accounts at once, whatever fails. The default, strict tolerance, runs as many at once as may fail, plus one.
_PREFERENCES: "StackSetOperationPreferencesUnionTypeDef" = {
    "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
    "FailureTolerancePercentage": 100,
    "MaxConcurrentPercentage": 100,
}


class StackSets:
    """StackSets of the organization, seen as the management account or as a delegated administrator."""

    def __init__(self, client: "CloudFormationClient", retrier: Retrier, *, call_as: CallAs) -> None:
        """Take the client of the caller's account, and `call_as`: its role in the organization."""
        self._client = client
        self._call = retrier.call
        self._entries = partial(retrier.entries, CallAs=call_as)
        self._call_as: CallAs = call_as

    @reads_answers
    def list_instances(self, stack_set: str) -> tuple[tuple[str, str], ...]:
        """Return account ID and Region of each stack of a StackSet, by its name or ID; none where it does not exist."""
        try:
            found = list(self._entries(self._client.list_stack_instances, "Summaries", StackSetName=stack_set))
        except AwsError as error:
            if error.code == "StackSetNotFoundException":
                return ()
            raise
        return tuple((one["Account"], one["Region"]) for one in found)

    def delete_instances(
        self, stack_set: str, *, target_ids: Sequence[str], regions: Sequence[str], operation_id: str
    ) -> None:
        """Start deleting the stacks of all accounts under these targets; this also ends automatic deployment there."""
        try:
            self._call(
                self._client.delete_stack_instances,
                StackSetName=stack_set,
                DeploymentTargets={"OrganizationalUnitIds": target_ids},
                Regions=regions,
                RetainStacks=False,
                OperationPreferences=_PREFERENCES,
                OperationId=operation_id,
                CallAs=self._call_as,
            )
        except AwsError as error:
            # An earlier attempt of this very call, whose answer was lost.
            if error.code != "OperationIdAlreadyExistsException":
                raise

    @reads_answers
    def is_operation_over(self, stack_set: str, operation_id: str) -> bool:
        """Return whether an operation has ended, successfully or not."""
        answer = self._call(
            self._client.describe_stack_set_operation,
            StackSetName=stack_set,
            OperationId=operation_id,
            CallAs=self._call_as,
        )
        return answer["StackSetOperation"]["Status"] in {"SUCCEEDED", "FAILED", "STOPPED"}

    @reads_answers
    def list_failures(self, stack_set: str, operation_id: str) -> dict[str, str]:
        """Return the IDs of the accounts in which an operation failed, and why."""
        method = self._client.list_stack_set_operation_results
        results = self._entries(method, "Summaries", StackSetName=stack_set, OperationId=operation_id)
        return {
            one["Account"]: one.get("StatusReason") or one["Status"] for one in results if one["Status"] != "SUCCEEDED"
        }
