"""In-memory stand-ins for what a run needs from outside. Each fits its protocol by shape and keeps its own books."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation, CancelReason
from orchestrator.concurrency.work_sharing import AdaptiveLimit
from orchestrator.domain.assessment import Rules
from orchestrator.domain.config import Config
from orchestrator.domain.errors import AwsError, DeliveryError, DigestError, NotFound, QuotaExceeded
from orchestrator.domain.model import (
    Access,
    Account,
    AccountFacts,
    AddToGroup,
    AttachPolicy,
    DetachPolicy,
    Enforcement,
    Guard,
    IamUser,
    Imported,
    LiveUser,
    Placement,
    PolicyChange,
    PolicyState,
    Product,
    Quotas,
    Reason,
    Refused,
    RemoveFromGroup,
    RootUser,
    StoredFile,
    UserChange,
)
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.ports import Releases
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import RunReport
from tests.builders import NOW, ORGANIZATION, make_account, make_request

_entered: ContextVar[str] = ContextVar("fake_entered_account")


@dataclass
class FakeAccount:
    """One account: its users as the bulk reads tell them, and what is different when looked at live."""

    account: Account
    users: dict[str, IamUser] = field(default_factory=dict)
    live: dict[str, LiveUser] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    policy: PolicyState = PolicyState.OURS
    group: PolicyState = PolicyState.OURS
    version: str = "ANPAEXAMPLE v1"
    full: set[str] = field(default_factory=set)
    """Kinds of change (`attach`, `join`) for which users have no room, though the bulk reads say they have."""
    obstacles: dict[str, str] = field(default_factory=dict)
    """What would keep a user from enrolling under EnforceMFA."""
    doubts: dict[str, Reason] = field(default_factory=dict)
    """What else the simulator says of a user."""
    guards: dict[str, Guard] = field(default_factory=dict)
    """What denies a user without MFA already."""
    spares_keys: set[str] = field(default_factory=set)
    """Users whose guard lets their access keys through."""
    credentials: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Services of the active service-specific credentials of a user."""
    ssh_keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    report_made_at: datetime | None = NOW


@dataclass
class FakeAws:
    """Directory, sessions, IAM and policies of an organization in memory; `before` may raise in the place of AWS."""

    accounts: dict[str, FakeAccount] = field(default_factory=dict)
    before: Callable[[str, str, str], None] = lambda action, account_id, subject: None
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    ous: dict[str, str] = field(default_factory=dict)
    """The OU of an account, known once a survey was made."""
    asked_at: datetime = NOW
    """When runs have the credential reports made: one made before is not theirs."""
    surveyed: list[tuple[str, ...]] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    known_owners: dict[str, str | None] = field(default_factory=dict)
    """The owner of an account, and those that were looked up."""

    def add(self, *users: IamUser, account_id: str | None = None, **changes: Any) -> FakeAccount:
        """Add an account with these users."""
        account_id = account_id or f"{len(self.accounts) + 1:012}"
        fields = {name: changes.pop(name) for name in ("name", "state", "ou_ids") if name in changes}
        account = make_account(account_id, **({"name": f"account-{account_id[-2:]}"} | fields))
        made = FakeAccount(account, {user.name: user for user in users}, **changes)
        self.accounts[account_id] = made
        return made

    def writes(self) -> list[tuple[str, str, str]]:
        """Return the changes made, as (kind, account ID, subject)."""
        kinds = ("attach", "join", "detach", "leave", *(change.value for change in PolicyChange))
        return [call for call in self.calls if call[0] in kinds]

    # -- Directory

    def check_ou(self, ou_id: str) -> None:
        self._note("check_ou", "", ou_id)
        if not any(ou_id in (fake.account.ou_ids or ()) for fake in self.accounts.values()):
            raise NotFound(
                "no such parent", code="ParentNotFoundException", operation="ListOrganizationalUnitsForParent"
            )

    def list_accounts(self, watched_ou_ids: Sequence[str] = ()) -> Iterator[Account]:
        for account_id, fake in list(self.accounts.items()):
            self._note("list", account_id, "")
            yield fake.account

    def get_account(self, account_id: str, watched_ou_ids: Sequence[str] = ()) -> Account:
        self._note("describe", account_id, "")
        if account_id not in self.accounts:
            raise NotFound("no such account", code="AccountNotFoundException", operation="DescribeAccount")
        return self.accounts[account_id].account

    def find_ou_paths(self, account_ids: Sequence[str], cancellation: Cancellation) -> None:
        self.before("survey", "", "")
        self.surveyed.append(tuple(account_ids))

    def find_owners(self, account_ids: Iterable[str], cancellation: Cancellation) -> None:
        for account_id in account_ids:
            self._note("owner", account_id, "")
            self.known_owners[account_id] = self.owners.get(account_id)

    def placement(self, account_id: str) -> Placement:
        return Placement(self.ous.get(account_id) if self.surveyed else None, self.known_owners.get(account_id))

    # -- Sessions

    @contextmanager
    def enter(self, account_id: str, access: Access) -> Iterator[AdaptiveLimit]:
        self._note("enter", account_id, access.value)
        token = _entered.set(account_id)
        try:
            yield AdaptiveLimit()
        finally:
            _entered.reset(token)

    # -- Iam

    def inspect(self, account_id: str) -> AccountFacts:
        self._note("inspect", account_id, "")
        fake = self.accounts[account_id]
        return AccountFacts(
            alias=f"alias-{account_id[-2:]}",
            root_user=RootUser(has_credentials=True, has_mfa=True),
            users=tuple(fake.users.values()),
            quotas=Quotas(policies_per_user=10, groups_per_user=10),
            enforcement=Enforcement(self._arn(account_id), "EnforceMFA", fake.policy, fake.group),
            is_report_ours=fake.report_made_at is not None and fake.report_made_at >= self.asked_at,
        )

    def describe(self, account_id: str) -> AccountFacts:
        facts = self.inspect(account_id)
        return replace(facts, users=(), root_user=None, is_report_ours=False, user_count=len(facts.users))

    def read_user(self, user_name: str) -> IamUser:
        self._note("read", _entered.get(), user_name)
        user = self.accounts[_entered.get()].users.get(user_name)
        if user is None:
            raise NotFound("no such user", code="NoSuchEntity", operation="GetUser")
        return replace(user, has_mfa=None, has_console_password=None, active_access_keys=None, keys_last_used=None)

    def read_user_live(self, user_name: str, *, password: bool, keys: bool) -> LiveUser:
        account_id = _entered.get()
        fake = self.accounts[account_id]
        self._note("look", account_id, user_name)
        if user_name in fake.gone:
            raise NotFound("no such user", code="NoSuchEntity", operation="ListMFADevices")
        user = fake.users[user_name]
        default = LiveUser(
            bool(user.has_mfa),
            user.has_console_password,
            user.active_access_keys or 0,
            user.keys_last_used,
            user.mfa_device,
        )
        seen = fake.live.get(user_name, default)
        return replace(
            seen,
            has_console_password=seen.has_console_password if password else None,
            active_access_keys=seen.active_access_keys if keys else None,
        )

    def apply_change(self, change: UserChange) -> None:
        account_id, name = _entered.get(), change.user_name
        fake = self.accounts[account_id]
        kind = _KINDS[type(change)]
        self._note(kind, account_id, name)
        if kind in fake.full:
            raise QuotaExceeded("full", code="LimitExceeded", operation=kind)
        user = fake.users[name]
        match change:
            case AttachPolicy(_, arn):
                user = replace(user, attached_policy_arns=user.attached_policy_arns | {arn})
            case AddToGroup(_, group):
                user = replace(user, group_names=user.group_names | {group})
            case DetachPolicy(_, arn):
                user = replace(user, attached_policy_arns=user.attached_policy_arns - {arn})
            case RemoveFromGroup(_, group):
                user = replace(user, group_names=user.group_names - {group})
        fake.users[name] = user

    def is_applied(self, change: AttachPolicy | AddToGroup) -> bool:
        self._note("verify", _entered.get(), change.user_name)
        user = self.accounts[_entered.get()].users[change.user_name]
        if isinstance(change, AttachPolicy):
            return change.policy_arn in user.attached_policy_arns
        return change.group_name in user.group_names

    def list_service_credentials(self, now: datetime) -> Mapping[str, tuple[str, ...]]:
        self._note("list_credentials", _entered.get(), "")
        return self.accounts[_entered.get()].credentials

    def list_ssh_keys(self, user_name: str) -> tuple[str, ...]:
        self._note("list_ssh_keys", _entered.get(), user_name)
        return self.accounts[_entered.get()].ssh_keys.get(user_name, ())

    # -- Simulator

    def simulate_enrolment(self, user: IamUser, account: Account, now: datetime) -> Reason | None:
        self._note("simulate", account.id, user.name)
        fake = self.accounts[_entered.get()]
        if user.name in fake.obstacles:
            return Reason("cannot_enrol", fake.obstacles[user.name])
        return fake.doubts.get(user.name)

    def find_guard(self, user: IamUser, account: Account, now: datetime) -> Guard | None:
        self._note("find_guard", account.id, user.name)
        return self.accounts[_entered.get()].guards.get(user.name)

    def denies_access_keys(self, user: IamUser, account: Account, now: datetime, *, all_calls: bool) -> bool:
        self._note("guard_of_all_calls" if all_calls else "guard_of_enrolling", account.id, user.name)
        return user.name not in self.accounts[_entered.get()].spares_keys

    # -- Policies

    def look(self, account_id: str, *, group: bool) -> Enforcement:
        self._note("look_at_policy", account_id, "group" if group else "")
        fake = self.accounts[account_id]
        state = fake.group if group else PolicyState.MISSING
        return Enforcement(self._arn(account_id), "EnforceMFA", fake.policy, state, fake.version)

    def change(self, account_id: str, change: PolicyChange) -> None:
        self._note(change.value, account_id, "")
        fake = self.accounts[account_id]
        match change:
            case PolicyChange.CREATE_POLICY | PolicyChange.UPDATE_POLICY:
                fake.policy = PolicyState.OURS
            case PolicyChange.CREATE_GROUP:
                fake.group = PolicyState.OUTDATED
            case PolicyChange.ATTACH_GROUP_POLICY:
                fake.group = PolicyState.OURS

    def _note(self, action: str, account_id: str, subject: str) -> None:
        self.before(action, account_id, subject)
        self.calls.append((action, account_id, subject))

    def _arn(self, account_id: str) -> str:
        return f"arn:aws:iam::{account_id}:policy/EnforceMFA"


_KINDS: dict[type[UserChange], str] = {
    AttachPolicy: "attach",
    AddToGroup: "join",
    DetachPolicy: "detach",
    RemoveFromGroup: "leave",
}


@dataclass
class MemoryStore:
    """A store in memory; `broken` names the operations that fail."""

    files: dict[str, bytes] = field(default_factory=dict)
    broken: dict[str, Exception] = field(default_factory=dict)
    written_at: datetime = NOW

    def address(self, name: str) -> str:
        return f"memory:{name}"

    def read(self, name: str) -> bytes:
        self._break("read")
        return self.files[name]

    def read_start(self, name: str, size: int) -> bytes:
        self._break("read")
        return self.files[name][:size]

    def write(self, name: str, content: bytes) -> None:
        self._break("write")
        self.files[name] = content

    def create(self, name: str, content: bytes) -> bool:
        self._break("create")
        return name not in self.files and self.files.setdefault(name, content) is content

    def list_files(self, prefix: str) -> Iterator[StoredFile]:
        self._break("list")
        for name in sorted(self.files):
            if name.startswith(prefix):
                yield StoredFile(name, self.written_at)

    def delete(self, name: str) -> None:
        self._break("delete")
        self.files.pop(name, None)

    def _break(self, operation: str) -> None:
        if operation in self.broken:
            raise self.broken[operation]


@dataclass
class FakeSlackClient:
    """Keeps the messages, the replies below them and what is attached to them, or refuses either."""

    refuses: bool = False
    refuses_files: bool = False
    messages: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    has_thread: bool = False
    replies: list[str] = field(default_factory=list)

    def reply(self, text: str, blocks: Sequence[dict[str, Any]], otherwise: Sequence[dict[str, Any]]) -> None:
        if self.refuses_files:
            raise DigestError("Slack refused the thread: channel_not_found")
        self.replies.append(str(blocks))

    def send(self, text: str, blocks: Sequence[dict[str, Any]]) -> None:
        if self.refuses:
            raise DigestError("Slack refused the digest: channel_not_found")
        self.messages.append(text)

    def attach(self, filename: str, content: bytes, comment: str) -> None:
        if self.refuses_files:
            raise DigestError("Slack refused the page: missing_scope")
        self.files[filename] = content


@dataclass
class FakeChannel:
    """Keeps the reports that it is told of, and the page of the last one."""

    reports: list[RunReport] = field(default_factory=list)
    page: bytes = b""

    def notify(self, report: RunReport, *, render_page: Callable[[], Iterable[str]]) -> None:
        self.reports.append(report)
        self.page = "".join(render_page()).encode()


@dataclass
class FakeMessenger:
    """Keeps the messages to people; `people` are e-mail addresses by member ID, `refuses` whom it writes to no more."""

    people: dict[str, str] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    sent: list[tuple[str, str]] = field(default_factory=list)
    killed_after: int | None = None
    """How many messages are sent before the process ends."""
    is_down: bool = False
    asked: list[str] = field(default_factory=list)

    def find(self, address: str) -> tuple[str, str]:
        self.asked.append(address)
        if address in self.people:
            return self.people[address], self.people[address]
        if "@" not in address:
            raise DeliveryError("users_not_found")
        return address, address

    def send(self, recipient: str, subject: str, text: str) -> None:
        if recipient in self.refuses or self.is_down:
            raise DeliveryError("refused", is_general=self.is_down)
        if self.killed_after is not None and len(self.sent) >= self.killed_after:
            raise KeyboardInterrupt
        self.sent.append((recipient, text))


@dataclass
class FakeSecurityHub:
    """Keeps the findings by their ID, refuses some, or fails as a whole."""

    product: Product = field(default_factory=lambda: Product("999999999999", "eu-central-1", "aws"))
    findings: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    refused: tuple[Refused, ...] = ()
    error: AwsError | None = None

    def import_findings(self, findings: Sequence[Mapping[str, Any]], cancellation: Cancellation) -> Imported:
        if self.error is not None:
            raise self.error
        if cancellation.reason:
            return Imported(0, ())
        self.findings |= {finding["Id"].rpartition("/")[2]: finding for finding in findings}
        return Imported(len(findings), self.refused)


@dataclass
class FakeEventBus:
    """Keeps the details of its events, or refuses each."""

    name: str = "security"
    events: list[dict[str, Any]] = field(default_factory=list)
    error: AwsError | None = None

    def put(self, detail_type: str, detail: str) -> None:
        assert detail_type == "Run Finished"
        if self.error is not None:
            raise self.error
        self.events.append(json.loads(detail))


@dataclass
class FakeObserver:
    """Counts what a progress bar would show."""

    phases: list[tuple[str, int | None]] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)
    accounts_done: int = 0
    changes: int = 0
    failures: int = 0

    def phase(self, name: str, total: int | None) -> None:
        self.phases.append((name, total))

    def found(self, name: str, count: int) -> None:
        assert name in dict(self.phases), "a phase that has begun"
        self.known[name] = count

    def done(self, name: str, *, changes: int, failed: bool) -> None:
        assert name in dict(self.phases), "a phase that has begun"
        self.accounts_done += 1
        self.changes += changes
        self.failures += failed


def make_context(aws: FakeAws, **changes: Any) -> RunContext:
    """Return the context of a run over an organization in memory, with nobody to ask."""
    values: dict[str, Any] = {
        "request": make_request(),
        "config": Config(),
        "organization": ORGANIZATION,
        "rules": Rules(changes.get("config", Config()), {}, "arn:aws:iam::999999999999:user/operator"),
        "now": lambda: NOW,
        "cancellation": Cancellation(),
        "stop_reason": lambda: None,
        "confirm": None,
        "permit": FakePermit(),
        "directory": aws,
        "sessions": aws,
        "iam": aws,
        "policies": aws,
        "simulator": aws,
        "archive": RunArchive(MemoryStore(), timedelta(days=400)),
        "notifiers": (),
        "observer": FakeObserver(),
        "counter": Retrier(Cancellation()),
    }
    context = RunContext(**(values | changes))
    if isinstance(context.permit, FakePermit):
        context.permit.cancellation = context.cancellation
    return context


@dataclass
class FakePermit:
    """Gives the permission to write, or says why not; `released` are the releases in force at each write."""

    refusal: str | None = None
    released: Releases = field(default_factory=dict)
    may_write: bool = True
    cancellation: Cancellation = field(default_factory=Cancellation)
    asked: list[float] = field(default_factory=list)
    closed: list[bool] = field(default_factory=list)
    """Whether each was kept for a later step."""

    def acquire(self, seconds: float) -> str | None:
        self.asked.append(seconds)
        return self.refusal

    @contextmanager
    def hold(self) -> Iterator[Releases | None]:
        yield self.released if self.may_write and not self.cancellation.reason else None

    def close(self, *, keep: bool = False) -> None:
        self.closed.append(keep)


class CancelledWhen(Cancellation):
    """Cancels itself as soon as a condition holds and somebody asks."""

    def __init__(self, holds: Callable[[], bool]) -> None:
        super().__init__()
        self._holds = holds

    @property
    def reason(self) -> CancelReason | None:
        if self._holds():
            self.event.set()
        return super().reason


def fail(kind: type[AwsError], code: str = "Injected", operation: str = "") -> AwsError:
    """Return an AWS error to raise from `FakeAws.before`."""
    return kind("injected", code=code, operation=operation)
