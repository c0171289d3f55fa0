"""What a run needs from outside, each as a small protocol, and what it ends in."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.model import Account, Imported, Product
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import RunReport


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

    def survey_ous(self, account_ids: Sequence[str], cancellation: Cancellation) -> None:
        """Find out under which OUs these accounts stand, or all where none is named, or raise AwsError."""
        ...

    def ou_path(self, account_id: str) -> str | None:
        """Return the OUs above an account, as far as that is known by now."""
        ...


class Notifier(Protocol):
    """Sends the digest."""

    def send(self, text: str, blocks: Sequence[dict[str, Any]]) -> None:
        """Send one message, or raise DigestError."""
        ...

    def attach(self, filename: str, content: bytes, comment: str) -> None:
        """Attach a file to the message that was sent, or raise DigestError; called where `slack.attach` asks for it."""
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


INSPECTING = "inspecting"
APPLYING = "applying"


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
    """Observes a run that nobody watches."""

    def phase(self, name: str, total: int | None) -> None:
        """Do nothing."""

    def found(self, name: str, count: int) -> None:
        """Do nothing."""

    def done(self, name: str, *, changes: int, failed: bool) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a run needs from outside, each fitting by shape."""

    directory: Directory
    archive: RunArchive
    notifier: Notifier | None
    observer: Observer
    confirm: Callable[[RunReport], bool] | None
    """Asks a person whether a plan may be carried out; None where nobody is to be asked."""
    cancellation: Cancellation
    securityhub: SecurityHub | None = None
    counter: Counter = field(default_factory=NotCounted)


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that came to its end: its report, where that is archived, and whether a person said no.

    `api_calls` counts the calls made to AWS, tries included, and `api_throttles` those that AWS throttled.
    """

    report: RunReport
    address: str | None
    was_declined: bool = False
    api_calls: int = 0
    api_throttles: int = 0
