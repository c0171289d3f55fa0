"""Limits, stop switch and question of whole runs against an organization in memory."""

import pytest

from orchestrator.reports.report import exit_code
from tests.builders import make_config, make_user
from tests.pipeline.stage import Stage, outcomes


def test_run_over_its_limit_writes_nothing_anywhere(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"))
    stage.aws.add(make_user("carol"))

    report = stage.play(config=make_config(limits={"max_changes_per_run": 2}))

    assert set(outcomes(report).values()) == {"planned"}
    assert report.gate is not None
    assert (report.gate.code, report.gate.planned, report.gate.limit) == ("over_limit", 3, 2)
    assert report.totals.planned == 3
    assert (stage.aws.writes(), stage.permit.asked) == ([], [])
    assert stage.asked == []
    assert exit_code(report) == 1


def test_plan_says_that_it_would_be_over_the_limit(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"))

    report = stage.play("plan", make_config(limits={"max_changes_per_run": 1}))

    assert report.gate is not None
    assert report.gate.code == "over_limit"
    assert exit_code(report) == 1


def test_account_over_its_limit_is_held_and_the_others_are_not(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"))
    stage.aws.add(make_user("carol"))

    report = stage.play(config=make_config(limits={"max_changes_per_account": 1}))

    assert outcomes(report) == {"alice": "held", "bob": "held", "carol": "enforced"}


def test_stop_switch_holds_a_run_at_the_gate(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.is_stopped = lambda: True

    report = stage.play()

    assert report.gate is not None
    assert (report.gate.code, report.gate.planned, report.gate.limit) == ("stopped", 1, None)
    assert report.gate.message == "enforcement.stop: because"
    assert outcomes(report) == {"alice": "planned"}
    assert stage.aws.writes() == []
    assert exit_code(report) == 1


def test_stop_switch_thrown_in_a_running_sweep_stops_the_next_write(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"), make_user("carol"))
    stage.is_stopped = lambda: bool(stage.aws.writes())

    report = stage.play()

    assert outcomes(report) == {"alice": "enforced", "bob": "held", "carol": "held"}
    assert len(stage.aws.writes()) == 1


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_plan_that_is_incomplete_tells_no_limit_to_allow(stage: Stage, mode: str) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"))
    stage.aws.add(make_user("carol"))
    config = make_config(limits={"max_changes_per_run": 1}, concurrency={"workers": 1})

    def interrupt(action: str, account_id: str, subject: str) -> None:
        if action == "inspect":
            stage.cancellation.event.set()

    whole = stage.play(mode, config)
    stage.aws.before = interrupt
    part = stage.play(mode, config)

    assert whole.gate is not None
    assert "--max-changes 3" in whole.gate.remedy
    assert part.gate is not None
    assert part.gate.code == "over_limit"
    assert "--max-changes" not in part.gate.remedy
    assert stage.aws.writes() == []


def test_person_who_says_no_has_nothing_written_and_nothing_archived(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.answers = False

    finished = stage.finish()

    assert finished.was_declined
    assert finished.report.gate is not None
    assert (finished.report.gate.code, finished.report.gate.planned) == ("declined", 1)
    assert outcomes(finished.report) == {"alice": "planned"}
    assert stage.aws.writes() == []
    assert stage.store.files == {}
    assert stage.slack.messages == []


def test_person_is_shown_the_very_plan_and_not_asked_where_there_is_none(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))

    stage.play()
    stage.play()

    assert [outcomes(plan) for plan in stage.asked] == [{"alice": "planned"}]
