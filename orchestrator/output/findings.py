"""What a person should know of an account beside what is to fix: changes, and users still without MFA. Pure."""

from orchestrator.domain.model import Mode, Outcome, Status, Verdict
from orchestrator.domain.outcomes import OUTCOMES, OutcomeGroup, outcomes_of
from orchestrator.output.ordering import is_outdated, is_root_open, is_to_fix
from orchestrator.reports.report import AccountReport, UserReport


def list_findings(account: AccountReport, mode: Mode) -> dict[Outcome, list[UserReport]]:
    """Return the users of an account of whom a person should know though nothing is to fix, by outcome, worst first.

    Nobody without MFA is left unsaid; only a release asks for no more of those it does not touch.
    """
    groups = outcomes_of(OutcomeGroup.CHANGED, OutcomeGroup.WAITING, OutcomeGroup.LEFT_ALONE, OutcomeGroup.NOTHING)
    users_by_outcome: dict[Outcome, list[UserReport]] = {outcome: [] for outcome in groups}
    for user in account.users:
        is_open = user.verdict is Verdict.NON_COMPLIANT and mode is not Mode.RELEASE
        if user.outcome in groups and (OUTCOMES[user.outcome].group is not OutcomeGroup.NOTHING or is_open):
            users_by_outcome[user.outcome].append(user)
    return {outcome: users for outcome, users in users_by_outcome.items() if users}


def has_finding(account: AccountReport, mode: Mode) -> bool:
    """Return whether something of an account was or would be changed, or users are still without MFA."""
    shown = {OutcomeGroup.CHANGED}
    if mode is not Mode.RELEASE:
        shown |= {OutcomeGroup.WAITING, OutcomeGroup.NOTHING}
    return bool(account.policy_changes) or any(
        OUTCOMES[outcome].group in shown for outcome in list_findings(account, mode)
    )


def is_clean(account: AccountReport, mode: Mode) -> bool:
    """Return whether an account was inspected and asks for nothing: no change, no finding, nothing to fix."""
    return (
        account.status is Status.INSPECTED
        and not has_finding(account, mode)
        and not is_root_open(account)
        and not is_outdated(account)
        and not any(map(is_to_fix, account.users))
    )
