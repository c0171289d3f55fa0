"""A run in steps, from the events of the state machine to its report, against a served AWS and a fake Slack."""

import json

import pytest

from orchestrator.lambdas.run import lambda_handler as handle
from orchestrator.lambdas.step import lambda_handler as step
from orchestrator.pipeline.lease import LEASE_FILE
from tests.aws_server import Call
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


@pytest.mark.parametrize("is_scheduled", [True, False])
def test_only_an_execution_that_the_schedule_has_started_counts_as_scheduled(
    machine: Machine, capsys: pytest.CaptureFixture[str], *, is_scheduled: bool
) -> None:
    machine.run(**(SCHEDULE if is_scheduled else {"mode": "plan"}))

    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["RunsFinished"], line.get("ScheduledRunsFinished")) == ([1], [1] if is_scheduled else None)


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
