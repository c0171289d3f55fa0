"""Which accounts and users need a person, and the order of every view: who needs one most stands first. Pure."""

from orchestrator.domain.model import Mode, Outcome, PolicyState, Status, Verdict
from orchestrator.domain.outcomes import ENFORCED, OUTCOMES, OutcomeGroup, Tone, label_of
from orchestrator.domain.planning import NOT_LOOKED_AT
from orchestrator.output.words import STATUSES, VERDICTS, Word, title_of, word_of
from orchestrator.reports.report import AccountReport, UserReport

STATUS_RANK = {status: rank for rank, status in enumerate(STATUSES)}
VERDICT_RANK = {verdict: rank for rank, verdict in enumerate(VERDICTS)}
OUTCOME_RANK = {outcome: rank for rank, outcome in enumerate(OUTCOMES)}
AT_RISK = Word("may be locked out", Tone.BAD)


def code_of(user: UserReport) -> str:
    """Return the code of why a user could not be judged or enforced, or nothing."""
    return user.error.code if user.error else ""


def is_at_risk(user: UserReport) -> bool:
    """Return whether EnforceMFA has a text for a user that can lock them out."""
    return code_of(user) == "policy_outdated" and user.outcome is not Outcome.HELD


def is_outdated(account: AccountReport) -> bool:
    """Return whether an account has an earlier text of EnforceMFA, and this run does not change it."""
    return account.policy is PolicyState.OUTDATED and not account.policy_changes


def is_to_fix(user: UserReport) -> bool:
    """Return whether only a person can help a user."""
    is_unread = user.verdict is Verdict.UNKNOWN and user.reason != NOT_LOOKED_AT.message
    return is_at_risk(user) or OUTCOMES[user.outcome].group is OutcomeGroup.TO_FIX or is_unread


def has_changed_policy(user: UserReport) -> bool:
    """Return whether a user was given EnforceMFA while somebody changed it: it may grant anything now."""
    return user.outcome is Outcome.FAILED and code_of(user) == "policy_drifted"


def is_root_open(account: AccountReport) -> bool:
    """Return whether the root user can sign in, and has no MFA."""
    root = account.root_user
    return root is not None and root.has_credentials and not root.has_mfa


def is_covered(user: UserReport) -> bool:
    """Return whether a user has MFA or is enforced."""
    return user.verdict is Verdict.COMPLIANT or user.outcome in ENFORCED


def count_without_mfa(account: AccountReport) -> int:
    """Return how many users of an account are known to have no MFA."""
    return sum(user.verdict is Verdict.NON_COMPLIANT for user in account.users)


def state_of(user: UserReport, mode: Mode) -> Word:
    """Return what became of a user: the danger, else the outcome, or without one whether the user has MFA."""
    if is_at_risk(user):
        return AT_RISK
    row = OUTCOMES[user.outcome]
    return word_of(user.verdict, mode) if user.outcome is Outcome.NONE else Word(label_of(user.outcome, mode), row.tone)


def has_finding(account: AccountReport, mode: Mode) -> bool:
    """Return whether something of an account was or would be changed, or users are still without MFA."""
    return bool(account.policy_changes) or any(_is_finding(user, mode) for user in account.users)


def is_clean(account: AccountReport, mode: Mode) -> bool:
    """Return whether an account was inspected and asks for nothing: no change, no finding, nothing to fix."""
    return (
        account.status is Status.INSPECTED
        and not has_finding(account, mode)
        and not is_root_open(account)
        and not is_outdated(account)
        and not any(map(is_to_fix, account.users))
    )


def account_order(account: AccountReport) -> tuple[object, ...]:
    """Return the sort key of an account: the worst first."""
    without = count_without_mfa(account)
    enforced = sum(user.verdict is Verdict.NON_COMPLIANT and user.outcome in ENFORCED for user in account.users)
    return (
        not any(map(has_changed_policy, account.users)),
        not any(map(is_at_risk, account.users)),
        STATUS_RANK[account.status],
        -sum(map(is_to_fix, account.users)),
        not is_root_open(account),
        enforced - without,
        -without,
        account.status is Status.INSPECTED and not account.users,
        title_of(account).casefold(),
        account.id,
    )


def user_order(user: UserReport) -> tuple[object, ...]:
    """Return the sort key of a user of an account: the worst first."""
    return (
        not has_changed_policy(user),
        not is_at_risk(user),
        not is_to_fix(user),
        VERDICT_RANK[user.verdict],
        OUTCOME_RANK[user.outcome],
        user.name.casefold(),
    )


def _is_finding(user: UserReport, mode: Mode) -> bool:
    """Return whether a user is changed, or is still without MFA; of these a release touches none."""
    group, is_open = OUTCOMES[user.outcome].group, user.verdict is Verdict.NON_COMPLIANT
    is_waiting = group is OutcomeGroup.WAITING or (group is OutcomeGroup.NOTHING and is_open)
    return group is OutcomeGroup.CHANGED or (is_waiting and mode is not Mode.RELEASE)
