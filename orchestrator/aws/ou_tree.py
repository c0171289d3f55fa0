"""Tree of organizational units: the OUs above an account, as a path of names (Root/Workloads/Production).

Source: AWS Organizations API Reference (ListRoots, ListOrganizationalUnitsForParent, ListAccountsForParent,
ListParents, DescribeOrganizationalUnit). One call at a time: all callers in an organization share their rate limits.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient

ROOT_NAME = "Root"
"""Name of the root in every organization; no call renames it."""
MAX_DEPTH = 10
"""Most OUs above an account; AWS allows five. A tree that is changed while it is read could seem to have a cycle."""


class UnitTree:
    """The part of the OU tree that was read so far: parents of accounts and OUs, and names of OUs.

    One thread fills it while others read from it.
    """

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
            if is_root(above):
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
            for part in reversed(ids_in(path)):
                self._above[below] = below = part

    def walk(self, cancellation: Cancellation) -> None:
        """Read the whole tree from the root down, with its accounts unless their paths are known. Raises AwsError."""
        units = [root["Id"] for root in self._list(self._client.list_roots, "Roots", cancellation)]
        list_units = self._client.list_organizational_units_for_parent
        for unit in units:  # the list grows meanwhile: child OUs are appended
            for child in self._list(list_units, "OrganizationalUnits", cancellation, ParentId=unit):
                if child["Id"] not in self._names:
                    units.append(child["Id"])
                self._names[child["Id"]], self._above[child["Id"]] = child["Name"], unit
            if not self._has_paths:
                for account in self._list(
                    self._client.list_accounts_for_parent, "Accounts", cancellation, ParentId=unit
                ):
                    self._above[account["Id"]] = unit

    def climb(self, account_ids: Iterable[str], cancellation: Cancellation) -> None:
        """Read the OUs above these accounts. Raises AwsError."""
        for account_id in account_ids:
            unit = self._parent_of(account_id, cancellation)
            while unit is not None and not is_root(unit) and unit not in self._names:
                answer = self._retrier.call(self._client.describe_organizational_unit, OrganizationalUnitId=unit)
                self._names[unit] = answer["OrganizationalUnit"]["Name"]
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


def ids_in(path: str) -> list[str]:
    """Return the IDs of the root and the OUs in a path, from the root down (`o-x/r-y/ou-z/123456789012/`)."""
    return [part for part in path.split("/") if is_root(part) or part.startswith("ou-")]


def is_root(unit_id: str) -> bool:
    """Return whether this is the ID of a root."""
    return unit_id.startswith("r-")
