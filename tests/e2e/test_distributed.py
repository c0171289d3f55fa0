"""A distributed run, deployed: the state machine, real functions, 40 accounts in batches of 10. `make e2e` runs this.

A batch is lost by a policy that keeps its function from writing down what it found. ministack runs the machine and asks
for none of its role's permissions: tests/stackset compares those with the definition. The tests go on from one another.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.deployment import HUB, load_template, running_emulator
from tests.e2e.organization import (
    BUCKET,
    Organization,
    deploy_hub,
    deploy_member,
    fire_schedule,
    found_organization,
    furnish,
    scheduled,
)
from tests.fake_slack import FakeSlack

ACCOUNTS, BATCH = 40, 10
LOST = 2
RUN_SECONDS = 300
OWN = {"run_id", "trigger", "started_at", "finished_at"}


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    """The hub and 39 members, each with a user without MFA, and every fourth with one who has a device."""
    folder = tmp_path_factory.mktemp("e2e")
    with running_emulator(folder) as emulator, FakeSlack() as slack:
        found = found_organization(emulator, slack)
        found.account_ids["hub"] = HUB
        for number in range(1, ACCOUNTS):
            found.add_account(f"team-{number:02}")
        member = load_template("member_role/template.yaml")
        for number, account_id in enumerate(found.account_ids.values()):
            deploy_member(found, member, account_id)
            furnish(emulator, account_id, {"ana": ""} | ({"ben": "mfa"} if number % 4 == 0 else {}))
        deploy_hub(found, folder, Scale="distributed", BatchSize=str(BATCH), MapConcurrency="4")
        yield found


def batch(organization: Organization, number: int) -> set[str]:
    """Return the accounts of a batch: they are listed in this order."""
    pages = organization.emulator.client("organizations").get_paginator("list_accounts").paginate()
    listed = [account["Id"] for page in pages for account in page["Accounts"]]
    return set(listed[number * BATCH : (number + 1) * BATCH])


def enforced_users(organization: Organization) -> set[tuple[str, str]]:
    """Return the users whom EnforceMFA is attached to, each with its account."""
    found = set()
    for account_id in organization.account_ids.values():
        policy = f"arn:aws:iam::{account_id}:policy/EnforceMFA"
        answer = organization.emulator.client("iam", account_id).list_entities_for_policy(PolicyArn=policy)
        found |= {(account_id, user["UserName"]) for user in answer["PolicyUsers"]}
    return found


def users(report: dict[str, Any], *outcomes: str) -> set[tuple[str, str]]:
    """Return the users of a report with one of these outcomes, each with its account."""
    return {
        (account["id"], user["name"])
        for account in report["accounts"]
        for user in account["users"]
        if user["outcome"] in outcomes
    }


def statuses(report: dict[str, Any]) -> dict[str, set[str]]:
    """Return the accounts of a report by status."""
    found: dict[str, set[str]] = {}
    for account in report["accounts"]:
        found.setdefault(account["status"], set()).add(account["id"])
    return found


def comparable(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report without what is of its own run: ID, trigger and times."""
    told: dict[str, Any] = json.loads(json.dumps({key: one for key, one in report.items() if key not in OWN}))
    for account in told["accounts"]:
        for user in account["users"]:
            user["open_since"] = bool(user["open_since"])
    return told


def machine(organization: Organization) -> Any:
    return organization.emulator.client("stepfunctions")


def executions(organization: Organization) -> set[str]:
    arn = organization.stack["StateMachineArn"]
    return {one["executionArn"] for one in machine(organization).list_executions(stateMachineArn=arn)["executions"]}


def wait(organization: Organization, execution: str) -> dict[str, Any]:
    """Return what a run returned, once it has ended."""
    ends_at = time.monotonic() + RUN_SECONDS
    while time.monotonic() < ends_at:
        seen = machine(organization).describe_execution(executionArn=execution)
        if seen["status"] != "RUNNING":
            assert seen["status"] == "SUCCEEDED", seen.get("cause")
            result: dict[str, Any] = json.loads(seen["output"])
            return result
        time.sleep(0.5)
    raise AssertionError("the run did not come to its end")


def start(organization: Organization, **asked: Any) -> dict[str, Any]:
    """Run as a person would, and return what the run returned."""
    arn = organization.stack["StateMachineArn"]
    started = machine(organization).start_execution(stateMachineArn=arn, input=json.dumps(asked))
    return wait(organization, started["executionArn"])


@contextmanager
def kept_from_writing(organization: Organization, name: str) -> Iterator[None]:
    """Keep the functions from writing a file of the work room of any run."""
    iam = organization.emulator.client("iam")
    denied = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/archive/work/*/{name}"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    iam.put_role_policy(RoleName="orgmfa-orchestrator", PolicyName="fault", PolicyDocument=document)
    yield
    iam.delete_role_policy(RoleName="orgmfa-orchestrator", PolicyName="fault")


def work_left(organization: Organization) -> list[str]:
    s3 = organization.emulator.client("s3")
    answer = s3.list_objects_v2(Bucket=BUCKET, Prefix="archive/work/")
    return [one["Key"] for one in answer.get("Contents", [])]


def plan_in_one_function(organization: Organization) -> dict[str, Any]:
    """Return the report of a plan by the function that the schedule starts without `Scale`; its archive is emptied."""
    functions, s3 = organization.emulator.client("lambda"), organization.emulator.client("s3")
    variables = functions.get_function_configuration(FunctionName="orgmfa-schedule")["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName="orgmfa-schedule", Environment={"Variables": variables | {"ORGMFA_ENFORCEMENT_MODE": "plan"}}
    )
    result = organization.invoke(scheduled(minutes_ago=1))
    report = organization.report(result["report"])
    for one in s3.list_objects_v2(Bucket=BUCKET, Prefix="archive/runs/")["Contents"]:
        s3.delete_object(Bucket=BUCKET, Key=one["Key"])
    return report


def test_a_distributed_run_reports_what_one_function_reports(organization: Organization) -> None:
    alone = plan_in_one_function(organization)
    result = start(organization, mode="plan")

    together = organization.report(result["report"])
    assert result["totals"] == together["totals"]
    assert together["totals"]["accounts"] == together["totals"]["inspected"] == ACCOUNTS
    assert together["totals"]["planned"] == ACCOUNTS
    assert together["mode"] == "plan"
    assert comparable(together) == comparable(alone)
    assert enforced_users(organization) == set()


def test_a_batch_that_is_lost_is_reported_and_the_others_are_enforced(organization: Organization) -> None:
    before, said = executions(organization), len(organization.slack.messages)
    with kept_from_writing(organization, f"plans/{LOST:05}.json.gz"):
        fire_schedule(organization.emulator)
        ends_at = time.monotonic() + RUN_SECONDS
        while executions(organization) == before and time.monotonic() < ends_at:
            time.sleep(0.5)
        [execution] = executions(organization) - before
        report = organization.report(wait(organization, execution)["report"])

    lost = batch(organization, LOST)
    assert len(organization.slack.messages) == said + 1
    assert report["mode"] == "apply"
    assert [account["id"] for account in report["accounts"]].count(HUB) == 1
    assert len(report["accounts"]) == len({account["id"] for account in report["accounts"]}) == ACCOUNTS
    assert statuses(report) == {"not_reached": lost, "inspected": set(organization.account_ids.values()) - lost}
    assert enforced_users(organization) == users(report, "enforced")
    assert len(users(report, "enforced")) == ACCOUNTS - BATCH
    assert work_left(organization) == []


def test_what_a_lost_batch_had_written_is_reported_as_it_stands(organization: Organization) -> None:
    before, said = enforced_users(organization), len(organization.slack.messages)
    with kept_from_writing(organization, f"applied/{LOST:05}.json.gz"):
        report = organization.report(start(organization)["report"])

    assert len(organization.slack.messages) == said + 1
    assert len({account["id"] for account in report["accounts"]}) == len(report["accounts"]) == ACCOUNTS
    assert enforced_users(organization) - before == users(report, "enforced")
    assert len(enforced_users(organization)) == ACCOUNTS


def test_a_run_without_faults_reaches_everything_and_has_nothing_left_to_do(organization: Organization) -> None:
    before, said = enforced_users(organization), len(organization.slack.messages)
    report = organization.report(start(organization)["report"])

    assert len(organization.slack.messages) == said + 1
    assert statuses(report) == {"inspected": set(organization.account_ids.values())}
    assert users(report, "enforced") == set()
    assert users(report, "already_enforced") == enforced_users(organization) == before
    assert work_left(organization) == []


def test_the_same_scheduled_time_twice_is_one_distributed_run(organization: Organization) -> None:
    event = scheduled(minutes_ago=2)
    start(organization, **event)
    said = len(organization.slack.messages)

    assert start(organization, **event)["repeated"] is True
    assert len(organization.slack.messages) == said
