"""AWS Organizations: the organization, its accounts page by page, their owners, and the OUs above them.

Source: AWS Organizations API Reference. A page may be empty and still have a NextToken; ListAccounts gives at most 20
accounts a page. One call at a time: all callers in an organization share their rate limits.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from orchestrator.aws.errors import reads_answers, require
from orchestrator.aws.retries import Retrier, retry_budget
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import Malformed, NotFound
from orchestrator.domain.model import Account, AccountState, Organization, Placement

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient

ROOT_NAME = "Root"
"""Name of the root in every organization; no call renames it."""
MAX_DEPTH = 10
"""Most OUs above an account; AWS allows five. A tree that is changed while it is read could seem to have a cycle."""

log = structlog.get_logger(__name__)


class Directory:
    """The accounts of the caller's organization."""

    def __init__(self, client: "OrganizationsClient", retrier: Retrier, owner_tag: str | None = None) -> None:
        """Take the client of an account that may list: the management account or a delegated administrator.

        `owner_tag` is the key of the account tag that names the owner; None: owners are not looked up.
        """
        self._client = client
        self._retrier = retrier
        self._tree = UnitTree(client, retrier)
        self._entries = retrier.entries
        self._account_ids_by_ou_id: dict[str, frozenset[str]] = {}
        self._owner_tag = owner_tag
        self._owners: dict[str, str] = {}

    @reads_answers
    def describe_organization(self, partition: str) -> Organization:
        """Return the organization of the caller. Raises NotFound where its account is in none."""
        answer = self._retrier.call(self._client.describe_organization)["Organization"]
        return Organization(id=answer["Id"], management_account_id=answer["MasterAccountId"], partition=partition)

    def check_ou(self, ou_id: str) -> None:
        """Raise NotFound where the organization has no such OU or root; takes one call."""
        self._retrier.call(self._client.list_organizational_units_for_parent, ParentId=ou_id, MaxResults=1)

    def list_accounts(self, watched_ou_ids: Sequence[str] = ()) -> Iterator[Account]:
        """Yield the accounts of the organization as the pages arrive.

        With `watched_ou_ids`, each account has the OUs above it: from `Account.Paths` where AWS fills it, else those of
        the watched OUs under which listing their accounts finds it. Raises Malformed after all others where an entry is
        no account.
        """
        odd: Malformed | None = None
        for entry in self._entries(self._client.list_accounts, "Accounts"):
            try:
                account = self._read(entry)
            except Malformed as error:
                odd = error
                continue
            yield self._place(account, watched_ou_ids)
        if odd is not None:
            raise odd

    @reads_answers
    def get_account(self, account_id: str, watched_ou_ids: Sequence[str] = ()) -> Account:
        """Return an account by ID. Raises NotFound where the organization does not have it."""
        answer = self._retrier.call(self._client.describe_account, AccountId=account_id)
        return self._place(self._read(answer["Account"]), watched_ou_ids)

    @reads_answers
    def find_ou_paths(self, account_ids: Sequence[str], cancellation: Cancellation) -> None:
        """Read the OUs above these accounts, or above all where none is named; cancellation ends it early.

        Raises AwsError; what was read by then stays known. It has a retry budget of its own, apart from the listing's.
        """
        with retry_budget():
            if account_ids:
                self._tree.climb(account_ids, cancellation)
            else:
                self._tree.walk(cancellation)

    @reads_answers
    def find_owners(self, account_ids: Iterable[str], cancellation: Cancellation) -> None:
        """Read the owner tag of each account as the IDs come, one call each; cancellation ends it early.

        Raises AwsError; what was read by then stays known. It has a retry budget of its own.
        """
        if self._owner_tag is None:
            return
        with retry_budget():
            for account_id in account_ids:
                if cancellation.reason:
                    return
                with suppress(NotFound):  # the account has left the organization meanwhile
                    for tag in self._entries(self._client.list_tags_for_resource, "Tags", ResourceId=account_id):
                        if tag["Key"] == self._owner_tag and tag["Value"].strip():
                            self._owners[account_id] = _encodable(tag["Value"])

    def placement(self, account_id: str) -> Placement:
        """Return the OUs above an account as a path of names, and its owner, as far as they are known."""
        return Placement(self._tree.path_of(account_id), self._owners.get(account_id))

    def _read(self, entry: Mapping[str, Any]) -> Account:
        account = read_account(entry)
        self._tree.note_paths(account.id, entry.get("Paths") or ())
        return account

    def _place(self, account: Account, watched_ou_ids: Sequence[str]) -> Account:
        if not watched_ou_ids or account.ou_ids is not None:
            return account
        for ou_id in watched_ou_ids:
            if ou_id not in self._account_ids_by_ou_id:
                self._account_ids_by_ou_id[ou_id] = frozenset(self._walk(ou_id))
        above = (ou_id for ou_id in watched_ou_ids if account.id in self._account_ids_by_ou_id[ou_id])
        return replace(account, ou_ids=frozenset(above))

    def _walk(self, ou_id: str) -> Iterator[str]:
        """Yield the IDs of the accounts under an OU or root, at any depth."""
        for account in self._entries(self._client.list_accounts_for_parent, "Accounts", ParentId=ou_id):
            yield require(account.get("Id"), "Account.Id", "ListAccountsForParent")
        children = self._client.list_organizational_units_for_parent
        for child in self._entries(children, "OrganizationalUnits", ParentId=ou_id):
            yield from self._walk(require(child.get("Id"), "OrganizationalUnit.Id", children.__name__))


class UnitTree:
    """The part of the OU tree that was read so far; one thread fills it while others read from it."""

    def __init__(self, client: "OrganizationsClient", retrier: Retrier) -> None:
        self._client = client
        self._retrier = retrier
        self._above: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._has_paths = False

    def path_of(self, account_id: str) -> str | None:
        """Return the names of the root and the OUs above an account, joined by `/`, or None where one is not known."""
        names: list[str] = []
        above = self._above.get(account_id)
        while above is not None and len(names) < MAX_DEPTH:
            if _is_root(above):
                return "/".join((ROOT_NAME, *reversed(names)))
            if above not in self._names:
                return None
            names.append(self._names[above])
            above = self._above.get(above)
        return None

    def note_paths(self, account_id: str, paths: Sequence[str]) -> None:
        """Add the OUs above an account from `Account.Paths`, where AWS fills it."""
        for path in paths:
            self._has_paths = True
            below = account_id
            for part in reversed(_ids_in(path)):
                self._above[below] = below = part

    def walk(self, cancellation: Cancellation) -> None:
        """Read the whole tree from the root down, with its accounts unless their paths are known. Raises AwsError."""
        units = [root["Id"] for root in self._list(self._client.list_roots, "Roots", cancellation)]
        list_units = self._client.list_organizational_units_for_parent
        for unit in units:  # the list grows meanwhile: child OUs are appended
            for child in self._list(list_units, "OrganizationalUnits", cancellation, ParentId=unit):
                if child["Id"] not in self._names:
                    units.append(child["Id"])
                self._names[child["Id"]], self._above[child["Id"]] = _encodable(child["Name"]), unit
            if not self._has_paths:
                accounts = self._list(self._client.list_accounts_for_parent, "Accounts", cancellation, ParentId=unit)
                self._above.update((account["Id"], unit) for account in accounts)

    def climb(self, account_ids: Iterable[str], cancellation: Cancellation) -> None:
        """Read the OUs above these accounts. Raises AwsError."""
        for account_id in account_ids:
            unit = self._parent_of(account_id, cancellation)
            while unit is not None and not _is_root(unit) and unit not in self._names:
                answer = self._retrier.call(self._client.describe_organizational_unit, OrganizationalUnitId=unit)
                self._names[unit] = _encodable(answer["OrganizationalUnit"]["Name"])
                unit = self._parent_of(unit, cancellation)

    def _parent_of(self, child_id: str, cancellation: Cancellation) -> str | None:
        if child_id not in self._above:
            for parent in self._list(self._client.list_parents, "Parents", cancellation, ChildId=child_id):
                self._above[child_id] = parent["Id"]
        return self._above.get(child_id)

    def _list(
        self, method: Callable[..., Any], key: str, cancellation: Cancellation, **parameters: str
    ) -> Iterator[Any]:
        for entry in self._retrier.entries(method, key, **parameters) if cancellation.reason is None else ():
            yield entry
            if cancellation.reason:
                return


def read_account(entry: Mapping[str, Any]) -> Account:
    """Return the account of an entry of ListAccounts or DescribeAccount; its state is `State`, else the older `Status`.

    A state that is missing or new is None: that account is not entered. Raises Malformed where the ID is missing.
    """
    account_id = require(entry.get("Id"), "Account.Id", "ListAccounts")
    state = entry.get("State") or entry.get("Status")
    if state not in set(AccountState):
        log.error("account_state_unknown", account_id=account_id, state=state)
        state = None
    paths: Sequence[str] = entry.get("Paths") or ()
    org_path = next((path for path in paths if path.startswith("o-")), "")  # aws:PrincipalOrgPaths ends with the OU
    return Account(
        id=account_id,
        name=_encodable(entry.get("Name") or account_id),
        state=state and AccountState(state),
        ou_ids=frozenset(part for path in paths for part in _ids_in(path)) or None,
        org_path="".join(f"{part}/" for part in org_path.split("/") if part not in {"", account_id}) or None,
    )


def _encodable(text: str) -> str:
    """Return a text that can be encoded as UTF-8: half a surrogate pair, which JSON allows, becomes a `?`."""
    return text.encode(errors="replace").decode()


def _ids_in(path: str) -> list[str]:
    """Return the IDs of the root and the OUs in a path, from the root down (`o-x/r-y/ou-z/123456789012/`)."""
    return [part for part in path.split("/") if _is_root(part) or part.startswith("ou-")]


def _is_root(unit_id: str) -> bool:
    return unit_id.startswith("r-")
