"""Inspects one account and plans its changes, with a session that cannot write.

An error of AWS becomes an outcome here; an unexpected exception becomes a failed account in `executor`.

The preflight of an SCP (`plan --scp`) tells whom the SCP would block, and what would stop or be locked out. No limit
applies, and everybody whom the SCP would block is looked at and simulated. Nothing is ever written.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import structlog

from orchestrator.concurrency.work_sharing import AdaptiveLimit, map_shared
from orchestrator.domain.errors import AwsError, NotFound
from orchestrator.domain.model import (
    Access,
    Account,
    AccountFacts,
    AccountResult,
    Decision,
    IamUser,
    Mode,
    Outcome,
    Problem,
    Reason,
    Stage,
    Status,
    Trigger,
    Verdict,
)
from orchestrator.domain.outcomes import SIGN_IN
from orchestrator.domain.planning import (
    count_planned,
    decide_user,
    is_over_limit,
    is_unclear,
    plan_account,
    plan_release,
    update_decision,
    update_user,
    without_deployment,
)
from orchestrator.domain.remedies import explain_account_error
from orchestrator.domain.scp import list_entries
from orchestrator.domain.scp_preflight import decide_by_scp, keep_or_stop, rules_of_an_scp, without_enforcemfa
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.precautions import (
    KnownCredentials,
    hold_unless_safe,
    look_at,
    read_credentials,
    simulate_enrolment,
)

T = TypeVar("T")

NEW_USER_WAITS = (0.0, 2.0, 4.0, 8.0)
"""Seconds before each look for users whom events name: IAM is eventually consistent, and may not know a new one yet."""
MAX_DEVICE_LOOKS = 10
"""Users of one account whose new MFA device is looked up in one run: the cost must not grow with the account."""

GUARD_BATCH = 25
"""Users of an account over its limit who are checked before the limit is looked at again, where guards are accepted."""

log = structlog.get_logger(__name__)


def inspect_account(account: Account, context: RunContext) -> AccountResult:
    """Return the plan of one account, read with a session that cannot write."""
    with structlog.contextvars.bound_contextvars(account_id=account.id):
        try:
            with context.sessions.enter(account.id, Access.INSPECT) as limit:
                result = _plan(account, context, limit)
        except AwsError as error:
            return AccountResult(
                account, Status.FAILED, problem=fail_account(error, account, context, stage=Stage.INSPECT)
            )
        log.info("account_inspected", users=len(result.decisions), planned=count_planned(result))
        return result


def fail_account(error: AwsError, account: Account, context: RunContext, *, stage: Stage) -> Problem:
    """Log and return the problem of an account that could not be entered, read or prepared for the writes."""
    roles = context.config.member_role
    is_release = stage is Stage.APPLY and context.request.mode is Mode.RELEASE
    role_name = roles.release_name if is_release else roles.name
    problem = explain_account_error(
        error, stage, account, organization=context.organization, role_name=role_name, is_borrowed=roles.is_borrowed
    )
    log.warning("account_failed", stage=problem.stage.value, code=problem.code, message=problem.message)
    return problem


def _plan(account: Account, context: RunContext, limit: AdaptiveLimit) -> AccountResult:
    is_event = context.request.trigger is Trigger.IAM_EVENT
    facts = _read_named(account, context, limit) if is_event else context.iam.inspect(account.id)
    if context.request.mode is Mode.RELEASE:
        return plan_release(account, facts, context.request.user_names)
    if context.config.member_role.is_borrowed:
        facts = replace(facts, enforcement=without_deployment(facts.enforcement))
    known, preflight = dict[str, Decision](), context.request.preflight
    if not preflight:
        plan, known = _plan_certain(account, facts, context=context, limit=limit)
        if is_over_limit(plan):
            return plan  # nobody else is looked at: a look could take the time of all other accounts
    users = list(_identify_new_devices(facts.users, account.id, context))
    looked_at = {user.name for user in users if user.has_console_password is None and user.active_access_keys is None}
    users = _share_where(is_unclear, users, lambda user: _fill_in(user, context), limit=limit)
    facts = replace(facts, users=tuple(users))
    if preflight:
        return _plan_by_scp(account, facts, context, limit=limit)
    decisions = _decide(facts, account.id, context)
    plan = plan_account(account, facts, decisions, config=context.config)
    if is_over_limit(plan) and not context.config.enforcement.accepts_guards:
        return plan
    left = [decision for decision in decisions if decision.user.name not in known]
    checked = _check_each(left, account, facts, context=context, limit=limit, looked_at=looked_at, known=known.values())
    by_name = {decision.user.name: decision for decision in checked}
    in_order = (by_name[user.name] for user in facts.users if user.name in by_name)
    return plan_account(account, facts, in_order, config=context.config)


def _plan_certain(
    account: Account, facts: AccountFacts, *, context: RunContext, limit: AdaptiveLimit
) -> tuple[AccountResult, dict[str, Decision]]:
    """Return the plan by the bulk reads, and the decisions that were checked already, by user name.

    Guarded users are no changes: where guards are accepted, users of an account over its limit are checked, those first
    of whom nothing is open, until more than the limit are not guarded.
    """
    decisions = _decide(facts, account.id, context)
    plan = plan_account(account, facts, decisions, config=context.config)
    if not is_over_limit(plan) or not context.config.enforcement.accepts_guards:
        return plan, {}
    certain = [decision for decision in decisions if not is_unclear(decision.user)]
    known = {one.user.name: one for one in _check_each(certain, account, facts, context=context, limit=limit)}
    now_known = (known.get(decision.user.name, decision) for decision in decisions)
    return plan_account(account, facts, now_known, config=context.config), known


def _check_each(
    decisions: Sequence[Decision],
    account: Account,
    facts: AccountFacts,
    *,
    context: RunContext,
    limit: AdaptiveLimit,
    looked_at: Collection[str] = (),
    known: Iterable[Decision] = (),
) -> list[Decision]:
    """Return the known decisions and these, each planned one checked; the rest as it is once the account is over."""
    is_asked = context.config.policy.blocks_access_keys and any(map(_is_planned, decisions))
    credentials = read_credentials(context) if is_asked else {}
    check = partial(_check, account=account, facts=facts, context=context, credentials=credentials, looked_at=looked_at)
    size = GUARD_BATCH if context.config.enforcement.accepts_guards else len(decisions) or 1
    checked = list(known)
    for start in range(0, len(decisions), size):
        if is_over_limit(plan_account(account, facts, checked, config=context.config)):
            return [*checked, *decisions[start:]]
        checked += _share_where(_is_planned, decisions[start : start + size], partial(look_at, look=check), limit=limit)
    return checked


def _read_named(account: Account, context: RunContext, limit: AdaptiveLimit) -> AccountFacts:
    """Return the facts of an account with the users whom events name, as far as there are such users."""
    facts = context.iam.describe(account.id)
    found: list[IamUser] = []
    missing = list(context.request.users_of(account.id))
    for seconds in NEW_USER_WAITS:
        if not missing or (seconds and context.cancellation.event.wait(seconds)):
            break
        looked = list(zip(missing, map_shared(missing, lambda name: _find(name, context), limit), strict=True))
        found += [user for _, user in looked if user is not None]
        missing = [name for name, user in looked if user is None]
    return replace(facts, users=tuple({user.id: user for user in found}.values()))


def _find(name: str, context: RunContext) -> IamUser | None:
    try:
        return context.iam.read_user(name)
    except NotFound:
        return None


def _share_where(
    needs: Callable[[T], bool], items: Sequence[T], work: Callable[[T], T | None], *, limit: AdaptiveLimit
) -> list[T]:
    """Return the items in order, each that needs the work replaced by its result, or dropped where that is None."""
    done = iter(map_shared([item for item in items if needs(item)], work, limit))
    known = (next(done) if needs(item) else item for item in items)
    return [item for item in known if item is not None]


def _decide(facts: AccountFacts, account_id: str, context: RunContext) -> list[Decision]:
    """Return the decisions about the users of an account by these facts alone, whatever its limits."""
    now = context.now()
    return [decide_user(user, account_id, facts, rules=context.rules, now=now) for user in facts.users]


def _is_planned(decision: Decision) -> bool:
    return decision.outcome is Outcome.PLANNED


def _identify_new_devices(users: Iterable[IamUser], account_id: str, context: RunContext) -> Iterator[IamUser]:
    """Yield the users; of those who enrolled since, with the MFA device: bulk reads show virtual devices only."""
    were_open, looks = context.history.open_in_base(account_id), MAX_DEVICE_LOOKS
    for user in users:
        is_unknown = user.has_mfa and user.mfa_device is None and user.name in were_open
        if not is_unknown or not looks:
            yield user
            continue
        looks -= 1
        try:
            yield update_user(user, context.iam.read_user_live(user.name, password=False, keys=False))
        except AwsError as error:  # it has MFA all the same, and a user who is gone will be missing in the next run
            log.warning("device_unknown", user_name=user.name, code=error.code, message=str(error))
            yield user


def _fill_in(user: IamUser, context: RunContext) -> IamUser | None:
    """Return a user with what the credential report left open looked up live; None: the user is gone."""
    password, keys = user.has_console_password is None, user.active_access_keys is None
    try:
        return update_user(user, context.iam.read_user_live(user.name, password=password, keys=keys))
    except NotFound:
        return None
    except AwsError as error:
        return replace(user, has_mfa=None, unreadable=Reason(error.code, str(error)))


def _check(
    decision: Decision,
    account: Account,
    facts: AccountFacts,
    *,
    context: RunContext,
    credentials: KnownCredentials,
    looked_at: Collection[str],
) -> Decision:
    """Return a planned decision after a live look at its user and all that could hold it. Raises NotFound, AwsError."""
    # A credential report that this run had made replaces the look; another look comes right before the write.
    if not facts.is_report_ours and decision.user.name not in looked_at:
        decision = recheck_user(decision, account, context, keys=True)
    return hold_unless_safe(decision, account, context, known=credentials)


def recheck_user(decision: Decision, account: Account, context: RunContext, *, keys: bool) -> Decision:
    """Return a planned decision after a live look at its user. Raises AwsError where the look fails."""
    seen = context.iam.read_user_live(
        decision.user.name,
        password=context.rules.needs_console_password,
        keys=keys and context.rules.needs_key_use,
    )
    return update_decision(decision, seen, account.id, rules=context.rules, now=context.now())


def _plan_by_scp(account: Account, facts: AccountFacts, context: RunContext, *, limit: AdaptiveLimit) -> AccountResult:
    """Return what an SCP would do to the users of the entered account."""
    enforcement = context.config.enforcement.model_copy(
        update={"check_enrolment": False}
    )  # everybody is, in `_look_by_scp`
    config = context.config.model_copy(update={"enforcement": enforcement})
    context = replace(context, config=config, rules=rules_of_an_scp(config))
    entries = list_entries(context.config, context.now())
    reaches = account.id != context.organization.management_account_id
    decisions = [decide_by_scp(user, account.id, facts, entries=entries, reaches=reaches) for user in facts.users]
    is_hit = any(one.outcome is Outcome.PLANNED for one in decisions)
    known = read_credentials(context) if is_hit and context.config.policy.blocks_access_keys else {}
    look = partial(_look_by_scp, account=account, context=context, known=known, has_report=facts.is_report_ours)
    looked_at = map_shared(decisions, partial(look_at, look=look), limit)
    return AccountResult(
        account=account,
        status=Status.INSPECTED,
        alias=facts.alias,
        root_user=facts.root_user,
        decisions=tuple(decision for decision in looked_at if decision is not None),
        enforcement=facts.enforcement,
    )


def _look_by_scp(
    decision: Decision, *, account: Account, context: RunContext, known: KnownCredentials, has_report: bool
) -> Decision:
    """Return the decision about a user whom the SCP would hit. Raises NotFound where the user is gone, AwsError."""
    if decision.outcome is not Outcome.PLANNED:
        return decision
    note, found = None, list[Reason]()
    if decision.verdict is Verdict.NON_COMPLIANT and not has_report:
        user = update_user(decision.user, context.iam.read_user_live(decision.user.name, password=False, keys=False))
        decision = replace(decision, user=user, verdict=Verdict.COMPLIANT if user.has_mfa else decision.verdict)
    if decision.verdict is Verdict.NON_COMPLIANT and (reason := simulate_enrolment(decision.user, account, context)):
        note = reason.message if reason.code == SIGN_IN else None
        found += [] if note else [without_enforcemfa(reason)]
    checked = hold_unless_safe(decision, account, context, known=known)
    found += [checked.reason] if checked.reason else []
    decision = replace(decision, user=checked.user, note=note)
    return keep_or_stop(decision, found, account_id=account.id, rules=context.rules, now=context.now())
