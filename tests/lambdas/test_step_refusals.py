"""Steps that are refused or repeated, and what they ask of the archive, against a served AWS and a fake Slack."""

import gzip
import json
from datetime import timedelta
from math import ceil
from typing import Any

import pytest
from moto.backends import get_backend

from benchmarks.capacity import BATCH_GETS, BATCH_PUTS, FIXED_GETS, FIXED_PUTS
from orchestrator.domain.errors import ArchiveError, ConfigError, StartError
from orchestrator.lambdas.runtime import RunFailed
from orchestrator.lambdas.step import lambda_handler as step
from orchestrator.pipeline import gate
from orchestrator.pipeline.lease import LEASE_FILE, make_content
from tests.aws_server import MANAGEMENT, Answer, Call, xml_error
from tests.fake_slack import FakeSlack, Say
from tests.lambdas.function import FakeContext
from tests.lambdas.machine import BUCKET, SCHEDULE, STARTED, Machine, outcomes
from tests.reports.bombs import BOMBS

pytestmark = pytest.mark.thorough

# -- one run at a time, once


def test_same_scheduled_time_in_another_execution_is_no_second_run(machine: Machine, slack: FakeSlack) -> None:
    machine.run(**SCHEDULE)

    assert machine.run("daily-1b", **SCHEDULE)["repeated"] is True
    assert len(slack.messages) == 1


def test_first_step_tried_again_goes_on_with_the_same_run(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})

    first, again = machine.select(**SCHEDULE), machine.select(**SCHEDULE)

    assert first == again
    assert first["run_id"].startswith("20260302T120000Z-")


def planned_and_gated(machine: Machine) -> tuple[dict[str, Any], dict[str, Any]]:
    """Go as far as the gate, with as little time in each step as leaves one try to take the lease."""
    machine.configure(enforcement={"mode": "apply"})
    machine.remaining_seconds = 60 + int(gate.PUBLISHING_SECONDS)
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    return selected, machine.gate(selected, **SCHEDULE)


def test_run_that_finds_another_at_its_gate_reports_its_plan(machine: Machine, slack: FakeSlack) -> None:
    machine.store.write(LEASE_FILE, make_content("other", is_release=False))

    selected, gated = planned_and_gated(machine)
    machine.merge(selected, **SCHEDULE)

    assert gated["go"] is False
    report = machine.report()
    assert report.gate is not None
    assert (report.gate.code, report.totals.planned, report.errors) == ("under_way", 4, ())
    assert len(slack.messages) == 1
    assert b'"other"' in machine.store.read(LEASE_FILE)


def test_steps_write_nothing_once_another_run_has_taken_the_lease_over(machine: Machine) -> None:
    selected, gated = planned_and_gated(machine)
    machine.store.write(LEASE_FILE, make_content("other", is_release=False))

    machine.map("apply", gated)
    machine.merge(selected, **SCHEDULE)

    assert machine.enforced() == []
    assert machine.report().totals.not_reached == 4
    assert {error.code for error in machine.report().errors} == {"lease_lost"}
    assert b'"other"' in machine.store.read(LEASE_FILE)


def test_steps_take_the_lease_again_where_it_ran_out_and_heed_what_was_released_meanwhile(machine: Machine) -> None:
    selected, gated = planned_and_gated(machine)
    keys: Any = get_backend("s3")[MANAGEMENT]["aws"].buckets[BUCKET].keys
    keys[f"archive/{LEASE_FILE}"].last_modified -= timedelta(minutes=3)
    user = {"account_id": machine.accounts[1], "user_name": "bob"}
    note = {"run_id": "release-1", "until": "2999-01-01T00:00:00Z", "users": [user]}
    machine.store.write("releases/release-1.json", json.dumps(note).encode())

    machine.map("apply", gated)
    machine.merge(selected, **SCHEDULE)

    assert machine.enforced() == ["alice", "carol", "dave"]
    assert outcomes(machine.report())["bob"] == "in_grace"
    assert b'"is_given_back":true' in machine.store.read(LEASE_FILE)


def test_stop_switch_set_after_the_gate_stops_the_batches(machine: Machine) -> None:
    selected, gated = planned_and_gated(machine)
    machine.configure(enforcement={"mode": "apply", "stop": "$NOT_SET"})

    machine.map("apply", gated)
    machine.merge(selected, **SCHEDULE)

    assert machine.enforced() == []
    assert machine.report().totals.held == 4


@pytest.mark.parametrize("started", ["2026-03-02T11:54:59Z", "2026-03-02T14:15:01Z", "2025-01-25T12:00:00Z"])
def test_scheduled_time_is_compared_with_the_start_of_the_execution(machine: Machine, started: str) -> None:
    with pytest.raises(ConfigError, match="the scheduled event is of"):
        machine.step("select", execution="daily-1", started=started, input=SCHEDULE)

    assert machine.files("") == []
    assert machine.step("select", execution="daily-1", started=STARTED, input=SCHEDULE)["repeated"] is False


def test_event_whose_execution_is_under_way_is_repeated(machine: Machine) -> None:
    machine.select(**SCHEDULE)

    assert machine.select("daily-1b", **SCHEDULE)["repeated"] is True


def test_event_whose_execution_is_still_at_its_first_step_waits(machine: Machine) -> None:
    selected = machine.select(**SCHEDULE)
    machine.store.delete(f"work/{selected['run_id']}/outline.json")
    again = {"step": "select", "execution": "daily-1b", "started": STARTED, "input": SCHEDULE}

    with pytest.raises(StartError, match="another delivery of this event keeps"):
        step(again, FakeContext(30))


@pytest.mark.parametrize(
    ("mode", "asked"),
    [
        ("plan", {"mode": "apply"}),
        ("plan", {"mode": "apply", "max_changes": "none"}),
        ("apply", {"mode": "apply", "max_changes": "none"}),
        ("apply", {"max_changes": 4}),
        ("plan", {"max_changes": 4}),
    ],
)
def test_input_that_asks_for_more_than_the_functions_may_do_is_refused(
    machine: Machine, mode: str, asked: dict[str, Any]
) -> None:
    machine.configure(enforcement={"mode": mode}, limits={"max_changes_per_run": 3})

    with pytest.raises(ConfigError, match="have an operator run `orgmfa apply"):
        machine.select(**asked)

    assert machine.files("") == []


def test_event_of_a_run_that_could_not_start_may_come_again(machine: Machine) -> None:
    def refuse(call: Call) -> Answer | None:
        return xml_error("AccessDenied", status=403) if call.action == "GetCallerIdentity" else None

    machine.aws.faults.append(refuse)
    with pytest.raises(StartError):
        machine.select(**SCHEDULE)
    machine.aws.faults.clear()

    assert machine.select("daily-2", **SCHEDULE)["repeated"] is False


# -- what cannot be used


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"step": "sweep"},
        {"step": "plan", "run_id": "x"},
        {"step": "plan", "run_id": "../x", "batch": 0},
        {"step": "merge", "run_id": "x", "batch": 0},
        {"step": "merge", "run_id": "x"},
        {"step": "gate", "run_id": "x"},
        {"step": "gate", "run_id": "x", "input": {"mode": "release"}},
        {"step": "select", "execution": "x", "started": STARTED, "input": {"mode": "release"}},
        {"step": "select", "execution": "x", "started": STARTED, "input": {"accounts": ["111122223333"]}},
    ],
)
def test_event_that_is_no_step_is_refused(machine: Machine, event: dict[str, Any]) -> None:
    machine.aws.forget_calls()

    with pytest.raises(ConfigError, match="the event is no step of a run"):
        step(event, FakeContext())

    assert machine.aws.calls == []


def test_archive_in_a_folder_is_refused(machine: Machine) -> None:
    machine.configure(archive={"location": str(machine.folder / "runs")})

    with pytest.raises(StartError, match="s3://bucket/prefix"):
        machine.select(**SCHEDULE)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x1f\x8b broken"])
def test_broken_work_room_is_an_error_that_names_the_file(machine: Machine, content: bytes) -> None:
    selected = machine.select(**SCHEDULE)
    machine.store.write(f"work/{selected['run_id']}/outline.json", content)

    with pytest.raises(ArchiveError, match=r"outline\.json is broken"):
        machine.gate(selected, **SCHEDULE)


def test_run_whose_digest_cannot_be_sent_fails_after_its_report_is_archived(machine: Machine, slack: FakeSlack) -> None:
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    machine.gate(selected, **SCHEDULE)
    slack.next(*[Say("invalid_token", 403)] * 20)

    with pytest.raises(RunFailed, match="digest"):
        machine.merge(selected, **SCHEDULE)

    assert machine.report().run_id == selected["run_id"]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_run_asks_no_more_of_the_archive_than_capacity_reckons_with(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setenv("ORGMFA_BATCH_SIZE", str(size))
    machine.configure(enforcement={"mode": "apply"})
    before = len(machine.aws.calls)

    machine.run(**SCHEDULE)

    asked = [call.action for call in machine.aws.calls[before:] if call.service == "s3"]
    listed = asked.count(f"GET /{BUCKET}")
    written = sum(action.startswith("PUT") for action in asked)
    read = sum(action.startswith("GET") for action in asked) - listed
    batches = ceil((len(machine.accounts) + 1) / size)
    assert 0 < written + listed <= FIXED_PUTS + batches * BATCH_PUTS
    assert 0 < read <= FIXED_GETS + batches * BATCH_GETS


@pytest.mark.parametrize(
    "content",
    [
        BOMBS["zeros"](),
        gzip.compress(b"plans", mtime=0)[:-9],
        b"\x1f\x8b\x08" + b"\xff" * 30,
        gzip.compress(b"", mtime=0),
        gzip.compress(b"{}\n{}", mtime=0),
    ],
)
def test_plans_that_cannot_be_read_are_an_error_that_names_the_file(machine: Machine, content: bytes) -> None:
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    machine.store.write(f"work/{selected['run_id']}/plans/00000.json.gz", content)

    with pytest.raises(ArchiveError, match=r"plans/00000\.json\.gz is broken"):
        machine.gate(selected, **SCHEDULE)


def test_file_among_the_plans_that_is_none_is_an_error_that_names_their_folder(machine: Machine) -> None:
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    machine.store.write(f"work/{selected['run_id']}/plans/notes.txt", b"")

    with pytest.raises(ArchiveError, match=r"plans is broken"):
        machine.gate(selected, **SCHEDULE)


@pytest.mark.parametrize("sections", [{"include_ous": ["ou-none-00000000"]}, {"exclude_ous": ["ou-none-00000000"]}])
def test_run_in_steps_does_not_start_where_an_ou_of_the_configuration_is_missing(
    machine: Machine, sections: dict[str, list[str]]
) -> None:
    machine.configure(organization=sections, enforcement={"mode": "apply"})

    with pytest.raises(ConfigError, match=f"{next(iter(sections))}: the organization has no OU ou-none-00000000"):
        machine.select(**SCHEDULE)


def test_run_in_steps_does_not_start_where_no_account_is_left(machine: Machine) -> None:
    root_id = machine.aws.client("organizations").list_roots()["Roots"][0]["Id"]
    machine.configure(organization={"exclude_ous": [root_id]}, enforcement={"mode": "apply"})

    with pytest.raises(StartError, match=r"no account to work on: \d+ skipped: it is in an OU"):
        machine.select(**SCHEDULE)
