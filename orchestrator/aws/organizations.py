"""AWS Organizations: the organization, its accounts page by page, their owners, and the OUs above them (`ou_tree`).

Source: AWS Organizations API Reference (DescribeOrganization, ListAccounts, ListAccountsForParent,
ListTagsForResource). A page may be empty and still have a NextToken; ListAccounts gives at most 20 accounts a page.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from orchestrator.aws.errors import reads_answers, require
from orchestrator.aws.ou_tree import UnitTree, ids_in
from orchestrator.aws.retries import Retrier, retry_budget
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import Malformed, NotFound
from orchestrator.domain.model import Account, AccountState, Organization, Placement

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient

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
        return Organization(
            id=answer["Id"],
            management_account_id=answer["MasterAccountId"],
            partition=partition,
        )

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
                    self._read_owner(account_id)

    def _read_owner(self, account_id: str) -> None:
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
            yield account["Id"]
        children = self._client.list_organizational_units_for_parent
        for child in self._entries(children, "OrganizationalUnits", ParentId=ou_id):
            yield from self._walk(child["Id"])


def read_account(entry: Mapping[str, Any]) -> Account:
    """Return the account of an entry of ListAccounts or DescribeAccount; its state is `State`, else the older `Status`.

    A state that is missing or new is None: that account is not entered. Raises Malformed where the ID is missing.
    """
    account_id = require(entry.get("Id"), "Account.Id", "ListAccounts")
    state = entry.get("State") or entry.get("Status")
    if state not in set(AccountState):
        log.error("account_state_unknown", account_id=account_id, state=state)
        state = None
    return Account(
        id=account_id,
        name=_encodable(entry.get("Name") or account_id),
        state=state and AccountState(state),
        ou_ids=_read_paths(entry.get("Paths") or ()),
        org_path=_org_path(entry.get("Paths") or (), account_id),
    )


def _encodable(text: str) -> str:
    """Return a text that can be encoded as UTF-8: half a surrogate pair, which JSON allows, becomes a `?`."""
    return text.encode(errors="replace").decode()


def _read_paths(paths: Sequence[str]) -> frozenset[str] | None:
    """Return the IDs of the root and the OUs in `Account.Paths`, or None without paths."""
    return frozenset(part for path in paths for part in ids_in(path)) or None


def _org_path(paths: Sequence[str], account_id: str) -> str | None:
    """Return the path from the organization down to the account's OU as aws:PrincipalOrgPaths has it, or None."""
    path = next((path for path in paths if path.startswith("o-")), "")
    return "".join(f"{part}/" for part in path.split("/") if part not in {"", account_id}) or None
