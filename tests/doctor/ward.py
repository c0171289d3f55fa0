"""All that the doctor looks through, in memory: one account, its organization and what is deployed around it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.doctor import DoctorContext, DoctorReport, DoctorRun, run_checks
from orchestrator.domain.config import Config
from orchestrator.domain.deployed import ControlPolicy, Function, Schedule
from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.errors import ArchiveError, DigestError
from orchestrator.domain.member_roles import (
    MEMBER_ROLE,
    RELEASE_ROLE,
    DeployedRole,
    RoleSettings,
    Trusted,
    default_trusted,
    render_role,
)
from orchestrator.domain.model import Account, Caller, Organization
from orchestrator.domain.stop_switch import NO_SWITCH, Reading
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import ChangedAccount, RunReport
from tests.builders import NOW, ORGANIZATION
from tests.doctor.command import OK
from tests.fake_aws import FakeAws
from tests.fakes import FakeObserver, MemoryStore

SETTINGS = RoleSettings(
    partition="aws",
    account_id="000000000001",
    organization_id=ORGANIZATION.id,
    security_account_id="999999999999",
    config=Config(),
)


PROTECT = (Path(__file__).parents[2] / "member_role" / "protect.scp.json").read_text("utf-8")


def make_policy(name: str, document: str) -> ControlPolicy:
    """Return a service control policy; its ID is its name."""
    return ControlPolicy(name, name, document)


def make_function(environment: Mapping[str, str] | None = None, *, is_usable: bool = True) -> Function:
    return Function(is_usable, environment or {})


@dataclass
class Ward:
    """One account and all else that the doctor looks through, in memory; `aws.before` may raise in the place of AWS."""

    aws: FakeAws = field(default_factory=FakeAws)
    config: Config = field(default_factory=Config)
    role: str = "orgmfa-operator"
    trusted: Trusted = field(default_factory=default_trusted)
    roles: dict[str, DeployedRole] | None = None
    store: MemoryStore = field(default_factory=MemoryStore)
    observer: FakeObserver = field(default_factory=FakeObserver)
    cancellation: Cancellation = field(default_factory=Cancellation)
    policies: tuple[ControlPolicy, ...] = (make_policy("orgmfa", PROTECT),)
    targets: dict[str, str] = field(default_factory=lambda: {"r-ab12": "Root"})
    function: Function = field(default_factory=make_function)
    is_enabled: bool = True
    secret: str = "https://hooks.slack.example/services/T/B/x"
    reading: Reading = NO_SWITCH
    slack: str | DigestError = "Slack accepts the webhook"
    aliases_fail: bool = False
    ses_is_in_sandbox: bool = False
    environment_slack: SlackCredentials | None = None
    sign_in_is_authorized: bool = False
    unannounced: tuple[ChangedAccount, ...] | ArchiveError = ()
    runs: tuple[RunReport, ...] = ()
    bus_policy: str = ""
    alarms: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.aws.add(name="payments")

    def run_checks(self, *targets: str) -> DoctorReport:
        return self.examination(*targets).report

    def examination(self, *targets: str) -> DoctorRun:
        return run_checks(
            DoctorContext(
                run_id="run-1",
                config_source="config.yaml",
                targets=targets,
                config=self.config,
                caller=Caller("999999999999", f"arn:aws:sts::999999999999:assumed-role/{self.role}/ana", "aws"),
                region="eu-central-1",
                directory=self,
                sessions=self.aws,
                policies=self.aws,
                member=self,
                hub=self,
                store=self.store,
                archive=WardArchive(self),
                environment_slack=self.environment_slack,
                probe_slack=self.probe_slack,
                run_actions=("iam:ListMFADevices", "iam:AttachUserPolicy", "iam:AddUserToGroup", "sts:AssumeRole"),
                now=lambda: NOW,
                cancellation=self.cancellation,
                observer=self.observer,
            )
        )

    # -- Directory

    def describe_organization(self, partition: str) -> Organization:
        self.aws._note("organization", "", "")
        return ORGANIZATION

    def check_ou(self, ou_id: str) -> None:
        self.aws.check_ou(ou_id)

    def list_accounts(self, watched_ou_ids: tuple[str, ...] = ()) -> Iterator[Account]:
        return self.aws.list_accounts(watched_ou_ids)

    def get_account(self, account_id: str, watched_ou_ids: tuple[str, ...] = ()) -> Account:
        return self.aws.get_account(account_id, watched_ou_ids)

    # -- MemberReader

    def get_alias(self) -> str | None:
        self.aws._note("alias", "", "")
        return "acme-payments"

    def list_user_names(self) -> list[str]:
        self.aws._note("users", "", "")
        return [user for account in self.aws.accounts.values() for user in account.users]

    def get_roles(self, names: Sequence[str]) -> Mapping[str, DeployedRole]:
        self.aws._note("roles", "", "")
        if self.roles is not None:
            return self.roles
        return {role.name: role for role in (render_role(one, SETTINGS, self.trusted) for one in ROLES)}

    # -- HubReader

    def list_control_policies(self) -> tuple[ControlPolicy, ...]:
        self.aws._note("policies", "", "")
        return self.policies

    def list_targets(self, policy_id: str) -> dict[str, str]:
        return self.targets

    def get_schedule(self, group: str, name: str) -> Schedule:
        self.aws._note("schedule", group, name)
        return Schedule(self.is_enabled, "cron(0 12 * * ? *)", "UTC")

    def get_function(self, name: str) -> Function:
        self.aws._note("function", "", name)
        return self.function

    def get_bus_policy(self, name: str) -> str:
        self.aws._note("bus", "", name)
        return self.bus_policy

    def get_alarm_states(self, names: Sequence[str]) -> dict[str, str]:
        self.aws._note("alarms", "", "")
        return {name: state for name, state in self.alarms.items() if name in names}

    def look_at_switch(self, switch: str | None) -> Reading:
        self.aws._note("stop", "", switch or "")
        return self.reading

    def read_secret(self, name: str) -> str:
        self.aws._note("secret", "", name)
        return self.secret

    def is_sign_in_authorized(self, organization_id: str) -> bool:
        self.aws._note("sign_in", "", organization_id)
        return self.sign_in_is_authorized

    def is_ses_in_sandbox(self, region: str) -> bool:
        self.aws._note("ses", "", region)
        return self.ses_is_in_sandbox

    def look_at_security_hub(self) -> None:
        self.aws._note("security_hub", "", "")

    def probe_slack(self, credentials: SlackCredentials) -> str:
        if isinstance(self.slack, DigestError):
            raise self.slack
        return self.slack


class WardArchive(RunArchive):
    """The archive in the store of a ward, with what the ward says of its runs."""

    def __init__(self, ward: Ward) -> None:
        super().__init__(ward.store, None)
        self._ward = ward

    def heads(self, most: int) -> Iterator[RunReport]:
        return iter(self._ward.runs[:most])

    def unannounced_accounts(self) -> tuple[ChangedAccount, ...]:
        if isinstance(self._ward.unannounced, ArchiveError):
            raise self._ward.unannounced
        return self._ward.unannounced

    def alias_by_account_id(self) -> dict[str, str]:
        if self._ward.aliases_fail:
            raise ArchiveError("the archive: cannot list")
        return {}


ROLES = (MEMBER_ROLE, RELEASE_ROLE)


ACCOUNT = "000000000001"


def breaks(step: str, error: Exception, subject: str = "") -> Callable[[str, str, str], None]:
    """Return what stands before each call: it raises at one step, and where a subject is named, at that alone."""

    def before(action: str, account_id: str, what: str) -> None:
        if action == step and subject in {"", what}:
            raise error

    return before


def states(report: DoctorReport) -> dict[str, str]:
    return {check.name.value: check.status.value for check in report.checks if check.status is not OK}
