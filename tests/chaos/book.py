"""The fake's own books: every call as AWS saw it, what stood there at that moment, and whether its answer arrived.

Nothing here comes from the program's output; the invariants compare the two.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from tests.aws_server import Call

WRITES = frozenset({"AttachUserPolicy", "AddUserToGroup", "DetachUserPolicy", "RemoveUserFromGroup"})
READS = ("Get", "List", "Generate", "Simulate", "Describe", "Assume")


class Fate(StrEnum):
    """What became of a call."""

    ANSWERED = "answered"
    """AWS worked on it and its answer went out whole."""
    REFUSED = "refused"
    """AWS never saw it: an error, silence or nonsense stood in its place."""
    LOST = "lost"
    """AWS worked on it, and its answer did not arrive in a form that could be used."""


@dataclass(frozen=True, slots=True)
class Session:
    """What an access key stands for: a session that a run opened in an account, its role, and whether it may write."""

    run_id: str
    account_id: str
    can_write: bool
    role: str = "orgmfa-member"


@dataclass(frozen=True, slots=True)
class UserState:
    """How the user that a call names stood when AWS got the call."""

    exists: bool = True
    devices: int = 0
    has_policy: bool = False
    in_group: bool = False


@dataclass(frozen=True, slots=True)
class PolicyState:
    """How EnforceMFA stood in the account of a call when AWS got it."""

    policy_is_ours: bool = True
    group_is_ours: bool = True
    has_policy: bool = True
    group_is_bare: bool = False
    """Whether the group is there, without any policy or member."""


@dataclass(frozen=True, slots=True)
class Page:
    """What an answer of a listing held: account IDs, and whether more pages follow."""

    account_ids: tuple[str, ...] = ()
    has_more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One call in the books; `status` is the HTTP status of AWS's own answer, 0 where AWS never saw the call."""

    number: int
    call: Call
    fate: Fate = Fate.ANSWERED
    status: int = 200
    session: Session | None = None
    user: UserState | None = None
    policy: PolicyState | None = None
    page: Page | None = None
    stops: bool = False
    """Whether the call asked for the stop switch, and the answer said stop or could not be read."""

    @property
    def action(self) -> str:
        """The action that was called."""
        return self.call.action

    @property
    def user_name(self) -> str:
        """The user that the call names."""
        return self.call.parameters.get("UserName", "")

    @property
    def took_effect(self) -> bool:
        """Whether AWS carried the call out, also where its answer was lost."""
        return 200 <= self.status < 300

    @property
    def told(self) -> bool:
        """Whether the caller was told that AWS carried the call out."""
        return self.took_effect and self.fate is Fate.ANSWERED

    @property
    def changes_iam(self) -> bool:
        """Whether the call changes IAM, where it takes effect."""
        return self.call.service == "iam" and not self.action.startswith(READS)


@dataclass
class Book:
    """All entries in the order in which AWS got the calls, and when each run was over."""

    entries: list[Entry] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)
    ended_at: dict[str, int] = field(default_factory=dict)
    """The number of the first call after a run had returned, by run ID."""
    stop_set_at: int | None = None
    """The number of the call at which somebody set the stop switch, or had it answer nonsense from then on."""
    shut_at: int | None = None
    """The number of the call from which on no run of IAM events may write: another run took the lease, or the lease or
    the ledger can no longer be understood."""

    def end(self, run_id: str) -> None:
        """Note that a run is over: nothing that it started may write any more."""
        self.ended_at[run_id] = len(self.entries)

    def of_run(self, run_id: str) -> Iterator[Entry]:
        """Yield the calls that a run made in member accounts."""
        return (entry for entry in self.entries if entry.session is not None and entry.session.run_id == run_id)

    def writes(self, run_id: str) -> list[Entry]:
        """Return the calls of a run that change IAM, whether or not they took effect."""
        return [entry for entry in self.of_run(run_id) if entry.changes_iam]

    def effects(self, run_id: str) -> list[Entry]:
        """Return the changes that a run really made to IAM."""
        return [entry for entry in self.writes(run_id) if entry.took_effect]

    def pages(self, since: int, until: int | None = None) -> list[Page]:
        """Return the pages of the organization's accounts that arrived between two moments of the book."""
        span = self.entries[since:until]
        return [entry.page for entry in span if entry.page is not None and entry.told]

    def run_ids(self, since: int, until: int | None = None) -> set[str]:
        """Return the runs that opened a session or used one between two moments of the book."""
        return {entry.session.run_id for entry in self.entries[since:until] if entry.session is not None}
