"""Plans the changes of an account before anything is written, and holds them where limits say so. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial

from orchestrator.domain.assessment import Rules, assess_user, find_exception
from orchestrator.domain.config import Config, LimitsConfig
from orchestrator.domain.model import (
    Account,
    AccountFacts,
    AccountResult,
    AddToGroup,
    AttachPolicy,
    Decision,
    DetachPolicy,
    Enforcement,
    Gate,
    IamUser,
    LiveUser,
    Outcome,
    PolicyChange,
    PolicyState,
    Reason,
    RemoveFromGroup,
    Status,
    Trigger,
    UserChange,
    Verdict,
    Via,
)

_ABSENT = frozenset({PolicyState.MISSING, PolicyState.NOT_DEPLOYED})
_USABLE = {
    "stackset": frozenset({PolicyState.OURS, PolicyState.NOT_DEPLOYED}),
    "orchestrator": frozenset({PolicyState.OURS, PolicyState.OUTDATED}) | _ABSENT,
}
_IN_FORCE = frozenset({PolicyState.OURS, PolicyState.OUTDATED})

NOT_LOOKED_AT = Reason("not_looked_at", "a release looks at nobody's MFA")  # why a release gives no verdict
OVER_LIMIT = "over_limit"  # code of what a limit holds: an account, or the whole run


def decide_user(user: IamUser, account_id: str, facts: AccountFacts, *, rules: Rules, now: datetime) -> Decision:
    """Return the decision about one user: verdict, outcome, and the changes that would enforce MFA."""
    verdict = assess_user(user)
    via = enforced_via(user, facts.enforcement)
    if verdict is not Verdict.NON_COMPLIANT:
        return Decision(user, verdict, Outcome.NONE, via, reason=user.unreadable)
    if via is not None:
        return Decision(user, verdict, Outcome.ALREADY_ENFORCED, via)
    if found := find_exception(user, account_id, rules, now=now):
        return Decision(user, verdict, found[0], reason=found[1])
    return _choose_enforcement(user, facts, _USABLE[rules.config.policy.managed_by])


def update_decision(decision: Decision, seen: LiveUser, account_id: str, *, rules: Rules, now: datetime) -> Decision:
    """Return a planned decision after a live look at its user: kept, or dropped because of what was seen."""
    user = update_user(decision.user, seen)
    if seen.has_mfa:
        return Decision(user, Verdict.COMPLIANT, Outcome.NONE)
    if found := find_exception(user, account_id, rules, now=now):
        return Decision(user, decision.verdict, found[0], reason=found[1])
    return replace(decision, user=user)


def is_unclear(user: IamUser) -> bool:
    """Return whether the bulk reads left something open that a live look can tell."""
    return None in (user.has_mfa, user.has_console_password, user.active_access_keys)


def update_user(user: IamUser, seen: LiveUser) -> IamUser:
    """Return a user updated with the result of a live look."""
    user = replace(user, has_mfa=seen.has_mfa, mfa_device=seen.mfa_device)
    if seen.has_console_password is not None:
        user = replace(user, has_console_password=seen.has_console_password)
    if seen.active_access_keys is not None:
        user = replace(user, active_access_keys=seen.active_access_keys, keys_last_used=seen.keys_last_used)
    return user


def enforced_via(user: IamUser, enforcement: Enforcement) -> Via | None:
    """Return how EnforceMFA reaches a user now; a policy or group that is not ours does not count."""
    if enforcement.policy not in _IN_FORCE:
        return None
    if enforcement.policy_arn in user.attached_policy_arns:
        return Via.USER
    if enforcement.group_name in user.group_names and enforcement.group is PolicyState.OURS:
        return Via.GROUP
    return None


def without_deployment(enforcement: Enforcement) -> Enforcement:
    """Return the states where nothing is deployed yet: a missing policy, and a group missing too, are no drift."""
    if enforcement.policy is not PolicyState.MISSING:
        return enforcement
    group = PolicyState.NOT_DEPLOYED if enforcement.group is PolicyState.MISSING else enforcement.group
    return replace(enforcement, policy=PolicyState.NOT_DEPLOYED, group=group)


def make_result(account: Account, facts: AccountFacts, decisions: Iterable[Decision]) -> AccountResult:
    """Return the result of an account that was inspected, with these decisions about its users."""
    root, enforcement = facts.root_user, facts.enforcement
    return AccountResult(
        account, Status.INSPECTED, facts.alias, root_user=root, decisions=tuple(decisions), enforcement=enforcement
    )


def plan_account(
    account: Account, facts: AccountFacts, decisions: Iterable[Decision], *, config: Config
) -> AccountResult:
    """Return the plan of one account, held as a whole where users who are certain to change exceed its limits."""
    decisions = tuple(decisions)
    changes = _plan_policy_changes(facts.enforcement, decisions, config.policy.managed_by)
    result = replace(make_result(account, facts, decisions), policy_changes=changes)
    certain = sum(one.is_planned and not is_unclear(one.user) for one in decisions)
    users, limits = facts.user_count or len(facts.users), config.limits
    most, share = limits.max_changes_per_account, limits.max_share_per_account
    if most is not None and certain > most:
        excess = f"{certain} changes planned, limits.max_changes_per_account is {most}"
    elif certain and certain / users > share:
        excess = f"{certain} of {users} users would change, limits.max_share_per_account is {share}"
    else:
        return result
    unknown = Reason(OVER_LIMIT, "not looked at, since the account is held as a whole")
    known = (replace(one, reason=one.reason or unknown) if one.user.has_mfa is None else one for one in decisions)
    reason = Reason(OVER_LIMIT, f"{excess}: the account is held as a whole")
    return hold(replace(result, decisions=tuple(known)), reason)


def is_over_limit(result: AccountResult) -> bool:
    """Return whether an account is held for its limits."""
    return any(one.outcome is Outcome.HELD and one.reason and one.reason.code == OVER_LIMIT for one in result.decisions)


def plan_release(account: Account, facts: AccountFacts, user_names: frozenset[str] | None) -> AccountResult:
    """Return the plan that releases the named users, None: all. It looks at nobody's MFA, so gives no verdict."""
    return make_result(account, facts, (_decide_release(user, facts.enforcement, user_names) for user in facts.users))


def close_gate(
    planned: int,
    limits: LimitsConfig,
    *,
    stop_reason: str | None,
    trigger: Trigger = Trigger.CLI,
    is_whole: bool = True,
) -> Gate | None:
    """Return why a run must write nothing, or None; of a plan that is not whole the number is no limit to allow."""
    most = limits.max_changes_per_run
    if stop_reason is not None:
        message, remedy = f"enforcement.stop: {stop_reason}", "Clear the switch when writing may go on, then run again."
        return Gate(code="stopped", planned=planned, limit=None, message=message, remedy=remedy)
    if most is not None and planned > most:
        message = f"{planned} changes planned, limits.max_changes_per_run is {most}"
        remedy = f"Read the plan, then `orgmfa apply --max-changes {planned}` over the same accounts, or OU by OU."
        if not is_whole:
            remedy = "The plan is incomplete, so it tells no limit to allow: run again."
        elif trigger is not Trigger.CLI:
            remedy = (
                f"Read the plan, then have an operator run `orgmfa apply --max-changes {planned}`, or deploy with "
                f"MaxChanges={planned}."
            )
        return Gate(code="over_limit", planned=planned, limit=most, message=message, remedy=remedy)
    return None


def hold(result: AccountResult, reason: Reason) -> AccountResult:
    """Return the result of an account with every planned change held."""
    decisions = tuple(hold_decision(decision, reason) for decision in result.decisions)
    return replace(result, decisions=decisions, policy_changes=())


def hold_decision(decision: Decision, reason: Reason) -> Decision:
    """Return a planned decision as held; any other unchanged."""
    if not decision.is_planned:
        return decision
    return replace(decision, outcome=Outcome.HELD, via=None, changes=(), reason=reason)


def _choose_enforcement(user: IamUser, facts: AccountFacts, usable: frozenset[PolicyState]) -> Decision:
    """Return how to enforce MFA on a user: attach the policy, else the group, else say that both quotas are full."""
    enforcement = facts.enforcement
    held = partial(Decision, user, Verdict.NON_COMPLIANT, Outcome.HELD)
    if enforcement.policy not in usable:
        return held(reason=policy_not_ours("policy", enforcement.policy_arn, enforcement.policy))
    changes: list[UserChange] = []
    if len(user.attached_policy_arns) < facts.quotas.policies_per_user:
        changes.append(AttachPolicy(user.name, enforcement.policy_arn))
    group_has_room = len(user.group_names) < facts.quotas.groups_per_user
    if group_has_room and (enforcement.group is PolicyState.OURS or (not changes and enforcement.group in usable)):
        changes.append(AddToGroup(user.name, enforcement.group_name))
    if changes:
        via = Via.USER if isinstance(changes[0], AttachPolicy) else Via.GROUP
        return Decision(user, Verdict.NON_COMPLIANT, Outcome.PLANNED, via, tuple(changes))
    if group_has_room:
        return held(reason=policy_not_ours("group", enforcement.group_name, enforcement.group))
    return Decision(user, Verdict.NON_COMPLIANT, Outcome.QUOTA_EXCEEDED, reason=quota_exceeded(user))


def quota_exceeded(user: IamUser) -> Reason:
    """Return the reason for a user who can have neither another policy nor another group."""
    return Reason(
        "quota_exceeded",
        f"{user.name} has {len(user.attached_policy_arns)} managed policies and is in {len(user.group_names)} groups, "
        "as many as the account allows: detach one, or have the quota raised (Service Quotas, IAM, up to 20 policies)",
    )


def policy_not_ours(what: str, name: str, state: PolicyState, *, managed_by: str = "stackset") -> Reason:
    """Return the reason for not using a policy or group that is missing or not as this orgmfa makes it."""
    slow = "run again, IAM can be slow to show what a run has just changed" if managed_by == "orchestrator" else ""
    if state is PolicyState.OUTDATED and what == "policy":
        text = "an earlier text still" if slow else "an earlier text, or that of the other policy.access_keys"
        return Reason("policy_outdated", f"the policy {name} has {text}: {slow or 'update the StackSet'}")
    if state is PolicyState.MISSING and slow:
        message = f"the {what} {name} is not there yet: {slow}"
    elif state is PolicyState.MISSING:
        message = f"the {what} {name} does not exist: has the StackSet reached the account?"
    else:
        message = f"the {what} {name} is not as orgmfa made it, so it is not used: compare it with `orgmfa policy`"
    return Reason("policy_drifted", message)


def _plan_policy_changes(
    enforcement: Enforcement, decisions: tuple[Decision, ...], managed_by: str
) -> tuple[PolicyChange, ...]:
    """Return the changes to policy and group: those that a planned user needs, and the update of an outdated policy."""
    if managed_by != "orchestrator":
        return ()
    changes: list[PolicyChange] = []
    planned = [decision for decision in decisions if decision.is_planned]
    if planned and enforcement.policy in _ABSENT:
        changes.append(PolicyChange.CREATE_POLICY)
    if enforcement.policy is PolicyState.OUTDATED:
        changes.append(PolicyChange.UPDATE_POLICY)
    if any(decision.via is Via.GROUP for decision in planned):
        if enforcement.group in _ABSENT:
            changes.append(PolicyChange.CREATE_GROUP)
        if enforcement.group is not PolicyState.OURS:
            changes.append(PolicyChange.ATTACH_GROUP_POLICY)
    return tuple(changes)


def _decide_release(user: IamUser, enforcement: Enforcement, user_names: frozenset[str] | None) -> Decision:
    changes: list[UserChange] = []
    if enforcement.policy_arn in user.attached_policy_arns:
        changes.append(DetachPolicy(user.name, enforcement.policy_arn))
    if enforcement.group_name in user.group_names:
        changes.append(RemoveFromGroup(user.name, enforcement.group_name))
    verdict = Verdict.UNKNOWN
    if not changes:
        return Decision(user, verdict, Outcome.NONE, reason=NOT_LOOKED_AT)
    via = Via.USER if isinstance(changes[0], DetachPolicy) else Via.GROUP
    if user_names is not None and user.name not in user_names:
        return Decision(user, verdict, Outcome.ALREADY_ENFORCED, via, reason=NOT_LOOKED_AT)
    return Decision(user, verdict, Outcome.PLANNED, via, tuple(changes), NOT_LOOKED_AT)
