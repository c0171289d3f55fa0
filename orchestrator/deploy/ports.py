"""What a deployment needs from outside, each as a small protocol."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.cloudformation import (
    ChangeSet,
    ChangeSetRequest,
    InstanceFailure,
    Stack,
    StackEvent,
    StackInstance,
)


class Stacks(Protocol):
    """CloudFormation, in the caller's account and Region; all raise AwsError where a call fails."""

    def get_stack(self, name: str) -> Stack | None:
        """Return a stack by name or ID."""
        ...

    def create_change_set(self, request: ChangeSetRequest) -> str:
        """Begin a change set and return its ID."""
        ...

    def get_change_set(self, change_set_id: str) -> ChangeSet:
        """Return a change set."""
        ...

    def delete_change_set(self, change_set_id: str) -> None:
        """Delete a change set."""
        ...

    def execute_change_set(self, change_set_id: str, token: str) -> None:
        """Begin to carry out a change set."""
        ...

    def delete_stack(self, stack_id: str, token: str) -> None:
        """Begin to delete a stack."""
        ...

    def get_newest_event_id(self, stack_id: str) -> str | None:
        """Return the ID of a stack's newest event."""
        ...

    def list_events(self, stack_id: str, *, since: str | None) -> tuple[StackEvent, ...]:
        """Return a stack's events after the one named, the oldest first."""
        ...


class StackSets(Protocol):
    """The StackSet's stacks in the accounts."""

    def list_instances(self, stack_set: str) -> tuple[StackInstance, ...]:
        """Return them."""
        ...

    def delete_instances(
        self, stack_set: str, *, target_ids: Sequence[str], regions: Sequence[str], operation_id: str
    ) -> None:
        """Begin to delete them."""
        ...

    def is_operation_over(self, stack_set: str, operation_id: str) -> bool:
        """Return whether an operation has ended."""
        ...

    def list_failures(self, stack_set: str, operation_id: str) -> tuple[InstanceFailure, ...]:
        """Return where it failed."""
        ...


class Bucket(Protocol):
    """The bucket of the artifacts."""

    name: str

    def put(self, key: str, content: bytes, *, sha256: str) -> bool:
        """Have an object in it; return whether it had to be uploaded."""
        ...

    def is_empty(self, *, but_for: str) -> bool:
        """Return whether it holds nothing but what is below a prefix."""
        ...

    def clear(self, prefix: str) -> None:
        """Delete everything below a prefix."""
        ...

    def delete(self) -> None:
        """Delete the bucket."""
        ...


class View(Protocol):
    """Tells the user how it goes."""

    def say(self, text: str) -> None:
        """Tell one thing that was found or done."""
        ...

    def begin(self, text: str) -> None:
        """Tell what is being done now, and may take a while."""
        ...

    def follow(self, stack_name: str, resources: int | None) -> AbstractContextManager[Callable[[StackEvent], None]]:
        """Show the work on a stack, of so many resources where that is known, event by event."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a deployment works with. `token` is its own, and makes each of its calls one that can be repeated."""

    stacks: Stacks
    stack_sets: StackSets
    open_bucket: Callable[[str], Bucket]
    view: View
    cancellation: Cancellation
    region: str
    token: str
