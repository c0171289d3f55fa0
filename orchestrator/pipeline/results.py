"""Results of a run by account, compressed: a run over ten thousand accounts must fit into memory. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Self

from orchestrator.domain.model import AccountResult, Outcome, Stage, Status
from orchestrator.reports.compressed import JsonCodec

RESULTS: JsonCodec[AccountResult] = JsonCodec(AccountResult)

_WRITTEN = frozenset({Outcome.ENFORCED, Outcome.RELEASED})


class CompressedResult(NamedTuple):
    """The compressed result of an account, with what a run asks of all accounts without unpacking them."""

    account_id: str
    packed: bytes
    status: Status
    planned: int
    written: int  # how many users were enforced or released
    has_changes: bool
    left_at: Stage | None  # where an account that was not reached was left when the run ended early


def compress_result(result: AccountResult) -> CompressedResult:
    """Return a result compressed. Called by the worker that made it, so that no result waits as objects."""
    planned, problem = len(result.planned), result.problem
    is_left = result.status is Status.NOT_REACHED and problem is not None and problem.code != "slow"
    return CompressedResult(
        account_id=result.account.id,
        packed=RESULTS.pack(result),
        status=result.status,
        planned=planned,
        written=sum(decision.outcome in _WRITTEN for decision in result.decisions),
        has_changes=bool(planned or result.policy_changes),
        left_at=problem.stage if is_left and problem else None,
    )


class Results:
    """Results by account ID. One thread adds them; any thread may read."""

    def __init__(self, order: Mapping[str, int]) -> None:
        """Take the order in which accounts are listed, as a mapping that may still grow."""
        self._order = order
        self._entries: dict[str, CompressedResult] = {}

    @classmethod
    def of(cls, results: Iterable[AccountResult]) -> Self:
        """Return these results, in their order."""
        order: dict[str, int] = {}
        made = cls(order)
        for result in results:
            order[result.account.id] = len(order)
            made.put(result)
        return made

    def put(self, result: AccountResult | CompressedResult) -> None:
        """Add the result of an account, in place of an earlier one if there is any."""
        packed = compress_result(result) if isinstance(result, AccountResult) else result
        self._entries[packed.account_id] = packed

    def __contains__(self, account_id: str) -> bool:
        return account_id in self._entries

    def __getitem__(self, account_id: str) -> AccountResult:
        return RESULTS.unpack(self._entries[account_id].packed)

    def __iter__(self) -> Iterator[AccountResult]:
        """Yield the results in the order in which the accounts were listed."""
        return map(self.__getitem__, sorted(self._entries, key=self._order.__getitem__))

    @property
    def listed(self) -> int:
        """How many accounts are listed so far, with or without a result."""
        return len(self._order)

    @property
    def planned(self) -> int:
        """How many users the plans would write to."""
        return sum(entry.planned for entry in self._entries.values())

    @property
    def with_changes(self) -> list[str]:
        """The accounts whose plans change something, the largest plan first, since it takes longest."""
        changed = [account_id for account_id, entry in self._entries.items() if entry.has_changes]
        return sorted(changed, key=lambda account_id: -self._entries[account_id].planned)

    @property
    def not_reached(self) -> int:
        """How many accounts the run did not reach, or did not finish."""
        return sum(entry.status is Status.NOT_REACHED for entry in self._entries.values())

    @property
    def left_at(self) -> Stage:
        """The stage that a run was in when it ended early: it applies nothing before everything is inspected."""
        stages = {entry.left_at for entry in self._entries.values()}
        return Stage.APPLY if Stage.APPLY in stages and Stage.INSPECT not in stages else Stage.INSPECT
