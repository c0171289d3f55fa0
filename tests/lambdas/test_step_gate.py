"""The gate of a run in steps, and what stops the batches after it, against a served AWS and a fake Slack."""

from typing import Any

import pytest

from orchestrator.domain.errors import StartError
from orchestrator.lambdas.step import lambda_handler as step
from tests.lambdas.function import FakeContext
from tests.lambdas.machine import SCHEDULE, Machine, outcomes

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize(("limit", "written"), [(3, 0), (4, 4)])
def test_limit_of_the_run_counts_all_batches(machine: Machine, limit: int, written: int) -> None:
    machine.configure(enforcement={"mode": "apply"}, limits={"max_changes_per_run": limit})

    machine.run(**SCHEDULE)

    assert len(machine.enforced()) == written
    assert machine.report().totals.planned == 4 - written
    assert (machine.report().gate is None) == (written > 0)


@pytest.mark.parametrize("what", ["whole", "lost", "deadline"])
def test_gate_tells_no_limit_to_allow_where_a_batch_is_missing_or_cut_short(machine: Machine, what: str) -> None:
    machine.configure(enforcement={"mode": "apply"}, limits={"max_changes_per_run": 0})
    selected = machine.select(**SCHEDULE)
    for number in range(1 if what == "lost" else 0, 3):
        seconds = 30 if what == "deadline" and number == 0 else 900
        step({"step": "plan", "run_id": selected["run_id"], "batch": number}, FakeContext(seconds))
    machine.gate(selected, **SCHEDULE)

    machine.merge(selected, **SCHEDULE)

    gate = machine.report().gate
    assert gate is not None
    assert gate.code == "over_limit"
    assert ("MaxChanges=" in gate.remedy) is (what == "whole")
    assert machine.enforced() == []


@pytest.mark.parametrize(
    ("limit", "asked", "written"),
    [(100, {"max_changes": 3}, 0), (100, {"max_changes": 4}, 4), (None, {"max_changes": "none"}, 4), (3, {}, 0)],
)
def test_narrower_of_the_limits_of_input_and_configuration_holds_in_every_step(
    machine: Machine, limit: int | None, asked: dict[str, Any], written: int
) -> None:
    machine.configure(enforcement={"mode": "apply"}, limits={"max_changes_per_run": limit})

    result = machine.run(mode="apply", **asked)

    assert (result["mode"], result["totals"]["enforced"]) == ("apply", written)
    assert machine.report().totals.planned == 4 - written


def test_functions_that_are_set_to_plan_during_a_run_write_nothing_more_and_say_so(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    gated = machine.gate(selected, **SCHEDULE)
    machine.step("apply", run_id=selected["run_id"], batch=0)
    machine.configure(enforcement={"mode": "plan"})
    machine.step("apply", run_id=selected["run_id"], batch=1)
    machine.step("apply", run_id=selected["run_id"], batch=2)

    machine.merge(selected, **SCHEDULE)

    assert gated["go"] is True
    assert machine.enforced() == [name for name, outcome in outcomes(machine.report()).items() if outcome == "enforced"]
    assert (machine.report().mode, machine.report().totals.enforced + machine.report().totals.held) == ("apply", 4)
    held = [user.error for account in machine.report().accounts for user in account.users if user.error]
    assert {(error.code, "set to enforcement.mode plan meanwhile" in error.message) for error in held} == {
        ("stopped", True)
    }


def test_batch_is_not_applied_without_the_word_of_the_gate(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"}, limits={"max_changes_per_run": 1})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)

    with pytest.raises(StartError, match="the gate has not let this run go"):
        machine.step("apply", run_id=selected["run_id"], batch=0)
    machine.gate(selected, **SCHEDULE)
    with pytest.raises(StartError, match="the gate has not let this run go"):
        machine.step("apply", run_id=selected["run_id"], batch=0)

    assert machine.enforced() == []


def test_plan_made_twice_stays_as_it_was_counted(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    gated = machine.gate(selected, **SCHEDULE)
    machine.organization.add_user(machine.accounts[0], "mallory")
    machine.map("plan", selected)

    machine.map("apply", gated)

    assert machine.organization.attached(machine.accounts[0], "mallory") == []


def test_stop_switch_set_after_the_gate_stops_the_writing(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply", "stop": str(machine.folder / "stop")})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    gated = machine.gate(selected, **SCHEDULE)
    (machine.folder / "stop").write_text("stop")

    machine.map("apply", gated)
    machine.merge(selected, **SCHEDULE)

    assert machine.enforced() == []
    assert machine.report().totals.held == 4


def test_stop_switch_that_cannot_be_used_holds_the_run(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply", "stop": "$NOT_SET"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)

    gated = machine.gate(selected, **SCHEDULE)
    machine.merge(selected, **SCHEDULE)

    assert gated["go"] is False
    assert machine.enforced() == []
    report = machine.report()
    assert report.gate is not None
    assert (report.gate.code, report.totals.planned) == ("stopped", 4)
