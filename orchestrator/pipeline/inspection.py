"""Inspects one account and plans its changes, with a session that cannot write.

For the preflight of an SCP (`plan --scp`) everybody whom it would block is looked at, whatever the limits.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
    Problem,
    Reason,
    Stage,
    Status,
    Trigger,
    Verdict,
)
from orchestrator.domain.outcomes import SIGN_IN
from orchestrator.domain.planning import (
    decide_user,
    is_over_limit,
    is_unclear,
    make_result,
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
MAX_DEVICE_LOOKS = 10  # users of an account whose new MFA device is looked up in a run: what it costs at most
GUARD_BATCH = 25  # users of an account over its limit whose guards are looked up before the limit is checked again

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
        log.info("account_inspected", users=len(result.decisions), planned=len(result.planned))
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
    inspection = _Inspection(account, context, limit, facts)
    return inspection.plan_by_scp() if context.request.preflight else inspection.plan()


@dataclass(slots=True)
class _Inspection:
    """The inspection of one account; `facts` holds what is known of it by now."""

    account: Account
    context: RunContext
    limit: AdaptiveLimit
    facts: AccountFacts

    def plan(self) -> AccountResult:
        plan, known = self._plan_certain()
        if is_over_limit(plan):
            return plan  # nobody else is looked at: a look could take the time of all other accounts
        looked_at = self._fill_in_users()
        decisions = self._decide()
        plan = self._plan(decisions)
        if is_over_limit(plan) and not self.context.config.enforcement.accepts_guards:
            return plan
        left = [decision for decision in decisions if decision.user.name not in known]
        checked = self._check_each(left, looked_at=looked_at, known=known.values())
        by_name = {decision.user.name: decision for decision in checked}
        return self._plan(by_name[user.name] for user in self.facts.users if user.name in by_name)

    def _plan_certain(self) -> tuple[AccountResult, dict[str, Decision]]:
        """Return the plan by the bulk reads, accepted guards left out, and the decisions checked for it."""
        decisions = self._decide()
        plan = self._plan(decisions)
        if not is_over_limit(plan) or not self.context.config.enforcement.accepts_guards:
            return plan, {}
        certain = [decision for decision in decisions if not is_unclear(decision.user)]
        known = {one.user.name: one for one in self._check_each(certain)}
        return self._plan(known.get(decision.user.name, decision) for decision in decisions), known

    def _decide(self) -> list[Decision]:
        rules, now = self.context.rules, self.context.now()
        return [decide_user(user, self.account.id, self.facts, rules=rules, now=now) for user in self.facts.users]

    def _plan(self, decisions: Iterable[Decision]) -> AccountResult:
        return plan_account(self.account, self.facts, decisions, config=self.context.config)

    def _check_each(
        self, decisions: Sequence[Decision], *, looked_at: Collection[str] = (), known: Iterable[Decision] = ()
    ) -> list[Decision]:
        """Return the known decisions and these, planned ones checked; the rest as it is once the account is over."""
        context = self.context
        credentials = read_credentials(context) if any(decision.is_planned for decision in decisions) else {}

        def check(decision: Decision) -> Decision:
            # A credential report that this run had made replaces the look; another look comes right before the write.
            if not self.facts.is_report_ours and decision.user.name not in looked_at:
                decision = recheck_user(decision, self.account, context, keys=True)
            return hold_unless_safe(decision, self.account, context, known=credentials)

        size = GUARD_BATCH if context.config.enforcement.accepts_guards else len(decisions) or 1
        checked = list(known)
        for start in range(0, len(decisions), size):
            if is_over_limit(self._plan(checked)):
                return [*checked, *decisions[start:]]
            batch = decisions[start : start + size]
            checked += _share_where(lambda one: one.is_planned, batch, partial(look_at, look=check), limit=self.limit)
        return checked

    def _fill_in_users(self) -> Collection[str]:
        """Look up what the bulk reads left open; return the names of those of whom password and keys were looked up."""
        users = list(self._identify_new_devices())
        are_open = [user for user in users if user.has_console_password is None and user.active_access_keys is None]
        users = _share_where(is_unclear, users, self._fill_in, limit=self.limit)
        self.facts = replace(self.facts, users=tuple(users))
        return {user.name for user in are_open}

    def _identify_new_devices(self) -> Iterator[IamUser]:
        """Yield the users; of those who enrolled since, with the MFA device: bulk reads show virtual devices only."""
        were_open, looks = self.context.history.open_in_base(self.account.id), MAX_DEVICE_LOOKS
        for user in self.facts.users:
            is_unknown = user.has_mfa and user.mfa_device is None and user.name in were_open
            if not is_unknown or not looks:
                yield user
                continue
            looks -= 1
            try:
                yield update_user(user, self.context.iam.read_user_live(user.name, password=False, keys=False))
            except AwsError as error:  # it has MFA all the same, and a user who is gone will be missing in the next run
                log.warning("device_unknown", user_name=user.name, code=error.code, message=str(error))
                yield user

    def _fill_in(self, user: IamUser) -> IamUser | None:
        """Return a user with what the credential report left open looked up live; None: the user is gone."""
        password, keys = user.has_console_password is None, user.active_access_keys is None
        try:
            return update_user(user, self.context.iam.read_user_live(user.name, password=password, keys=keys))
        except NotFound:
            return None
        except AwsError as error:
            return replace(user, has_mfa=None, unreadable=Reason(error.code, str(error)))

    def plan_by_scp(self) -> AccountResult:
        """Return what an SCP would do to the users of the account."""
        self._fill_in_users()
        account, facts, config = self.account, self.facts, self.context.config
        # Everybody's enrolment is checked, in `_look_by_scp`.
        enforcement = config.enforcement.model_copy(update={"check_enrolment": False})
        config = config.model_copy(update={"enforcement": enforcement})
        context = replace(self.context, config=config, rules=rules_of_an_scp(config))
        entries = list_entries(config, context.now())
        reaches = account.id != context.organization.management_account_id
        stops = config.policy.blocks_access_keys
        decide = partial(decide_by_scp, facts=facts, entries=entries, reaches=reaches, stops_keys=stops)
        decisions = [decide(user, account.id) for user in facts.users]
        known = read_credentials(context) if any(decision.is_planned for decision in decisions) else {}
        look = partial(_look_by_scp, account=account, context=context, known=known, has_report=facts.is_report_ours)
        looked_at = _share_where(lambda one: one.is_planned, decisions, partial(look_at, look=look), limit=self.limit)
        return make_result(account, facts, looked_at)


def _look_by_scp(
    decision: Decision, *, account: Account, context: RunContext, known: KnownCredentials, has_report: bool
) -> Decision:
    """Return the decision about a user whom the SCP would hit. Raises NotFound where the user is gone, AwsError."""
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


def recheck_user(decision: Decision, account: Account, context: RunContext, *, keys: bool) -> Decision:
    """Return a planned decision after a live look at its user. Raises AwsError where the look fails."""
    seen = context.iam.read_user_live(
        decision.user.name,
        password=context.rules.needs_console_password,
        keys=keys and context.rules.needs_key_use,
    )
    return update_decision(decision, seen, account.id, rules=context.rules, now=context.now())
