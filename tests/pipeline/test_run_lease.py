"""What whole runs make of the lease on writing, against an organization in memory."""

from datetime import timedelta
from math import inf

import pytest

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import RunUnderWay
from orchestrator.domain.model import LiveUser, Trigger
from orchestrator.domain.records import Release
from orchestrator.pipeline.gate import PATIENCE_SECONDS, PUBLISHING_SECONDS
from orchestrator.reports.report import exit_code
from tests.builders import NOW, make_config, make_user, user_id_of
from tests.fakes import FakePermit
from tests.pipeline.stage import Stage, account_of, outcomes, user_of

PAYMENTS = "000000000001"
OTHER = "run other holds the lease on writing"


def test_lease_is_taken_after_the_question_and_given_back(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    asked = list[int]()

    class Watched(FakePermit):
        def acquire(self, seconds: float) -> str | None:
            asked.append(len(stage.asked))
            return super().acquire(seconds)

    stage.permit = Watched()

    assert outcomes(stage.play()) == {"alice": "enforced"}
    assert (asked, stage.permit.closed) == ([1], [False])


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_run_that_writes_nothing_takes_no_lease(stage: Stage, mode: str) -> None:
    stage.aws.add(make_user("alice", has_mfa=mode == "apply"))

    stage.play(mode)

    assert stage.permit.asked == []


def test_run_that_finds_another_under_way_ends_with_its_plan(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"))
    stage.permit.refusal = OTHER

    finished = stage.finish()

    report = finished.report
    assert report.gate is not None
    assert (report.gate.code, report.gate.planned, report.gate.limit) == ("under_way", 2, None)
    assert report.gate.message == OTHER
    assert set(outcomes(report).values()) == {"planned"}
    assert (exit_code(report), report.totals.not_reached) == (1, 0)
    assert stage.aws.writes() == []
    assert finished.address is not None
    assert len(stage.slack.messages) == 1


def test_run_of_new_accounts_that_finds_another_under_way_fails_so_that_its_events_come_again(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.permit.refusal, stage.ask = OTHER, False

    with pytest.raises(RunUnderWay, match=OTHER):
        stage.play(trigger=Trigger.ONBOARDING, targets=(PAYMENTS,))

    assert (stage.aws.writes(), stage.slack.messages) == ([], [])
    assert not any(name.startswith("runs/") for name in stage.store.files)


@pytest.mark.parametrize(
    ("trigger", "deadline", "seconds"),
    [
        (Trigger.CLI, None, PATIENCE_SECONDS),
        (Trigger.ON_DEMAND, 800, PATIENCE_SECONDS),
        (Trigger.ONBOARDING, 800, PATIENCE_SECONDS),
        (Trigger.ON_DEMAND, 20, 20),
        (Trigger.SCHEDULE, 800, 800 - PUBLISHING_SECONDS),
        (Trigger.MAP, 800, 800 - PUBLISHING_SECONDS),
    ],
)
def test_run_waits_for_the_lease_as_long_as_fits_what_started_it(
    stage: Stage, trigger: Trigger, deadline: float | None, seconds: float
) -> None:
    stage.aws.add(make_user("alice"))
    stage.cancellation = Cancellation() if deadline is None else Cancellation.after(deadline)

    stage.play(trigger=trigger, targets=(PAYMENTS,))

    assert stage.permit.asked == [pytest.approx(seconds, abs=15)]


def test_release_waits_for_another_one_without_end(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=frozenset({f"arn:aws:iam::{PAYMENTS}:policy/EnforceMFA"})))

    stage.play("release")

    assert stage.permit.asked == [inf]


def test_stop_switch_is_read_again_once_the_lease_is_held(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.is_stopped = lambda: bool(stage.permit.asked)

    report = stage.play()

    assert report.gate is not None
    assert (report.gate.code, outcomes(report)) == ("stopped", {"alice": "planned"})
    assert stage.aws.writes() == []
    assert stage.permit.closed == [False]


@pytest.mark.parametrize("when", ["at the question", "at the look before the write"])
def test_user_whom_a_release_freed_meanwhile_is_left_alone(stage: Stage, when: str) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"))
    freed = {(PAYMENTS, user_id_of("alice")): Release(NOW, NOW + timedelta(days=7))}

    def release(action: str, _: str, subject: str) -> None:
        if (action, subject) == ("look", "alice") and stage.permit.asked:
            stage.permit.released = freed

    if when == "at the question":
        stage.permit.released = freed
    else:
        stage.aws.before = release

    report = stage.play()

    assert outcomes(report) == {"alice": "in_grace", "bob": "enforced"}
    assert user_of(report).grace_ends == NOW + timedelta(days=7)
    assert "released" in (user_of(report).reason or "")
    assert [write[2] for write in stage.aws.writes()] == ["bob"]
    assert exit_code(report) == 0


def test_run_that_loses_the_lease_for_good_leaves_the_rest_not_reached(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"), make_user("carol"))

    def lose(action: str, _: str, subject: str) -> None:
        if action == "attach":
            stage.cancellation.end("lease_lost")

    stage.aws.before = lose

    report = stage.play(config=make_config(concurrency={"workers": 1}))

    assert sorted(outcomes(report).values()) == ["enforced", "planned", "planned"]
    account = account_of(report)
    assert account.error is not None
    assert (account.status, account.error.code) == ("not_reached", "lease_lost")
    assert exit_code(report) == 1
    assert stage.permit.closed == [False]


@pytest.mark.parametrize("mode", ["apply", "release"])
def test_nothing_is_written_where_the_lease_is_not_held(stage: Stage, mode: str) -> None:
    attached = frozenset({f"arn:aws:iam::{PAYMENTS}:policy/EnforceMFA"}) if mode == "release" else frozenset()
    stage.aws.add(make_user("alice", attached_policy_arns=attached))
    stage.permit.may_write = False

    report = stage.play(mode)

    assert stage.aws.writes() == []
    assert outcomes(report) == {"alice": "planned"}
    assert account_of(report).status == "not_reached"


def test_lease_is_given_back_by_a_run_that_breaks_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.aws.add(make_user("alice"))

    phase = stage.observer.phase

    def break_off(name: str, total: int | None) -> None:
        if name == "applying":
            raise ZeroDivisionError
        phase(name, total)

    monkeypatch.setattr(stage.observer, "phase", break_off)

    with pytest.raises(ZeroDivisionError):
        stage.play()

    assert stage.permit.closed == [False]


# -- a plan that has waited


@pytest.mark.parametrize(("age", "outcome"), [(timedelta(minutes=5), "enforced"), (timedelta(minutes=6), "held")])
def test_access_key_that_was_made_and_used_since_the_plan_holds_its_user(
    stage: Stage, age: timedelta, outcome: str
) -> None:
    account = stage.aws.add(make_user("alice", active_access_keys=0), make_user("bob"))

    class Answering(FakePermit):
        def acquire(self, seconds: float) -> str | None:
            account.live["alice"] = LiveUser(False, True, 1, NOW, None)
            return super().acquire(seconds)

    stage.permit = Answering()

    report = stage.play(started_at=NOW - age)

    assert outcomes(report) == {"alice": outcome, "bob": "enforced"}
    if outcome == "held":
        assert user_of(report).error is not None
        assert user_of(report).error.code == "active_key"  # type: ignore[union-attr]
