"""An organization in memory: directory, sessions, IAM, policies and simulator of its accounts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.concurrency.work_sharing import AdaptiveLimit
from orchestrator.domain.errors import NotFound, QuotaExceeded
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
    LiveUser,
    Placement,
    PolicyChange,
    PolicyState,
    Quotas,
    Reason,
    RemoveFromGroup,
    RootUser,
    UserChange,
)
from tests.builders import NOW, make_account

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
