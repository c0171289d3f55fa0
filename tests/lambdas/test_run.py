"""The Lambda from its event to its result, against a served AWS and a fake Slack."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.errors import ArchiveError, ConfigError, StartError
from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.runtime import RunFailed
from orchestrator.pipeline import gate
from orchestrator.reports.report import exit_code
from tests.aws_server import MANAGEMENT, Answer, Call, json_error
from tests.fake_slack import FakeSlack, Say
from tests.lambdas.function import RULE, SCHEDULE, Function, deny_second_page, key_of, today

# -- scheduled runs --------------------------------------------------------------------------------------------------


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


# -- on demand -------------------------------------------------------------------------------------------------------


def test_run_on_demand_is_over_the_accounts_named_and_no_other(function: Function) -> None:
    result = function.invoke({"accounts": [function.payments]})

    (report,) = function.reports()
    assert [account.id for account in report.accounts] == [function.payments]
    assert (report.trigger, report.mode) == ("on_demand", "plan")
    assert result["totals"]["accounts"] == 1
    assert function.aws.actions(function.search) == []


@pytest.mark.parametrize(
    ("configured", "asked", "mode", "is_enforced"),
    [
        ("plan", {}, "plan", False),
        ("plan", {"mode": "plan"}, "plan", False),
        ("apply", {}, "apply", True),
        ("apply", {"mode": "apply"}, "apply", True),
        ("apply", {"mode": "plan"}, "plan", False),
    ],
)
def test_narrower_of_the_modes_of_event_and_configuration_counts(
    function: Function, configured: str, asked: dict[str, str], mode: str, is_enforced: bool
) -> None:
    function.configure(enforcement={"mode": configured})

    result = function.invoke({"accounts": [function.payments]} | asked)

    assert result["mode"] == mode
    assert function.enforced(function.payments, "alice") is is_enforced


@pytest.mark.parametrize(
    ("limit", "max_changes", "outcome"),
    [
        (100, 0, "held"),
        (100, 1, "enforced"),
        (1, 1, "enforced"),
        (0, None, "held"),
        (0, 0, "held"),
        (None, 0, "held"),
        (None, "none", "enforced"),
    ],
)
def test_narrower_of_the_limits_of_event_and_configuration_counts_for_one_run(
    function: Function, limit: int | None, max_changes: object, outcome: str
) -> None:
    limits = {"max_changes_per_account": limit, "max_changes_per_run": limit}
    function.configure(enforcement={"mode": "apply"}, limits=limits)
    event = {"accounts": [function.payments]}

    result = function.invoke(event if max_changes is None else event | {"max_changes": max_changes})

    assert result["totals"][outcome] == 1
    assert invocation._warm["hub"].config.limits.max_changes_per_run == limit


@pytest.mark.parametrize("most_per_account", [0, 1, None])
def test_event_cannot_lift_the_limit_of_an_account(function: Function, most_per_account: int | None) -> None:
    limits = {"max_changes_per_account": most_per_account, "max_changes_per_run": 100}
    function.configure(enforcement={"mode": "apply"}, limits=limits)

    result = function.invoke({"accounts": [function.payments], "max_changes": 50})

    assert result["totals"]["held"] == (most_per_account == 0)


@pytest.mark.parametrize(
    ("mode", "asked", "remedy"),
    [
        ("plan", {"mode": "apply"}, "or deploy with Mode=apply"),
        ("plan", {"mode": "apply", "max_changes": "none"}, "or deploy with Mode=apply"),
        ("apply", {"mode": "apply", "max_changes": "none"}, "or deploy with a larger MaxChanges"),
        ("apply", {"max_changes": 2}, "or deploy with a larger MaxChanges"),
        ("plan", {"max_changes": 2}, "or deploy with a larger MaxChanges"),
    ],
)
def test_event_that_asks_for_more_than_the_functions_may_do_is_refused(
    function: Function, mode: str, asked: dict[str, Any], remedy: str
) -> None:
    function.configure(enforcement={"mode": mode}, limits={"max_changes_per_run": 1})

    with pytest.raises(ConfigError, match=f"have an operator run `orgmfa apply.*{remedy}"):
        function.invoke({"accounts": [function.payments]} | asked)

    assert function.aws.calls == []
    assert function.reports() == []


def test_gate_tells_who_looks_at_a_function_what_to_deploy(function: Function) -> None:
    function.configure(enforcement={"mode": "apply"}, limits={"max_changes_per_run": 1})

    function.invoke(today(SCHEDULE))

    gate_of_run = function.reports()[0].gate
    assert gate_of_run is not None
    assert "--max-changes 2`, or deploy with MaxChanges=2" in gate_of_run.remedy


def test_same_event_on_demand_is_meant_each_time(function: Function) -> None:
    function.invoke({"accounts": [function.payments]})
    function.invoke({"accounts": [function.payments]})

    assert len(function.reports()) == 2


def test_second_apply_changes_nothing(function: Function) -> None:
    function.configure(enforcement={"mode": "apply"})
    event = {"accounts": [function.payments, function.search]}
    first = function.invoke(event)
    second = function.invoke(event)

    assert first["totals"]["enforced"] == 2
    assert (second["totals"]["enforced"], second["totals"]["already_enforced"]) == (0, 2)
    assert function.aws.writes() == []


def test_account_that_is_not_in_the_organization_is_an_error(function: Function) -> None:
    with pytest.raises(ConfigError, match="000000000000"):
        function.invoke({"accounts": ["000000000000"]})

    assert function.reports() == []


# -- events that are no run ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        {},
        None,
        [],
        {"mode": "apply"},
        {"accounts": []},
        {"accounts": [111122223333]},
        SCHEDULE | {"mode": "apply"},
        RULE | {"source": "com.example"},
        RULE | {"account": "111122223333"},
        {"Records": []},
    ],
)
def test_unknown_event_is_an_error_and_not_a_sweep(function: Function, event: object) -> None:
    function.configure(enforcement={"mode": "apply"})

    with pytest.raises(ConfigError):
        function.invoke(event)

    assert function.aws.calls == []
    assert function.reports() == []


def test_unusable_configuration_is_an_error(function: Function) -> None:
    function.configure(enforcement={"mode": "aply"})

    with pytest.raises(ConfigError, match=r"config\.yaml: enforcement\.mode"):
        function.invoke(today(SCHEDULE))


@pytest.mark.parametrize("mode", ["plan", "apply"])
@pytest.mark.parametrize("key", ["name", "release_name"])
def test_role_that_may_do_anything_is_an_error_of_the_configuration(function: Function, mode: str, key: str) -> None:
    for name in ("OrganizationAccountAccessRole", "AWSControlTowerExecution", "AWSCloudFormationStackSetExecutionRole"):
        function.configure(enforcement={"mode": mode}, member_role={key: name, "path": "/security/"})

        with pytest.raises(ConfigError, match=rf"member_role\.{key}: {name}"):
            function.invoke(today(SCHEDULE))

    assert function.aws.calls == []


def test_configuration_of_the_package_is_the_file_at_its_root() -> None:
    assert Path(__file__).parents[2] / "config.yaml" == invocation.PACKAGED_CONFIG


# -- what fails the invocation ---------------------------------------------------------------------------------------


def test_failed_account_alone_does_not_fail_the_invocation(function: Function) -> None:
    function.aws.missing_roles.add((function.search, "orgmfa-member"))

    result = function.invoke(today(SCHEDULE))

    assert (result["totals"]["failed"], result["totals"]["inspected"]) == (1, 2)
    assert result["complete"] is True


def test_failed_user_alone_does_not_fail_the_invocation(function: Function) -> None:
    def refuse(call: Call) -> Answer | None:
        is_write = call.action == "AttachUserPolicy"
        return (
            Answer(403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>") if is_write else None
        )

    function.configure(enforcement={"mode": "apply"})
    function.aws.faults.append(refuse)

    result = function.invoke({"accounts": [function.payments], "mode": "apply"})

    assert result["totals"]["failed_users"] == 1


def test_listing_that_breaks_off_fails_the_invocation_after_the_report(function: Function, slack: FakeSlack) -> None:
    function.aws.faults.append(deny_second_page)

    with pytest.raises(RunFailed, match="select: no more for you"):
        function.invoke(today(SCHEDULE))

    (report,) = function.reports()
    assert report.complete is False
    assert report.totals.inspected == 1
    assert len(slack.messages) == 1


def test_listing_that_never_begins_fails_the_invocation(function: Function) -> None:
    function.aws.faults.append(
        lambda call: json_error("AccessDeniedException") if call.action == "ListAccounts" else None
    )

    with pytest.raises(StartError, match="cannot list the accounts"):
        function.invoke(today(SCHEDULE))

    assert function.reports() == []


def test_report_that_cannot_be_archived_fails_the_invocation_after_the_digest(
    function: Function, slack: FakeSlack
) -> None:
    (function.folder / "runs").mkdir()
    (function.folder / "runs" / "runs").write_text("a file where a folder should be", encoding="utf-8")

    with pytest.raises(RunFailed, match="archive: "):
        function.invoke(today(SCHEDULE))

    assert len(slack.messages) == 1


def test_archive_that_cannot_note_the_event_starts_no_run(function: Function) -> None:
    (function.folder / "runs").write_text("a file where a folder should be", encoding="utf-8")

    with pytest.raises(ArchiveError):
        function.invoke(today(SCHEDULE))

    assert function.aws.calls == []


def test_digest_that_is_refused_fails_the_invocation_after_the_report(function: Function, slack: FakeSlack) -> None:
    slack.next(Say("no_service", status=404))

    with pytest.raises(RunFailed, match="digest: ") as caught:
        function.invoke(today(SCHEDULE))

    assert len(function.reports()) == 1
    assert slack.messages == []
    assert not any(secret in str(caught.value) for secret in slack.secret_texts)


def test_findings_that_cannot_be_imported_fail_the_invocation_after_report_and_digest(
    function: Function, slack: FakeSlack
) -> None:
    function.configure(securityhub={"enabled": True})
    function.aws.faults.append(
        lambda call: json_error("InvalidAccessException", "not subscribed") if call.service == "securityhub" else None
    )

    with pytest.raises(RunFailed, match="findings: Security Hub CSPM: not subscribed"):
        function.invoke(today(SCHEDULE))

    assert len(function.reports()) == 1
    assert len(slack.messages) == 1


def test_event_that_cannot_be_put_fails_the_invocation_after_report_and_digest(
    function: Function, slack: FakeSlack
) -> None:
    function.configure(events={"bus": "gone"})

    with pytest.raises(RunFailed, match="event: EventBridge: "):
        function.invoke(today(SCHEDULE))

    assert len(function.reports()) == 1
    assert len(slack.messages) == 1


def test_function_near_its_end_starts_nothing_and_fails(function: Function) -> None:
    function.configure(enforcement={"mode": "apply"})

    with pytest.raises(RunFailed, match="still being listed"):
        function.invoke(today(SCHEDULE), remaining_seconds=30)

    assert "AssumeRole" not in function.aws.actions()
    assert all(report.totals.inspected == 0 for report in function.reports())


# -- digest, metrics, logs -------------------------------------------------------------------------------------------


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
