"""What was changed or stands open in each account, and which accounts are clean. Pure.

Accounts come sorted, and keep their order among equals.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from heapq import nsmallest

from orchestrator.domain.model import Mode, Outcome, Status, Verdict
from orchestrator.output.slack.limits import MAX_ENTRIES, Group
from orchestrator.output.slack.problems import has_root_finding, needs_hand
from orchestrator.output.slack.text import MAX_NAMES, count, label, name_users
from orchestrator.reports.report import AccountReport, UserReport

STATES = {
    Outcome.ENFORCED: "enforced",
    Outcome.RELEASED: "released",
    Outcome.PLANNED: "planned",
    Outcome.NONE: "without MFA",
    Outcome.IN_GRACE: "in grace",
    Outcome.ALREADY_ENFORCED: "already enforced",
    Outcome.EXEMPT: "exempt",
    Outcome.OUT_OF_SCOPE: "out of scope",
}
"""Outcomes that need no hand, in the order in which an account shows them."""
_PLANNED = {Mode.PLAN: "would be enforced", Mode.APPLY: "not yet enforced", Mode.RELEASE: "not yet released"}
_CHANGED = frozenset({Outcome.ENFORCED, Outcome.RELEASED, Outcome.PLANNED})
_OPEN = _CHANGED | {Outcome.NONE, Outcome.IN_GRACE, Outcome.ALREADY_ENFORCED}


def describe_state(outcome: Outcome, mode: Mode) -> str:
    """Return the words for an outcome that needs no hand."""
    if outcome is Outcome.PLANNED:
        return _PLANNED[mode]
    return "still enforced" if outcome is Outcome.ALREADY_ENFORCED and mode is Mode.RELEASE else STATES[outcome]


def finding_groups(accounts: Sequence[AccountReport], mode: Mode, *, names: bool, now: datetime) -> list[Group]:
    """Return the accounts with changes or with users still without MFA, most changes first, or nothing."""
    number = sum(_has_finding(account, mode) for account in accounts)
    first = nsmallest(MAX_ENTRIES, (account for account in accounts if _has_finding(account, mode)), key=_weight)
    entries = tuple(_describe(account, mode, names=names, now=now) for account in first)
    title = f"*Changes and findings: {count(number, 'account')}*"
    return [Group(title, (), entries, number)] if number else []


def is_clean(account: AccountReport, mode: Mode) -> bool:
    """Return whether an account was inspected and asks for nothing: no change, no finding, nobody in need of a hand."""
    return (
        account.status is Status.INSPECTED
        and not _has_finding(account, mode)
        and not has_root_finding(account)
        and not any(needs_hand(user) is not None for user in account.users)
    )


def _has_finding(account: AccountReport, mode: Mode) -> bool:
    shown = _CHANGED if mode is Mode.RELEASE else _OPEN
    return bool(account.policy_changes) or not shown.isdisjoint(_users_by_state(account, mode))


def _users_by_state(account: AccountReport, mode: Mode) -> Mapping[Outcome, list[UserReport]]:
    users_by_state: defaultdict[Outcome, list[UserReport]] = defaultdict(list)
    for user in account.users:
        # Nobody without MFA is left unsaid; only a release asks for no more of those it does not touch.
        is_open = user.verdict is Verdict.NON_COMPLIANT and mode is not Mode.RELEASE
        if user.outcome in STATES and (user.outcome is not Outcome.NONE or is_open):
            users_by_state[user.outcome].append(user)
    return users_by_state


def _weight(account: AccountReport) -> tuple[int, int]:
    changed = sum(user.outcome in _CHANGED for user in account.users)
    still_open = sum(user.outcome in _OPEN and user.verdict is not Verdict.COMPLIANT for user in account.users)
    return -changed, -still_open


def _describe(account: AccountReport, mode: Mode, *, names: bool, now: datetime) -> str:
    users_by_state = _users_by_state(account, mode)
    room = MAX_NAMES if names else 0
    parts = []
    for outcome in STATES:
        if users := users_by_state.get(outcome):
            parts.append(f"{describe_state(outcome, mode)}: {name_users(users, room, now)}")
            room = max(0, room - len(users))
    if account.policy_changes:
        parts.append(f"policy and group: {', '.join(change.replace('_', ' ') for change in account.policy_changes)}")
    return f"• {label(account)}: {'; '.join(parts)}"
