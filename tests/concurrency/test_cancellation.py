"""Cancellation: its reason is the first one, and what may be repeated is asked for where it is asked."""

from math import inf

import pytest

from orchestrator.concurrency.cancellation import Cancellation, CancelReason, may_repeat, repeated_while


def test_first_reason_counts() -> None:
    cancellation = Cancellation()

    cancellation.end("lease_lost")
    cancellation.end("deadline")

    assert cancellation.reason == "lease_lost"
    assert cancellation.event.is_set()


@pytest.mark.parametrize(("seconds", "reason"), [(-1, "deadline"), (3600, None)])
def test_deadline_cancels_when_it_has_passed(seconds: float, reason: CancelReason | None) -> None:
    cancellation = Cancellation.after(seconds)

    assert cancellation.reason == reason
    assert cancellation.seconds_left <= seconds
    assert cancellation.event.is_set() is (reason is not None)


def test_interruption_after_which_a_deadline_passes_stays_one() -> None:
    cancellation = Cancellation.after(-1)
    cancellation.event.set()

    cancellation.end("lease_lost")

    assert cancellation.reason == "interrupted"


def test_run_without_a_deadline_has_all_the_time() -> None:
    assert Cancellation().seconds_left == inf


def test_condition_of_a_repetition_holds_inside_alone() -> None:
    with repeated_while(lambda: False):
        assert not may_repeat()
        with repeated_while(lambda: True):
            assert may_repeat()
        assert not may_repeat()
    assert may_repeat()


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
