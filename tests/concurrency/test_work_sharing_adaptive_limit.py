"""How many may be at work in an account, by what AWS answered."""

import random

import pytest

from orchestrator.concurrency.work_sharing import AdaptiveLimit


def paced(*, throttled_share: float, calls: int = 2000) -> AdaptiveLimit:
    """Return a pace after so many calls, of which this share was throttled."""
    limit, dice = AdaptiveLimit(), random.Random(3)  # noqa: S311 - no secret
    for _ in range(calls):
        if dice.random() < throttled_share:
            limit.on_throttle()
        else:
            limit.on_success()
    return limit


def test_account_that_nothing_is_known_of_is_begun_with_a_few() -> None:
    assert AdaptiveLimit().allowed == 4


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 24, 24), (0.05, 8, 24), (0.3, 1, 2), (0.6, 1, 1)])
def test_pace_rises_while_calls_are_answered_and_falls_while_they_are_throttled(
    share: float, least: int, most: int
) -> None:
    assert least <= paced(throttled_share=share).allowed <= most


def test_one_is_always_allowed() -> None:
    limit = AdaptiveLimit()
    for _ in range(100):
        limit.on_throttle()

    assert limit.allowed == 1


def test_pace_recovers() -> None:
    limit = paced(throttled_share=1.0)
    for _ in range(160):
        limit.on_success()

    assert limit.allowed >= 15
