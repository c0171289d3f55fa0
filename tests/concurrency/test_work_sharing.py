"""Who works on the items of one piece of work, and in which order what happens; a wait that is not answered fails."""

from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from threading import Barrier, Event, Lock, Thread, current_thread
from typing import Any

import pytest

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.concurrency.pool import map_unordered
from orchestrator.concurrency.work_sharing import (
    ITEMS_PER_HELPER,
    ITEMS_PER_TURN,
    MOST,
    AdaptiveLimit,
    _Share,
    budget,
    call_helper,
    map_shared,
)
from tests.concurrency.waiting import LONG, wait_for

word: ContextVar[str] = ContextVar("word")


def make_pace(allowed: int) -> AdaptiveLimit:
    limit = AdaptiveLimit()
    while limit.allowed < allowed:
        limit.on_success()
    while limit.allowed > allowed:
        limit.on_throttle()
    return limit


def in_a_pool(job: Callable[[], Any], workers: int) -> Any:
    """Return what a job returns that runs on a thread of a pool whose other threads are idle."""
    (done,) = map_unordered(["job"], lambda _: job(), workers=workers, cancellation=Cancellation())
    if done.error is not None:
        raise done.error
    return done.result


@dataclass
class CalledCrew:
    """A crew that keeps the jobs until the test does them."""

    jobs: list[Callable[[], object]] = field(default_factory=list)

    def call(self, job: Callable[[], object]) -> None:
        self.jobs.append(job)

    def share(self, items: range, work: Callable[[int], Any], limit: AdaptiveLimit) -> list[Any]:
        """Share items out with this crew at hand."""

        def run() -> list[Any]:
            call_helper.set(self.call)
            return map_shared(items, work, limit)

        return copy_context().run(run)


@dataclass
class AtOnce:
    """Counts how many are at work at the same time."""

    now: int = 0
    most: int = 0
    lock: Lock = field(default_factory=Lock)

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.now -= 1


# -- who works


def test_alone_the_caller_does_everything_in_order() -> None:
    done: list[int] = []

    def work(item: int) -> str:
        done.append(item)
        return str(item)

    results = map_shared(range(50), work, AdaptiveLimit())

    assert results == [str(item) for item in range(50)]
    assert done == list(range(50))


def test_no_items_give_no_results() -> None:
    assert map_shared([], str, AdaptiveLimit()) == []


@pytest.mark.parametrize("allowed", [2, 4, 16])
def test_idle_threads_help_as_many_as_the_pace_allows_and_results_keep_the_order(allowed: int) -> None:
    at_once, count = Barrier(allowed), AtOnce()

    def work(item: int) -> str:
        with count:
            if item < allowed:
                at_once.wait(LONG)
            return str(item)

    results = in_a_pool(lambda: map_shared(range(200), work, make_pace(allowed)), workers=20)

    assert results == [str(item) for item in range(200)]
    assert count.most == allowed


def test_there_are_never_more_threads_than_the_pool_has() -> None:
    names: set[str] = set()

    in_a_pool(lambda: map_shared(range(200), lambda _: names.add(current_thread().name), make_pace(16)), workers=3)

    assert len(names) <= 3


def test_in_an_account_that_is_throttled_nobody_helps() -> None:
    called = CalledCrew()

    assert called.share(range(100), str, make_pace(1)) == [str(item) for item in range(100)]
    assert called.jobs == []


def test_for_a_handful_of_items_nobody_is_called() -> None:
    called = CalledCrew()

    called.share(range(ITEMS_PER_HELPER - 1), str, make_pace(16))

    assert called.jobs == []


def test_more_are_called_as_the_pace_rises() -> None:
    called, limit = CalledCrew(), make_pace(2)

    def work(item: int) -> None:
        for _ in range(10):
            limit.on_success()

    called.share(range(400), work, limit)

    assert len(called.jobs) == MOST - 1


def test_helper_leaves_when_the_pace_falls() -> None:
    called, limit, helped = CalledCrew(), make_pace(2), list[int]()

    def work(item: int) -> None:
        if current_thread().name == "helper":
            helped.append(item)
            limit.on_throttle()
        elif item == 0:
            thread = Thread(target=called.jobs.pop(), name="helper")
            thread.start()
            thread.join(LONG)

    called.share(range(200), work, limit)

    assert helped == [1]
    assert called.jobs == []


def test_helper_goes_to_the_end_of_the_queue_after_a_stint() -> None:
    called, helped, waiting = CalledCrew(), list[int](), list[int]()

    def work(item: int) -> None:
        if current_thread().name == "helper":
            helped.append(item)
        elif item == 0:
            thread = Thread(target=called.jobs.pop(), name="helper")
            thread.start()
            thread.join(LONG)
            waiting.append(len(called.jobs))

    called.share(range(200), work, make_pace(2))

    assert helped == list(range(1, ITEMS_PER_TURN + 1))
    assert waiting == [1]


# -- waiting


def test_caller_does_not_wait_for_help_that_never_comes() -> None:
    assert CalledCrew().share(range(100), str, make_pace(4)) == [str(item) for item in range(100)]


def test_help_that_comes_too_late_finds_nothing_to_do() -> None:
    called, done = CalledCrew(), list[int]()
    called.share(range(100), done.append, make_pace(4))

    for job in called.jobs:
        job()

    assert done == list(range(100))


def test_caller_waits_for_the_helper_that_has_an_item() -> None:
    helps, go_on = Event(), Event()

    def work(item: int) -> str:
        if current_thread().name == "helper":
            helps.set()
            wait_for(go_on)
        elif item == 0:
            Thread(target=called.jobs.pop(), name="helper").start()
            wait_for(helps)
        elif item == 99:
            go_on.set()
        return str(item)

    called = CalledCrew()

    assert called.share(range(100), work, make_pace(2)) == [str(item) for item in range(100)]


def test_pool_of_one_thread_does_not_lock_up() -> None:
    assert len(in_a_pool(lambda: map_shared(range(100), str, make_pace(16)), workers=1)) == 100


def test_large_pieces_that_all_want_help_end() -> None:
    """Four pieces on four threads: nobody is idle at first, and none waits for another."""

    def work(piece: int) -> list[str]:
        return map_shared(range(300), lambda item: f"{piece}-{item}", make_pace(16))

    found = {one.item: one.result for one in map_unordered(range(12), work, workers=4, cancellation=Cancellation())}

    assert found == {piece: [f"{piece}-{item}" for item in range(300)] for piece in range(12)}


def test_free_thread_helps_before_it_begins_the_next_piece() -> None:
    helped, large_is_done = Event(), Event()
    listed = Event()
    calls_for_help = Event()

    def items() -> Iterator[str]:
        yield from ("large", "small", "waits for the large one")
        listed.set()

    def work_in_large(item: int) -> None:
        if current_thread() is large_threads[0]:
            calls_for_help.set()
            wait_for(helped)
        helped.set()

    large_threads: list[Thread] = []

    def work(item: str) -> None:
        if item == "large":
            large_threads.append(current_thread())
            wait_for(listed)
            map_shared(range(100), work_in_large, make_pace(2))
            large_is_done.set()
        elif item == "small":
            wait_for(calls_for_help)
        else:
            wait_for(large_is_done)

    done = list(map_unordered(items(), work, workers=2, cancellation=Cancellation()))

    assert [one.error for one in done] == [None, None, None]


def test_work_that_is_not_waited_for_any_longer_goes_on_alone() -> None:
    cancellation, runs, go_on, done = Cancellation(), Event(), Event(), Event()
    results: list[str] = []

    def items() -> Iterator[str]:
        yield "abandoned"
        wait_for(runs)
        cancellation.event.set()

    def work(item: str) -> None:
        runs.set()
        wait_for(go_on)
        results.extend(map_shared(range(100), str, make_pace(4)))
        done.set()

    list(map_unordered(items(), work, workers=4, cancellation=cancellation, timeout_seconds=0))
    go_on.set()
    wait_for(done)

    assert results == [str(item) for item in range(100)]


# -- errors and context


@pytest.mark.parametrize("failing", ["caller", "helper"])
@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3)])
def test_error_of_one_item_is_raised_after_the_others_under_way_and_no_more_are_begun(
    failing: str, error: BaseException
) -> None:
    together, finished, first = Barrier(4), list[int](), iter([True])
    shares: list[_Share[int, None]] = []

    def work(item: int) -> None:
        together.wait(LONG)
        if word.get() == failing and next(first, False):
            raise error
        with shares[0]._changed:
            assert shares[0]._changed.wait_for(lambda: not shares[0]._waiting, LONG)
        finished.append(item)

    def job() -> None:
        word.set("helper")
        shares.append(_Share(range(100), work, make_pace(4)))
        shares[0]._call_helpers()
        word.set("caller")
        shares[0].carry_out()

    with pytest.raises(type(error)):
        in_a_pool(job, workers=4)

    assert len(finished) == 3


def test_helpers_see_the_variables_of_the_caller_and_keep_theirs() -> None:
    together = Barrier(4)
    found: set[str] = set()

    def work(item: int) -> None:
        if item < 4:
            found.add(word.get())
            word.set(f"item {item}")
            together.wait(LONG)

    def job() -> str:
        token = word.set("caller")
        map_shared(range(100), work, make_pace(4))
        after = word.get()
        word.reset(token)
        return after

    after = in_a_pool(job, workers=4)

    assert found == {"caller"}
    assert after in {f"item {item}" for item in range(4)}  # what the caller itself set


@pytest.mark.parametrize("workers", [1, 8])
def test_no_item_is_begun_once_the_time_of_the_piece_is_over(workers: int) -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if len(begun) == 5:
            own.event.set()
        return item

    own = Cancellation()

    def job() -> list[int]:
        budget.set(own)
        return map_shared(range(200), work, make_pace(4))

    (done,) = map_unordered(["job"], lambda _: job(), workers=workers, cancellation=Cancellation())

    assert (done.result, done.error) == (None, None)
    assert 5 <= len(begun) <= 5 + 4


def test_piece_whose_last_item_is_done_when_its_time_is_over_has_its_result() -> None:
    own = Cancellation()

    def work(item: int) -> int:
        if item == 3:
            own.event.set()
        return item

    def job() -> list[int]:
        budget.set(own)
        return map_shared([1, 2, 3], work, make_pace(1))

    assert in_a_pool(job, workers=1) == [1, 2, 3]
