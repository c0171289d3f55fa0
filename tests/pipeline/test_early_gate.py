"""Where nothing can close the gate any more, the last accounts under way are not waited for; else all are."""

from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from orchestrator.domain.config import Config
from orchestrator.domain.errors import Throttled
from orchestrator.domain.planning import is_within_limits
from orchestrator.reports.report import exit_code
from tests.builders import make_config, make_user
from tests.fakes import fail
from tests.pipeline.test_run import Stage, account_of, outcomes

PATIENCE = 20
QUICK, SLOW = "000000000001", "000000000003"
WAITS = pytest.mark.parametrize("limits", [{}, {"max_changes_per_run": 9}], ids=["as shipped", "could be exceeded"])


class Slow:
    """Holds the inspection of one account until another has been written to, or until it is let go."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.written, self.let_go = Event(), Event()
        self.was_written_before: bool | None = None
        self.error: Exception | None = None
        stage.aws.before = self.before

    def before(self, action: str, account_id: str, _: str) -> None:
        if action == "attach":
            self.written.set()
        if (action, account_id) == ("inspect", SLOW):
            self.let_go.wait(PATIENCE)
            self.was_written_before = self.written.is_set()
            if self.error is not None:
                raise self.error


def limited(**limits: Any) -> Config:
    return make_config(limits={"max_changes_per_account": None, "max_changes_per_run": None} | limits)


UNLIMITED = limited()


def fail_with_defect(*_: Any, **__: Any) -> None:
    raise KeyError("a defect")


@pytest.fixture
def stage() -> Stage:
    made = Stage(asks=False)
    made.aws.add(make_user("alice"), make_user("bob"))
    made.aws.add(make_user("carol", has_mfa=True))
    made.aws.add(make_user("dave"))
    return made


@pytest.fixture
def slow(stage: Stage) -> Slow:
    """One account of three whose inspection goes on until a user of another has been enforced."""
    made = Slow(stage)
    made.let_go = made.written
    return made


@pytest.fixture
def waited(stage: Stage) -> Slow:
    """The same, but its inspection ends by itself, after any write that does not wait for it could have been made."""
    made = Slow(stage)
    seen: list[str] = []

    def before(action: str, account_id: str, subject: str) -> None:
        if (action, account_id) == ("inspect", SLOW):
            made.written.wait(0.5)
            made.let_go.set()
        seen.append(action)
        made.before(action, account_id, subject)

    stage.aws.before = before
    return made


def test_slow_account_holds_up_no_other_and_is_applied_in_its_turn(stage: Stage, slow: Slow) -> None:
    report = stage.play(config=UNLIMITED)

    assert slow.was_written_before
    assert outcomes(report) == {"alice": "enforced", "bob": "enforced", "carol": "none", "dave": "enforced"}
    assert [account.id for account in report.accounts] == [f"{number:012}" for number in (1, 2, 3)]
    assert exit_code(report) == 0
    assert stage.observer.phases == [("inspecting", None), ("applying", 1)]
    assert stage.observer.known == {"inspecting": 3, "applying": 2}
    assert (stage.observer.accounts_done, stage.observer.changes) == (5, 6)


def test_limit_that_cannot_be_exceeded_any_more_is_no_reason_to_wait(stage: Stage, slow: Slow) -> None:
    report = stage.play(config=limited(max_changes_per_account=2, max_changes_per_run=4))

    assert slow.was_written_before
    assert report.totals.enforced == 3


@pytest.mark.parametrize(
    "limits",
    [
        {"max_changes_per_account": 2, "max_changes_per_run": 3},
        {"max_changes_per_account": None, "max_changes_per_run": 1000},
        {"max_changes_per_account": 100, "max_changes_per_run": 100},
    ],
)
def test_limit_that_could_still_be_exceeded_is_waited_for(
    stage: Stage, waited: Slow, limits: dict[str, int | None]
) -> None:
    report = stage.play(config=limited(**limits))

    assert waited.was_written_before is False
    assert report.totals.enforced == 3


def test_last_plan_that_exceeds_the_limit_still_holds_all(stage: Stage, waited: Slow) -> None:
    report = stage.play(config=limited(max_changes_per_account=2, max_changes_per_run=2))

    assert waited.was_written_before is False
    assert stage.aws.writes() == []
    assert (report.totals.held, report.totals.enforced) == (3, 0)


def test_person_who_is_asked_sees_every_plan(stage: Stage, waited: Slow) -> None:
    stage.asks = True

    stage.play(config=UNLIMITED)

    assert waited.was_written_before is False
    (asked,) = stage.asked
    assert asked.totals.planned == 3


@pytest.mark.parametrize("mode", ["plan", "release"])
def test_plan_and_release_know_no_early_gate(stage: Stage, waited: Slow, mode: str) -> None:
    stage.play(mode, config=UNLIMITED)

    assert waited.was_written_before is False


def test_stop_switch_is_read_before_and_once_more_in_the_end(stage: Stage, waited: Slow) -> None:
    reads: list[bool] = []

    def is_stopped() -> bool:
        reads.append(waited.let_go.is_set())
        return True

    stage.is_stopped = is_stopped

    report = stage.play(config=UNLIMITED)

    assert reads == [False, True]
    assert stage.aws.writes() == []
    assert report.totals.held == 3


def test_account_that_no_worker_has_begun_is_waited_for(stage: Stage) -> None:
    order: list[str] = []
    stage.aws.before = lambda action, account_id, _: order.append(f"{action} {account_id[-1:]}")

    stage.play(config=UNLIMITED.model_copy(update={"concurrency": make_config(concurrency={"workers": 1}).concurrency}))

    first_write = next(index for index, step in enumerate(order) if step.startswith("attach"))
    assert [step for step in order[:first_write] if step.startswith("inspect ")] == [
        "inspect 1",
        "inspect 2",
        "inspect 3",
    ]


def test_slow_account_that_fails_in_the_end_is_told_of(stage: Stage, slow: Slow) -> None:
    slow.error = fail(Throttled, "Throttling")

    report = stage.play(config=UNLIMITED)

    assert [account.status for account in report.accounts] == ["inspected", "inspected", "failed"]
    assert report.totals.enforced == 2
    assert exit_code(report) == 1


def test_defect_in_the_slow_account_stays_its_own(stage: Stage, slow: Slow) -> None:
    slow.error = KeyError("a defect")

    report = stage.play(config=UNLIMITED)

    assert account_of(report, SLOW).status == "failed"
    assert account_of(report, SLOW).error is not None
    assert report.totals.enforced == 2


def test_halt_while_others_are_written_to_leaves_the_slow_account_out(stage: Stage) -> None:
    slow = Slow(stage)

    def before(action: str, account_id: str, subject: str) -> None:
        if action == "attach":
            stage.cancellation.event.set()
            slow.let_go.set()
        slow.before(action, account_id, subject)

    stage.aws.before = before

    report = stage.play(config=UNLIMITED)

    assert account_of(report, SLOW).status == "not_reached"
    assert len(stage.aws.writes()) == report.totals.enforced == 1
    assert outcomes(report)["carol"] == "none"
    assert outcomes(report)["dave"] == "planned"
    assert [error.code for error in report.errors] == ["interrupted"]
    assert exit_code(report) == 1


def test_run_that_breaks_leaves_no_thread_behind(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.observer, "done", fail_with_defect)

    with pytest.raises(KeyError):
        stage.play(config=UNLIMITED)

    for thread in enumerate_threads():
        if thread.name.startswith(("listing", "account")):
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_run_whose_plans_change_nothing_so_far_has_nothing_to_open_for(stage: Stage) -> None:
    del stage.aws.accounts[QUICK]
    slow = Slow(stage)
    slow.let_go.set()

    report = stage.play(config=UNLIMITED)

    assert slow.was_written_before is False
    assert report.totals.enforced == 1


@pytest.mark.parametrize(
    ("planned", "outstanding", "of_run", "of_account", "is_certain"),
    [
        (5, 1, None, None, True),
        (5, 0, 5, None, False),
        (5, 1, 6, 1, True),
        (5, 1, 5, 1, False),
        (5, 2, 6, 1, False),
        (0, 1, 100, 100, True),
        (1, 1, 100, 100, False),
    ],
)
def test_limits_are_certain_when_no_plan_can_exceed_them(
    planned: int, outstanding: int, of_run: int | None, of_account: int | None, *, is_certain: bool
) -> None:
    limits = limited(max_changes_per_run=of_run, max_changes_per_account=of_account).limits

    assert is_within_limits(planned, outstanding, limits) is is_certain
