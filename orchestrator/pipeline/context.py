"""What the work on every account of a run shares: the ways to AWS, each a small protocol, the rules and the limits."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from orchestrator.concurrency.adaptive_limit import Pace
from orchestrator.domain.assessment import Rules
from orchestrator.domain.config import Config
from orchestrator.domain.model import (
    Access,
    AccountFacts,
    AddToGroup,
    AttachPolicy,
    Enforcement,
    Organization,
    PolicyChange,
    RunRequest,
    UserChange,
    UserNow,
)
from orchestrator.reports.history import History

RUN_AGAIN = {
    "interrupted": "The run was interrupted: run again.",
    "deadline": "The run came near its deadline: run again, give it more time, or use the distributed scale.",
    "lost": "A part of the run did not come back: the execution of the state machine tells why. Run again.",
}
"""What to do about work that cancellation left undone, by its reason."""


OuPath = Callable[[str], str | None]
"""Tells the OUs above an account, by its ID, as a path of names; None: not known."""


def _know_no_ou(_: str) -> None:
    return None


class Sessions(Protocol):
    """Enters member accounts."""

    def enter(self, account_id: str, access: Access) -> AbstractContextManager[Pace]:
        """Have the calls made inside go to this account, and give the pace that it bears."""
        ...


class Iam(Protocol):
    """IAM of the entered account."""

    def inspect(self, account_id: str) -> AccountFacts:
        """Return what the account holds."""
        ...

    def look_at_user(self, user_name: str, *, password: bool, keys: bool) -> UserNow:
        """Return how a user stands right now."""
        ...

    def carry_out(self, change: UserChange) -> None:
        """Make one change to one user."""
        ...

    def is_in_force(self, change: AttachPolicy | AddToGroup) -> bool:
        """Return whether a change stands."""
        ...


class Policies(Protocol):
    """The EnforceMFA policy and group of the entered account."""

    def look(self, account_id: str, *, group: bool) -> Enforcement:
        """Return how they stand right now."""
        ...

    def change(self, account_id: str, change: PolicyChange) -> None:
        """Make one change to them."""
        ...


class Simulator(Protocol):
    """Tells what EnforceMFA would mean for a user of the entered account."""

    def find_obstacle(self, user_name: str, user_arn: str) -> str | None:
        """Return what would keep a user from enrolling, or None."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the work on every account of a run shares."""

    request: RunRequest
    config: Config
    organization: Organization
    sessions: Sessions
    iam: Iam
    policies: Policies
    simulator: Simulator
    rules: Rules
    now: Callable[[], datetime]
    stop_reason: Callable[[], str | None]
    halt_reason: Callable[[], str | None]
    history: History = field(default_factory=History)
    find_ous: Callable[[], OuPath] = lambda: _know_no_ou
