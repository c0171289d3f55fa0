"""The Lambda from the event of its schedule to its result, against a served AWS and a fake Slack."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.errors import ConfigError, StartError
from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.runtime import RunFailed
from orchestrator.pipeline import gate
from orchestrator.reports.report import exit_code
from tests.aws_server import MANAGEMENT, json_error
from tests.fake_slack import FakeSlack
from tests.lambdas.function import RULE, SCHEDULE, Function, deny_second_page, key_of, today

# -- scheduled runs


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ("$NOT_SET/stop", "the variable NOT_SET is not set"),
        ("$NOT_SET", "the variable NOT_SET is not set"),
        ("~nobody-of-this-name/stop", "no such user"),
        ("/nowhere/stop", "/nowhere/stop cannot be read"),
    ],
)
def test_stop_switch_that_cannot_be_used_holds_the_run_and_is_told(function: Function, switch: str, words: str) -> None:
    function.configure(enforcement={"mode": "apply", "stop": switch})

    result = function.invoke(today(SCHEDULE))

    assert result["totals"]["planned"] == 2
    assert function.aws.writes() == []
    (report,) = function.reports()
    assert report.gate is not None
    assert report.gate.code == "stopped"
    assert words in report.gate.message


@pytest.mark.parametrize("event", [SCHEDULE, {"accounts": ["all"]}])
def test_run_that_finds_another_under_way_reports_its_plan(
    function: Function, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch, event: dict[str, Any]
) -> None:
    """A scheduled run waits as long as its time allows, less what the report takes; one on demand for a minute."""
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 0.0)
    function.configure(enforcement={"mode": "apply"})
    function.lock("another-run")
    asked = today(event) if event is SCHEDULE else {"accounts": [function.payments]}

    result = function.invoke(asked, remaining_seconds=60 + int(gate.PUBLISHING_SECONDS))

    (report,) = function.reports()
    assert report.gate is not None
    assert (report.gate.code, report.gate.planned) == ("under_way", result["totals"]["planned"])
    assert "another-run" in report.gate.message
    assert (report.errors, exit_code(report)) == ((), 1)
    assert result["totals"]["planned"] == (2 if event is SCHEDULE else 1)
    assert function.aws.writes() == []
    assert len(slack.messages) == 1
    assert any("Decide:* run another-run holds the lease on writing" in text for text in slack.messages[0].texts)


@pytest.mark.parametrize("event", [RULE, SCHEDULE])
def test_scheduled_run_is_over_every_account_in_the_mode_of_the_configuration(
    function: Function, event: dict[str, Any]
) -> None:
    plan = function.invoke(today(event))
    writes_of_plan = function.aws.writes()
    function.configure(enforcement={"mode": "apply"})
    apply = function.invoke(today(event, minutes_ago=1))

    assert (plan["mode"], apply["mode"]) == ("plan", "apply")
    assert writes_of_plan == []
    assert sorted(call.parameters["UserName"] for call in function.aws.writes()) == ["alice", "carol"]
    assert function.enforced(function.payments, "alice")
    assert not function.enforced(function.payments, "bob")


def test_result_is_the_totals_and_where_the_report_is(function: Function) -> None:
    result = function.invoke(today(SCHEDULE))

    (report,) = function.reports()
    assert result["run_id"] == report.run_id
    assert result["complete"] is True
    assert result["totals"] == report.totals.model_dump()
    assert {key: result["totals"][key] for key in ("accounts", "inspected", "users", "planned", "compliant")} == {
        "accounts": 3,
        "inspected": 3,
        "users": 3,
        "planned": 2,
        "compliant": 1,
    }
    assert Path(result["report"]).is_file()
    assert (report.trigger, report.mode) == ("schedule", "plan")


@pytest.mark.parametrize("event", [RULE, SCHEDULE])
@pytest.mark.parametrize("is_warm", [True, False])
def test_same_event_twice_gives_one_run(function: Function, event: dict[str, Any], is_warm: bool) -> None:
    event = today(event)
    function.invoke(event)
    if not is_warm:
        invocation._warm.clear()

    second = function.invoke(event)

    assert second == {"repeated": True, "event": key_of(event)}
    assert len(function.reports()) == 1
    assert function.aws.calls == []


@pytest.mark.parametrize("event", [RULE, SCHEDULE])
@pytest.mark.parametrize("minutes_ago", [-400 * 24 * 60, -60, -10, 140, 24 * 60])
def test_scheduled_event_of_another_time_is_refused_and_leaves_no_mark(
    function: Function, event: dict[str, Any], minutes_ago: int
) -> None:
    with pytest.raises(ConfigError, match="the scheduled event is of"):
        function.invoke(today(event, minutes_ago=minutes_ago))

    assert function.aws.calls == []
    assert not (function.folder / "runs").exists()


@pytest.mark.parametrize("event", [RULE, SCHEDULE])
@pytest.mark.parametrize("minutes_ago", [-3, 5, 130])
def test_scheduled_event_that_was_kept_for_as_long_as_may_be_is_run(
    function: Function, event: dict[str, Any], minutes_ago: int
) -> None:
    assert function.invoke(today(event, minutes_ago=minutes_ago))["complete"] is True


FORGED_MARKS = [b"", b"x", b"\xff\n", b"0" * 1000, b"../../runs/x", b"20260302T120000Z-0a1b2c3d"]


@pytest.mark.parametrize("event", [RULE, SCHEDULE])
@pytest.mark.parametrize("mark", FORGED_MARKS)
def test_mark_without_a_live_run_does_not_keep_the_run_from_being_made(
    function: Function, event: dict[str, Any], mark: bytes
) -> None:
    event = today(event)
    function.plant_mark(event, mark)

    assert function.invoke(event)["complete"] is True

    assert function.invoke(event)["repeated"] is True
    assert len(function.reports()) == 1


@pytest.mark.parametrize("asked", [SCHEDULE, {"accounts": [MANAGEMENT]}])
def test_mark_that_names_a_run_of_another_day_or_of_another_kind_is_passed_over(
    function: Function, asked: dict[str, Any]
) -> None:
    other = function.invoke(today(asked) if asked is SCHEDULE else asked)
    if asked is SCHEDULE:
        function.antedate(other)
    event = today(SCHEDULE, minutes_ago=-2)
    function.plant_mark(event, other["run_id"].encode())

    assert function.invoke(event)["complete"] is True
    assert len(function.reports()) == 2


def test_delivery_that_has_no_time_to_wait_fails_and_starts_nothing(function: Function) -> None:
    event = today(SCHEDULE)
    function.plant_mark(event, b"20260302T120000Z-0a1b2c3d", age=timedelta())

    with pytest.raises(StartError, match="another delivery of this event keeps"):
        function.invoke(event, remaining_seconds=30)

    assert function.aws.calls == []
    assert (function.folder / "runs" / "events").is_dir()


def test_page_of_the_run_stands_beside_its_report(function: Function) -> None:
    function.invoke(today(SCHEDULE))

    (report,) = function.reports()
    folder = function.folder / "runs" / "runs" / f"{report.started_at:%Y/%m/%d}"
    assert sorted(path.name for path in folder.iterdir()) == [f"{report.run_id}.html", f"{report.run_id}.json.gz"]
    assert "<!doctype html>" in (folder / f"{report.run_id}.html").read_text(encoding="utf-8").lower()


def test_event_whose_run_could_not_start_gives_a_run_when_it_comes_again(function: Function) -> None:
    function.aws.faults.append(
        lambda call: json_error("AccessDeniedException") if call.action == "DescribeOrganization" else None
    )
    with pytest.raises(StartError):
        function.invoke(today(SCHEDULE))
    function.aws.faults.clear()

    function.invoke(today(SCHEDULE))

    assert len(function.reports()) == 1


def test_warm_function_keeps_its_clients_and_its_configuration(function: Function) -> None:
    function.invoke(today(SCHEDULE))
    warm = invocation._warm["hub"]
    (function.folder / "config.yaml").write_text("not: usable", encoding="utf-8")

    function.invoke(today(SCHEDULE, minutes_ago=1))

    assert invocation._warm["hub"] is warm
    assert len(function.reports()) == 2


# -- digest, metrics, logs


def test_each_run_sends_one_digest(function: Function, slack: FakeSlack) -> None:
    event = today(SCHEDULE)
    function.invoke(event)
    function.invoke(event)
    function.invoke({"accounts": [function.payments]})

    assert slack.requests == len(slack.messages) == 2


@pytest.mark.parametrize("fails", [True, False])
def test_each_run_writes_its_metrics_once(function: Function, capsys: pytest.CaptureFixture[str], fails: bool) -> None:
    if fails:
        function.aws.faults.append(deny_second_page)
        with pytest.raises(RunFailed):
            function.invoke(today(SCHEDULE))
    else:
        function.invoke(today(SCHEDULE))

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["RunsFailed"] == [int(fails)]
    assert json.loads(line)["ScheduledRunsFinished"] == [1]


def test_only_a_scheduled_run_counts_as_one(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    event = today(SCHEDULE)
    function.invoke(event)
    function.invoke(event)
    function.invoke({"accounts": [function.payments]})

    scheduled, on_demand = map(json.loads, capsys.readouterr().out.splitlines())
    assert scheduled["ScheduledRunsFinished"] == [1]
    assert (on_demand["RunsFinished"], "ScheduledRunsFinished" in on_demand) == ([1], False)


def test_every_log_line_of_a_run_is_json_and_carries_its_run_id_alone(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    first = function.invoke(today(SCHEDULE))
    second = function.invoke({"accounts": [function.payments]})

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    ids = [line["run_id"] for line in lines if "run_id" in line]
    assert list(dict.fromkeys(ids)) == [first["run_id"], second["run_id"]]
    assert {line["event"] for line in lines} >= {"run_started", "account_inspected", "run_finished"}


def test_line_of_a_later_invocation_does_not_carry_the_run_id_of_an_earlier_one(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    event = today(SCHEDULE)
    function.invoke(event)
    capsys.readouterr()

    function.invoke(event)

    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["event"], "run_id" in line) == ("event_repeated", False)


def test_archive_without_a_whole_run_is_told_and_fails_no_invocation(function: Function) -> None:
    function.configure(enforcement={"notice": "7d"})
    function.invoke({"accounts": [function.payments]})

    result = function.invoke({"accounts": [function.search]})

    assert result["totals"]["inspected"] == 1
    assert [(error.stage, error.code) for error in function.reports()[0].errors] == [("inspect", "no_whole_run")]
