"""Where accounts stand in the tree of OUs, as paths of names: Root/Workloads/Production.

Source: AWS Organizations API Reference (ListRoots, ListOrganizationalUnitsForParent, ListAccountsForParent,
ListParents, DescribeOrganizationalUnit). One call at a time: all callers of an organization share the rates of these.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.aws.errors import require
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient

ROOT_NAME = "Root"
"""What AWS calls the root of every organization; no call renames it."""
MAX_DEPTH = 10
"""OUs above an account; AWS allows five. A tree that is changed while it is read could seem to go in a circle."""


class UnitTree:
    """What is known of the tree: what stands right above an account or an OU, and what OUs are called.

    One thread fills it while others read what is known so far.
    """

    def __init__(self, client: "OrganizationsClient", retrier: Retrier) -> None:
        """Take the client that lists the organization."""
        self._client = client
        self._retrier = retrier
        self._above: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._has_paths = False

    def path_of(self, account_id: str) -> str | None:
        """Return the names of the root and the OUs above an account, or None where one is not known."""
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
        """Take from `Account.Paths`, where AWS fills it, what stands above an account."""
        for path in paths:
            self._has_paths = True
            below = account_id
            for part in reversed(ids_in(path)):
                self._above[below] = below = part

    def walk(self, cancellation: Cancellation) -> None:
        """Read the whole tree from the root down, its accounts too where their paths do not tell. Raises AwsError."""
        units = [root["Id"] for root in self._list(self._client.list_roots, "Roots", cancellation)]
        list_units = self._client.list_organizational_units_for_parent
        for unit in units:  # it grows meanwhile: the OUs below join at its end
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
        """Read what stands above these accounts alone. Raises AwsError."""
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
        for page in list_pages(self._retrier, method, key, **parameters) if cancellation.reason is None else ():
            yield from page
            if cancellation.reason:
                return


def list_pages(
    retrier: Retrier, method: Callable[..., Any], key: str, **parameters: str
) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield the pages of a listing; one may be empty and not be the last."""
    for answer in retrier.pages(method, **parameters):
        yield require(answer.get(key), key, method.__name__)


def ids_in(path: str) -> list[str]:
    """Return the root and the OUs that a path names, from the root down (`o-x/r-y/ou-z/123456789012/`)."""
    return [part for part in path.split("/") if is_root(part) or part.startswith("ou-")]


def is_root(unit_id: str) -> bool:
    """Return whether an ID is that of a root."""
    return unit_id.startswith("r-")
