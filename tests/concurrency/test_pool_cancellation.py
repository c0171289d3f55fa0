"""A pool that is cancelled: nothing more is started, what runs is waited for, and what was drawn is told."""

from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event, current_thread

import pytest

from orchestrator.concurrency.cancellation import Cancellation, CancelReason
from orchestrator.concurrency.pool import TaskResult, map_unordered
from tests.concurrency.waiting import LONG, told, wait_for


@pytest.mark.parametrize("reason", ["interrupted", "deadline"])
def test_after_a_cancellation_nothing_is_started_and_what_was_drawn_is_told(reason: str) -> None:
    cancellation = Cancellation.after(-1 if reason == "deadline" else 3600)
    if reason == "interrupted":
        cancellation.event.set()
    started: list[int] = []

    found = told(map_unordered(range(1000), started.append, workers=4, cancellation=cancellation))

    assert started == []
    assert found in ({}, {0: TaskResult(0)})  # the first may have been drawn, or not


def test_cancellation_ends_the_listing_and_tells_what_was_drawn() -> None:
    cancellation = Cancellation()
    runs, go_on = Event(), Event()
    drawn: list[int] = []
    started: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            if item == 3:
                wait_for(runs)
                cancellation.event.set()
            drawn.append(item)
            yield item

    def work(item: int) -> str:
        started.append(item)
        runs.set()
        wait_for(go_on)
        return "finished"

    found: dict[int, TaskResult[int, str]] = {}
    for one in map_unordered(items(), work, workers=1, cancellation=cancellation):
        found[one.item] = one
        if one.item == 3:
            go_on.set()

    assert drawn == [0, 1, 2, 3]
    assert started == [0]
    assert found == {0: TaskResult(0, result="finished"), 1: TaskResult(1), 2: TaskResult(2), 3: TaskResult(3)}


def test_cancellation_cancels_what_waits_and_lets_what_runs_finish() -> None:
    cancellation = Cancellation()
    listed, runs, go_on = Event(), Event(), Event()
    started: list[str] = []

    def items() -> Iterator[str]:
        yield from ("quick", "under way", "waiting")
        listed.set()

    def work(item: str) -> str:
        started.append(item)
        wait_for(listed)
        if item != "quick":
            runs.set()
            wait_for(go_on)
        return "finished"

    done = map_unordered(items(), work, workers=1, cancellation=cancellation)
    quick = next(done)  # the end of `quick` is announced after both others, so they have been handed to the worker
    wait_for(runs)
    cancellation.event.set()
    cancelled = next(done)
    go_on.set()

    assert quick == TaskResult("quick", result="finished")
    assert cancelled == TaskResult("waiting")
    assert list(done) == [TaskResult("under way", result="finished")]
    assert started == ["quick", "under way"]


def test_item_drawn_while_a_cancelled_run_ends_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.concurrency.pool.POLL_SECONDS", LONG)
    cancellation = Cancellation()
    listed, runs, go_on, draw_last = Event(), Event(), Event(), Event()

    def items() -> Iterator[str]:
        yield from ("quick", "under way", "waiting")
        listed.set()
        wait_for(draw_last)
        yield "drawn last"

    def work(item: str) -> str:
        wait_for(listed)
        if item == "under way":
            runs.set()
            wait_for(go_on)
        return "finished"

    done = map_unordered(items(), work, workers=1, cancellation=cancellation)
    told_first = [next(done)]
    wait_for(runs)
    cancellation.event.set()
    told_first.append(next(done))
    go_on.set()
    told_first.append(next(done))
    draw_last.set()

    assert {one.item for one in told_first} == {"quick", "under way", "waiting"}
    assert list(done) == [TaskResult("drawn last")]


class WatchedCancellation(Cancellation):
    """A cancellation that knows when a worker has asked for it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_by_worker = Event()

    @property
    def reason(self) -> CancelReason | None:
        if current_thread().name.startswith("account") and self.event.is_set():
            self.asked_by_worker.set()
        return super().reason


def test_worker_that_is_done_starts_nothing_after_a_cancellation_even_before_the_caller_looks() -> None:
    cancellation = WatchedCancellation()
    listed, runs, go_on = Event(), Event(), Event()
    started: list[str] = []

    def items() -> Iterator[str]:
        yield from ("first", "second", "third")
        listed.set()

    def work(item: str) -> None:
        started.append(item)
        if item == "first":
            wait_for(listed)
        elif item == "second":
            runs.set()
            wait_for(go_on)
        else:
            cancellation.asked_by_worker.set()

    done = map_unordered(items(), work, workers=1, cancellation=cancellation)
    next(done)
    wait_for(runs)
    cancellation.event.set()
    go_on.set()
    wait_for(cancellation.asked_by_worker)
    list(done)

    assert started == ["first", "second"]


def test_work_that_does_not_end_is_told_as_abandoned_when_patience_does() -> None:
    cancellation = Cancellation()
    runs, go_on = Event(), Event()

    def work(item: str) -> None:
        runs.set()
        wait_for(go_on)

    def items() -> Iterator[str]:
        yield "stuck"
        wait_for(runs)
        cancellation.event.set()

    with ExitStack() as at_the_end:
        at_the_end.callback(go_on.set)
        found = told(map_unordered(items(), work, workers=1, cancellation=cancellation, timeout_seconds=0))

    assert found == {"stuck": TaskResult("stuck")}


def test_listing_that_does_not_end_holds_no_cancellation_up() -> None:
    cancellation = Cancellation()
    go_on = Event()

    def items() -> Iterator[int]:
        yield 1
        wait_for(go_on)

    def work(item: int) -> int:
        cancellation.event.set()
        return item

    with ExitStack() as at_the_end:
        at_the_end.callback(go_on.set)
        found = told(map_unordered(items(), work, workers=1, cancellation=cancellation, timeout_seconds=float("inf")))

    assert set(found) == {1}
