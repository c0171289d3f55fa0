"""docs/integrations.md: each recipe is a template, whose rule takes the events that it says and makes of them what it
says.

The events are those of runs, put on a bus by the program; moto matches the pattern and fills in the template, with a
queue in the place of the tool. What no test double can prove is what Teams, Jira and PagerDuty accept.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.decode import decode_str

from orchestrator.aws.clients import make_clients
from orchestrator.aws.hub_services import EventBus
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.model import Gate, Mode, Trigger
from orchestrator.reports.run_finished import RUN_FINISHED, RunFinished, describe_run
from tests.aws_server import AwsServer
from tests.builders import make_run_report, make_seen, make_seen_account
from tests.stackset.rendering import PSEUDO, StackResolver

DOCUMENT = Path(__file__).parents[1].joinpath("docs/integrations.md").read_text(encoding="utf-8")
TEMPLATES: dict[str, str] = dict(re.findall(r"^### (\w+)\n.*?^```yaml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL))
REPORT = "s3://bucket/archive/runs/2026/03/02/run-1.json.gz"
GATE = Gate(code="over_limit", planned=1, limit=0, message="", remedy="")
GIVEN = {
    "Teams": {"WebhookUrl": "https://hook.example.com"},
    "Jira": {"Site": "example.atlassian.net", "ProjectKey": "SEC", "User": "u", "Token": "t"},
    "PagerDuty": {"RoutingKey": "r"},
}


def describe(*outcomes: str, address: str | None = REPORT, **changes: Any) -> RunFinished:
    account = make_seen_account(*(make_seen(f"user-{index}", outcome) for index, outcome in enumerate(outcomes)))
    return describe_run(make_run_report(account, **changes), address=address, page=None, link=None)


def deliver(aws: AwsServer, tool: str, *events: RunFinished) -> list[dict[str, Any]]:
    """Return what the target of a recipe's rule gets of these events."""
    template, problems = decode_str(TEMPLATES[tool])
    assert not problems
    rule = StackResolver(template, GIVEN[tool], PSEUDO).resolve(template["Resources"]["Rule"]["Properties"])
    client, sqs = aws.client("events"), aws.client("sqs")
    queue = sqs.create_queue(QueueName="tool")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client.put_rule(Name=tool, EventBusName=rule["EventBusName"], EventPattern=json.dumps(rule["EventPattern"]))
    targets = [{"Id": "tool", "Arn": arn, "InputTransformer": one["InputTransformer"]} for one in rule["Targets"]]
    client.put_targets(Rule=tool, EventBusName=rule["EventBusName"], Targets=targets)
    bus = EventBus(make_clients(connections=1).events, Retrier(Cancellation()), "default")
    for event in events:
        bus.put(RUN_FINISHED, event.model_dump_json())
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


@pytest.fixture(autouse=True)
def one_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")  # where the clients of the tests are


def test_each_tool_has_its_recipe_and_every_field_its_word() -> None:
    assert TEMPLATES.keys() == GIVEN.keys()
    table = "".join(re.findall(r"^\| (`.*?) \|", DOCUMENT, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", table)) == set(RunFinished.model_fields) - {"schema_version"}


@pytest.mark.parametrize("tool", TEMPLATES)
def test_recipe_is_a_template_without_complaints(tool: str) -> None:
    assert [str(found) for found in lint(TEMPLATES[tool], regions=["us-east-1"])] == []


def test_teams_gets_a_card_of_each_daily_run(aws: AwsServer) -> None:
    daily, by_hand = describe("enforced", "held", "none"), describe("held", trigger=Trigger.CLI)

    (message,) = deliver(aws, "Teams", daily, by_hand)

    (card,) = message["attachments"]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [block["text"] for block in card["content"]["body"]] == [
        "MFA (apply): 2 of 3 users without MFA",
        f"1 enforced now, 1 held, 0 accounts failed. Report: {REPORT}",
    ]


def test_jira_gets_an_issue_of_a_daily_run_with_something_to_fix(aws: AwsServer) -> None:
    (issue,) = deliver(aws, "Jira", describe("held"), describe("none"), describe("enforced", trigger=Trigger.MAP))

    assert issue["fields"]["project"] == {"key": "SEC"}
    assert issue["fields"]["summary"] == "MFA: 1 users held, 0 accounts failed"
    assert issue["fields"]["description"] == f"Run run-1. Report: {REPORT}"


@pytest.mark.parametrize(
    ("event", "is_taken"),
    [
        (describe("planned", gate=GATE), True),
        (describe("planned", complete=False), True),
        (describe("none", address=None), True),
        (describe("held"), False),
        (describe("planned", gate=GATE, mode=Mode.PLAN), False),
        (describe("planned", gate=GATE, trigger=Trigger.CLI), False),
    ],
)
def test_pagerduty_gets_an_incident_of_a_daily_run_that_did_not_do_its_work(
    aws: AwsServer, event: RunFinished, is_taken: bool
) -> None:
    incidents = deliver(aws, "PagerDuty", event)

    assert [incident["dedup_key"] for incident in incidents] == [f"orgmfa-{event.organization_id}"] * is_taken
    assert all(incident["payload"].keys() == {"source", "severity", "summary"} for incident in incidents)
