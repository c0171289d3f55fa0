"""The RunReport as pydantic models, which are the published schema (docs/report.schema.json), and its exit code."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    WrapValidator,
    create_model,
)

from orchestrator.domain.model import (
    DeviceKind,
    Gate,
    Mode,
    Outcome,
    PolicyChange,
    PolicyState,
    Stage,
    Status,
    Trigger,
    Verdict,
    Via,
)
from orchestrator.domain.outcomes import OutcomeGroup, outcomes_of, total_name
from orchestrator.domain.records import record_key
from orchestrator.reports.compressed import CompressedList, JsonCodec


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:  # who can write the archive can write any time
        raise ValueError("the time is out of range") from error


def _write_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


UtcTime = Annotated[
    AwareDatetime, AfterValidator(_in_utc), PlainSerializer(_write_time, return_type=str, when_used="json")
]

NO_WHOLE_RUN = "no_whole_run"
"""Code of what a run says that found no run over the whole organization in the archive; it is no failure."""


class Frozen(BaseModel):
    """A value that cannot be changed, of which unknown fields are ignored."""

    model_config = ConfigDict(frozen=True)


class ProblemReport(Frozen):
    """Why an account, or the run itself, failed: where, with which code, and what to try."""

    stage: Stage
    code: str
    message: str
    remedy: str


class ReasonReport(Frozen):
    """Why a user could not be judged or enforced."""

    code: str
    message: str


class RootUserReport(Frozen):
    """The root user of an account. Without credentials it cannot sign in, and needs no MFA."""

    has_credentials: bool
    has_mfa: bool


class GuardReport(Frozen):
    """What denies a user without MFA already, beside EnforceMFA, as the policy simulator tells."""

    by: tuple[str, ...] = Field(description='who denies: "SCP", "permissions boundary", "policy NAME"')
    partial: bool = Field(description="only some of the calls that were tried are denied for want of MFA")


class MessageReport(Frozen):
    """A message to a user: `first`, `left-N` (days) or `enforced`; not sent where `at` is null, with the reason."""

    kind: str
    via: Literal["slack", "email"]
    at: UtcTime | None = None
    problem: str | None = None


class UserReport(Frozen):
    """One IAM user. `null` stands for what could not be read; it is never a 'no'."""

    id: str | None = Field(
        default=None,
        description="the user ID (AIDA...), which no other user ever has; null in reports before version 2",
    )
    name: str
    arn: str
    verdict: Verdict = Field(
        description="whether the user has MFA; unknown of all users of a release, which looks at nobody's MFA"
    )
    console_password: bool | None
    active_access_keys: int | None
    keys_last_used: UtcTime | None
    password_last_used: UtcTime | Literal["never"] | None = Field(
        default=None, description="when the console password was last used, as the credential report tells"
    )
    unused: bool = Field(
        default=False,
        description="without MFA, and not signed in for enforcement.unused_after: the password, or the user, can go",
    )
    outcome: Outcome
    via: Via | None
    error: ReasonReport | None
    reason: str | None = Field(default=None, description="why a user was left alone: the exemption, the grace")
    grace_ends: UtcTime | None = Field(default=None, description="until when a user in grace is left alone")
    open_since: UtcTime | None = Field(
        default=None, description="since when the runs have seen the user without MFA; null with MFA or unknown"
    )
    mfa_device: DeviceKind | None = Field(
        default=None,
        description="the newest MFA device, where the run came to know it: virtual ones, and those newly enrolled",
    )
    mfa_enrolled_at: UtcTime | None = None
    messages: tuple[MessageReport, ...] = Field(
        default=(), description="what the user was told in this run, or in a plan would be told (`nudge`)"
    )
    service_credentials: tuple[str, ...] = Field(
        default=(),
        description="the service of each active credential that is neither password nor access key and would stop; "
        "looked up with policy.access_keys: deny, for users with a planned change",
    )
    guarded: GuardReport | None = Field(
        default=None, description="looked up for users with a planned change who could enrol; null where unclear"
    )


class FirstSight(Frozen):
    """Since when a user has been without MFA, as far as the runs saw. By name alone where `id` is null."""

    id: str | None = None
    name: str
    since: UtcTime
    ended_at: UtcTime | None = Field(
        default=None, description="when a run first saw the user with MFA since then; counts once it is a notice ago"
    )


class AccountReport(Frozen):
    """One account that was listed and asked for, whatever happened to it."""

    id: str
    name: str
    alias: str | None
    ou: str | None = Field(
        default=None,
        description="the OUs above, from the root: Root/Workloads; null where the organization did not tell",
    )
    owner: str | None = Field(
        default=None,
        description="the value of the account's tag that organization.owner_tag names; null without it, or not known",
    )
    status: Status
    error: ProblemReport | None
    root_user: RootUserReport | None
    policy: PolicyState | None = Field(
        default=None,
        description="EnforceMFA as last seen: outdated has an earlier text of orgmfa, drifted one of somebody else's; "
        "not_deployed is missing in a plan that expects none yet (plan --role)",
    )
    users: tuple[UserReport, ...]
    policy_changes: tuple[PolicyChange, ...] = Field(
        default=(),
        description="changes to policy or group themselves, planned or made; with policy.managed_by: orchestrator",
    )
    notes: tuple[str, ...] = Field(default=(), description="remarks that hold nobody")
    failing_runs: int = Field(default=0, description="how many runs in a row, this one included, the account failed")
    unread_open_since: dict[str, UtcTime] = Field(
        default_factory=dict,
        description="users who could not be read in this run and had no MFA when last read, and since when",
    )
    first_sights: tuple[FirstSight, ...] = Field(
        default=(), description="the first sights of users who could not be read, or have MFA for less than the notice"
    )


_CODEC = JsonCodec(AccountReport)


def pack_accounts(accounts: Iterable[AccountReport]) -> CompressedList[AccountReport]:
    """Return accounts as a compressed list."""
    return CompressedList(_CODEC, accounts)


Accounts = Annotated[
    CompressedList[AccountReport],
    GetPydanticSchema(lambda _, handler: handler.generate_schema(tuple[AccountReport, ...])),
    WrapValidator(lambda given, check: given if isinstance(given, CompressedList) else pack_accounts(check(given))),
    PlainSerializer(list, return_type=list[AccountReport]),
]
"""The accounts of a report, compressed in memory: a report can have ten thousand."""


class ChangedUser(Frozen):
    """A user whose state changed since the run that this one is compared with."""

    account_id: str
    account_alias: str | None
    account_name: str
    name: str


class EnrolledUser(ChangedUser):
    """A user who has MFA now and had none; a new device can be a thief's, so its kind and date are told."""

    device: DeviceKind | None
    enrolled_at: UtcTime | None


class ChangedAccount(Frozen):
    """An account that came or went since the run that this one is compared with."""

    id: str
    name: str
    alias: str | None


class Changes(Frozen):
    """What changed since the last complete run of the same mode. Accounts that this run did not enter are in none."""

    since_run_id: str
    since: UtcTime
    newly_without_mfa: tuple[ChangedUser, ...] = ()
    enrolled: tuple[EnrolledUser, ...] = ()
    newly_enforced: tuple[ChangedUser, ...] = ()
    enforcement_undone: tuple[ChangedUser, ...] = Field(
        default=(),
        description="enforced at the last run, without EnforceMFA and without MFA now; not by orgmfa release",
    )
    newly_exempt: tuple[ChangedUser, ...] = Field(default=(), description="exempt or protected, and not so before")
    newly_released: tuple[ChangedUser, ...] = Field(default=(), description="freed by orgmfa release")
    new_accounts: tuple[ChangedAccount, ...] = ()
    unannounced_accounts: tuple[ChangedAccount, ...] = Field(
        default=(), description="new accounts of which no onboarding event told, though Onboarding is on"
    )
    gone_accounts: tuple[ChangedAccount, ...] = ()


class Enrolment(Frozen):
    """A new MFA device, as an event told of it: whose, when, its serial number, and where the call came from."""

    account_id: str
    account_alias: str | None
    account_name: str
    user_name: str
    at: UtcTime
    device: str | None = None
    address: str | None = None


class EventSummary(Frozen):
    """What the runs of IAM events did since the last whole run. `planned` counts users whom they left unwritten.

    `left` counts events that were left to the daily run, and users that could not be found.
    """

    runs: int = 0
    enforced: int = 0
    planned: int = 0
    held: int = 0
    left: int = 0
    enrolments: tuple[Enrolment, ...] = ()


class ReleasedUser(Frozen):
    """A user whom `release` frees; without ID in notes of earlier versions."""

    account_id: str
    user_name: str
    user_id: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The account ID, and the key of the record."""
        return self.account_id, record_key(self.user_id, self.user_name)


class ReleaseReport(ReleasedUser):
    """A user whom runs leave alone after `orgmfa release`."""

    since: UtcTime
    until: UtcTime


class _Counts(Frozen):
    """Counts over the whole run. `failed` counts accounts; `failed_users` the users whose outcome is failed."""

    accounts: int
    inspected: int
    failed: int
    not_reached: int
    skipped: int
    users: int
    compliant: int
    non_compliant: int
    unknown: int
    mfa_virtual: int = Field(default=0, description="users with MFA whose newest known device is virtual")
    mfa_other: int = Field(
        default=0,
        description="users with MFA by security keys, passkeys or hardware tokens: those without a known virtual one",
    )

    def of(self, *outcomes: Outcome) -> int:
        """Return how many users have one of these outcomes."""
        return sum(getattr(self, total_name(outcome)) for outcome in outcomes)


if TYPE_CHECKING:

    class Totals(_Counts):
        """The counts, and one for each outcome."""

        def __getattr__(self, name: str) -> int: ...

else:
    Totals = create_model(
        "Totals",
        __base__=_Counts,
        __doc__=_Counts.__doc__,
        **{total_name(outcome): (int, 0 if outcome is Outcome.GUARDED else ...) for outcome in Outcome},
    )


class RunReport(Frozen):
    """What one run found and did. `complete` is false when the organization could not be listed to its end."""

    schema_version: Annotated[Literal[2], BeforeValidator(lambda version: 2 if version == 1 else version)] = 2
    """Version 1, which had no gate, is read as this one."""
    preflight: Literal["scp"] | None = Field(
        default=None, description="scp: a plan of what a service control policy would do (plan --scp), not of a run"
    )
    gate: Gate | None = None
    run_id: str
    mode: Mode
    trigger: Trigger
    organization_id: str
    started_at: UtcTime
    finished_at: UtcTime
    complete: bool
    errors: tuple[ProblemReport, ...]
    totals: Totals
    narrowed: bool = Field(default=False, description="the run was asked for some accounts or OUs alone")
    changes: Changes | None = Field(default=None, description="null where there is no run to compare with")
    releases: tuple[ReleaseReport, ...] = Field(
        default=(), description="releases in force, in the accounts of this report; those that a release makes excluded"
    )
    events: EventSummary | None = Field(default=None, description="the runs of IAM events since the last whole run")
    accounts: Accounts = Field(description="last, so that all else can be read without them")


def failures(report: RunReport) -> tuple[ProblemReport, ...]:
    """Return the errors of a run that are failures of it."""
    return tuple(error for error in report.errors if error.code != NO_WHOLE_RUN)


def exit_code(report: RunReport) -> int:
    """Return 0 where no gate held the run, every account not skipped was inspected and nothing is to fix, else 1."""
    totals = report.totals
    unfinished = totals.failed + totals.not_reached
    unknown = 0 if report.mode is Mode.RELEASE else totals.unknown  # a release gives no verdicts
    unresolved = totals.of(*outcomes_of(OutcomeGroup.TO_FIX)) + unknown
    return int(bool(report.gate or failures(report) or not report.complete or unfinished or unresolved))
