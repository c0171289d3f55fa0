"""Threads for a run: work that starts while its items are still being listed, results collected on the calling thread.

Knows nothing of AWS or accounts. Each piece of work runs in a copy of the caller's context. A piece that has many items
of its own can be helped with by threads of the same pool (`sharing`). All of these run on one core (`cores`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, TypeVar

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.concurrency.cpu_affinity import one_core
from orchestrator.concurrency.work_sharing import crew

T = TypeVar("T")
R = TypeVar("R")

PATIENCE_SECONDS = 12.0
"""How long work under way is waited for after cancellation: with archive and digest, the run ends within 30 s."""
_TICK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Worked(Generic[T, R]):
    """What became of one item: a result, an error, or neither where the work was not started or did not end."""

    item: T
    result: R | None = None
    error: BaseException | None = None


def work_through(
    items: Iterable[T],
    work: Callable[[T], R],
    *,
    workers: int,
    cancellation: Cancellation,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Iterator[Worked[T, R]]:
    """Yield what became of each item, in the order of completion.

    Items are drawn on a thread of their own, so that a slow listing holds nothing up. After cancellation none is drawn
    or started. An error of the listing itself is raised once the items it did give are done.
    """
    pool = _Pool(work, workers, cancellation)
    pool.draw(items)
    try:
        while pool.is_busy() and not pool.is_out_of_patience(patience_seconds):
            yield from pool.collect()
        yield from pool.abandoned()
        pool.raise_listing_error()
    finally:
        pool.close()


class _EndOfListing:
    """Tells that there are no more items, so that the last result is not followed by a wait for another."""


class _Pool(Generic[T, R]):
    """The threads of one `work_through`; every public method but `call` is for the calling thread."""

    def __init__(self, work: Callable[[T], R], workers: int, cancellation: Cancellation) -> None:
        self._work = work
        self._cancellation = cancellation
        self._halted_at: float | None = None
        self._events: SimpleQueue[T | Future[Worked[T, R]] | _EndOfListing] = SimpleQueue()
        self._under_way: dict[Future[Worked[T, R]], T] = {}
        self._jobs: deque[Callable[[], object]] = deque()
        bind = one_core()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="account", initializer=bind)
        self._lister = ThreadPoolExecutor(1, thread_name_prefix="listing", initializer=bind)
        self._listing: Future[None]

    def draw(self, items: Iterable[T]) -> None:
        """Begin to draw the items, each announced as an event."""

        def announce() -> None:
            for item in items:
                self._events.put(item)
                if self._cancellation.reason:
                    return

        self._listing = self._lister.submit(copy_context().run, announce)
        self._listing.add_done_callback(lambda _: self._events.put(_EndOfListing()))

    def is_busy(self) -> bool:
        is_listing = not self._listing.done() and self._halted_at is None
        return is_listing or bool(self._under_way) or not self._events.empty()

    def is_out_of_patience(self, seconds: float) -> bool:
        return self._halted_at is not None and monotonic() - self._halted_at > seconds

    def collect(self) -> Iterator[Worked[T, R]]:
        """Yield what the next event brings, if anything: an item starts its work, a future ends it."""
        if self._halted_at is None and self._cancellation.reason:
            self._halted_at = monotonic()
            for future in tuple(self._under_way):
                future.cancel()
        try:
            event = self._events.get(timeout=_TICK_SECONDS)
        except Empty:
            return
        if isinstance(event, _EndOfListing):
            return
        if isinstance(event, Future):
            yield _worked(self._under_way.pop(event), event)
        elif self._halted_at is not None:
            yield Worked(event)
        else:
            future = self._threads.submit(copy_context().run, self._start, event)
            self._under_way[future] = event
            future.add_done_callback(self._events.put)

    def call(self, job: Callable[[], object]) -> None:
        """Have a job done that helps with work under way, by a thread that is free or before the next item is begun.

        Items that wait and jobs take turns: a large piece of work is not left until the end, and holds up no other.
        Once the pool is closed no job is done.
        """
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

    def _start(self, item: T) -> Worked[T, R]:
        """Do the work of one item, on a thread of the pool, unless cancellation came first."""
        self._help()
        if self._cancellation.reason:
            return Worked(item)
        crew.set(self)
        return Worked(item, self._work(item))

    def abandoned(self) -> Iterator[Worked[T, R]]:
        """Yield the items whose work is not waited for any longer."""
        yield from map(Worked, self._under_way.values())

    def raise_listing_error(self) -> None:
        if self._listing.done() and (error := self._listing.exception()):
            raise error

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._lister.shutdown(wait=False)


def _worked(item: T, future: "Future[Worked[T, R]]") -> Worked[T, R]:
    if future.cancelled():
        return Worked(item)
    error = future.exception()
    return Worked(item, error=error) if error else future.result()
