"""What the checks look through, each as a small protocol, and what the doctor is asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config import Config
from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.member_roles import DeployedRole
from orchestrator.domain.model import Caller, Organization
from orchestrator.domain.stop_switch import Reading
from orchestrator.pipeline.ports import Accounts, Observer, Policies, Sessions
from orchestrator.reports.archive import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorRequest:
    """What one examination is asked: which accounts (empty: all), and where its configuration was read from."""

    run_id: str
    config_source: str
    targets: tuple[str, ...] = ()
    ou_ids: tuple[str, ...] = ()


class Directory(Accounts, Protocol):
    """The organization and its accounts."""

    def describe_organization(self, partition: str) -> Organization:
        """Return the organization of the caller."""
        ...


class MemberReader(Protocol):
    """Reads in the entered account."""

    def get_alias(self) -> str | None:
        """Return its alias."""
        ...

    def get_roles(self, names: Sequence[str]) -> Mapping[str, DeployedRole]:
        """Return its roles of these names that exist."""
        ...


class ControlPolicy(Protocol):
    """A service control policy."""

    @property
    def id(self) -> str:
        """Its ID."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def document(self) -> str:
        """Its text."""
        ...


class Schedule(Protocol):
    """A schedule."""

    @property
    def is_enabled(self) -> bool:
        """Whether it fires."""
        ...

    @property
    def expression(self) -> str:
        """When it fires."""
        ...

    @property
    def time_zone(self) -> str:
        """Where that is the time."""
        ...


class Function(Protocol):
    """A Lambda function."""

    @property
    def is_usable(self) -> bool:
        """Whether it can be invoked."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """Its variables."""
        ...


class HubReader(Protocol):
    """Reads in the caller's account and organization."""

    def list_control_policies(self) -> Sequence[ControlPolicy]:
        """Return the service control policies."""
        ...

    def list_targets(self, policy_id: str) -> Sequence[str]:
        """Return what one of them is attached to."""
        ...

    def get_schedule(self, group: str, name: str) -> Schedule:
        """Return a schedule."""
        ...

    def get_function(self, name: str) -> Function:
        """Return a Lambda function."""
        ...

    def look_at_switch(self, switch: str | None) -> Reading:
        """Return what the stop switch says."""
        ...

    def read_secret(self, name: str) -> str:
        """Return the text of a secret."""
        ...

    def look_at_security_hub(self) -> None:
        """Raise NotSubscribed where Security Hub is not switched on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorContext:
    """What the checks look through. `probe_slack` returns whom the credentials reach, or raises DigestError."""

    request: DoctorRequest
    config: Config
    caller: Caller
    region: str
    directory: Directory
    sessions: Sessions
    policies: Policies
    member: MemberReader
    hub: HubReader
    store: Store
    alias_by_account_id: Callable[[], Mapping[str, str]]
    environment_slack: SlackCredentials | None
    probe_slack: Callable[[SlackCredentials], str]
    run_actions: tuple[str, ...]
    now: Callable[[], datetime]
    cancellation: Cancellation
    observer: Observer
