"""Applies the plan of one account: a live look at policy and group, then at each user, then the write."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

import structlog

from orchestrator.concurrency.work_sharing import map_shared
from orchestrator.domain.assessment import find_exception
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
    Trigger,
    UserChange,
    Via,
)
from orchestrator.domain.planning import hold_decision, policy_not_ours, quota_exceeded
from orchestrator.pipeline.context import RunContext, cut_short
from orchestrator.pipeline.inspection import fail_account, recheck_user
from orchestrator.pipeline.ports import Releases
from orchestrator.pipeline.precautions import KnownCredentials, PolicyWatch, hold_unless_safe, read_credentials

PLAN_TIME = timedelta(minutes=5)  # how old a run may be at a write before all that plans are made by is asked again

log = structlog.get_logger(__name__)

_LOG_EVENTS: dict[type[UserChange], str] = {
    AttachPolicy: "policy_attached",
    AddToGroup: "user_added_to_group",
    DetachPolicy: "policy_detached",
    RemoveFromGroup: "user_removed_from_group",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """What was done of an account's plan so far; filled by several threads in any order. `gone` are deleted users."""

    decisions: list[Decision] = field(default_factory=list)
    policy_changes: list[PolicyChange] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)


def apply_account(plan: AccountResult, context: RunContext, progress: Progress) -> AccountResult:
    """Return the result of applying a plan; `progress` tells what was written even if this function never returns."""
    carry_out = _release_all if context.request.mode is Mode.RELEASE else _enforce_all
    with structlog.contextvars.bound_contextvars(account_id=plan.account.id):
        try:
            done = carry_out(plan, context, progress)
        except AwsError as error:
            return failed(plan, progress, fail_account(error, plan.account, context, stage=Stage.APPLY))
        if done is None or (result := _as_far_as_applied(done, progress)).planned:
            return as_not_reached(done or plan, progress, context.cancellation.reason)
        return result


def _enforce_all(plan: AccountResult, context: RunContext, progress: Progress) -> AccountResult | None:
    """Enforce MFA as far as policy and group are ours, and return the plan as it was then; None: the run had to end."""
    needs_group = any(decision.via is Via.GROUP for decision in plan.planned)
    look = partial(context.policies.look, plan.account.id, group=needs_group)
    with context.sessions.enter(plan.account.id, Access.ENFORCE) as limit:
        now = _settle_policy(plan, context, progress.policy_changes, look=look)
        if now is None:
            return None
        if plan.policy_changes and (stopped := _stopped(context)):
            held = tuple(hold_decision(decision, stopped) for decision in plan.decisions)
        else:
            managed_by = context.config.policy.managed_by
            held = tuple(_hold_unless_ours(decision, now, managed_by) for decision in plan.decisions)
        plan = replace(plan, decisions=held, enforcement=now)
        watch = PolicyWatch(look, now, progress.decisions)
        progress.decisions.extend(one for one in plan.decisions if not one.is_planned)
        known = read_credentials(context) if _is_old(context) and plan.planned else None
        enforce = partial(_enforce, account=plan.account, context=context, watch=watch, known=known)
        map_shared(plan.planned, partial(_settle, carry_out=enforce, progress=progress), limit)
        watch.settle()
    return plan


def _release_all(plan: AccountResult, context: RunContext, progress: Progress) -> AccountResult | None:
    settle = partial(_settle, carry_out=partial(_release, context=context), progress=progress)
    with context.sessions.enter(plan.account.id, Access.RELEASE) as limit:
        map_shared(plan.planned, settle, limit)
    if not context.cancellation.reason:
        _release_again(plan.account.id, context, progress, settle=settle)
    return plan


def _settle(decision: Decision, *, carry_out: Callable[[Decision], Decision | None], progress: Progress) -> None:
    after = carry_out(decision)
    if after is None:
        log.info("user_gone", user_name=decision.user.name)
        progress.gone.add(decision.user.name)
    elif not after.is_planned:
        progress.decisions.append(after)


def failed(plan: AccountResult, progress: Progress, problem: Problem) -> AccountResult:
    """Return the result of an account whose plan ended with a problem: all that was still planned failed."""
    result, why = _as_far_as_applied(plan, progress), (problem.code, problem.message)
    decisions = tuple(_as_failed(one, *why) if one.is_planned else one for one in result.decisions)
    return replace(result, status=Status.FAILED, problem=problem, decisions=decisions)


def as_not_reached(plan: AccountResult, progress: Progress, reason: str | None) -> AccountResult:
    """Return the result of an account whose changes were not all made when the run had to end."""
    problem = cut_short(Stage.APPLY, reason, "the planned changes of this account were not all made")
    return replace(_as_far_as_applied(plan, progress), status=Status.NOT_REACHED, problem=problem)


def _settle_policy(
    plan: AccountResult, context: RunContext, made: list[PolicyChange], *, look: Callable[[], Enforcement]
) -> Enforcement | None:
    """Return policy and group after the planned changes to them, which `made` is filled with; None: the run ended."""
    account_id, changes, now = plan.account.id, plan.policy_changes, look()
    for change in changes:
        with context.permit.hold() as released:
            if released is None:
                return None
            if context.stop_reason() is not None:
                break
            if change is PolicyChange.ATTACH_GROUP_POLICY:  # it may be somebody else who made the group meanwhile
                now = context.policies.look(account_id, group=True)
            if _is_called_for(change, now):
                context.policies.change(account_id, change)
                made.append(change)
                log.info(change.value, policy_arn=now.policy_arn, group_name=now.group_name)
    return look() if changes else now


def _is_called_for(change: PolicyChange, now: Enforcement) -> bool:
    match change:
        case PolicyChange.CREATE_POLICY:
            return now.policy is PolicyState.MISSING
        case PolicyChange.UPDATE_POLICY:
            return now.policy is PolicyState.OUTDATED
        case PolicyChange.CREATE_GROUP:
            return now.group is PolicyState.MISSING
        case PolicyChange.ATTACH_GROUP_POLICY:
            return now.group in {PolicyState.MISSING, PolicyState.OUTDATED}


def _hold_unless_ours(decision: Decision, now: Enforcement, managed_by: str) -> Decision:
    if now.policy is not PolicyState.OURS:
        return hold_decision(decision, policy_not_ours("policy", now.policy_arn, now.policy, managed_by=managed_by))
    if decision.via is Via.GROUP and now.group is not PolicyState.OURS:
        return hold_decision(decision, policy_not_ours("group", now.group_name, now.group, managed_by=managed_by))
    name = decision.user.name
    if not {AttachPolicy(name, now.policy_arn), AddToGroup(name, now.group_name)}.issuperset(decision.changes):
        # A plan in the archive may have been tampered with: it is this user who is looked at before the write.
        text = "the plan names another user, policy or group than those that were looked at"
        return hold_decision(decision, Reason("policy_drifted", text))
    return decision


def _enforce(
    decision: Decision, *, account: Account, context: RunContext, watch: PolicyWatch, known: KnownCredentials | None
) -> Decision | None:
    """Return the decision after a live look at its user and the write, if there was one; None: the user is gone."""
    with context.permit.hold() as released:
        if forbidden := _forbid(decision, account, context, released=released):
            return forbidden
    try:
        if _is_old(context):
            decision = recheck_user(decision, account, context, keys=True)
            credentials = read_credentials(context) if known is None else known
            decision = hold_unless_safe(decision, account, context, known=credentials)
        if decision.is_planned:
            decision = recheck_user(decision, account, context, keys=False)  # right before the write
        return _write(decision, account, context, watch=watch) if decision.is_planned else decision
    except NotFound as error:
        return None if _is_gone(decision.user, context) else _fail(decision, error)
    except AwsError as error:
        return _fail(decision, error)


def _is_old(context: RunContext) -> bool:
    """Return whether keys, credentials and enrolling are asked about anew: the plan has waited, or is from a file."""
    return context.request.trigger is Trigger.MAP or context.now() - context.request.started_at > PLAN_TIME


def _forbid(decision: Decision, account: Account, context: RunContext, *, released: Releases | None) -> Decision | None:
    """Return the decision where its write is forbidden, `released` being the releases in force now, else None."""
    if released is None or context.cancellation.reason:
        return decision
    rules = replace(context.rules, released_until=released)
    if found := find_exception(decision.user, account.id, rules, now=context.now()):
        return Decision(decision.user, decision.verdict, found[0], reason=found[1])
    stopped = _stopped(context)
    return hold_decision(decision, stopped) if stopped else None


def _stopped(context: RunContext) -> Reason | None:
    why = context.stop_reason()
    return None if why is None else Reason("stopped", f"enforcement.stop was set during the run: {why}")


def _write(decision: Decision, account: Account, context: RunContext, *, watch: PolicyWatch) -> Decision:
    """Return the decision after trying its changes one after the other, until the quota of one has room."""
    for change in decision.changes:
        if isinstance(change, AddToGroup) and decision.via is Via.USER:
            now = context.policies.look(account.id, group=True)
            if now.group is not PolicyState.OURS:
                return hold_decision(decision, policy_not_ours("group", now.group_name, now.group))
        if why := watch.forbid():
            return hold_decision(decision, why)
        with context.permit.hold() as released:  # a look can take longer than a cancelled run waits
            if forbidden := _forbid(decision, account, context, released=released):
                return forbidden
            is_made = isinstance(change, AttachPolicy | AddToGroup) and _is_made(change, context)
        if is_made:
            via = Via.USER if isinstance(change, AttachPolicy) else Via.GROUP
            return replace(decision, outcome=Outcome.ENFORCED, via=via, changes=())
    return replace(decision, outcome=Outcome.QUOTA_EXCEEDED, via=None, changes=(), reason=quota_exceeded(decision.user))


def _is_made(change: AttachPolicy | AddToGroup, context: RunContext) -> bool:
    """Make a change, and return whether it is in effect; false where a quota of the user is full."""
    try:
        context.iam.apply_change(change)
    except QuotaExceeded:
        return False
    except (Throttled, Unavailable):
        if not context.iam.is_applied(change):  # the write may have been made and its answer lost
            raise
    log.info(_LOG_EVENTS[type(change)], user_name=change.user_name)
    return True


def _release(decision: Decision, context: RunContext) -> Decision:
    """Return the decision after all its changes; what no longer exists counts as released."""
    with context.permit.hold() as released:
        if released is None:
            return decision
        for change in decision.changes:
            try:
                context.iam.apply_change(change)
            except NotFound:
                continue
            except AwsError as error:
                return _fail(decision, error)
            log.info(_LOG_EVENTS[type(change)], user_name=change.user_name)
    return replace(decision, outcome=Outcome.RELEASED, changes=())


def _release_again(
    account_id: str, context: RunContext, progress: Progress, *, settle: Callable[[Decision], None]
) -> None:
    """Look at the users who were released, and release those again whom a run enforced at that very moment."""
    freed = [decision for decision in progress.decisions if decision.outcome is Outcome.RELEASED]
    if not freed:
        return
    with context.sessions.enter(account_id, Access.INSPECT) as limit:
        ours = context.policies.look(account_id, group=False)
        looked_at = map_shared(freed, lambda decision: _plan_again(decision, ours, context), limit)
    if again := [decision for decision in looked_at if decision.changes]:
        log.warning("enforced_during_release", users=len(again))
        progress.decisions.extend(again)  # the last decision about a user counts
        with context.sessions.enter(account_id, Access.RELEASE) as limit:
            map_shared(again, settle, limit)


def _plan_again(decision: Decision, ours: Enforcement, context: RunContext) -> Decision:
    """Return the decision about a released user planned with what has to be undone again, if anything."""
    name, changes = decision.user.name, list[UserChange]()
    try:
        if context.iam.is_applied(AttachPolicy(name, ours.policy_arn)):
            changes.append(DetachPolicy(name, ours.policy_arn))
        if context.iam.is_applied(AddToGroup(name, ours.group_name)):
            changes.append(RemoveFromGroup(name, ours.group_name))
    except NotFound:
        return decision
    return replace(decision, outcome=Outcome.PLANNED, changes=tuple(changes)) if changes else decision


def _is_gone(user: IamUser, context: RunContext) -> bool:
    """Return whether a user no longer exists: NotFound does not say what was not found."""
    try:
        context.iam.read_user_live(user.name, password=False, keys=False)
    except AwsError as error:
        return isinstance(error, NotFound)
    return False


def _fail(decision: Decision, error: AwsError) -> Decision:
    log.warning("change_failed", user_name=decision.user.name, code=error.code, message=str(error))
    return _as_failed(decision, error.code, str(error))


def _as_failed(decision: Decision, code: str, message: str) -> Decision:
    return replace(decision, outcome=Outcome.FAILED, via=None, changes=(), reason=Reason(code, message))


def _as_far_as_applied(plan: AccountResult, progress: Progress) -> AccountResult:
    """Return a plan with the decisions and policy changes that were made, and without the users who are gone."""
    # Read once: threads that are no longer waited for may still add to it.
    by_name, gone = {decision.user.name: decision for decision in tuple(progress.decisions)}, frozenset(progress.gone)
    decisions = tuple(
        by_name.get(decision.user.name, decision) for decision in plan.decisions if decision.user.name not in gone
    )
    return replace(plan, decisions=decisions, policy_changes=tuple(progress.policy_changes))
