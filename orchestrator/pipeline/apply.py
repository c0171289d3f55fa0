"""Carry out the plan of one account: a live look at policy and group, then at each user, then the write.

A failure of AWS ends here as an outcome; an unexpected exception is left to `run`, which books it on the account.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import Enum, auto

import structlog

from orchestrator.concurrency.work_sharing import map_shared
from orchestrator.domain.errors import AwsError, NotFound, QuotaExceeded, Throttled, Unavailable
from orchestrator.domain.model import (
    Access,
    Account,
    AccountResult,
    AddToGroup,
    AttachPolicy,
    Decision,
    DetachPolicy,
    Enforcement,
    IamUser,
    Mode,
    Outcome,
    PolicyChange,
    PolicyState,
    Problem,
    Reason,
    RemoveFromGroup,
    Stage,
    Status,
    UserChange,
    Via,
)
from orchestrator.domain.planning import hold_decision, policy_not_ours, quota_exceeded
from orchestrator.domain.remedies import explain_account_error
from orchestrator.pipeline.context import RUN_AGAIN, RunContext
from orchestrator.pipeline.inspection import recheck_user

log = structlog.get_logger(__name__)

_LOG_EVENTS: dict[type[UserChange], str] = {
    AttachPolicy: "policy_attached",
    AddToGroup: "user_added_to_group",
    DetachPolicy: "policy_detached",
    RemoveFromGroup: "user_removed_from_group",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """What has become of an account's plan so far: filled as it is carried out, by several threads in any order."""

    decisions: list[Decision] = field(default_factory=list)
    policy_changes: list[PolicyChange] = field(default_factory=list)


def apply_account(plan: AccountResult, context: RunContext, progress: Progress) -> AccountResult:
    """Return an account's result after its plan was carried out: what was written, and what was not and why.

    `progress` is filled meanwhile, so that what was written is known even where this function never returns.
    """
    is_release = context.request.mode is Mode.RELEASE
    access = Access.RELEASE if is_release else Access.ENFORCE
    gone: set[str] = set()

    def settle(decision: Decision) -> None:
        outcome = _release(decision, context) if is_release else _enforce(decision, plan.account, context)
        if outcome is _Unsettled.GONE:
            gone.add(decision.user.name)
        elif outcome is not _Unsettled.HALTED:
            progress.decisions.append(outcome)

    with structlog.contextvars.bound_contextvars(account_id=plan.account.id):
        try:
            with context.sessions.enter(plan.account.id, access) as limit:
                if not is_release:
                    looked_at = _settle_policy(plan, context, progress.policy_changes)
                    if looked_at is None:
                        return as_not_reached(plan, progress, context.cancellation.reason or "interrupted")
                    plan = looked_at
                progress.decisions.extend(one for one in plan.decisions if one.outcome is not Outcome.PLANNED)
                map_shared(_planned(plan), settle, limit)
        except AwsError as error:
            return failed(_without(plan, gone), progress, _explain(error, plan.account, context))
        plan = _without(plan, gone)
        if len(progress.decisions) < len(plan.decisions):
            return as_not_reached(plan, progress, context.cancellation.reason or "interrupted")
        return _as_far_as_applied(plan, progress)


def _explain(error: AwsError, account: Account, context: RunContext) -> Problem:
    """Return the problem of an account that could not be entered, or whose policy could not be settled."""
    roles, is_release = context.config.member_role, context.request.mode is Mode.RELEASE
    role = roles.release_name if is_release else roles.name
    problem = explain_account_error(error, Stage.APPLY, account, organization=context.organization, role_name=role)
    log.warning("account_failed", stage=problem.stage.value, code=problem.code, message=problem.message)
    return problem


def failed(plan: AccountResult, progress: Progress, problem: Problem) -> AccountResult:
    """Return the result of an account whose plan broke off where this was settled: what was still planned failed."""
    reason, result = Reason(problem.code, problem.message), _as_far_as_applied(plan, progress)
    decisions = tuple(
        replace(decision, outcome=Outcome.FAILED, via=None, changes=(), reason=reason)
        if decision.outcome is Outcome.PLANNED
        else decision
        for decision in result.decisions
    )
    return replace(result, status=Status.FAILED, problem=problem, decisions=decisions)


def as_not_reached(plan: AccountResult, progress: Progress, reason: str) -> AccountResult:
    """Return the result of an account whose changes were not all made when the run had to end."""
    problem = Problem(Stage.APPLY, reason, "the planned changes of this account were not all made", RUN_AGAIN[reason])
    return replace(_as_far_as_applied(plan, progress), status=Status.NOT_REACHED, problem=problem)


class _Unsettled(Enum):
    """Why nothing is to be booked on a user: the user is gone, or the run was halted before the write."""

    GONE = auto()
    HALTED = auto()


def _settle_policy(plan: AccountResult, context: RunContext, made: list[PolicyChange]) -> AccountResult | None:
    """Return a plan after a live look at policy and group; where the program owns them, they are made or updated.

    `made` is filled with the changes as they are made. None where cancellation came before any planned one.
    """
    account_id = plan.account.id
    needs_group = any(decision.via is Via.GROUP for decision in _planned(plan))
    changes = plan.policy_changes
    now = context.policies.look(account_id, group=needs_group)
    if changes and context.cancellation.reason:
        return None
    if changes and context.stop_reason() is None:
        for change in changes:
            if change is PolicyChange.ATTACH_GROUP_POLICY:  # it may be somebody else who made the group meanwhile
                now = context.policies.look(account_id, group=True)
            if _is_called_for(change, now):
                context.policies.change(account_id, change)
                made.append(change)
                log.info(change.value, policy_arn=now.policy_arn, group_name=now.group_name)
        now = context.policies.look(account_id, group=needs_group)
    held = (_hold_unless_ours(decision, now) for decision in plan.decisions)
    return replace(plan, decisions=tuple(held))


def _is_called_for(change: PolicyChange, now: Enforcement) -> bool:
    """Return whether a planned change to policy or group still fits what stands there now."""
    match change:
        case PolicyChange.CREATE_POLICY:
            return now.policy is PolicyState.MISSING
        case PolicyChange.UPDATE_POLICY:
            return now.policy is PolicyState.OUTDATED
        case PolicyChange.CREATE_GROUP:
            return now.group is PolicyState.MISSING
        case PolicyChange.ATTACH_GROUP_POLICY:
            return now.group in {PolicyState.MISSING, PolicyState.OUTDATED}


def _hold_unless_ours(decision: Decision, now: Enforcement) -> Decision:
    if now.policy is not PolicyState.OURS:
        return hold_decision(decision, policy_not_ours("policy", now.policy_arn, now.policy))
    if decision.via is Via.GROUP and now.group is not PolicyState.OURS:
        return hold_decision(decision, policy_not_ours("group", now.group_name, now.group))
    if not all(_is_of(change, now) for change in decision.changes):
        return hold_decision(decision, Reason("policy_drifted", "the plan names another policy or group than ours"))
    return decision


def _is_of(change: UserChange, now: Enforcement) -> bool:
    """Return whether a change is about our policy and group: a plan that stood in the archive may have been touched."""
    match change:
        case AttachPolicy(_, arn) | DetachPolicy(_, arn):
            return arn == now.policy_arn
        case AddToGroup(_, name) | RemoveFromGroup(_, name):
            return name == now.group_name


def _enforce(decision: Decision, account: Account, context: RunContext) -> Decision | _Unsettled:
    """Return the decision after the write, if it still holds after a live look and nothing forbids it meanwhile."""
    if forbidden := _forbid(decision, context):
        return forbidden
    try:
        decision = recheck_user(decision, account, context, keys=False)
        if decision.outcome is not Outcome.PLANNED:
            return decision
        return _write(decision, account, context)
    except NotFound as error:
        if _is_gone(decision.user, context):
            log.info("user_gone", user_name=decision.user.name)
            return _Unsettled.GONE
        return _fail(decision, error)
    except AwsError as error:
        return _fail(decision, error)


def _forbid(decision: Decision, context: RunContext) -> Decision | _Unsettled | None:
    """Return what becomes of a decision where cancellation or the stop switch forbids its write, else None."""
    if context.cancellation.reason:
        return _Unsettled.HALTED
    if (why := context.stop_reason()) is not None:
        return hold_decision(decision, Reason("stopped", f"enforcement.stop was set during the run: {why}"))
    return None


def _write(decision: Decision, account: Account, context: RunContext) -> Decision | _Unsettled:
    """Return a decision after trying its ways one after the other, until one has room."""
    for change in decision.changes:
        if isinstance(change, AddToGroup) and decision.via is Via.USER:
            now = context.policies.look(account.id, group=True)
            if now.group is not PolicyState.OURS:
                return hold_decision(decision, policy_not_ours("group", now.group_name, now.group))
        if forbidden := _forbid(decision, context):  # a look can take longer than a run that was told to end waits for
            return forbidden
        if isinstance(change, AttachPolicy | AddToGroup) and _is_made(change, context):
            via = Via.USER if isinstance(change, AttachPolicy) else Via.GROUP
            return replace(decision, outcome=Outcome.ENFORCED, via=via, changes=())
    return replace(decision, outcome=Outcome.QUOTA_EXCEEDED, via=None, changes=(), reason=quota_exceeded(decision.user))


def _is_made(change: AttachPolicy | AddToGroup, context: RunContext) -> bool:
    """Make a change, and return whether it stands; false where the user has no room for it."""
    try:
        context.iam.apply_change(change)
    except QuotaExceeded:
        return False
    except (Throttled, Unavailable):
        if not context.iam.is_applied(change):  # the write may have been made and its answer lost
            raise
    log.info(_LOG_EVENTS[type(change)], user_name=change.user_name)
    return True


def _release(decision: Decision, context: RunContext) -> Decision | _Unsettled:
    """Return the decision after all its changes; what is gone already is released too."""
    if context.cancellation.reason:
        return _Unsettled.HALTED
    for change in decision.changes:
        try:
            context.iam.apply_change(change)
        except NotFound:
            continue
        except AwsError as error:
            return _fail(decision, error)
        log.info(_LOG_EVENTS[type(change)], user_name=change.user_name)
    return replace(decision, outcome=Outcome.RELEASED, changes=())


def _is_gone(user: IamUser, context: RunContext) -> bool:
    """Return whether a user no longer exists, where NotFound leaves open what was not found."""
    try:
        context.iam.read_user_live(user.name, password=False, keys=False)
    except NotFound:
        return True
    except AwsError:
        return False
    return False


def _fail(decision: Decision, error: AwsError) -> Decision:
    """Return a decision that could not be carried out; any that was not planned stays as it is."""
    if decision.outcome is not Outcome.PLANNED:
        return decision
    log.warning("change_failed", user_name=decision.user.name, code=error.code, message=str(error))
    reason = Reason(error.code, str(error))
    return replace(decision, outcome=Outcome.FAILED, via=None, changes=(), reason=reason)


def _as_far_as_applied(plan: AccountResult, progress: Progress) -> AccountResult:
    """Return a plan with what was settled, its decisions in their order, and no change to policy that was not made.

    What is settled is read once: threads that are not waited for any longer may still add to it.
    """
    by_name = {decision.user.name: decision for decision in tuple(progress.decisions)}
    decisions = tuple(by_name.get(decision.user.name, decision) for decision in plan.decisions)
    return replace(plan, decisions=decisions, policy_changes=tuple(progress.policy_changes))


def _without(plan: AccountResult, gone: AbstractSet[str]) -> AccountResult:
    """Return a plan without the users that turned out to be gone: they come in no list."""
    return replace(plan, decisions=tuple(one for one in plan.decisions if one.user.name not in gone))


def _planned(result: AccountResult) -> list[Decision]:
    return [decision for decision in result.decisions if decision.outcome is Outcome.PLANNED]
