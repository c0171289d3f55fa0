"""An IAM user gets a password, and the policy some seconds later, deployed. `make e2e` runs this.

Two steps are put in: the test puts the event that CloudTrail would send, and emulator.py carries what the account's
rule sends to the bus of the other account. ministack has neither, nor policies of a bus: tests/stackset judges those.
All else is real: both rules with their patterns, queue, event source, zip, roles. The tests go on from one another.
"""

import json
import time
from collections.abc import Iterator

import pytest

from tests.e2e.deployment import HUB, load_template, running_emulator
from tests.e2e.organization import (
    BUCKET,
    Organization,
    deploy_hub,
    deploy_member,
    found_organization,
    furnish,
    scheduled,
)
from tests.fake_slack import FakeSlack
from tests.iam_event_samples import iam_event

WITH_RULE, WITHOUT_RULE = "payments", "search"
WAIT_SECONDS = 120


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    """Two accounts with the member roles, one of them with the rule; in each a user whom no event names."""
    folder = tmp_path_factory.mktemp("e2e")
    with running_emulator(folder) as emulator, FakeSlack() as slack:
        found = found_organization(emulator, slack)
        member = load_template("member_role/template.yaml")
        for name in (WITH_RULE, WITHOUT_RULE):
            deploy_member(found, member, found.add_account(name))
            furnish(emulator, found.account_ids[name], {"alice": ""})
        deploy_member(found, member, HUB)
        deploy_hub(found, folder, IamEvents="on")
        bus = {"IamEventBusArn": found.stack["IamEventBusArn"]}
        emulator.deploy(load_template("member_role/events.yaml"), "orgmfa-events", found.account_ids[WITH_RULE], **bus)
        yield found


def give_password(organization: Organization, account: str, user: str) -> None:
    """Make a user with a password, and put the event that CloudTrail sends of it on the default bus of the account."""
    account_id = organization.account_ids[account]
    furnish(organization.emulator, account_id, {user: ""})
    event = iam_event(account_id, "CreateLoginProfile", user=user)
    entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
    answer = organization.emulator.client("events", account_id).put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0


def wait_until_attached(organization: Organization, account: str, user: str) -> None:
    ends_at = time.monotonic() + WAIT_SECONDS
    while organization.attached(account, user) != ["EnforceMFA"]:
        assert time.monotonic() < ends_at, f"{user} of {account} was not enforced"
        time.sleep(0.1)


def event_runs(organization: Organization) -> list[str]:
    """Return the addresses of the reports of event runs."""
    answer = organization.emulator.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="archive/event-runs/")
    keys = [one["Key"] for one in answer.get("Contents", ())]
    return [f"s3://{BUCKET}/{key}" for key in keys if key.endswith(".json.gz")]


def test_user_who_is_given_a_password_has_the_policy_without_a_daily_run(organization: Organization) -> None:
    give_password(organization, WITHOUT_RULE, "frank")
    give_password(organization, WITH_RULE, "erin")
    wait_until_attached(organization, WITH_RULE, "erin")
    ends_at = time.monotonic() + WAIT_SECONDS
    while not organization.slack.messages and time.monotonic() < ends_at:
        time.sleep(0.1)

    [address] = event_runs(organization)
    report = organization.report(address)
    named = [
        (account["id"], user["name"], user["outcome"]) for account in report["accounts"] for user in account["users"]
    ]
    assert named == [(organization.account_ids[WITH_RULE], "erin", "enforced")]
    assert (report["trigger"], report["narrowed"]) == ("iam_event", True)
    assert len(organization.slack.messages) == 1


def test_nobody_is_enforced_whom_no_event_named_and_no_event_comes_without_the_rule(organization: Organization) -> None:
    assert organization.attached(WITH_RULE, "alice") == []
    assert organization.attached(WITHOUT_RULE, "alice") == []
    assert organization.attached(WITHOUT_RULE, "frank") == []


def test_account_without_the_rule_is_met_by_the_daily_run(organization: Organization) -> None:
    result = organization.invoke(scheduled(minutes_ago=1))

    assert organization.attached(WITHOUT_RULE, "frank") == ["EnforceMFA"]
    assert organization.attached(WITH_RULE, "alice") == ["EnforceMFA"]
    assert (result["totals"]["enforced"], result["totals"]["already_enforced"]) == (3, 1)


def test_queue_is_empty_and_nothing_was_given_up(organization: Organization) -> None:
    sqs = organization.emulator.client("sqs")
    numbers = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = [
        sqs.get_queue_attributes(QueueUrl=organization.stack[url], AttributeNames=numbers)["Attributes"]
        for url in ("IamEventsQueueUrl", "IamEventsDeadLetterQueueUrl")
    ]

    assert left == [dict.fromkeys(numbers, "0")] * 2
