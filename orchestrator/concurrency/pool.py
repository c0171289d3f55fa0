"""Threads for a run: work that starts while its items are still being listed, results collected on the calling thread.

Generic over items and results. Each piece of work runs in a copy of the caller's context. A piece with many items of
its own is helped with by threads of the same pool (`work_sharing`).

All threads are bound to one core, where the system, as Linux, tells and binds cores. Python runs one thread at a time:
on several cores the interpreter lock and its data move from core to core, which takes more CPU (DECISIONS 36,
`python -m benchmarks.spread`). What threads do without the lock, mostly TLS, takes microseconds.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

from orchestrator.concurrency.cancellation import Cancellation, OutOfTime
from orchestrator.concurrency.work_sharing import budget, call_helper

T = TypeVar("T")
R = TypeVar("R")

CANCEL_TIMEOUT_SECONDS = 12.0
"""How long work under way is waited for after cancellation: with archive and digest, the run ends within 30 s."""
POLL_SECONDS = 0.2
_ABOUT_THIS_THREAD = Path("/proc/thread-self/stat")
_PROCESSOR = 39  # number of the field that holds the core, counted from 1. Source: proc_pid_stat(5).


@dataclass(frozen=True, slots=True)
class TaskResult(Generic[T, R]):
    """What became of one item: a result, an error, or neither where the work was not started or did not end."""

    item: T
    result: R | None = None
    error: BaseException | None = None


def map_unordered(
    items: Iterable[T],
    work: Callable[[T], R],
    *,
    workers: int,
    cancellation: Cancellation,
    timeout_seconds: float = CANCEL_TIMEOUT_SECONDS,
    has_budgets: bool = False,
) -> Iterator[TaskResult[T, R]]:
    """Yield what became of each item, in the order of completion.

    With budgets a piece of work that takes more than half of the time that was left when it began is given up, alone.
    Items are drawn on a thread of their own, so that a slow listing holds nothing up. After cancellation none is drawn
    or started. An error of the listing itself is raised once the items it did give are done.
    """
    pool = _Pool(work, workers, cancellation, has_budgets=has_budgets)
    try:
        yield from pool.results(items, timeout_seconds)
    finally:
        pool.close()


@dataclass(eq=False, slots=True)
class _Piece(Generic[T, R]):
    """One item that was handed to the threads, and its time once it has begun."""

    item: T
    budget: Cancellation | None = None
    future: "Future[TaskResult[T, R]]" = field(default_factory=Future)


class _Pool(Generic[T, R]):
    """The threads of one `map_unordered`. `results` and `close` are for the calling thread, which alone starts work."""

    def __init__(self, work: Callable[[T], R], workers: int, cancellation: Cancellation, *, has_budgets: bool) -> None:
        self._work = work
        self._has_budgets = has_budgets
        self._begun: set[_Piece[T, R]] = set()
        self._cancellation = cancellation
        self._inbox: SimpleQueue[T | Future[Any]] = SimpleQueue()
        self._under_way: dict[Future[TaskResult[T, R]], _Piece[T, R]] = {}
        self._is_listing = True
        self._jobs: deque[Callable[[], object]] = deque()
        bind = one_core()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="account", initializer=bind)
        self._lister = ThreadPoolExecutor(1, thread_name_prefix="listing", initializer=bind)

    def results(self, items: Iterable[T], timeout_seconds: float) -> Iterator[TaskResult[T, R]]:
        """Yield what became of each item, those given up last, and raise the error of the listing, if any."""
        listing = self._lister.submit(copy_context().run, self._announce, items)
        listing.add_done_callback(self._inbox.put)  # after the last item
        give_up_at: float | None = None
        while self._under_way or self._is_listing:
            if give_up_at is None and self._cancellation.reason:
                give_up_at = monotonic() + timeout_seconds
                for future in tuple(self._under_way):
                    future.cancel()
            yield from self._give_up_slow()
            is_late = give_up_at is not None and monotonic() > give_up_at
            try:
                arrival = self._inbox.get(timeout=0 if is_late else POLL_SECONDS)
            except Empty:
                if is_late or (give_up_at is not None and not self._under_way):
                    break  # what the listing draws from here on is not told
                continue
            if arrival is listing:
                self._is_listing = False
            yield from self._receive(arrival, is_cancelled=give_up_at is not None)
        yield from (TaskResult(piece.item) for piece in self._under_way.values())
        if listing.done() and (error := listing.exception()):
            raise error

    def _give_up_slow(self) -> Iterator[TaskResult[T, R]]:
        """Yield the items whose own time is over; what becomes of them later is dropped."""
        for piece in tuple(self._begun):
            is_over = piece.budget is not None and piece.budget.reason is not None
            if is_over and self._under_way.pop(piece.future, None) is not None:
                yield TaskResult(piece.item)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._lister.shutdown(wait=False)

    def _announce(self, items: Iterable[T]) -> None:
        for item in items:
            self._inbox.put(item)
            if self._cancellation.reason:
                return

    def _receive(self, arrival: T | Future[Any], *, is_cancelled: bool) -> Iterator[TaskResult[T, R]]:
        """Yield the result that has arrived; an item that has arrived starts its work, unless the run is cancelled."""
        if isinstance(arrival, Future):
            if (piece := self._under_way.pop(arrival, None)) is None:
                return
            if arrival.cancelled() or isinstance(error := arrival.exception(), OutOfTime):
                yield TaskResult(piece.item)
            else:
                yield TaskResult(piece.item, error=error) if error else arrival.result()
        elif is_cancelled:
            yield TaskResult(arrival)
        else:
            piece = _Piece[T, R](arrival)
            piece.future = self._threads.submit(copy_context().run, self._start, piece)
            self._under_way[piece.future] = piece
            piece.future.add_done_callback(self._inbox.put)

    def _call(self, job: Callable[[], object]) -> None:
        """Have a job done by a free thread, or before the next item is begun: no large work is left until the end."""
        self._jobs.append(job)
        with suppress(RuntimeError):
            self._threads.submit(self._help)

    def _help(self) -> None:
        """Do the job that has waited longest, if there is one."""
        try:
            job = self._jobs.popleft()
        except IndexError:
            return
        job()

    def _start(self, piece: _Piece[T, R]) -> TaskResult[T, R]:
        """Do the work of one item, on a thread of the pool, unless cancellation came first."""
        self._help()
        if self._cancellation.reason:
            return TaskResult(piece.item)
        call_helper.set(self._call)
        piece.budget = self._cancellation.half() if self._has_budgets else None
        budget.set(piece.budget)
        self._begun.add(piece)
        try:
            return TaskResult(piece.item, self._work(piece.item))
        finally:
            self._begun.discard(piece)


def one_core() -> Callable[[], None]:
    """Return a function that binds its thread to the core that this thread is on, where Python has a global lock."""
    core = _find_core()

    def bind() -> None:
        if core is not None:
            with suppress(OSError):  # the process may no longer use this core
                os.sched_setaffinity(0, {core})

    return bind


def _find_core() -> int | None:
    has_one_at_a_time: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not has_one_at_a_time or not hasattr(os, "sched_setaffinity"):
        return None
    try:
        after_name = _ABOUT_THIS_THREAD.read_text().rpartition(")")[2].split()  # the name, field 2, may hold anything
        return int(after_name[_PROCESSOR - 3])
    except (OSError, ValueError, IndexError):
        return None
