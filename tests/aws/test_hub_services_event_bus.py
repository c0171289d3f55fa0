"""The event of a run on an event bus of EventBridge."""

import json
from typing import Any

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.hub_services import EventBus
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import AccessDenied, AwsError, NotFound
from tests.aws_server import Answer, AwsServer, Call, error_for

JSON = "application/x-amz-json-1.1"
ACCEPTED = {"FailedEntryCount": 0, "Entries": [{"EventId": "11710aed-b79e-4468-a20b-bb3c0c3b4860"}]}


@pytest.fixture(autouse=True)
def one_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")  # where the clients of the tests are


def put(bus: str = "default") -> None:
    retrier = Retrier(Cancellation(), sleep=lambda _: None)
    EventBus(make_clients(connections=1).events, retrier, bus).put("Run Finished", '{"run_id": "run-1"}')


def answer_puts(aws: AwsServer, *bodies: dict[str, Any]) -> None:
    """Answer the next calls of PutEvents with status 200 and these bodies."""
    left = list(bodies)

    def answer(call: Call) -> Answer | None:
        return Answer(200, json.dumps(left.pop(0)), JSON) if call.action == "PutEvents" and left else None

    aws.faults.append(answer)


def refused(code: str) -> dict[str, Any]:
    return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": code, "ErrorMessage": "not now"}]}


def test_event_reaches_what_a_rule_of_the_bus_names(aws: AwsServer) -> None:
    events, sqs = aws.client("events"), aws.client("sqs")
    events.create_event_bus(Name="security")
    queue = sqs.create_queue(QueueName="tools")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["orgmfa"], "detail-type": ["Run Finished"], "detail": {"run_id": ["run-1"]}}
    events.put_rule(Name="runs", EventBusName="security", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="runs", EventBusName="security", Targets=[{"Id": "queue", "Arn": arn}])

    put("security")

    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["detail"] == {"run_id": "run-1"}


def test_bus_that_does_not_exist_is_an_error_and_nothing_is_put(aws: AwsServer) -> None:
    with pytest.raises(NotFound):
        put("gone")

    assert "PutEvents" not in aws.actions()


@pytest.mark.parametrize(
    ("code", "kind"), [("NotAuthorizedForSourceException", AccessDenied), ("MalformedDetail", AwsError), ("", AwsError)]
)
def test_event_that_is_refused_with_status_200_is_an_error(aws: AwsServer, code: str, kind: type[AwsError]) -> None:
    answer_puts(aws, refused(code))

    with pytest.raises(kind) as caught:
        put()

    assert (type(caught.value), caught.value.code) == (kind, code or "Unknown")


@pytest.mark.parametrize("code", ["InternalFailure", "ThrottlingException"])
def test_event_that_is_refused_for_the_moment_is_put_again(aws: AwsServer, code: str) -> None:
    answer_puts(aws, refused(code), refused(code), ACCEPTED)

    put()

    assert aws.actions().count("PutEvents") == 3


@pytest.mark.parametrize("body", [{}, {"Entries": []}, {"FailedEntryCount": 0, "Entries": [{}]}, {"Entries": [{}]}])
def test_answer_that_does_not_say_that_the_event_was_taken_is_an_error(aws: AwsServer, body: dict[str, Any]) -> None:
    answer_puts(aws, body)

    with pytest.raises(AwsError):
        put()


def test_call_that_is_denied_is_an_error(aws: AwsServer) -> None:
    aws.faults.append(lambda call: error_for(call, "AccessDeniedException") if call.action == "PutEvents" else None)

    with pytest.raises(AccessDenied):
        put()
