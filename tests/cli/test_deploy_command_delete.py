"""`orgmfa deploy --delete`, against a fake CloudFormation over HTTP."""

import os
import signal

import pytest

from tests.aws_server import MANAGEMENT, Answer, Call
from tests.cli.deploying import (
    BOOTSTRAP,
    BUCKET,
    CENTRAL,
    OPERATOR,
    STACK_SET,
    Deployer,
    assert_refused,
    enforce,
    on_terminal,
    release,
)

pytestmark = pytest.mark.thorough


def test_nobody_is_left_under_the_policy_when_all_is_taken_down(deploy: Deployer) -> None:
    deploy.stand("OperatorPrincipalArns=" + OPERATOR)
    enforce(deploy)

    refused = deploy("--delete", "--yes")

    assert refused.code == 1
    assert "1 user in 1 account still under EnforceMFA:" in refused.stderr
    assert f"  acme-payments ({deploy.payments}): alice\n" in refused.stderr
    assert "orgmfa release" in refused.stderr
    assert deploy.cloud.actions() == []
    operator = f"arn:aws:iam::{MANAGEMENT}:role/OperatorRole"
    assert operator in [call.parameters.get("RoleArn") for call in deploy.aws.calls]

    release(deploy)
    done = deploy("--delete", "--yes", ORGMFA_EVENTS_BUS="security")

    assert done.code == 0, done.stderr
    assert "DescribeEventBus" not in deploy.aws.actions(), "counting who is enforced is no run to tell of"
    assert deploy.cloud.actions() == ["DeleteStackInstances", "DeleteStack", "DeleteStack", "DeleteStack"]
    assert (deploy.cloud.stacks, deploy.cloud.instances) == ({}, [])
    assert deploy.aws.client("s3").list_buckets()["Buckets"] == []
    assert "Taken down." in done.stdout
    assert not list(deploy.folder.glob("orgmfa-runs"))


def test_enforcement_is_not_switched_off_while_anybody_is_under_the_policy(deploy: Deployer) -> None:
    deploy.stand()
    enforce(deploy)
    off = ("--yes", "--parameter", "Enforcement=off")

    refused = deploy(*off)

    assert refused.code == 1
    assert f"  acme-payments ({deploy.payments}): alice\n" in refused.stderr
    assert "orgmfa release" in refused.stderr
    assert deploy.executed() == []
    assert deploy.parameters(STACK_SET).get("Enforcement", "on") == "on"
    assert deploy("--yes").code == 0
    assert deploy("--yes", "--parameter", "Enforcement=on").code == 0

    deploy.aws.missing_roles.add((deploy.payments, "orgmfa-member"))
    assert "could not be looked at" in deploy(*off).stderr
    deploy.aws.missing_roles.clear()
    release(deploy)
    done, again = deploy(*off), deploy("--yes")

    assert (done.code, again.code) == (0, 0), done.stderr
    assert deploy.parameters(STACK_SET)["Enforcement"] == "off"
    assert deploy("--yes", "--parameter", "Enforcement=on").code == 0
    assert deploy.parameters(STACK_SET)["Enforcement"] == "on"


def test_first_deployment_may_begin_with_roles_that_only_read(deploy: Deployer) -> None:
    enforce(deploy)

    assert deploy("--yes", *deploy.first("Enforcement=off")).code == 0
    assert deploy.parameters(STACK_SET)["Enforcement"] == "off"


def test_user_in_the_group_counts_too(deploy: Deployer) -> None:
    deploy.stand()
    deploy.aws.client("iam", deploy.payments).add_user_to_group(GroupName="EnforceMFA", UserName="alice")

    assert ": alice" in deploy("--delete", "--yes").stderr


def test_account_that_cannot_be_looked_at_keeps_everything_standing(deploy: Deployer) -> None:
    deploy.stand()
    deploy.aws.missing_roles.add((deploy.payments, "orgmfa-member"))

    done = deploy("--delete", "--yes")

    assert done.code == 1
    assert "1 account of the StackSet could not be looked at" in done.stderr
    assert f"payments ({deploy.payments})" in done.stderr
    assert "OperatorPrincipalArns" in done.stderr
    assert deploy.cloud.actions() == []


def test_rules_for_iam_events_go_before_everything_else(deploy: Deployer) -> None:
    deploy.stand("IamEvents=on")
    deploy.cloud.instances.remove(deploy.payments)

    done = deploy("--delete", "--yes")

    assert done.code == 0, done.stderr
    deleted = [call.parameters for call in deploy.aws.calls if call.action == "DeleteStackInstances"]
    assert [one["StackSetName"].partition(":")[0] for one in deleted] == ["orgmfa-events", "orgmfa"]
    assert len({one["OperationId"] for one in deleted}) == 2
    assert deploy.cloud.event_instances == []
    shown = [line for line in done.stdout.splitlines() if "the stacks of the StackSet" in line]
    assert shown[0] == "  the stacks of the StackSet orgmfa-events in 2 accounts, with the rule for IAM events"
    assert shown[1] == "  the stacks of the StackSet orgmfa in 1 accounts, with the roles and EnforceMFA"


@pytest.mark.parametrize(
    ("events", "stacks"),
    [("off", "stack orgmfa-management"), ("on", "stacks orgmfa-management and orgmfa-management-events")],
)
def test_what_is_left_in_the_management_account_is_named(deploy: Deployer, events: str, stacks: str) -> None:
    deploy.stand(f"IamEvents={events}")

    done = deploy("--delete", "--yes")

    assert f"Not touched: the {stacks} in the management account" in done.stdout


def test_stack_set_of_that_name_that_is_not_ours_is_left_alone(deploy: Deployer) -> None:
    deploy.stand()
    deploy.cloud.event_instances.append(deploy.payments)

    assert deploy("--delete", "--yes").code == 0
    asked = {call.parameters.get("StackSetName", "").partition(":")[0] for call in deploy.aws.calls}
    assert "orgmfa-events" not in asked


def test_account_that_the_stack_set_has_not_reached_does_not_matter(deploy: Deployer) -> None:
    deploy.stand()
    deploy.cloud.instances.remove(deploy.payments)
    deploy.aws.missing_roles.update({(deploy.payments, "orgmfa-member"), (MANAGEMENT, "orgmfa-member")})

    assert deploy("--delete", "--yes").code == 0


def test_caller_who_cannot_become_the_operator_is_told(deploy: Deployer) -> None:
    deploy.stand("OperatorPrincipalArns=" + OPERATOR)
    deploy.aws.missing_roles.add((MANAGEMENT, "OperatorRole"))

    assert_refused(deploy("--delete", "--yes"), "OperatorRole", "OperatorPrincipalArns", stdout=True)
    assert deploy.cloud.actions() == []


def test_archive_keeps_the_bucket_and_its_stack(deploy: Deployer) -> None:
    deploy.stand()
    deploy.aws.client("s3").put_object(Bucket=BUCKET, Key="archive/runs/2026/01/01/run.json.gz", Body=b"evidence")

    done = deploy("--delete", "--yes")

    assert done.code == 0, done.stderr
    assert deploy.statuses() == {BOOTSTRAP: "CREATE_COMPLETE"}
    assert "holds the archive, so it stays" in done.stdout

    again = deploy("--delete", "--yes")

    assert again.code == 0
    assert "Nothing to take down." in again.stdout


def test_deployment_after_a_removal_goes_on_with_the_archive_that_stayed(deploy: Deployer) -> None:
    deploy.stand()
    deploy.aws.client("s3").put_object(Bucket=BUCKET, Key="archive/runs/2026/01/01/run.json.gz", Body=b"evidence")
    deploy("--delete", "--yes")

    done = deploy("--yes", *deploy.first())

    assert done.code == 0, done.stderr
    assert deploy.executed() == [CENTRAL, STACK_SET]


def test_accounts_whose_stack_cannot_be_deleted_are_named(deploy: Deployer) -> None:
    deploy.stand()

    def enforce_now(call: Call) -> Answer | None:
        if call.action == "DeleteStackInstances":
            deploy.aws.faults.remove(enforce_now)
            enforce(deploy)
        return None

    deploy.aws.faults.insert(0, enforce_now)

    done = deploy("--delete", "--yes")

    assert done.code == 1
    assert f"  {deploy.payments}: EnforcementPolicy: Cannot delete a policy attached to entities" in done.stderr
    assert set(deploy.statuses()) == {BOOTSTRAP, CENTRAL, STACK_SET}

    release(deploy)

    assert deploy("--delete", "--yes").code == 0


@pytest.mark.parametrize("end", ["FAILED", "STOPPED"])
def test_operation_that_ended_before_it_came_to_any_account_is_no_removal(deploy: Deployer, end: str) -> None:
    deploy.stand()

    def answer(call: Call) -> Answer | None:
        told = {
            "DeleteStackInstances": "<OperationId>one</OperationId>",
            "DescribeStackSetOperation": f"<StackSetOperation><Status>{end}</Status>"
            "<StatusReason>trusted access is off</StatusReason></StackSetOperation>",
            "ListStackSetOperationResults": "<Summaries/>",
        }.get(call.action)
        result = f"<{call.action}Result>{told}</{call.action}Result>"
        return None if told is None else Answer(200, f"<{call.action}Response>{result}</{call.action}Response>")

    deploy.aws.faults.insert(0, answer)

    done = deploy("--delete", "--yes")

    assert done.code == 1
    assert f"The StackSet orgmfa did not delete the stacks of 2 accounts: {end}: trusted access is off" in done.stderr
    assert "were deleted" not in done.stdout
    assert set(deploy.statuses()) == {BOOTSTRAP, CENTRAL, STACK_SET}


def test_stack_that_cannot_be_deleted_is_explained_and_tried_again(deploy: Deployer) -> None:
    deploy.stand()
    deploy.cloud.failing[CENTRAL] = ("OrchestratorRole", "Cannot delete entity, must detach all policies first")

    failed = deploy("--delete", "--yes")
    again = deploy("--delete", "--yes")

    assert (failed.code, again.code) == (1, 0)
    assert "OrchestratorRole (AWS::IAM::Role): Cannot delete entity" in failed.stderr
    assert deploy.cloud.stacks == {}


def test_interrupted_removal_says_how_to_follow_it(deploy: Deployer) -> None:
    deploy.stand()
    deploy.cloud.runs_on = True

    def interrupt(call: Call) -> Answer | None:
        if call.action == "DescribeStackSetOperation":
            os.kill(os.getpid(), signal.SIGINT)
        return None

    deploy.aws.faults.insert(0, interrupt)

    done = deploy("--delete", "--yes")

    assert done.code == 1
    assert "The StackSet goes on deleting its stacks in AWS" in done.stderr
    assert "aws cloudformation describe-stack-set-operation --stack-set-name orgmfa:0123" in done.stderr
    assert set(deploy.statuses()) == {BOOTSTRAP, CENTRAL, STACK_SET}


def test_removal_goes_on_with_what_an_earlier_one_left(deploy: Deployer) -> None:
    deploy.stand()
    stack = deploy.cloud.stacks[STACK_SET]
    stack.status, stack.content.outputs = "DELETE_FAILED", {}
    deploy.cloud.stacks[CENTRAL].status = "DELETE_IN_PROGRESS"
    deploy.cloud.stacks[CENTRAL].coming = [("DELETE_IN_PROGRESS", []), ("DELETE_COMPLETE", [])]

    done = deploy("--delete", "--yes")

    assert done.code == 0, done.stderr
    assert deploy.cloud.actions() == ["DeleteStackInstances", "DeleteStack", "DeleteStack"]
    assert deploy.cloud.stacks == {}


def test_removal_shows_what_goes_and_asks(deploy: Deployer) -> None:
    deploy.stand()

    code, text = on_terminal(deploy, "n\n", "--delete")

    assert code == 1
    assert "the stacks of the StackSet orgmfa in 2 accounts, with the roles and EnforceMFA" in text
    assert f"the stack {BOOTSTRAP}" in text
    assert len(deploy.statuses()) == 3


def test_nothing_deployed_is_nothing_to_take_down(deploy: Deployer) -> None:
    done = deploy("--delete", "--yes")

    assert done.code == 0
    assert "Nothing to take down." in done.stdout
