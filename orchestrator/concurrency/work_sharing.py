"""Many items of one piece of work, done by the thread that has them and by others that come to help.

The caller never waits for help that has not begun, so nothing can lock up, and it has no threads of its own: helpers
are threads of the pool that the caller itself is in (`call_helper`), and they go back to it after a short while.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from functools import partial
from threading import Condition
from typing import Generic, TypeVar

from orchestrator.concurrency.adaptive_limit import AdaptiveLimit

T = TypeVar("T")
R = TypeVar("R")

ITEMS_PER_HELPER = 8
"""For fewer items than this nobody is called: handing them over would cost more than it saves."""
ITEMS_PER_TURN = 20
"""Items after which a helper goes back to the end of the queue, so that others are helped too."""


call_helper: ContextVar[Callable[[Callable[[], object]], None] | None] = ContextVar("call_helper", default=None)
"""Hands a job to the pool that the calling thread works in, for a thread that is free; None outside of a pool."""


def map_shared(items: Sequence[T], work: Callable[[T], R], limit: AdaptiveLimit) -> list[R]:
    """Return the results of the items, in their order; as many are worked on at once as the pace allows.

    Helpers run in a copy of the caller's context. An exception of one item is raised once the items under way are done,
    and no more are begun.
    """
    return _Share(items, work, limit).carry_out()


class _Share(Generic[T, R]):
    """The items of one `map_shared`, and who is at work on them."""

    def __init__(self, items: Sequence[T], work: Callable[[T], R], limit: AdaptiveLimit) -> None:
        self._work = work
        self._pace = limit
        self._call_helper = call_helper.get()
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
        """Call as many helpers as the pace has room for and the items are worth."""
        if self._call_helper is None:
            return
        with self._changed:
            wanted = min(self._pace.allowed - 1, len(self._waiting) // ITEMS_PER_HELPER) - self._helpers
            self._helpers += max(0, wanted)
        for _ in range(wanted):
            self._call_helper(partial(copy_context().run, self._help))

    def _help(self) -> None:
        for _ in range(ITEMS_PER_TURN):
            if self._helpers >= self._pace.allowed or not self._work_on_next():
                break
        with self._changed:
            self._helpers -= 1
        self._call_helpers()

    def _work_on_next(self) -> bool:
        """Work on one item, and return whether there was one."""
        with self._changed:
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
