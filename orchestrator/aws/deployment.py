"""AWS calls of `orgmfa deploy`: CloudFormation stacks, the stack instances of a StackSet, and the artifacts in S3.

Source: AWS CloudFormation API Reference. Each write has a token of its own, so that it can be repeated where the answer
was lost. Amazon S3 API Reference: the bucket is versioned, so an object is gone once all its versions are deleted; a
page of ListObjectVersions has at most 1,000 of them, as many as one DeleteObjects takes.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.aws.errors import reads_answers, translated
from orchestrator.aws.retries import Retrier
from orchestrator.domain.cloudformation import ChangeSet, ResourceChange, Stack, StackEvent
from orchestrator.domain.errors import AwsError, NotFound

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackSetOperationPreferencesUnionTypeDef, TagTypeDef
    from mypy_boto3_s3 import S3Client

CallAs = Literal["SELF", "DELEGATED_ADMIN"]
SUCCEEDED = "SUCCEEDED"
"""The status of an operation of a StackSet, and of its part in an account, that did what it was to do."""

_TAGS: "Sequence[TagTypeDef]" = [{"Key": "application", "Value": "orgmfa"}]
"""CloudFormation copies the tags of a stack to its resources."""
# All accounts at once, whatever fails. The default, strict tolerance, runs as many at once as may fail, plus one.
_PREFERENCES: "StackSetOperationPreferencesUnionTypeDef" = {
    "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
    "FailureTolerancePercentage": 100,
    "MaxConcurrentPercentage": 100,
}
_MISSING = frozenset({"404", "NoSuchBucket", "NoSuchKey"})


class Stacks:
    """CloudFormation stacks in the caller's account and Region."""

    def __init__(self, client: "CloudFormationClient", retrier: Retrier) -> None:
        self._client = client
        self._retrier = retrier

    @reads_answers
    def get_stack(self, name: str) -> Stack | None:
        """Return a stack by its name or ID, or None where there is none; a deleted stack is found only by its ID."""
        try:
            [found] = self._retrier.call(self._client.describe_stacks, StackName=name)["Stacks"]
        except AwsError as error:
            if error.code == "ValidationError" and "does not exist" in str(error):  # the code says much else too
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
        self, *, name: str, stack_name: str, is_creation: bool, source: str, parameters: Mapping[str, str | None]
    ) -> str:
        """Start the creation of a change set, and return its ID; `source` is the template, or its address in S3.

        A parameter that is None keeps the value it has.
        """
        template: Any = {"TemplateURL" if source.startswith("https://") else "TemplateBody": source}
        values: Any = [
            {"ParameterKey": name} | ({"UsePreviousValue": True} if value is None else {"ParameterValue": value})
            for name, value in parameters.items()
        ]
        answer = self._retrier.call(
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
        self._retrier.call(self._client.delete_change_set, ChangeSetName=change_set_id)

    def execute_change_set(self, change_set_id: str, token: str) -> None:
        """Start the execution of a change set."""
        self._retrier.call(self._client.execute_change_set, ChangeSetName=change_set_id, ClientRequestToken=token)

    def delete_stack(self, stack_id: str, token: str) -> None:
        """Start the deletion of a stack."""
        self._retrier.call(self._client.delete_stack, StackName=stack_id, ClientRequestToken=token)

    @reads_answers
    def get_newest_event_id(self, stack_id: str) -> str | None:
        """Return the ID of the newest event of a stack, or None without events."""
        return next((event["EventId"] for event in self._events(stack_id)), None)

    @reads_answers
    def list_events(self, stack_id: str, *, since: str | None) -> tuple[StackEvent, ...]:
        """Return the events of a stack after the one with the ID `since` (None: all), oldest first."""
        found = [
            StackEvent(
                id=event["EventId"],
                logical_id=event["LogicalResourceId"],
                type=event["ResourceType"],
                status=event["ResourceStatus"],
                reason=event.get("ResourceStatusReason", ""),
            )
            for event in takewhile(lambda event: event["EventId"] != since, self._events(stack_id))
        ]
        return tuple(reversed(found))

    def _events(self, stack_id: str) -> Iterator[Any]:
        """Yield the events of a stack, newest first."""
        return self._retrier.entries(self._client.describe_stack_events, "StackEvents", StackName=stack_id)


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
    def find_end(self, stack_set: str, operation_id: str) -> str | None:
        """Return how an operation ended: its status, and the reason where AWS gives one; None while it is under way."""
        names: Any = {"StackSetName": stack_set, "OperationId": operation_id, "CallAs": self._call_as}
        operation = self._call(self._client.describe_stack_set_operation, **names)["StackSetOperation"]
        if operation["Status"] not in {SUCCEEDED, "FAILED", "STOPPED"}:
            return None
        return ": ".join(filter(None, (operation["Status"], operation.get("StatusReason"))))

    @reads_answers
    def list_failures(self, stack_set: str, operation_id: str) -> dict[str, str]:
        """Return the IDs of the accounts in which an operation failed, and why."""
        method = self._client.list_stack_set_operation_results
        results = self._entries(method, "Summaries", StackSetName=stack_set, OperationId=operation_id)
        return {
            one["Account"]: one.get("StatusReason") or one["Status"] for one in results if one["Status"] != SUCCEEDED
        }


class ArtifactBucket:
    """An S3 bucket in the caller's account."""

    def __init__(self, client: "S3Client", name: str) -> None:
        self._client = client
        self.name = name

    def put(self, key: str, content: bytes, *, sha256: str) -> bool:
        """Upload an object unless the bucket has it with this checksum, and return whether it was uploaded."""
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        known = None  # the checksum that S3 stores with the object, where both exist
        try:
            with translated():
                found = self._client.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED")
                known = found.get("ChecksumSHA256")
        except AwsError as error:
            if error.code not in _MISSING:
                raise
        if known == checksum:
            return False
        with translated():
            self._client.put_object(
                Bucket=self.name, Key=key, Body=content, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum
            )
        return True

    @reads_answers
    def is_empty(self, *, but_for: str) -> bool:
        """Return whether the bucket has no object versions, except those below a prefix."""
        return all(version["Key"].startswith(but_for) for page in self._versions("") for version in page)

    @reads_answers
    def clear(self, prefix: str) -> None:
        """Delete every version of every object below a prefix."""
        for page in filter(None, self._versions(prefix)):
            with translated():
                answer = self._client.delete_objects(Bucket=self.name, Delete={"Objects": page, "Quiet": True})
            for error in answer.get("Errors", ()):
                message = f"{error['Key']}: {error['Message']}"
                raise AwsError(message, code=error["Code"], operation="DeleteObjects")

    def delete(self) -> None:
        """Delete the bucket, which must be empty; a missing one is no error."""
        with suppress(NotFound), translated():
            self._client.delete_bucket(Bucket=self.name)

    def _versions(self, prefix: str) -> Iterator[list[Any]]:
        """Yield pages of object versions and delete markers below a prefix; none where the bucket does not exist."""
        with suppress(NotFound), translated():
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                yield [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
