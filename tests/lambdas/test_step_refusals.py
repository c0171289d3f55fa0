"""Steps that are refused or repeated, and what they ask of the archive, against a served AWS and a fake Slack."""

import gzip
from math import ceil
from typing import Any

import pytest

from benchmarks.capacity import BATCH_GETS, BATCH_PUTS, FIXED_GETS, FIXED_PUTS
from orchestrator.domain.errors import ArchiveError, ConfigError, RunUnderWay, StartError
from orchestrator.lambdas.runtime import RunFailed
from orchestrator.lambdas.step import lambda_handler as step
from orchestrator.pipeline.lease import LEASE_FILE
from tests.aws_server import Answer, Call, xml_error
from tests.fake_slack import FakeSlack, Say
from tests.lambdas.function import FakeContext
from tests.lambdas.machine import BUCKET, SCHEDULE, STARTED, Machine
from tests.reports.bombs import BOMBS

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


def test_run_that_would_write_is_refused_while_another_holds_the_lease(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)

    with pytest.raises(RunUnderWay, match=selected["run_id"]):
        machine.select("other", mode="apply")


def test_steps_write_nothing_once_another_run_has_taken_the_lease_over(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    gated = machine.gate(selected, **SCHEDULE)
    machine.store.write(LEASE_FILE, b'{"run_id": "other", "until": "2036-03-02T12:00:00Z"}')

    with pytest.raises(RunUnderWay, match="no longer that of run"):
        machine.map("apply", gated)
    machine.merge(selected, **SCHEDULE)

    assert machine.enforced() == []
    assert machine.report().totals.not_reached == 4
    assert b"other" in machine.store.read(LEASE_FILE)


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
    "content", [BOMBS["zeros"](), gzip.compress(b"plans", mtime=0)[:-9], b"\x1f\x8b\x08" + b"\xff" * 30]
)
def test_plans_that_cannot_be_unpacked_are_an_error_that_names_the_file(machine: Machine, content: bytes) -> None:
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    machine.store.write(f"work/{selected['run_id']}/plans/00000.json.gz", content)

    with pytest.raises(ArchiveError, match=r"plans/00000\.json\.gz is broken"):
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
