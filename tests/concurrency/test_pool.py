"""Events and barriers say what happens before what; a wait that is not answered fails after `LONG` seconds."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from contextvars import ContextVar
from threading import Barrier, Event, Thread, current_thread, get_ident
from time import sleep
from typing import Any

import pytest

from orchestrator.concurrency.cancellation import Cancellation, CancelReason
from orchestrator.concurrency.pool import TaskResult, map_unordered
from orchestrator.concurrency.work_sharing import AdaptiveLimit, budget, map_shared

LONG = 30.0

word: ContextVar[str] = ContextVar("word")


def wait_for(event: Event) -> None:
    assert event.wait(LONG), "what this waits for never happened"


def told(done: Iterable[TaskResult[Any, Any]]) -> dict[Any, TaskResult[Any, Any]]:
    """Return what became of each item; an item that is told twice fails."""
    found: dict[Any, TaskResult[Any, Any]] = {}
    for one in done:
        assert one.item not in found
        found[one.item] = one
    return found


# -- work ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3, 64])
def test_every_item_has_its_result(workers: int) -> None:
    found = told(map_unordered(range(50), lambda item: item * 2, workers=workers, cancellation=Cancellation()))

    assert {item: done.result for item, done in found.items()} == {item: item * 2 for item in range(50)}


def test_nothing_to_do_gives_nothing() -> None:
    assert list(map_unordered(iter(()), str, workers=2, cancellation=Cancellation())) == []


def test_work_starts_while_items_are_still_being_listed() -> None:
    first_is_done = Event()

    def items() -> Iterator[str]:
        yield "first"
        wait_for(first_is_done)
        yield "second"

    def work(item: str) -> None:
        if item == "first":
            first_is_done.set()

    assert set(told(map_unordered(items(), work, workers=1, cancellation=Cancellation()))) == {"first", "second"}


def test_results_are_given_while_others_are_under_way() -> None:
    go_on = Event()

    def work(item: str) -> str:
        if item == "slow":
            wait_for(go_on)
        return item

    done = map_unordered(["slow", "quick"], work, workers=2, cancellation=Cancellation())

    assert next(done).item == "quick"
    go_on.set()
    assert [one.result for one in done] == ["slow"]


def test_listing_that_ends_after_the_last_result_is_not_waited_for_any_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.concurrency.pool.POLL_SECONDS", 2 * LONG)
    last_is_told = Event()

    def items() -> Iterator[str]:
        yield "last"
        wait_for(last_is_told)
        sleep(0.1)  # so that the caller has begun to wait for what comes next

    def listen() -> None:
        for _ in map_unordered(items(), str, workers=1, cancellation=Cancellation()):
            last_is_told.set()

    listener = Thread(target=listen, daemon=True)
    listener.start()
    listener.join(LONG)

    assert not listener.is_alive()


def test_workers_and_listing_run_on_the_core_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    bound: dict[int, object] = {}
    monkeypatch.setattr("os.sched_setaffinity", lambda _, cores: bound.update({get_ident(): cores}), raising=False)
    monkeypatch.setattr("orchestrator.concurrency.pool._find_core", lambda: 7)
    at_once = Barrier(3)

    def items() -> Iterator[int]:
        for _ in range(3):
            yield get_ident()

    def work(_: int) -> int:
        at_once.wait(LONG)
        return get_ident()

    threads = {
        ident
        for one in map_unordered(items(), work, workers=3, cancellation=Cancellation())
        for ident in (one.item, one.result)
    }

    assert len(threads) == 4
    assert bound.keys() == threads
    assert all(cores == {7} for cores in bound.values())


def test_as_many_items_are_worked_on_at_once_as_there_are_workers() -> None:
    at_once = Barrier(8)

    found = told(map_unordered(range(8), lambda _: at_once.wait(LONG), workers=8, cancellation=Cancellation()))

    assert sorted(done.result or 0 for done in found.values()) == list(range(8))


def test_no_more_items_are_worked_on_at_once_than_there_are_workers() -> None:
    names: set[str] = set()

    list(map_unordered(range(40), lambda _: names.add(current_thread().name), workers=2, cancellation=Cancellation()))

    assert len(names) <= 2
    assert current_thread().name not in names


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("Users"), SystemExit(3), AssertionError()])
def test_exception_belongs_to_its_item_alone(error: BaseException) -> None:
    def work(item: int) -> int:
        if item == 2:
            raise error
        return item

    found = told(map_unordered(range(5), work, workers=2, cancellation=Cancellation()))

    assert found[2] == TaskResult(2, error=error)
    assert {item for item, done in found.items() if done.error is None} == {0, 1, 3, 4}
    assert all(found[item].result == item for item in (0, 1, 3, 4))


def test_listing_that_breaks_off_raises_after_the_items_it_gave() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise ConnectionError("page 2")

    seen: list[str | None] = []
    with pytest.raises(ConnectionError, match="page 2"):
        seen.extend(one.result for one in map_unordered(items(), str, workers=1, cancellation=Cancellation()))

    assert seen == ["0", "1", "2"]


def test_listing_that_breaks_off_at_once_raises() -> None:
    def read(page: int) -> int:
        raise ConnectionError(f"page {page}")

    with pytest.raises(ConnectionError, match="page 1"):
        list(map_unordered(map(read, [1, 2]), str, workers=1, cancellation=Cancellation()))


def test_caller_may_stop_listening() -> None:
    started: list[int] = []
    done = map_unordered(range(3), started.append, workers=1, cancellation=Cancellation())

    next(done)
    done.close()  # type: ignore[attr-defined]  # map_unordered is a generator, and says only that it is an iterator

    assert next(done, None) is None


# -- cancellation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cancellation", "reason"),
    [
        (Cancellation(), None),
        (Cancellation.after(3600), None),
        (Cancellation.after(-1), "deadline"),
        (Cancellation(deadline=0.0), "deadline"),
    ],
)
def test_cancellation_begins_at_its_deadline(cancellation: Cancellation, reason: CancelReason | None) -> None:
    assert cancellation.reason == reason


@pytest.mark.parametrize("cancellation", [Cancellation(), Cancellation.after(3600), Cancellation.after(-1)])
def test_interruption_is_a_cancellation_before_and_after_the_deadline(cancellation: Cancellation) -> None:
    cancellation.event.set()

    assert cancellation.reason == "interrupted"


def test_deadline_ends_all_waiting_once_it_is_seen_and_stays_the_reason() -> None:
    cancellation = Cancellation.after(-1)

    assert [cancellation.reason, cancellation.reason] == ["deadline", "deadline"]
    assert cancellation.event.is_set()


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


# -- context ---------------------------------------------------------------------------------------------------------


def test_work_and_listing_see_the_variables_of_the_caller() -> None:
    token = word.set("caller")

    def items() -> Iterator[str]:
        yield f"listed by {word.get()}"

    (done,) = map_unordered(
        items(), lambda item: f"{item}, done for {word.get()}", workers=1, cancellation=Cancellation()
    )
    word.reset(token)

    assert done.result == "listed by caller, done for caller"


def test_what_one_item_sets_neither_another_nor_the_caller_sees() -> None:
    token = word.set("caller")
    at_once = Barrier(4)

    def work(item: int) -> tuple[str, str]:
        before = word.get()
        word.set(f"item {item}")
        at_once.wait(LONG)
        return before, word.get()

    found = told(map_unordered(range(8), work, workers=4, cancellation=Cancellation()))
    after = word.get()
    word.reset(token)

    assert {item: done.result for item, done in found.items()} == {
        item: ("caller", f"item {item}") for item in range(8)
    }
    assert after == "caller"


# -- the time of one piece of work -----------------------------------------------------------------------------------


class Paced(Cancellation):
    """One whose pieces of work end their time when they say so themselves."""

    def half(self) -> Cancellation:
        return Cancellation()


def run_out() -> None:
    """Have the time of this piece of work be over."""
    piece = budget.get()
    assert piece is not None
    piece.event.set()


def test_piece_whose_time_is_over_is_given_up_alone_and_never_told_again() -> None:
    is_given_up, has_ended = Event(), Event()

    def work(item: str) -> str:
        if item == "slow":
            run_out()
            wait_for(is_given_up)
            has_ended.set()
        if item == "last":
            wait_for(has_ended)
        return item

    found: dict[str, TaskResult[str, str]] = {}
    for done in map_unordered(["slow", "quick", "last"], work, workers=3, cancellation=Paced(), has_budgets=True):
        assert done.item not in found
        found[done.item] = done
        if done.item == "slow":
            is_given_up.set()

    assert {item: done.result for item, done in found.items()} == {"slow": None, "quick": "quick", "last": "last"}
    assert found["slow"].error is None


def test_piece_that_ends_by_itself_when_its_time_is_over_has_no_result_and_no_error() -> None:
    def work(item: int) -> list[int]:
        run_out()
        return map_shared([item], lambda one: one, AdaptiveLimit())

    found = told(map_unordered(range(20), work, workers=2, cancellation=Paced(), has_budgets=True))

    assert set(found) == set(range(20))
    assert {(done.result, done.error) for done in found.values()} == {(None, None)}


@pytest.mark.parametrize(
    ("cancellation", "has_budgets"), [(Cancellation(), True), (Cancellation.after(LONG * 100), False), (Paced(), False)]
)
def test_without_an_end_or_where_nobody_asks_for_it_no_piece_has_a_time(
    cancellation: Cancellation, *, has_budgets: bool
) -> None:
    found = told(
        map_unordered(range(3), lambda _: budget.get(), workers=1, cancellation=cancellation, has_budgets=has_budgets)
    )

    assert [done.result for done in found.values()] == [None] * 3


def test_time_of_a_piece_is_half_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("orchestrator.concurrency.cancellation.monotonic", lambda: now[0])
    run = Cancellation.after(840)
    now[0] += 40
    piece = run.half()
    assert piece is not None

    reasons = []
    for seconds in (0, 399, 401):
        now[0] = 1040 + seconds
        reasons.append((piece.reason, run.reason))

    assert reasons == [(None, None), (None, None), ("deadline", None)]
