"""Work sharing within one account: a thread maps a function over many items, helped by free threads of its pool.

The caller never waits for a helper that has not begun, so a deadlock is impossible. There are no further threads:
helpers are threads of the pool that the caller runs in (`call_helper`), and return to it after a few items. How many
work at once is limited (`AdaptiveLimit`), since AWS throttles by account.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from functools import partial
from threading import Condition
from typing import Generic, TypeVar

from orchestrator.concurrency.cancellation import Cancellation, OutOfTime

T = TypeVar("T")
R = TypeVar("R")

ITEMS_PER_HELPER = 8  # for fewer items than this no helper is called: handing them over would cost more than it saves
ITEMS_PER_TURN = 20  # after so many a helper goes to the end of the queue, so that other accounts are helped too

START = 4.0
MOST = 24.0
EARNED = 0.1
COST = 1.0

budget: ContextVar[Cancellation | None] = ContextVar("budget", default=None)
"""The time of the piece of work that the calling thread is at; None: no end."""
call_helper: ContextVar[Callable[[Callable[[], object]], None] | None] = ContextVar("call_helper", default=None)
"""Submits a job to the pool that the calling thread runs in; None outside of a pool."""


class AdaptiveLimit:
    """Concurrency limit of one account, shared by its threads; an update that is lost between them changes little.

    Additive increase and decrease: an answered call adds a little, a throttled one takes ten times as much. While fewer
    than about one call in ten is throttled the limit rises to its maximum, else it falls down to one user at a time.
    """

    def __init__(self) -> None:
        """Start low: the rate that the account allows is not known."""
        self._allowed = START

    @property
    def allowed(self) -> int:
        """How many threads may work at once, the caller included; at least 1."""
        return int(self._allowed)

    def on_success(self) -> None:
        """Raise the limit a little after an answered call."""
        self._allowed = min(MOST, self._allowed + EARNED)

    def on_throttle(self) -> None:
        """Lower the limit after a throttled call."""
        self._allowed = max(1.0, self._allowed - COST)


def map_shared(items: Sequence[T], work: Callable[[T], R], limit: AdaptiveLimit) -> list[R]:
    """Return the results of the items, in their order; the limit says how many are worked on at once.

    Helpers run in a copy of the caller's context. After an exception no more items are begun; it is raised once those
    under way are done. Raises OutOfTime where the budget of the piece of work is over before its last item.
    """
    return _Share(items, work, limit).carry_out()


class _Share(Generic[T, R]):
    """State of one `map_shared`: the items that wait, those under way, the helpers and the results."""

    def __init__(self, items: Sequence[T], work: Callable[[T], R], limit: AdaptiveLimit) -> None:
        self._work = work
        self._limit = limit
        self._call_helper = call_helper.get()
        self._budget = budget.get()
        self._waiting = deque(enumerate(items))
        self._results: dict[int, R] = {}
        self._error: BaseException | None = None
        self._under_way = 0
        self._helpers = 0
        self._changed = Condition()

    def carry_out(self) -> list[R]:
        self._call_helpers()
        while self._work_on_next():
            self._call_helpers()
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way)
        if self._error is not None:
            raise self._error
        return [self._results[number] for number in sorted(self._results)]

    def _call_helpers(self) -> None:
        """Call as many helpers as the limit allows and the number of items justifies."""
        if self._call_helper is None:
            return
        with self._changed:
            wanted = min(self._limit.allowed - 1, len(self._waiting) // ITEMS_PER_HELPER) - self._helpers
            self._helpers += max(0, wanted)
        for _ in range(wanted):
            self._call_helper(partial(copy_context().run, self._help))

    def _help(self) -> None:
        for _ in range(ITEMS_PER_TURN):
            if self._helpers >= self._limit.allowed or not self._work_on_next():
                break
        with self._changed:
            self._helpers -= 1
        self._call_helpers()

    def _work_on_next(self) -> bool:
        with self._changed:
            if self._waiting and self._budget is not None and self._budget.reason:
                self._error = self._error or OutOfTime()
                self._waiting.clear()
            if not self._waiting:
                return False
            number, item = self._waiting.popleft()
            self._under_way += 1
        failure: BaseException | None = None
        try:
            self._results[number] = self._work(item)
        except BaseException as error:  # noqa: BLE001 - raised on the calling thread
            failure = error
        with self._changed:
            if failure is not None:
                self._error = self._error or failure
                self._waiting.clear()
            self._under_way -= 1
            self._changed.notify()
        return True
