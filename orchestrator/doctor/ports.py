"""What the checks of `orgmfa doctor` read through, each a small protocol, and what they are told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config import Config
from orchestrator.domain.deployed import ControlPolicy, Function, Schedule
from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.member_roles import DeployedRole
from orchestrator.domain.model import Caller, Organization
from orchestrator.domain.stop_switch import Reading
from orchestrator.pipeline.ports import Accounts, Observer, Policies, Sessions
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.run_files import Store


class Directory(Accounts, Protocol):
    """The organization and its accounts."""

    def describe_organization(self, partition: str) -> Organization:
        """Return the organization of the caller."""


class MemberReader(Protocol):
    """Reads in the entered account."""

    def get_alias(self) -> str | None:
        """Return the alias of the account."""

    def list_user_names(self) -> Sequence[str]:
        """Return the names of its users."""

    def get_roles(self, names: Sequence[str]) -> Mapping[str, DeployedRole]:
        """Return its roles of these names that exist, by name."""


class HubReader(Protocol):
    """Reads in the caller's account and organization."""

    def list_control_policies(self) -> Sequence[ControlPolicy]:
        """Return the service control policies."""

    def list_targets(self, policy_id: str) -> Mapping[str, str]:
        """Return what a control policy is attached to: the names by ID."""

    def get_schedule(self, group: str, name: str) -> Schedule:
        """Return a schedule."""

    def get_function(self, name: str) -> Function:
        """Return a Lambda function."""

    def get_bus_policy(self, name: str) -> str:
        """Return the policy of an event bus, or an empty text."""

    def get_alarm_states(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the states of the alarms that exist, by name."""

    def look_at_switch(self, switch: str | None) -> Reading:
        """Return what the stop switch says."""

    def read_secret(self, name: str) -> str:
        """Return the text of a secret."""

    def is_sign_in_authorized(self, organization_id: str) -> bool:
        """Return whether signing in to the console is authorized by policies in the organization."""

    def is_ses_in_sandbox(self, region: str) -> bool:
        """Return whether Amazon SES writes to verified addresses alone in a Region."""

    def look_at_security_hub(self) -> None:
        """Raise NotSubscribed where Security Hub is not switched on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorContext:
    """Dependencies of all checks. `targets` and `ou_ids` are the accounts to check; both empty: all.

    `config_source` says where the configuration was read from. `probe_slack` returns what the credentials reach, or
    raises DigestError. `event_bus` is the ARN of the bus that accounts are to send IAM events to; None where IamEvents
    is off, or the function that tells was not read.
    """

    run_id: str
    config_source: str
    targets: tuple[str, ...] = ()
    ou_ids: tuple[str, ...] = ()
    config: Config
    caller: Caller
    region: str
    directory: Directory
    sessions: Sessions
    policies: Policies
    member: MemberReader
    hub: HubReader
    store: Store
    archive: RunArchive
    event_bus: str | None = None
    environment_slack: SlackCredentials | None
    probe_slack: Callable[[SlackCredentials], str]
    run_actions: tuple[str, ...]
    now: Callable[[], datetime]
    cancellation: Cancellation
    observer: Observer
