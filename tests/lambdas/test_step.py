"""A run in steps, from the events of the state machine to its report, against a served AWS and a fake Slack."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.domain.errors import StartError
from orchestrator.lambdas.run import lambda_handler as handle
from orchestrator.lambdas.runtime import RunFailed
from orchestrator.lambdas.step import lambda_handler as step
from orchestrator.pipeline.lease import LEASE_FILE
from tests.aws_server import Call, Credential
from tests.fake_slack import FakeSlack
from tests.lambdas.function import FakeContext, today
from tests.lambdas.machine import SCHEDULE, Machine, comparable, outcomes

pytestmark = pytest.mark.thorough

# -- the same run


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_run_in_steps_gives_the_report_of_a_run_in_one(machine: Machine, mode: str) -> None:
    machine.aws.missing_roles.add((machine.accounts[1], "orgmfa-member"))
    machine.configure(enforcement={"mode": mode})
    handle(today(SCHEDULE), FakeContext())
    whole = machine.report()
    for account_id, name in zip(machine.accounts, ("alice", "bob", "carol", "dave"), strict=True):
        if "EnforceMFA" in machine.organization.attached(account_id, name):
            machine.aws.client("iam", account_id).detach_user_policy(
                UserName=name, PolicyArn=f"arn:aws:iam::{account_id}:policy/EnforceMFA"
            )
    for file in machine.files("runs/"):
        machine.store.delete(file)

    machine.run(**SCHEDULE | {"scheduled_time": "2026-03-03T12:00:00Z"})

    assert comparable(machine.report()) == comparable(whole)
    assert machine.report().trigger == "map"


def test_steps_enforce_report_and_tell_once_and_leave_nothing_behind(machine: Machine, slack: FakeSlack) -> None:
    machine.configure(enforcement={"mode": "apply"})

    result = machine.run(**SCHEDULE)

    assert machine.enforced() == ["alice", "bob", "carol", "dave"]
    assert (result["totals"]["enforced"], result["totals"]["accounts"]) == (4, 5)
    assert machine.report().run_id == result["run_id"]
    assert len(slack.messages) == 1
    assert machine.files() == []
    assert b'"is_given_back":true' in machine.store.read(LEASE_FILE)


def test_what_earlier_runs_knew_reaches_every_batch(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply", "notice": "3d"})
    machine.run(**SCHEDULE)
    first = machine.report()
    machine.organization.enrol(machine.accounts[1], "bob", "fido")

    machine.run("daily-2", **SCHEDULE | {"scheduled_time": "2026-03-03T12:00:00Z"})

    second = machine.report()
    assert outcomes(first) == {
        "alice": "in_grace",
        "bob": "in_grace",
        "carol": "in_grace",
        "dave": "in_grace",
        "erin": "none",
    }
    assert second.changes is not None
    assert [(user.name, user.device) for user in second.changes.enrolled] == [("bob", "fido")]
    seen = {user.name: user.open_since for account in second.accounts for user in account.users}
    assert seen["alice"] == first.started_at


def test_users_whose_notice_is_over_are_enforced_and_the_others_are_not(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply", "notice": "30d"})
    machine.run(**SCHEDULE)
    machine.organization.add_user(machine.accounts[0], "frank")

    machine.run("daily-2", **SCHEDULE | {"scheduled_time": "2026-03-03T12:00:00Z"})

    assert machine.enforced() == ["alice", "bob", "carol", "dave"]
    assert outcomes(machine.report()) == {
        "alice": "enforced",
        "bob": "enforced",
        "carol": "enforced",
        "dave": "enforced",
        "erin": "none",
        "frank": "in_grace",
    }


def test_first_sights_follow_the_person_and_not_the_name(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply", "notice": "30d"})
    machine.run(**SCHEDULE)
    iam = machine.aws.client("iam", machine.accounts[0])
    iam.delete_login_profile(UserName="alice")
    iam.delete_user(UserName="alice")
    machine.organization.add_user(machine.accounts[0], "alice")
    machine.aws.client("iam", machine.accounts[1]).update_user(UserName="bob", NewUserName="robert")

    machine.run("daily-2", **SCHEDULE | {"scheduled_time": "2026-03-03T12:00:00Z"})

    told = outcomes(machine.report())
    assert (told["alice"], told["robert"], told["carol"]) == ("in_grace", "enforced", "enforced")


def test_policy_that_changes_while_a_batch_is_applied_is_told_by_the_run(machine: Machine, slack: FakeSlack) -> None:
    machine.configure(enforcement={"mode": "apply"})
    iam, arn = machine.aws.client("iam", machine.accounts[0]), f"arn:aws:iam::{machine.accounts[0]}:policy/EnforceMFA"
    text = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'

    def rewrite(call: Call) -> None:
        if call.action == "AttachUserPolicy" and call.account_id == machine.accounts[0]:
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)

    machine.aws.after.append(rewrite)

    machine.run(**SCHEDULE)

    (alice,) = [user for account in machine.report().accounts for user in account.users if user.name == "alice"]
    assert (alice.outcome.value, alice.error and alice.error.code) == ("failed", "policy_drifted")
    assert outcomes(machine.report())["bob"] == "enforced"
    assert "policy changed" in str(slack.messages[0])


# -- what is lost


def test_batch_that_was_never_planned_is_reported_as_not_reached(machine: Machine, slack: FakeSlack) -> None:
    machine.configure(enforcement={"mode": "apply"})
    machine.lost.add(("plan", 1))

    machine.run(**SCHEDULE)

    report = machine.report()
    assert [account.status.value for account in report.accounts] == ["inspected"] * 2 + ["not_reached"] * 2 + [
        "inspected"
    ]
    assert [error.code for error in report.errors] == ["lost"]
    assert (report.complete, machine.enforced()) == (True, ["alice", "dave"])
    assert len(slack.messages) == 1


@pytest.mark.parametrize("was_written", [True, False])
def test_of_a_batch_lost_while_it_was_applied_what_was_written_is_told(machine: Machine, was_written: bool) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    gated = machine.gate(selected, **SCHEDULE)
    machine.map("apply", gated)
    machine.store.delete(f"work/{selected['run_id']}/applied/00000.json.gz")
    if not was_written:
        machine.aws.client("iam", machine.accounts[0]).detach_user_policy(
            UserName="alice", PolicyArn=f"arn:aws:iam::{machine.accounts[0]}:policy/EnforceMFA"
        )

    machine.merge(selected, **SCHEDULE)

    report = machine.report()
    account = next(account for account in report.accounts if account.id == machine.accounts[0])
    assert (account.status.value, account.error and account.error.code) == ("not_reached", "lost")
    assert [(user.outcome.value) for user in account.users] == ["enforced" if was_written else "planned"]
    assert outcomes(report)["dave"] == "enforced"


@pytest.mark.parametrize(
    ("found", "told"), [("the policy", ("create_policy",)), ("no policy", ()), ("no way into the account", ())]
)
def test_of_a_batch_lost_while_it_was_applied_the_policy_that_was_made_is_told(
    machine: Machine, found: str, told: tuple[str, ...]
) -> None:
    account_id = machine.accounts[0]
    iam, arn = machine.aws.client("iam", account_id), f"arn:aws:iam::{account_id}:policy/EnforceMFA"
    iam.delete_policy(PolicyArn=arn)
    machine.configure(enforcement={"mode": "apply"}, policy={"managed_by": "orchestrator"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)
    gated = machine.gate(selected, **SCHEDULE)
    machine.map("apply", gated)
    machine.store.delete(f"work/{selected['run_id']}/applied/00000.json.gz")
    if found == "no policy":
        iam.detach_user_policy(UserName="alice", PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)
    elif found == "no way into the account":
        machine.aws.missing_roles.add((account_id, "orgmfa-member"))

    machine.merge(selected, **SCHEDULE)

    account = next(account for account in machine.report().accounts if account.id == account_id)
    assert account.status.value == "not_reached"
    assert account.policy_changes == told


def test_run_whose_gate_was_lost_writes_nothing_and_says_so(machine: Machine) -> None:
    machine.configure(enforcement={"mode": "apply"})
    selected = machine.select(**SCHEDULE)
    machine.map("plan", selected)

    machine.merge(selected, **SCHEDULE)

    report = machine.report()
    assert (report.totals.planned, report.totals.not_reached, machine.aws.writes()[-1:]) != (0, 0, [])
    assert machine.enforced() == []
    assert [error.code for error in report.errors] == ["lost"]


def test_batch_that_ended_before_its_deadline_leaves_the_rest_not_reached(machine: Machine) -> None:
    selected = machine.select(**SCHEDULE)
    for number in range(3):
        step({"step": "plan", "run_id": selected["run_id"], "batch": number}, FakeContext(900 if number else 30))
    machine.gate(selected, **SCHEDULE)

    machine.merge(selected, **SCHEDULE)

    report = machine.report()
    assert [account.status.value for account in report.accounts] == ["not_reached"] * 2 + ["inspected"] * 3
    assert [error.code for error in report.errors] == ["deadline"]


# -- the gate


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


@pytest.mark.parametrize("is_scheduled", [True, False])
def test_only_an_execution_that_the_schedule_has_started_counts_as_scheduled(
    machine: Machine, capsys: pytest.CaptureFixture[str], *, is_scheduled: bool
) -> None:
    machine.run(**(SCHEDULE if is_scheduled else {"mode": "plan"}))

    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["RunsFinished"], line.get("ScheduledRunsFinished")) == ([1], [1] if is_scheduled else None)


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
        with pytest.raises(RunFailed, match=r"lost the notes of releases that are not over.*bob"):
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
