"""What a run needs from outside, each as a small protocol."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.concurrency.adaptive_limit import AdaptiveLimit
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.model import (
    Access,
    Account,
    AccountFacts,
    AddToGroup,
    AttachPolicy,
    Enforcement,
    Imported,
    LiveUser,
    PolicyChange,
    Product,
    UserChange,
)
from orchestrator.reports.report import RunReport

INSPECTING = "inspecting"
APPLYING = "applying"

OuPath = Callable[[str], str | None]
"""Tells the OUs above an account, by its ID, as a path of names; None: not known."""


class Accounts(Protocol):
    """The accounts of the organization."""

    def list_accounts(self, watched_ou_ids: tuple[str, ...] = ()) -> Iterator[Account]:
        """Yield the accounts as pages arrive."""
        ...

    def get_account(self, account_id: str, watched_ou_ids: tuple[str, ...] = ()) -> Account:
        """Return one account."""
        ...


class Directory(Accounts, Protocol):
    """The accounts of the organization, and the OUs above them."""

    def find_ou_paths(self, account_ids: Sequence[str], cancellation: Cancellation) -> None:
        """Find out under which OUs these accounts stand, or all where none is named, or raise AwsError."""
        ...

    def ou_path(self, account_id: str) -> str | None:
        """Return the OUs above an account, as far as that is known by now."""
        ...


class Sessions(Protocol):
    """Enters member accounts."""

    def enter(self, account_id: str, access: Access) -> AbstractContextManager[AdaptiveLimit]:
        """Context manager: AWS calls inside use this account's credentials. Yields its concurrency limit."""
        ...


class Iam(Protocol):
    """IAM of the entered account."""

    def inspect(self, account_id: str) -> AccountFacts:
        """Return what the account holds."""
        ...

    def read_user_live(self, user_name: str, *, password: bool, keys: bool) -> LiveUser:
        """Return how a user stands right now."""
        ...

    def apply_change(self, change: UserChange) -> None:
        """Make one change to one user."""
        ...

    def is_applied(self, change: AttachPolicy | AddToGroup) -> bool:
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

    def enrolment_blocker(self, user_name: str, user_arn: str) -> str | None:
        """Return what would keep a user from enrolling, or None."""
        ...


class Notifier(Protocol):
    """A channel in which finished runs are told. When it tells, what, and what it attaches is its own affair."""

    def notify(self, report: RunReport, *, render_page: Callable[[], Iterable[str]]) -> None:
        """Tell of a run, or raise DigestError; `render_page` makes its page and can raise ArchiveError."""
        ...


class SecurityHub(Protocol):
    """Takes the findings of a run."""

    @property
    def product(self) -> Product:
        """What the findings belong to."""
        ...

    def import_findings(self, findings: Sequence[Mapping[str, Any]], cancellation: Cancellation) -> Imported:
        """Import findings until cancelled, or raise AwsError."""
        ...


class Observer(Protocol):
    """Is told how the run goes on, for a progress bar."""

    def phase(self, name: str, total: int | None) -> None:
        """A phase begins, over so many accounts where that is known."""
        ...

    def found(self, name: str, count: int) -> None:
        """So many accounts of a phase are known by now."""
        ...

    def done(self, name: str, *, changes: int, failed: bool) -> None:
        """One account of a phase is done; the phase before can go on for a while beside the latest."""
        ...


class Counter(Protocol):
    """Counts the tries of calls to AWS, and those that AWS throttled."""

    calls: int
    throttles: int


@dataclass(slots=True)
class NotCounted:
    """Counts nothing."""

    calls: int = 0
    throttles: int = 0


class Unobserved:
    """Observer that ignores all progress events."""

    def phase(self, name: str, total: int | None) -> None:
        """Do nothing."""

    def found(self, name: str, count: int) -> None:
        """Do nothing."""

    def done(self, name: str, *, changes: int, failed: bool) -> None:
        """Do nothing."""
