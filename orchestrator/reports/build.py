"""Builds a RunReport from the results of a run. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from orchestrator.domain.assessment import is_unused
from orchestrator.domain.model import (
    AccountResult,
    Decision,
    Gate,
    Outcome,
    Placement,
    Problem,
    Reason,
    RunRequest,
    Status,
    Verdict,
)
from orchestrator.domain.outcomes import ENFORCED, OUTCOMES, OutcomeGroup, total_name
from orchestrator.domain.planning import NOT_LOOKED_AT
from orchestrator.reports.report import (
    AccountReport,
    GuardReport,
    MessageReport,
    ProblemReport,
    ReasonReport,
    RootUserReport,
    RunReport,
    Totals,
    UserReport,
    pack_accounts,
)

_UNDER_THE_POLICY = ENFORCED | {Outcome.NONE}
_MAY_BE_LOCKED_OUT = Reason(
    "policy_outdated", "enforced by an earlier text that can deny signing in to the console: update the StackSet"
)
_NOWHERE = Placement()


def build_report(
    request: RunRequest,
    organization_id: str,
    accounts: Iterable[AccountReport],
    *,
    errors: Iterable[Problem],
    is_complete: bool,
    finished_at: datetime,
    gate: Gate | None = None,
) -> RunReport:
    """Return the report of a run from the reports of its accounts."""
    packed = pack_accounts(())
    totals = count_totals(packed.take(accounts))
    return RunReport(
        preflight=request.preflight,
        gate=gate,
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
    """Return a report with all errors known by now, and the time; unchanged where there is no new one."""
    known = tuple(map(report_problem, errors))
    return report if known == report.errors else report.model_copy(update={"errors": known, "finished_at": finished_at})


def report_account(
    result: AccountResult,
    place: Placement = _NOWHERE,
    *,
    unused_before: datetime | None = None,
    messages: Mapping[tuple[str, str], tuple[MessageReport, ...]] = MappingProxyType({}),
) -> AccountReport:
    """Return the report of one account; `place` has the path of its OU, and its owner.

    Users who have not signed in since `unused_before` are told to be unused; None: nobody. `messages` are by account ID
    and user ID.
    """
    root, enforcement = result.root_user, result.enforcement
    can_lock_out = enforcement is not None and enforcement.can_lock_out
    return AccountReport(
        id=result.account.id,
        name=result.account.name,
        alias=result.alias,
        ou=place.ou,
        owner=place.owner,
        status=result.status,
        error=None if result.problem is None else report_problem(result.problem),
        root_user=None if root is None else RootUserReport(has_credentials=root.has_credentials, has_mfa=root.has_mfa),
        policy=None if enforcement is None else enforcement.policy,
        users=tuple(
            _report_user(
                decision,
                can_lock_out=can_lock_out,
                unused_before=unused_before,
                messages=messages.get((result.account.id, decision.user.id), ()),
            )
            for decision in result.decisions
        ),
        policy_changes=result.policy_changes,
        notes=tuple(dict.fromkeys(decision.note for decision in result.decisions if decision.note)),
    )


def report_problem(problem: Problem) -> ProblemReport:
    """Return a problem as a model of the report."""
    return ProblemReport(stage=problem.stage, code=problem.code, message=problem.message, remedy=problem.remedy)


def count_totals(accounts: Iterable[AccountReport]) -> Totals:
    """Return the totals of these accounts."""
    statuses: Counter[Status] = Counter()
    verdicts: Counter[Verdict] = Counter()
    outcomes: Counter[Outcome] = Counter()
    virtual = 0
    for account in accounts:
        statuses[account.status] += 1
        verdicts.update(user.verdict for user in account.users)
        outcomes.update(user.outcome for user in account.users)
        virtual += sum(user.verdict is Verdict.COMPLIANT and user.mfa_device == "virtual" for user in account.users)
    return Totals(
        accounts=statuses.total(),
        **{status.value: statuses[status] for status in Status},
        users=outcomes.total(),
        **{verdict.value: verdicts[verdict] for verdict in Verdict},
        mfa_virtual=virtual,
        mfa_other=verdicts[Verdict.COMPLIANT] - virtual,
        **{total_name(outcome): outcomes[outcome] for outcome in Outcome},
    )


def _report_user(
    decision: Decision, *, can_lock_out: bool, unused_before: datetime | None, messages: tuple[MessageReport, ...]
) -> UserReport:
    user, reason, device, guard = decision.user, decision.reason, decision.user.mfa_device, decision.user.guard
    is_unread = decision.verdict is Verdict.UNKNOWN and reason != NOT_LOOKED_AT
    is_error = OUTCOMES[decision.outcome].group is OutcomeGroup.TO_FIX or is_unread
    if can_lock_out and not is_error and decision.via is not None and decision.outcome in _UNDER_THE_POLICY:
        reason, is_error = _MAY_BE_LOCKED_OUT, True
    return UserReport(
        id=user.id,
        name=user.name,
        arn=user.arn,
        verdict=decision.verdict,
        console_password=user.has_console_password,
        active_access_keys=user.active_access_keys,
        keys_last_used=user.keys_last_used,
        password_last_used=user.password_last_used,
        unused=unused_before is not None and is_unused(decision, unused_before),
        service_credentials=user.service_credentials,
        guarded=None if guard is None else GuardReport(by=guard.by, partial=guard.is_partial),
        outcome=decision.outcome,
        via=decision.via,
        error=ReasonReport(code=reason.code, message=reason.message) if reason and is_error else None,
        reason=reason.message if reason and not is_error else None,
        grace_ends=reason.until if reason and decision.outcome is Outcome.IN_GRACE else None,
        mfa_device=None if device is None else device.kind,
        mfa_enrolled_at=None if device is None else device.enrolled_at,
        messages=messages,
    )
