"""The time of one piece of work, after which it is given up alone."""

from threading import Event

import pytest

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.concurrency.pool import TaskResult, map_unordered
from orchestrator.concurrency.work_sharing import AdaptiveLimit, budget, map_shared
from tests.concurrency.waiting import LONG, told, wait_for


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
