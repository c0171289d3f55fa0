"""Events and barriers say what happens before what; a wait that is not answered fails after `LONG` seconds."""

from collections.abc import Iterator
from contextvars import ContextVar
from threading import Barrier, Event, Thread, current_thread, get_ident
from time import sleep

import pytest

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.concurrency.pool import TaskResult, map_unordered
from tests.concurrency.waiting import LONG, told, wait_for

word: ContextVar[str] = ContextVar("word")


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
