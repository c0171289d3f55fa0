"""The results of a run's accounts, in little memory: a run over ten thousand accounts holds each packed. Pure."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from orchestrator.model import AccountResult, Status
from orchestrator.packed import Packer
from orchestrator.planning import count_planned

RESULTS: Packer[AccountResult] = Packer(AccountResult)


class _Entry(NamedTuple):
    packed: bytes
    status: Status
    planned: int
    has_changes: bool
    was_decided: bool


class Results:
    """The results by account ID. One thread puts them in; any may read."""

    def __init__(self, order: Mapping[str, int]) -> None:
        """Take the order in which the accounts are listed; it may still grow."""
        self._order = order
        self._entries: dict[str, _Entry] = {}

    def put(self, result: AccountResult) -> None:
        """Add the result of an account, or put it in the place of an earlier one."""
        planned = count_planned(result)
        self._entries[result.account.id] = _Entry(
            packed=RESULTS.pack(result),
            status=result.status,
            planned=planned,
            has_changes=bool(planned or result.policy_changes),
            was_decided=bool(result.decisions),
        )

    def __contains__(self, account_id: str) -> bool:
        """Return whether there is a result of an account."""
        return account_id in self._entries

    def __getitem__(self, account_id: str) -> AccountResult:
        """Return the result of an account."""
        return RESULTS.unpack(self._entries[account_id].packed)

    def __iter__(self) -> Iterator[AccountResult]:
        """Yield the results in the order in which the accounts were listed."""
        return map(self.__getitem__, sorted(self._entries, key=self._order.__getitem__))

    @property
    def listed(self) -> int:
        """How many accounts are listed by now, with a result or not yet."""
        return len(self._order)

    def has_changes(self, account_id: str) -> bool:
        """Return whether the plan of an account changes something."""
        return self._entries[account_id].has_changes

    @property
    def planned(self) -> int:
        """How many users the plans would write to."""
        return sum(entry.planned for entry in self._entries.values())

    @property
    def with_changes(self) -> list[str]:
        """The accounts whose plans change something, the largest plan first: it takes longest."""
        changed = [account_id for account_id, entry in self._entries.items() if entry.has_changes]
        return sorted(changed, key=lambda account_id: -self._entries[account_id].planned)

    @property
    def not_reached(self) -> int:
        """How many accounts the run did not come to, or not to the end."""
        return sum(entry.status is Status.NOT_REACHED for entry in self._entries.values())

    @property
    def was_any_decided(self) -> bool:
        """Whether anything was decided about any user."""
        return any(entry.was_decided for entry in self._entries.values())
