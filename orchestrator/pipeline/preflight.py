"""The preflight of an SCP (`plan --scp`) in one account: whom it would block, and what would stop or be locked out.

No limit applies, and everybody whom the SCP would block is looked at and simulated. Nothing is ever written.
"""

from dataclasses import replace
from functools import partial

from orchestrator.concurrency.work_sharing import AdaptiveLimit, map_shared
from orchestrator.domain.model import Account, AccountFacts, AccountResult, Decision, Outcome, Reason, Status, Verdict
from orchestrator.domain.outcomes import SIGN_IN
from orchestrator.domain.planning import update_user
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


def plan_by_scp(account: Account, facts: AccountFacts, context: RunContext, *, limit: AdaptiveLimit) -> AccountResult:
    """Return what an SCP would do to the users of the entered account."""
    enforcement = context.config.enforcement.model_copy(update={"check_enrolment": False})  # everybody is, in `_look`
    config = context.config.model_copy(update={"enforcement": enforcement})
    context = replace(context, config=config, rules=rules_of_an_scp(config))
    entries = list_entries(context.config, context.now())
    reaches = account.id != context.organization.management_account_id
    decisions = [decide_by_scp(user, account.id, facts, entries=entries, reaches=reaches) for user in facts.users]
    is_hit = any(one.outcome is Outcome.PLANNED for one in decisions)
    known = read_credentials(context) if is_hit and context.config.policy.blocks_access_keys else {}

    look = partial(_look, account=account, context=context, known=known, has_report=facts.is_report_ours)
    looked_at = map_shared(decisions, partial(look_at, look=look), limit)
    return AccountResult(
        account=account,
        status=Status.INSPECTED,
        alias=facts.alias,
        root_user=facts.root_user,
        decisions=tuple(decision for decision in looked_at if decision is not None),
        enforcement=facts.enforcement,
    )


def _look(
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
