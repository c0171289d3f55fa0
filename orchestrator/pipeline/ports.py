"""Ports of a run: the protocols that its adapters fit, and fakes in tests."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.concurrency.work_sharing import AdaptiveLimit
from orchestrator.domain import model
from orchestrator.domain.records import Release
from orchestrator.reports.report import RunReport

INSPECTING = "inspecting"
APPLYING = "applying"

Places = Callable[[str], model.Placement]  # returns where an account belongs, by its ID
Releases = Mapping[tuple[str, str], Release]  # the releases in force, by account ID and key of the record


class Permit(Protocol):
    """The permission to write, which one run of an organization has at a time."""

    def acquire(self, seconds: float) -> str | None:
        """Take it within this time, and return None, or why it could not be had."""

    def hold(self) -> AbstractContextManager[Releases | None]:
        """Context manager for one write. Yields the releases in force, or None where nothing may be written."""

    def close(self, *, keep: bool = False) -> None:
        """Give it back, unless a later step needs it."""


class Accounts(Protocol):
    """The accounts of the organization."""

    def check_ou(self, ou_id: str) -> None:
        """Raise NotFound where the organization has no such OU or root."""

    def list_accounts(self, watched_ou_ids: tuple[str, ...] = ()) -> Iterator[model.Account]:
        """Yield the accounts as pages arrive, each with those of the watched OUs that it is under."""

    def get_account(self, account_id: str, watched_ou_ids: tuple[str, ...] = ()) -> model.Account:
        """Return one account, with those of the watched OUs that it is under."""


class Directory(Accounts, Protocol):
    """The accounts of the organization, the OUs above them, and their owners."""

    def find_ou_paths(self, account_ids: Sequence[str], cancellation: Cancellation) -> None:
        """Look up the OUs above these accounts, or above all where none is named. Raises AwsError."""

    def find_owners(self, account_ids: Iterable[str], cancellation: Cancellation) -> None:
        """Look up the owners of these accounts as the IDs come, where owners are wanted. Raises AwsError."""

    def placement(self, account_id: str) -> model.Placement:
        """Return the OUs above an account and its owner, as far as they are known."""


class Sessions(Protocol):
    """Enters member accounts."""

    def enter(self, account_id: str, access: model.Access) -> AbstractContextManager[AdaptiveLimit]:
        """Context manager: AWS calls inside use this account's credentials. Yields its concurrency limit."""


class Iam(Protocol):
    """IAM of the entered account."""

    def inspect(self, account_id: str) -> model.AccountFacts:
        """Return the users, quotas and policy of the account, from bulk reads."""

    def describe(self, account_id: str) -> model.AccountFacts:
        """Return what `inspect` does, without users and root user, from a few calls however large the account is."""

    def read_user(self, user_name: str) -> model.IamUser:
        """Return one user; MFA, password and keys are left to `read_user_live`. Raises NotFound."""

    def read_user_live(self, user_name: str, *, password: bool, keys: bool) -> model.LiveUser:
        """Return the state of a user right now."""

    def list_service_credentials(self, now: datetime) -> Mapping[str, tuple[str, ...]]:
        """Return the services of the active service-specific credentials, by user name, or raise AwsError."""

    def list_ssh_keys(self, user_name: str) -> tuple[str, ...]:
        """Return an entry for each active SSH key of a user, or raise AwsError."""

    def apply_change(self, change: model.UserChange) -> None:
        """Make one change to one user."""

    def is_applied(self, change: model.AttachPolicy | model.AddToGroup) -> bool:
        """Return whether a change is in effect."""


class Policies(Protocol):
    """The EnforceMFA policy and group of the entered account."""

    def look(self, account_id: str, *, group: bool) -> model.Enforcement:
        """Return their state right now."""

    def change(self, account_id: str, change: model.PolicyChange) -> None:
        """Make one change to them."""


class Simulator(Protocol):
    """The IAM policy simulator of the entered account."""

    def simulate_enrolment(self, user: model.IamUser, account: model.Account, now: datetime) -> model.Reason | None:
        """Return what keeps a user from enrolling under EnforceMFA, or that it is not known; or raise AwsError."""

    def find_guard(self, user: model.IamUser, account: model.Account, now: datetime) -> model.Guard | None:
        """Return what denies a user without MFA and not with it, beside EnforceMFA, or None; or raise AwsError."""

    def denies_access_keys(
        self, user: model.IamUser, account: model.Account, now: datetime, *, all_calls: bool
    ) -> bool:
        """Return whether SCPs deny access keys to enrol a device, and all other calls too; or raise AwsError."""


class Notifier(Protocol):
    """A channel that posts finished runs; the channel decides which, and what it posts and attaches."""

    def notify(self, report: RunReport, *, render_page: Callable[[], Iterable[str]]) -> None:
        """Post a run, or raise DigestError; `render_page` makes its page and can raise ArchiveError."""


class Messenger(Protocol):
    """Sends messages to single people; both raise DeliveryError."""

    def find(self, address: str) -> tuple[str, str]:
        """Return whom to write to, the same for the same person, and that person's e-mail address."""

    def send(self, recipient: str, subject: str, text: str) -> None:
        """Send one message, and return once the provider has accepted it."""


class SecurityHub(Protocol):
    """Imports the findings of a run."""

    product: model.Product  # the product under which the findings are filed

    def import_findings(self, findings: Sequence[Mapping[str, Any]], cancellation: Cancellation) -> model.Imported:
        """Import findings until cancelled, or raise AwsError."""


class EventBus(Protocol):
    """The event bus that other tools are hung on."""

    name: str

    def put(self, detail_type: str, detail: str) -> None:
        """Put one event, whose detail is JSON, or raise AwsError."""


class Observer(Protocol):
    """Receives the progress of a run, for a progress bar."""

    def phase(self, name: str, total: int | None) -> None:
        """A phase begins, over `total` accounts if that is known."""

    def found(self, name: str, count: int) -> None:
        """All accounts of a phase are listed, `count` of them; called by the thread that lists."""

    def done(self, name: str, *, changes: int, failed: bool) -> None:
        """One account of a phase is done; an earlier phase can go on beside the latest."""


class Counter(Protocol):
    """Counts of calls to AWS, retries included, and of those that AWS throttled."""

    calls: int
    throttles: int


class Unobserved:
    """Observer that ignores all progress events."""

    def _ignore(self, *_: object, **__: object) -> None: ...

    phase = found = done = _ignore
