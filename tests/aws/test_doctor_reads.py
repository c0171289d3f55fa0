"""What doctor reads beyond a run, from moto and from answers that moto does not give."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws

from orchestrator.aws.clients import Clients, make_clients
from orchestrator.aws.doctor_reads import RUN_ACTIONS, HubChecks, MemberChecks
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import Malformed, NotFound
from orchestrator.domain.stop_switch import SwitchState

RETRIER = Retrier(Cancellation(), sleep=lambda _: None)


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with mock_aws():
        yield make_clients(connections=4)


@pytest.fixture
def hub(clients: Clients) -> HubChecks:
    return HubChecks(clients, RETRIER)


def role(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "RoleName": name,
        "AssumeRolePolicyDocument": {"Statement": []},
        "RolePolicyList": [{"PolicyName": "p", "PolicyDocument": {"Statement": []}}],
        "AttachedManagedPolicies": [{"PolicyName": "q", "PolicyArn": "arn:q"}],
    } | changes


class Pages:
    """An IAM client that gives roles in pages, an empty one among them."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages = pages
        self.asked: list[dict[str, Any]] = []

    def get_account_authorization_details(self, **parameters: Any) -> dict[str, Any]:
        self.asked.append(parameters)
        number = int(parameters.get("Marker", "0"))
        is_last = number + 1 == len(self.pages)
        more = {"IsTruncated": False} if is_last else {"IsTruncated": True, "Marker": str(number + 1)}
        return {"RoleDetailList": self.pages[number], **more}

    def list_account_aliases(self) -> dict[str, Any]:
        return {"AccountAliases": []}


def checks_of(client: Any) -> MemberChecks:
    return MemberChecks(client, RETRIER)


def test_roles_are_found_on_any_page_and_no_page_is_asked_for_in_vain() -> None:
    boundary = {"PermissionsBoundary": {"PermissionsBoundaryArn": "arn:b"}}
    client = Pages([role("other")], [], [role("a", **boundary), role("b")], [role("c")])

    found = checks_of(client).get_roles(("a", "b"))

    assert found.keys() == {"a", "b"}
    assert (found["a"].boundary_arn, found["b"].boundary_arn) == ("arn:b", None)
    assert found["a"].policies == {"p": {"Statement": []}}
    assert found["a"].attached_policy_arns == ("arn:q",)
    assert len(client.asked) == 3
    assert all(one["Filter"] == ["Role"] for one in client.asked)


def test_roles_that_are_missing_are_not_in_the_answer() -> None:
    assert checks_of(Pages([role("a")], [])).get_roles(("a", "b")).keys() == {"a"}


def test_answer_without_its_fields_is_no_empty_one() -> None:
    with pytest.raises(Malformed):
        checks_of(Pages([{"RoleName": "a"}])).get_roles(("a",))


def test_account_without_alias_has_none() -> None:
    assert checks_of(Pages([])).get_alias() is None


def test_control_policies_are_listed_without_those_of_aws(hub: HubChecks) -> None:
    client = boto3.client("organizations", region_name="us-east-1")
    client.create_organization(FeatureSet="ALL")
    root_id = client.list_roots()["Roots"][0]["Id"]
    text = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
    made = client.create_policy(Name="quarantine", Description="", Type="SERVICE_CONTROL_POLICY", Content=text)
    client.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=root_id)

    (found,) = hub.list_control_policies()

    assert (found.name, json.loads(found.document)) == ("quarantine", json.loads(text))
    assert hub.list_targets(found.id) == {root_id: "Root"}


def test_schedule_is_read_in_its_group(hub: HubChecks) -> None:
    client = boto3.client("scheduler", region_name="eu-central-1")
    client.create_schedule_group(Name="orgmfa")
    with pytest.raises(NotFound):
        hub.get_schedule("orgmfa", "orgmfa-daily")
    client.create_schedule(
        Name="orgmfa-daily",
        GroupName="orgmfa",
        ScheduleExpression="cron(0 12 * * ? *)",
        ScheduleExpressionTimezone="Europe/Berlin",
        FlexibleTimeWindow={"Mode": "OFF"},
        State="DISABLED",
        Target={
            "Arn": "arn:aws:lambda:eu-central-1:123456789012:function:f",
            "RoleArn": "arn:aws:iam::123456789012:role/r",
        },
    )

    found = hub.get_schedule("orgmfa", "orgmfa-daily")

    assert (found.is_enabled, found.expression, found.time_zone) == (False, "cron(0 12 * * ? *)", "Europe/Berlin")


@pytest.mark.parametrize(
    ("answer", "is_usable", "environment"),
    [
        (
            {"State": "Active", "LastUpdateStatus": "Successful", "Environment": {"Variables": {"A": "b"}}},
            True,
            {"A": "b"},
        ),
        ({"State": "Active", "LastUpdateStatus": "Failed"}, False, {}),
        ({"State": "Failed"}, False, {}),
        ({}, True, {}),
    ],
)
def test_function_is_read(
    clients: Clients, hub: HubChecks, answer: dict[str, Any], is_usable: bool, environment: dict[str, str]
) -> None:
    def respond(**_: object) -> Any:
        return AWSResponse("", 200, HTTPHeaders(), None), answer

    clients.hub.events.register("before-call.lambda.GetFunctionConfiguration", respond)

    found = hub.get_function("orgmfa-schedule")

    assert (found.is_usable, found.environment) == (is_usable, environment)


def test_function_that_does_not_exist_is_not_found(hub: HubChecks) -> None:
    with pytest.raises(NotFound):
        hub.get_function("orgmfa-schedule")


def test_bus_is_read_with_its_policy_or_not_found(clients: Clients, hub: HubChecks) -> None:
    client = clients.hub.client("events", **clients.options)
    with pytest.raises(NotFound):
        hub.get_bus_policy("orgmfa-iam")
    client.create_event_bus(Name="orgmfa-iam")
    empty = hub.get_bus_policy("orgmfa-iam")
    client.put_permission(
        EventBusName="orgmfa-iam", Action="events:PutEvents", Principal="111122223333", StatementId="somebody"
    )

    assert empty == ""
    assert json.loads(hub.get_bus_policy("orgmfa-iam"))["Statement"][0]["Sid"] == "somebody"


def test_states_of_the_alarms_that_exist_are_read(clients: Clients, hub: HubChecks) -> None:
    client = clients.hub.client("cloudwatch", **clients.options)
    settings: Any = {"MetricName": "m", "Namespace": "n", "Period": 60, "Statistic": "Sum", "EvaluationPeriods": 1}
    for name in ("ours", "another"):
        client.put_metric_alarm(
            AlarmName=name, Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold", **settings
        )
    client.set_alarm_state(AlarmName="ours", StateValue="ALARM", StateReason="a test")

    assert hub.get_alarm_states(["ours", "missing"]) == {"ours": "ALARM"}


@pytest.mark.parametrize(("text", "expected"), [("stop", True), (" STOP\n", True), ("go", False), (None, False)])
def test_stop_switch_in_a_file(hub: HubChecks, tmp_path: Path, text: str | None, *, expected: bool) -> None:
    switch = tmp_path / "stop"
    if text is not None:
        switch.write_text(text, encoding="utf-8")

    reading = hub.look_at_switch(str(switch))

    assert reading.is_stopped is expected
    assert ("does not exist" in reading.words) is (text is None)


@pytest.mark.parametrize(("text", "expected"), [("stop", True), ("go", False), (None, False)])
def test_stop_switch_in_a_parameter(hub: HubChecks, text: str | None, *, expected: bool) -> None:
    if text is not None:
        boto3.client("ssm", region_name="eu-central-1").put_parameter(Name="/stop", Value=text, Type="String")

    reading = hub.look_at_switch("ssm:/stop")

    assert reading.is_stopped is expected
    assert ("does not exist" in reading.words) is (text is None)


def test_stop_switch_that_cannot_be_read_counts_as_stop(hub: HubChecks, tmp_path: Path) -> None:
    assert hub.look_at_switch(str(tmp_path)).state is SwitchState.UNREADABLE


def test_secret_is_read(hub: HubChecks) -> None:
    client = boto3.client("secretsmanager", region_name="eu-central-1")
    client.create_secret(Name="slack", SecretString="xoxb")

    assert hub.read_secret("slack") == "xoxb"
    with pytest.raises(NotFound):
        hub.read_secret("other")


def test_what_a_run_calls_is_what_it_reads_and_writes() -> None:
    assert {"iam:ListMFADevices", "iam:AttachUserPolicy", "iam:AddUserToGroup", "sts:AssumeRole"} <= set(RUN_ACTIONS)
