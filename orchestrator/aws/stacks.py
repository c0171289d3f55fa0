"""CloudFormation stacks in the caller's account and Region: read, change by change set, delete, list events.

Source: AWS CloudFormation API Reference. Each write has its own token, so that it can be repeated where the answer was
lost.
"""

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from orchestrator.aws.errors import reads_answers
from orchestrator.aws.retries import Retrier
from orchestrator.domain.cloudformation import ChangeSet, ResourceChange, Stack, StackEvent
from orchestrator.domain.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import TagTypeDef

_TAGS: "Sequence[TagTypeDef]" = [{"Key": "application", "Value": "orgmfa"}]
"""CloudFormation copies the tags of a stack to its resources."""
_INVALID = "ValidationError"
"""The code of CloudFormation's errors for a missing stack, and for much else."""


class Stacks:
    """CloudFormation stacks in the caller's account and Region."""

    def __init__(self, client: "CloudFormationClient", retrier: Retrier) -> None:
        self._client = client
        self._call = retrier.call
        self._retrier = retrier

    @reads_answers
    def get_stack(self, name: str) -> Stack | None:
        """Return a stack by its name or ID, or None where there is none; a deleted stack is found only by its ID."""
        try:
            [found] = self._call(self._client.describe_stacks, StackName=name)["Stacks"]
        except AwsError as error:
            if error.code == _INVALID and "does not exist" in str(error):
                return None
            raise
        return Stack(
            id=found["StackId"],
            name=found["StackName"],
            status=found["StackStatus"],
            parameters={one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", ())},
            outputs={one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", ())},
        )

    @reads_answers
    def create_change_set(
        self, *, name: str, stack_name: str, is_creation: bool, source: str, parameters: "Mapping[str, str | None]"
    ) -> str:
        """Start the creation of a change set, and return its ID; `source` is the template, or its address in S3.

        A parameter that is None keeps the value it has.
        """
        template: Any = {"TemplateURL" if source.startswith("https://") else "TemplateBody": source}
        values: Any = [
            {"ParameterKey": name} | ({"UsePreviousValue": True} if value is None else {"ParameterValue": value})
            for name, value in parameters.items()
        ]
        answer = self._call(
            self._client.create_change_set,
            StackName=stack_name,
            ChangeSetName=name,
            ChangeSetType="CREATE" if is_creation else "UPDATE",
            ClientToken=f"{name}-{stack_name}",
            Parameters=values,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Tags=_TAGS,
            **template,
        )
        return answer["Id"]

    @reads_answers
    def get_change_set(self, change_set_id: str) -> ChangeSet:
        """Return a change set with all its changes."""
        pages = list(self._retrier.pages(self._client.describe_change_set, ChangeSetName=change_set_id))
        changes = (change["ResourceChange"] for page in pages for change in page.get("Changes", ()))
        return ChangeSet(
            id=change_set_id,
            stack_id=pages[0]["StackId"],
            status=pages[0]["Status"],
            reason=pages[0].get("StatusReason", ""),
            changes=tuple(
                ResourceChange(
                    action=change["Action"],
                    logical_id=change["LogicalResourceId"],
                    type=change["ResourceType"],
                    replacement=change.get("Replacement", ""),
                )
                for change in changes
            ),
        )

    def delete_change_set(self, change_set_id: str) -> None:
        """Delete a change set; a missing one is no error."""
        self._call(self._client.delete_change_set, ChangeSetName=change_set_id)

    def execute_change_set(self, change_set_id: str, token: str) -> None:
        """Start the execution of a change set."""
        self._call(self._client.execute_change_set, ChangeSetName=change_set_id, ClientRequestToken=token)

    def delete_stack(self, stack_id: str, token: str) -> None:
        """Start the deletion of a stack."""
        self._call(self._client.delete_stack, StackName=stack_id, ClientRequestToken=token)

    @reads_answers
    def get_newest_event_id(self, stack_id: str) -> str | None:
        """Return the ID of the newest event of a stack, or None without events."""
        events = self._retrier.entries(self._client.describe_stack_events, "StackEvents", StackName=stack_id)
        return next((event["EventId"] for event in events), None)

    @reads_answers
    def list_events(self, stack_id: str, *, since: str | None) -> tuple[StackEvent, ...]:
        """Return the events of a stack after the one with the ID `since` (None: all), oldest first."""
        newest_first = self._retrier.entries(self._client.describe_stack_events, "StackEvents", StackName=stack_id)
        found = [
            StackEvent(
                id=event["EventId"],
                logical_id=event["LogicalResourceId"],
                type=event["ResourceType"],
                status=event["ResourceStatus"],
                reason=event.get("ResourceStatusReason", ""),
            )
            for event in takewhile(lambda event: event["EventId"] != since, newest_first)
        ]
        return tuple(reversed(found))
