"""CloudFormation values that a deployment needs: stacks, change sets, events. Pure, calls no AWS."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

STACK_TYPE = "AWS::CloudFormation::Stack"
IN_REVIEW = "REVIEW_IN_PROGRESS"

_READY = re.compile(r"(CREATE|IMPORT|IMPORT_ROLLBACK|UPDATE|UPDATE_ROLLBACK)_COMPLETE|UPDATE_FAILED")
_SUCCEEDED = frozenset({"CREATE_COMPLETE", "DELETE_COMPLETE", "UPDATE_COMPLETE"})


class Standing(StrEnum):
    """What can be done with a stack (CloudFormation user guide, 'Stack status codes')."""

    ABSENT = "absent"  # to be created, like a stack under review, which has no resources
    READY = "ready"  # to be updated
    BUSY = "busy"  # to be waited for
    UNRECOVERABLE = "ruined"  # its first creation was rolled back: it can only be deleted
    STUCK = "stuck"  # a person has to mend it


@dataclass(frozen=True, slots=True, kw_only=True)
class _WithStatus:
    id: str
    status: str

    @property
    def is_under_way(self) -> bool:
        """Whether CloudFormation is still at it, so that another status follows."""
        return self.status.endswith(("_PENDING", "_IN_PROGRESS")) and self.status != IN_REVIEW


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack(_WithStatus):
    """A stack and its status."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_succeeded(self) -> bool:
        """Whether the last operation succeeded."""
        return self.status in _SUCCEEDED

    @property
    def standing(self) -> Standing:
        """What can be done with the stack."""
        if self.status in {IN_REVIEW, "DELETE_COMPLETE"}:
            return Standing.ABSENT
        if self.is_under_way:
            return Standing.BUSY
        if _READY.fullmatch(self.status):
            return Standing.READY
        return Standing.UNRECOVERABLE if self.status == "ROLLBACK_COMPLETE" else Standing.STUCK


@dataclass(frozen=True, slots=True, kw_only=True)
class StackEvent(_WithStatus):
    """An event of a resource, or of the stack itself."""

    logical_id: str
    type: str
    reason: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether the resource itself failed; not one that CloudFormation gave up because another had failed."""
        return self.status.endswith("_FAILED") and not self.is_given_up

    @property
    def is_given_up(self) -> bool:
        """Whether CloudFormation gave the resource up because another had failed; only the reason text says so."""
        return self.status.endswith("_FAILED") and self.reason.endswith("cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChange:
    """Planned change of a resource: Add, Modify, Remove; `replacement` is True, False, Conditional, or empty."""

    action: str
    logical_id: str
    type: str
    replacement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet(_WithStatus):
    """A change set; `reason` says why it failed where it did."""

    stack_id: str
    reason: str = ""
    changes: tuple[ResourceChange, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether it can never be executed."""
        return self.status == "FAILED"

    @property
    def is_empty(self) -> bool:
        """Whether it failed because there is nothing to change; only the reason text says so."""
        return self.has_failed and ("didn't contain changes" in self.reason or "No updates are to be" in self.reason)
