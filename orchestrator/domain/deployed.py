"""What the doctor reads of a deployment: service control policies, schedule and Lambda function. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ControlPolicy:
    """A service control policy (SCP) of the organization: its ID, name and text."""

    id: str
    name: str
    document: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule of EventBridge Scheduler: whether it fires, and when, in the time of which zone."""

    is_enabled: bool
    expression: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function: whether it can be invoked, and its environment variables."""

    is_usable: bool
    environment: Mapping[str, str]
