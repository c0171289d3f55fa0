"""What an SCP would do to a user at once, for `plan --scp`: the decisions of the preflight. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from orchestrator.domain.assessment import Rules, assess_user, find_exception
from orchestrator.domain.config import Config, EnforcementConfig
from orchestrator.domain.model import AccountFacts, Decision, IamUser, Outcome, Reason, Verdict
from orchestrator.domain.outcomes import CANNOT_ENROL
from orchestrator.domain.planning import enforced_via
from orchestrator.domain.scp import Entry

KEYS_ALONE = Reason("no_console_password", "no console password; with policy.access_keys: allow no key is blocked")
UNREACHED = Reason("management_account", "no SCP reaches the management account")


def rules_of_an_scp(config: Config) -> Rules:
    """Return the rules by which an SCP leaves users alone; its exemptions are `Entry`s: IAM matches otherwise."""
    scope = EnforcementConfig(users="all")
    return Rules(config.model_copy(update={"enforcement": scope, "exemptions": (), "protected_users": ()}))


def decide_by_scp(
    user: IamUser, account_id: str, facts: AccountFacts, *, entries: Sequence[Entry], reaches: bool, stops_keys: bool
) -> Decision:
    """Return what an SCP would do to a user; `planned` says that it would block one who is not blocked now.

    One with MFA is planned too, until their access keys and credentials are looked at (`keep_or_stop`). Without
    `stops_keys` (`policy.access_keys: allow`) it blocks nobody who has no console password.
    """
    verdict = assess_user(user)
    if verdict is Verdict.UNKNOWN:
        return Decision(user, verdict, Outcome.NONE, reason=user.unreadable)
    outcome, reason = Outcome.PLANNED, None
    spared = next((entry for entry in entries if entry.covers(user.name, account_id)), None)
    via = enforced_via(user, facts.enforcement)
    if not reaches:
        outcome, reason = Outcome.OUT_OF_SCOPE, UNREACHED
    elif spared is not None:
        ends = f", until {spared.until}" if spared.until else ""
        outcome, reason = Outcome.EXEMPT, Reason("exempt", f"the SCP spares the user ({spared.user}{ends})")
    elif via is not None:
        outcome = Outcome.ALREADY_ENFORCED
    elif not stops_keys and user.has_console_password is False:
        outcome, reason = Outcome.OUT_OF_SCOPE, KEYS_ALONE
    if verdict is Verdict.COMPLIANT and outcome is not Outcome.PLANNED:
        return Decision(user, verdict, Outcome.NONE, via)
    return Decision(user, verdict, outcome, via, reason=reason)


def keep_or_stop(
    decision: Decision, found: Sequence[Reason], *, account_id: str, rules: Rules, now: datetime
) -> Decision:
    """Return a planned decision, held for what was found or a key that would stop; NONE with MFA and neither."""
    key = find_exception(decision.user, account_id, rules, now=now)
    reasons = [*found, *([key[1]] if key else [])]
    if reasons:
        told = Reason(reasons[0].code, "; ".join(reason.message for reason in reasons))
        return replace(decision, outcome=Outcome.HELD, reason=told)
    return replace(decision, outcome=Outcome.NONE) if decision.verdict is Verdict.COMPLIANT else decision


def without_enforcemfa(reason: Reason) -> Reason:
    """Return what the simulator says of a user without EnforceMFA, in words that fit an SCP."""
    if reason.code != CANNOT_ENROL:
        return reason
    who, _, what = reason.message.partition(" keeps the user from ")
    named = "" if who == "another policy of the user" else f" ({who})"
    return Reason(
        CANNOT_ENROL,
        f"without EnforceMFA {what.partition(';')[0]} is not allowed to the user{named}, and an SCP grants nothing: "
        "there would be no way back in. Enforce MFA on the user before, or allow it",
    )
