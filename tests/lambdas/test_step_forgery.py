"""A run in steps whose files somebody forges or deletes meanwhile, against a served AWS and a fake Slack."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.lambdas.run import lambda_handler as handle
from orchestrator.lambdas.runtime import RunFailed
from tests.aws_server import Credential
from tests.lambdas.function import FakeContext
from tests.lambdas.machine import SCHEDULE, Machine, outcomes

pytestmark = pytest.mark.thorough

# -- the manifest


def forge_manifest(machine: Machine, selected: dict[str, Any], **changes: Any) -> None:
    """Change what was asked for in the manifest, as somebody who can write the archive."""
    name = f"work/{selected['run_id']}/outline.json"
    manifest = json.loads(machine.store.read(name))
    request = manifest["request"] | {key: value for key, value in changes.items() if key == "mode"}
    changes = {key: value for key, value in changes.items() if key in manifest}
    machine.store.write(name, json.dumps(manifest | changes | {"request": request}).encode())


def test_run_that_was_asked_for_as_a_plan_is_never_applied(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(mode="plan")
    machine.map("plan", selected)
    forge_manifest(machine, selected, mode="apply")
    gated = machine.gate(selected, mode="plan")
    machine.merge(selected, mode="plan")

    assert (gated["go"], machine.enforced()) == (False, [])
    assert (machine.report().mode, machine.report().totals.planned) == ("plan", 4)


@pytest.mark.parametrize("forged", [None, "none", 1000])
def test_limit_that_was_asked_for_is_not_lifted_by_a_file_of_the_run(machine: Machine, forged: object) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(max_changes=3)
    forge_manifest(machine, selected, max_changes=forged)
    machine.map("plan", selected)

    assert machine.gate(selected, max_changes=3)["go"] is False


@pytest.mark.parametrize("forged", [None, "none", 1000])
def test_limit_of_the_configuration_is_not_lifted_by_a_file_of_the_run(machine: Machine, forged: object) -> None:
    limits = {"max_changes_per_run": 3, "max_changes_per_account": 0}
    machine.configure(enforcement={"mode": "apply"}, limits=limits)
    selected = machine.select(**SCHEDULE)
    forge_manifest(machine, selected, max_changes=forged)
    machine.map("plan", selected)

    assert machine.gate(selected, **SCHEDULE)["go"] is False
    machine.merge(selected, **SCHEDULE)
    assert machine.report().totals.held == 4


def test_files_of_a_run_alone_make_no_step_write_where_the_functions_only_plan(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.configure(enforcement={"mode": "plan"})
    machine.map("plan", selected)
    assert machine.gate(selected, **SCHEDULE)["go"] is False
    machine.store.write(f"work/{selected['run_id']}/verdict.json", b'{"gate": null}')

    machine.step("apply", run_id=selected["run_id"], batch=0)

    assert machine.enforced() == []


# -- plans


def forge(machine: Machine, selected: dict[str, Any], old: bytes, new: bytes) -> None:
    """Change the plans of the first batch, as somebody who can write the archive."""
    name = f"work/{selected['run_id']}/plans/00000.json.gz"
    plans = gzip.decompress(machine.store.read(name))
    assert old in plans
    machine.store.write(name, gzip.compress(plans.replace(old, new)))


@pytest.mark.parametrize("forged", [b"arn:aws:iam::aws:policy/AdministratorAccess", b"policy/Other"])
def test_forged_plan_attaches_no_other_policy(machine: Machine, forged: bytes) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    arn = f"arn:aws:iam::{machine.accounts[0]}:policy/EnforceMFA".encode()
    forge(machine, selected, b'"policy_arn":"' + arn, b'"policy_arn":"' + forged)
    gated = machine.gate(selected, **SCHEDULE)

    machine.map("apply", gated)
    machine.merge(selected, **SCHEDULE)

    assert machine.organization.attached(machine.accounts[0], "alice") == []
    assert outcomes(machine.report())["alice"] == "held"


def test_forged_plan_reaches_nobody_who_is_left_alone(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"}, protected_users=["break-*"])
    machine.organization.add_user(machine.accounts[0], "break-glass")
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    forge(machine, selected, b"alice", b"break-glass")
    gated = machine.gate(selected, **SCHEDULE)

    machine.map("apply", gated)

    assert machine.organization.attached(machine.accounts[0], "break-glass") == []


def block_enrolling(machine: Machine) -> None:
    machine.aws.cannot_enrol.add("alice")


def give_credential(machine: Machine) -> None:
    machine.aws.credentials.append(Credential(machine.accounts[0], "alice", "bedrock.amazonaws.com"))


@pytest.mark.parametrize(
    ("meanwhile", "code"), [(block_enrolling, "cannot_enrol"), (give_credential, "active_credential")]
)
def test_what_the_plan_says_of_a_user_who_must_be_held_counts_for_nothing(
    machine: Machine, meanwhile: Callable[[Machine], None], code: str
) -> None:
    """A plan in the archive may be forged: what holds a user is asked about again in the step that writes."""
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    meanwhile(machine)
    gated = machine.gate(selected, **SCHEDULE)

    machine.map("apply", gated)
    machine.merge(selected, **SCHEDULE)

    assert machine.enforced() == ["bob", "carol", "dave"]
    (alice,) = [user for account in machine.report().accounts for user in account.users if user.name == "alice"]
    assert (alice.outcome, alice.error and alice.error.code) == ("held", code)


# -- notes of releases


@pytest.mark.parametrize("steps", [True, False])
def test_release_whose_note_is_deleted_holds_all_the_same_and_is_an_error(machine: Machine, *, steps: bool) -> None:
    machine.configure(enforcement={"mode": "plan"})
    users = {"account_id": machine.accounts[1], "user_name": "bob"}
    note = {"run_id": "release-1", "until": "2999-01-01T00:00:00Z", "users": [users]}
    machine.store.write("releases/release-1.json", json.dumps(note).encode())
    handle({"accounts": machine.accounts}, FakeContext())
    machine.store.delete("releases/release-1.json")
    machine.configure(enforcement={"mode": "apply"})

    for _ in range(2):  # also the run after the next knows it
        with pytest.raises(RunFailed, match=r"lost the notes of releases that are not over.*: 1 user in 1 account "):
            machine.run(mode="apply") if steps else handle({"accounts": machine.accounts}, FakeContext())

    report = machine.report()
    assert machine.enforced() == ["alice", "carol", "dave"]
    assert (outcomes(report)["bob"], [error.code for error in report.errors]) == ("in_grace", ["release_lost"])
    assert [one.user_name for one in report.releases] == ["bob"]


def test_release_that_was_ended_is_not_lost(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    users = {"account_id": machine.accounts[1], "user_name": "bob"}
    note = {"run_id": "release-1", "until": "2999-01-01T00:00:00Z", "users": [users]}
    machine.store.write("releases/release-1.json", json.dumps(note).encode())
    handle({"accounts": machine.accounts, "mode": "plan"}, FakeContext())
    end = note | {"until": "2026-01-01T00:00:00Z"}
    machine.store.write("releases/release-1.json", json.dumps(end).encode())

    handle({"accounts": machine.accounts}, FakeContext())

    assert machine.enforced() == ["alice", "bob", "carol", "dave"]
    assert machine.report().errors == ()
