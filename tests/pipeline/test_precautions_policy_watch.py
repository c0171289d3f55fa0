"""Whose write is vouched for by a look: only one that was over before the look began."""

from dataclasses import replace

import pytest

from orchestrator.domain.errors import Throttled
from orchestrator.domain.model import Decision, Enforcement, Outcome, PolicyState, Verdict, Via
from orchestrator.pipeline.precautions import WRITES_PER_LOOK, PolicyWatch
from tests.builders import make_enforcement, make_user
from tests.fakes import fail


class Account:
    """An account whose policy can change, and the books of its writes."""

    def __init__(self) -> None:
        self.now = make_enforcement()
        self.done: list[Decision] = [Decision(make_user("earlier"), Verdict.COMPLIANT, Outcome.NONE)]
        self.looks = 0
        self.watch = PolicyWatch(self.look, self.now, self.done)

    def look(self) -> Enforcement:
        self.looks += 1
        return self.now

    def end_writes(self, *names: str, outcome: Outcome = Outcome.ENFORCED) -> None:
        self.done.extend(Decision(make_user(name), Verdict.NON_COMPLIANT, outcome, Via.USER) for name in names)

    def fates(self) -> dict[str, str]:
        return {one.user.name: one.outcome.value for one in self.done}


def test_write_that_was_under_way_during_a_good_look_is_not_vouched_for_by_it() -> None:
    account = Account()
    assert [account.watch.forbid() for _ in range(WRITES_PER_LOOK)] == [None] * WRITES_PER_LOOK
    account.end_writes("over-1", "over-2", "over-3")
    assert account.watch.forbid() is None
    account.end_writes("under-way-1", "under-way-2", "later")
    account.now = replace(account.now, version="another")

    account.watch.settle()

    assert account.fates() == {
        "earlier": "none",
        **dict.fromkeys(["over-1", "over-2", "over-3"], "enforced"),
        **dict.fromkeys(["under-way-1", "under-way-2", "later"], "failed"),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"version": "another"},
        {"policy": PolicyState.DRIFTED},
        {"policy": PolicyState.MISSING, "version": ""},
        {"group": PolicyState.DRIFTED},
    ],
)
def test_after_a_change_nothing_is_let_through_also_where_it_is_taken_back(change: dict[str, object]) -> None:
    account, first = Account(), make_enforcement()
    for _ in range(WRITES_PER_LOOK):
        account.watch.forbid()
    account.now = replace(first, **change)  # type: ignore[arg-type]
    refused = account.watch.forbid()
    account.now = first

    assert refused is not None
    assert [account.watch.forbid() for _ in range(7)] == [refused] * 7
    account.end_writes("alice")
    account.watch.settle()
    assert account.fates()["alice"] == "failed"
    assert account.looks == 1


def test_who_was_not_enforced_keeps_the_outcome_and_its_reason() -> None:
    account = Account()
    account.watch.forbid()
    account.end_writes("full", outcome=Outcome.QUOTA_EXCEEDED)
    account.now = replace(account.now, version="another")

    account.watch.settle()

    assert account.fates()["full"] == "quota_exceeded"


def test_look_that_fails_lets_no_write_through_and_is_made_again_before_the_next() -> None:
    account, works = Account(), [False, True]
    watch = PolicyWatch(lambda: account.look() if works.pop(0) else _refuse(), account.now, account.done)
    for _ in range(WRITES_PER_LOOK):
        watch.forbid()

    with pytest.raises(Throttled):
        watch.forbid()
    assert watch.forbid() is None
    assert account.looks == 1


def test_without_a_write_there_is_no_look() -> None:
    account = Account()

    account.watch.settle()

    assert account.looks == 0


def _refuse() -> Enforcement:
    raise fail(Throttled, "Throttling")
