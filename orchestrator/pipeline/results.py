"""The results of a run's accounts, in little memory: a run over ten thousand accounts holds each packed. Pure."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from orchestrator.domain.model import AccountResult, Outcome, Status
from orchestrator.domain.planning import count_planned
from orchestrator.reports.compressed import JsonCodec

RESULTS: JsonCodec[AccountResult] = JsonCodec(AccountResult)

_WRITTEN = frozenset({Outcome.ENFORCED, Outcome.RELEASED})


class CompressedResult(NamedTuple):
    """The result of an account, and what a run asks of all of them without unpacking any."""

    account_id: str
    packed: bytes
    status: Status
    planned: int
    written: int
    """How many users were enforced or released."""
    has_changes: bool
    was_decided: bool


def compress_result(result: AccountResult) -> CompressedResult:
    """Return a result packed; for the thread that has it, so that none waits as objects for another thread."""
    planned = count_planned(result)
    return CompressedResult(
        account_id=result.account.id,
        packed=RESULTS.pack(result),
        status=result.status,
        planned=planned,
        written=sum(decision.outcome in _WRITTEN for decision in result.decisions),
        has_changes=bool(planned or result.policy_changes),
        was_decided=bool(result.decisions),
    )


class Results:
    """The results by account ID. One thread puts them in; any may read."""

    def __init__(self, order: Mapping[str, int]) -> None:
        """Take the order in which the accounts are listed; it may still grow."""
        self._order = order
        self._entries: dict[str, CompressedResult] = {}

    def put(self, result: AccountResult | CompressedResult) -> None:
        """Add the result of an account, or put it in the place of an earlier one."""
        packed = compress_result(result) if isinstance(result, AccountResult) else result
        self._entries[packed.account_id] = packed

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
