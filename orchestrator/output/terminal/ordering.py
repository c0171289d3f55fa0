"""What comes first: how much an account or a user of a report asks for attention."""

from enum import IntEnum
from typing import assert_never

from orchestrator.domain.model import Outcome, Status, Verdict
from orchestrator.domain.outcomes import OutcomeGroup, outcomes_of
from orchestrator.output.terminal.text import title_of
from orchestrator.reports.report import AccountReport, UserReport


class Level(IntEnum):
    """How much an account or a user asks for attention, the worst first."""

    FAILED = 0
    NEEDS_A_HAND = 1
    CHANGED = 2
    LEFT_ALONE = 3
    CLEAN = 4
    SKIPPED = 5


ORDER = (
    Outcome.FAILED,
    Outcome.HELD,
    Outcome.QUOTA_EXCEEDED,
    Outcome.NONE,
    Outcome.PLANNED,
    Outcome.ENFORCED,
    Outcome.RELEASED,
    Outcome.EXEMPT,
    Outcome.IN_GRACE,
    Outcome.OUT_OF_SCOPE,
    Outcome.ALREADY_ENFORCED,
)
CHANGES = frozenset({Outcome.PLANNED, Outcome.ENFORCED, Outcome.RELEASED})


def level_of_account(account: AccountReport) -> Level:
    """Return the level of an account: that of its worst user, or of its own failure."""
    match account.status:
        case Status.FAILED | Status.NOT_REACHED:
            return Level.FAILED
        case Status.SKIPPED:
            return Level.SKIPPED
        case Status.INSPECTED:
            levels = {level_of_user(user) for user in account.users}
            return min(levels | ({Level.CHANGED} if account.policy_changes else set()), default=Level.CLEAN)
        case unknown:
            assert_never(unknown)


def level_of_user(user: UserReport) -> Level:
    """Return the level of a user."""
    if user.outcome in outcomes_of(OutcomeGroup.TO_FIX) or user.verdict is Verdict.UNKNOWN:
        return Level.NEEDS_A_HAND
    if user.outcome in CHANGES:
        return Level.CHANGED
    return Level.CLEAN if user.outcome is Outcome.NONE else Level.LEFT_ALONE


def kind_of(user: UserReport) -> tuple[Level, int]:
    """Return a level and the place of an outcome in it: users of one kind stand together."""
    return level_of_user(user), ORDER.index(user.outcome)


def list_shown_users(account: AccountReport) -> list[UserReport]:
    """Return the users that there is something to say about, the worst first."""
    shown = (user for user in account.users if level_of_user(user) is not Level.CLEAN)
    return sorted(shown, key=lambda user: (kind_of(user), user.name.casefold()))


def badness(account: AccountReport) -> tuple[object, ...]:
    """Return by what accounts are sorted, the worst first, those that are alike together."""
    level = level_of_account(account)
    worst = min(map(kind_of, account.users), default=None) if level is not Level.FAILED else None
    alike = sum(kind_of(user) == worst for user in account.users)
    return (
        level,
        account.status is Status.NOT_REACHED,
        worst or (level, 0),
        -alike,
        title_of(account).casefold(),
        account.id,
    )


def is_root_open(account: AccountReport) -> bool:
    """Return whether the root user has credentials, but no MFA."""
    root = account.root_user
    return root is not None and root.has_credentials and not root.has_mfa
