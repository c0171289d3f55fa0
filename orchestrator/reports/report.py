"""The RunReport: the one document every run ends in, for people and programs alike.

Pydantic models that are the published schema (docs/report.schema.json), how results become a report, and what the
report means for the exit code. Rendering lives in `tables` (terminal) and `digest` (Slack).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from orchestrator.domain.model import (
    AccountResult,
    Decision,
    DeviceKind,
    Mode,
    Outcome,
    PolicyChange,
    Problem,
    RunRequest,
    Stage,
    Status,
    Trigger,
    Verdict,
    Via,
)
from orchestrator.reports.compressed import Packed, Packer

NEEDS_A_HAND = frozenset({Outcome.FAILED, Outcome.HELD, Outcome.QUOTA_EXCEEDED})
"""Outcomes that only a person can resolve; any of them makes the exit code 1."""

UtcTime = Annotated[
    AwareDatetime,
    PlainSerializer(lambda moment: f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", return_type=str, when_used="json"),
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class ProblemReport(_Model):
    """Why an account, or the run itself, failed: where, with which code, and what to try."""

    stage: Stage
    code: str
    message: str
    remedy: str


class ReasonReport(_Model):
    """Why a user could not be judged or enforced."""

    code: str
    message: str


class RootUserReport(_Model):
    """The root user of an account. Without credentials it cannot sign in, and needs no MFA."""

    has_credentials: bool
    has_mfa: bool


class UserReport(_Model):
    """One IAM user. `null` stands for what could not be read; it is never a 'no'."""

    name: str
    arn: str
    verdict: Verdict
    console_password: bool | None
    active_access_keys: int | None
    keys_last_used: UtcTime | None
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


class AccountReport(_Model):
    """One account that was listed and asked for, whatever happened to it."""

    id: str
    name: str
    alias: str | None
    ou: str | None = Field(
        default=None,
        description="the OUs above, from the root: Root/Workloads; null where the organization did not tell",
    )
    status: Status
    error: ProblemReport | None
    root_user: RootUserReport | None
    users: tuple[UserReport, ...]
    policy_changes: tuple[PolicyChange, ...] = Field(
        default=(),
        description="changes to policy or group themselves, planned or made; with policy.managed_by: orchestrator",
    )
    failing_runs: int = Field(default=0, description="how many runs in a row, this one included, the account failed")
    unread_open_since: dict[str, UtcTime] = Field(
        default_factory=dict,
        description="users who could not be read in this run and had no MFA when last read, and since when",
    )


ACCOUNTS: Packer[AccountReport] = Packer(AccountReport)


def pack_accounts(accounts: Iterable[AccountReport]) -> Packed[AccountReport]:
    """Return the accounts of a report in little memory."""
    return Packed(ACCOUNTS, accounts)


def _pack(accounts: Sequence[AccountReport], check: ValidatorFunctionWrapHandler) -> Packed[AccountReport]:
    return accounts if isinstance(accounts, Packed) else pack_accounts(check(accounts))


Accounts = Annotated[
    Packed[AccountReport],
    GetPydanticSchema(lambda _, handler: handler.generate_schema(tuple[AccountReport, ...])),
    WrapValidator(_pack),
    PlainSerializer(list, return_type=list[AccountReport]),
]
"""The accounts of a report, packed: a report of ten thousand of them is passed over many times and seldom held."""


class ChangedUser(_Model):
    """A user whose state changed since the run that this one is compared with."""

    account_id: str
    account_alias: str | None
    account_name: str
    name: str


class EnrolledUser(ChangedUser):
    """A user who has MFA now and had none; a new device can be a thief's, so its kind and date are told."""

    device: DeviceKind | None
    enrolled_at: UtcTime | None


class ChangedAccount(_Model):
    """An account that came or went since the run that this one is compared with."""

    id: str
    name: str
    alias: str | None


class Changes(_Model):
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
    new_accounts: tuple[ChangedAccount, ...] = ()
    gone_accounts: tuple[ChangedAccount, ...] = ()


class Totals(_Model):
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
    none: int
    planned: int
    enforced: int
    already_enforced: int
    released: int
    exempt: int
    in_grace: int
    out_of_scope: int
    held: int
    quota_exceeded: int
    failed_users: int


class RunReport(_Model):
    """What one run found and did. `complete` is false when the organization could not be listed to its end."""

    schema_version: Literal[1] = 1
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
    accounts: Accounts = Field(description="last, so that all else can be read without them")


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema of a RunReport as written to the archive and to standard output."""
    return RunReport.model_json_schema(mode="serialization") | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "RunReport",
    }


def build_report(
    request: RunRequest,
    organization_id: str,
    accounts: Iterable[AccountReport],
    *,
    errors: Iterable[Problem],
    is_complete: bool,
    finished_at: datetime,
) -> RunReport:
    """Return the report of a run from the reports of its accounts."""
    packed = pack_accounts(())
    totals = count_totals(packed.take(accounts))
    return RunReport(
        run_id=request.run_id,
        mode=request.mode,
        trigger=request.trigger,
        organization_id=organization_id,
        started_at=request.started_at,
        finished_at=finished_at,
        complete=is_complete,
        narrowed=request.is_narrowed,
        errors=tuple(map(report_problem, errors)),
        totals=totals,
        accounts=packed,
    )


def amend_report(report: RunReport, errors: Iterable[Problem], finished_at: datetime) -> RunReport:
    """Return a report with the errors known by now, and the time; without a new one it stays as it was archived."""
    known = tuple(map(report_problem, errors))
    return report if known == report.errors else report.model_copy(update={"errors": known, "finished_at": finished_at})


def report_account(result: AccountResult, ou: str | None = None) -> AccountReport:
    """Return the report of one account, which stands in this OU."""
    root = result.root_user
    return AccountReport(
        id=result.account.id,
        name=result.account.name,
        alias=result.alias,
        ou=ou,
        status=result.status,
        error=None if result.problem is None else report_problem(result.problem),
        root_user=None if root is None else RootUserReport(has_credentials=root.has_credentials, has_mfa=root.has_mfa),
        users=tuple(map(_report_user, result.decisions)),
        policy_changes=result.policy_changes,
    )


def report_problem(problem: Problem) -> ProblemReport:
    """Return a problem as it stands in a report."""
    return ProblemReport(stage=problem.stage, code=problem.code, message=problem.message, remedy=problem.remedy)


def count_totals(accounts: Iterable[AccountReport]) -> Totals:
    """Return the totals of these accounts."""
    statuses: Counter[Status] = Counter()
    verdicts: Counter[Verdict] = Counter()
    outcomes: Counter[Outcome] = Counter()
    for account in accounts:
        statuses[account.status] += 1
        verdicts.update(user.verdict for user in account.users)
        outcomes.update(user.outcome for user in account.users)
    by_outcome = {outcome.value: outcomes[outcome] for outcome in Outcome if outcome is not Outcome.FAILED}
    return Totals(
        accounts=statuses.total(),
        **{status.value: statuses[status] for status in Status},
        users=outcomes.total(),
        **{verdict.value: verdicts[verdict] for verdict in Verdict},
        **by_outcome,
        failed_users=outcomes[Outcome.FAILED],
    )


def exit_code(report: RunReport) -> int:
    """Return 0 where every account not skipped was inspected and no user needs a hand, else 1."""
    totals = report.totals
    unfinished = totals.failed + totals.not_reached
    unresolved = totals.failed_users + totals.held + totals.quota_exceeded + totals.unknown
    return int(bool(report.errors or not report.complete or unfinished or unresolved))


def _report_user(decision: Decision) -> UserReport:
    user, reason, device = decision.user, decision.reason, decision.user.mfa_device
    is_error = decision.outcome in NEEDS_A_HAND or decision.verdict is Verdict.UNKNOWN
    return UserReport(
        name=user.name,
        arn=user.arn,
        verdict=decision.verdict,
        console_password=user.has_console_password,
        active_access_keys=user.active_access_keys,
        keys_last_used=user.keys_last_used,
        outcome=decision.outcome,
        via=decision.via,
        error=ReasonReport(code=reason.code, message=reason.message) if reason and is_error else None,
        reason=reason.message if reason and not is_error else None,
        grace_ends=reason.until if reason and decision.outcome is Outcome.IN_GRACE else None,
        mfa_device=None if device is None else device.kind,
        mfa_enrolled_at=None if device is None else device.enrolled_at,
    )
