"""The values of a run: accounts, users, what was found and what is to be changed. Frozen; nothing here decides."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, NamedTuple


class Mode(StrEnum):
    """What a run does: show the plan, apply it, or undo earlier enforcement."""

    PLAN = "plan"
    APPLY = "apply"
    RELEASE = "release"


class Trigger(StrEnum):
    """What started a run."""

    CLI = "cli"
    SCHEDULE = "schedule"
    ON_DEMAND = "on_demand"
    ONBOARDING = "onboarding"
    IAM_EVENT = "iam_event"
    MAP = "map"


class AccountState(StrEnum):
    """The state of an account in its organization (Organizations API, `Account.State`)."""

    PENDING_ACTIVATION = "PENDING_ACTIVATION"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    PENDING_CLOSURE = "PENDING_CLOSURE"
    CLOSED = "CLOSED"


class Verdict(StrEnum):
    """Whether a user has MFA."""

    COMPLIANT = "compliant"
    NON_COMPLIANT = "non_compliant"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What the run did, or would do, about one user."""

    NONE = "none"
    PLANNED = "planned"
    ENFORCED = "enforced"
    ALREADY_ENFORCED = "already_enforced"
    RELEASED = "released"
    EXEMPT = "exempt"
    IN_GRACE = "in_grace"
    GUARDED = "guarded"
    OUT_OF_SCOPE = "out_of_scope"
    HELD = "held"
    QUOTA_EXCEEDED = "quota_exceeded"
    FAILED = "failed"


class Via(StrEnum):
    """How EnforceMFA reaches a user: attached to the user, or through the group."""

    USER = "user"
    GROUP = "group"


class Status(StrEnum):
    """How far the run came with one account."""

    INSPECTED = "inspected"
    FAILED = "failed"
    NOT_REACHED = "not_reached"
    SKIPPED = "skipped"


class Stage(StrEnum):
    """The stage of a run at which something failed."""

    SELECT = "select"
    ASSUME_ROLE = "assume_role"
    INSPECT = "inspect"
    APPLY = "apply"
    ARCHIVE = "archive"
    FINDINGS = "findings"
    DIGEST = "digest"
    EVENT = "event"


class Access(StrEnum):
    """Purpose of a session in a member account: decides the role, and whether the session can write."""

    INSPECT = "inspect"
    ENFORCE = "enforce"
    RELEASE = "release"


class PolicyState(StrEnum):
    """State of the EnforceMFA policy, or its group, of an account, compared with ours.

    A policy is outdated where it has another text that a version of orgmfa made; a group where it is unfinished. Not
    deployed is what is missing where nobody expects it yet.
    """

    OURS = "ours"
    MISSING = "missing"
    DRIFTED = "drifted"
    OUTDATED = "outdated"
    NOT_DEPLOYED = "not_deployed"


DeviceKind = Literal["virtual", "fido", "hardware"]  # kind of an MFA device; `fido` is a passkey or security key


@dataclass(frozen=True, slots=True)
class Organization:
    """The organization as the caller sees it; `partition` is that of its ARNs, such as aws-us-gov."""

    id: str
    management_account_id: str
    partition: str


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal that runs the program: its account ID, ARN and partition."""

    account_id: str
    arn: str
    partition: str


@dataclass(frozen=True, slots=True)
class Product:
    """The Security Hub product that findings belong to: the default one of an account in a Region."""

    account_id: str
    region: str
    partition: str

    @property
    def arn(self) -> str:
        """The ARN of the product."""
        account = f"{self.region}:{self.account_id}"
        return f"arn:{self.partition}:securityhub:{account}:product/{self.account_id}/default"


@dataclass(frozen=True, slots=True)
class Refused:
    """A finding that Security Hub refused: its ID, and why."""

    id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Imported:
    """Result of an import: how many findings were sent to Security Hub, and which of them it refused."""

    sent: int
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """An account as Organizations lists it."""

    id: str
    name: str
    state: AccountState | None  # None: this version does not know what AWS says
    ou_ids: frozenset[str] | None = None  # the root and every OU above the account; None: the listing does not tell
    org_path: str | None = None  # aws:PrincipalOrgPaths, down to the account's OU; None: AWS does not fill it in


class Placement(NamedTuple):
    """Where an account belongs: the OUs above it as a path of names, and its owner. None: not known."""

    ou: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Name of a file of the archive below its location, and when it was last written."""

    name: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something failed: the stage, an AWS or program code, what happened, and what to try."""

    stage: Stage
    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Reason for the outcome of a user: a code for programs, a message for people, since when, and when it ends."""

    code: str
    message: str
    until: datetime | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Why the run as a whole wrote nothing: users stay `planned`. `limit` is null where none was exceeded."""

    code: Literal["over_limit", "stopped", "declined", "under_way"]
    planned: int
    limit: int | None
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class RootUser:
    """The root user of an account: whether it can sign in at all, and whether it has MFA."""

    has_credentials: bool
    has_mfa: bool


@dataclass(frozen=True, slots=True)
class MfaDevice:
    """An MFA device of a user: its kind, and when it was enrolled."""

    kind: DeviceKind
    enrolled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Guard:
    """What denies a user without MFA already, beside EnforceMFA, as the policy simulator tells."""

    by: tuple[str, ...]  # who denies: SCPs, the permissions boundary, policies
    is_partial: bool = False  # only some of the calls that were tried depend on MFA
    is_scp: bool = False  # SCPs deny every one of them, whatever else does


@dataclass(frozen=True, slots=True)
class IamUser:
    """An IAM user as read from its account; `None` is not known."""

    id: str  # AIDA..., given to no other user, whatever its name
    name: str
    arn: str
    created_at: datetime
    has_mfa: bool | None
    has_console_password: bool | None
    active_access_keys: int | None
    keys_last_used: datetime | None
    attached_policy_arns: frozenset[str]
    group_names: frozenset[str]
    unreadable: Reason | None = None  # why a live look could not find it out either
    mfa_device: MfaDevice | None = None  # the newest one; the bulk reads list virtual devices only
    tags: tuple[tuple[str, str], ...] = ()
    # Services of active credentials, neither password nor access key; as `guard` of users with a planned change alone.
    service_credentials: tuple[str, ...] = ()
    password_last_used: datetime | Literal["never"] | None = None
    guard: Guard | None = None


@dataclass(frozen=True, slots=True)
class LiveUser:
    """Result of a live look at one user, right before a decision or a write; None: not looked at."""

    has_mfa: bool
    has_console_password: bool | None = None
    active_access_keys: int | None = None
    keys_last_used: datetime | None = None
    mfa_device: MfaDevice | None = None


@dataclass(frozen=True, slots=True)
class Quotas:
    """How many managed policies and groups a user of the account may have."""

    policies_per_user: int
    groups_per_user: int


@dataclass(frozen=True, slots=True)
class Enforcement:
    """The EnforceMFA policy and group of one account, and their states."""

    policy_arn: str
    group_name: str
    policy: PolicyState
    group: PolicyState
    version: str = ""  # ID and default version of the policy: another one is another text, whatever it says
    can_lock_out: bool = False  # the policy has an earlier text under which a user may be unable to sign in


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """Result of inspecting one account."""

    alias: str | None
    root_user: RootUser | None
    users: tuple[IamUser, ...]
    quotas: Quotas
    enforcement: Enforcement
    is_report_ours: bool  # the credential report is of this very inspection, as good as a look; others may be hours old
    user_count: int | None = None  # of the account, where `users` are some alone; then nothing is said of the root user


@dataclass(frozen=True, slots=True)
class AttachPolicy:
    """Attach EnforceMFA to a user."""

    user_name: str
    policy_arn: str
    kind: Literal["attach_policy"] = "attach_policy"


@dataclass(frozen=True, slots=True)
class AddToGroup:
    """Add a user to the group that carries EnforceMFA."""

    user_name: str
    group_name: str
    kind: Literal["add_to_group"] = "add_to_group"


@dataclass(frozen=True, slots=True)
class DetachPolicy:
    """Detach EnforceMFA from a user."""

    user_name: str
    policy_arn: str
    kind: Literal["detach_policy"] = "detach_policy"


@dataclass(frozen=True, slots=True)
class RemoveFromGroup:
    """Remove a user from the group that carries EnforceMFA."""

    user_name: str
    group_name: str
    kind: Literal["remove_from_group"] = "remove_from_group"


UserChange = AttachPolicy | AddToGroup | DetachPolicy | RemoveFromGroup
"""A change to one user; `kind` tells them apart in the JSON of a plan."""


class PolicyChange(StrEnum):
    """A change to the policy or the group themselves; only where the program owns both."""

    CREATE_POLICY = "create_policy"
    UPDATE_POLICY = "update_policy"
    CREATE_GROUP = "create_group"
    ATTACH_GROUP_POLICY = "attach_group_policy"


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision about one user: `changes` are tried in order until one fits; `note` holds nobody, and is said once."""

    user: IamUser
    verdict: Verdict
    outcome: Outcome
    via: Via | None = None
    changes: tuple[UserChange, ...] = ()
    reason: Reason | None = None
    note: str | None = None

    @property
    def is_planned(self) -> bool:
        """Whether its changes are to be made."""
        return self.outcome is Outcome.PLANNED


@dataclass(frozen=True, slots=True)
class AccountResult:
    """Result of one account; `enforcement` is what the last look saw of the policy, None where nothing was read."""

    account: Account
    status: Status
    alias: str | None = None
    problem: Problem | None = None
    root_user: RootUser | None = None
    decisions: tuple[Decision, ...] = ()
    policy_changes: tuple[PolicyChange, ...] = ()
    enforcement: Enforcement | None = None

    @property
    def planned(self) -> tuple[Decision, ...]:
        """The decisions whose changes are to be made."""
        return tuple(decision for decision in self.decisions if decision.is_planned)


EventKind = Literal["sign_in", "undone", "policy", "enrolled"]
"""What an IAM event is about: a user who could sign in without MFA now; one from whom EnforceMFA was taken away; the
policy or group themselves; or a new MFA device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IamEvent:
    """An IAM event of CloudTrail, foreign text that is to be looked up; `device` is a serial number."""

    id: str
    kind: EventKind
    account_id: str
    name: str
    at: datetime
    user_name: str | None = None
    device: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Request for one run."""

    run_id: str
    mode: Mode
    trigger: Trigger
    started_at: datetime
    targets: tuple[str, ...] = ()  # narrow it to some accounts, as `ou_ids` do; empty: all
    ou_ids: tuple[str, ...] = ()
    user_names: frozenset[str] | None = None  # narrow a release to some users; None: all
    release_for: timedelta = timedelta(days=7)  # how long later runs leave released users alone
    events: tuple[IamEvent, ...] = ()  # narrow it to the users that they name
    preflight: Literal["scp"] | None = None  # have a plan say what an SCP would do

    @property
    def is_narrowed(self) -> bool:
        """Whether the request names accounts or OUs."""
        return bool(self.targets or self.ou_ids)

    def users_of(self, account_id: str) -> tuple[str, ...]:
        """Return the users of an account that events name and that may be written to; a new device writes nothing."""
        mine = (
            event for event in self.events if event.account_id == account_id and event.kind in {"sign_in", "undone"}
        )
        return tuple(dict.fromkeys(event.user_name for event in mine if event.user_name is not None))
