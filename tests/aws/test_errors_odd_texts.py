"""Errors of AWS whose code or message is missing, empty or no text."""

import json

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import AccessDenied, AwsError
from tests.aws_server import Answer, AwsServer

DENIED = "AccessDeniedException"


@pytest.mark.parametrize("message", [None, "", True, 7, ["x"], {"a": 1}])
def test_json_error_whose_message_is_no_text_keeps_its_kind(aws: AwsServer, message: object) -> None:
    body = json.dumps({"__type": DENIED, "message": message})
    aws.faults.append(lambda _: Answer(400, body, "application/x-amz-json-1.1"))

    with pytest.raises(AccessDenied) as caught:
        Retrier(Cancellation()).call(make_clients(connections=2).organizations.describe_organization)

    assert caught.value.code == DENIED
    assert str(caught.value)


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("<Code>AccessDenied</Code><Message/>", "AccessDenied"),
        ("<Code>AccessDenied</Code>", "AccessDenied"),
        ("<Code/><Message/>", "Unknown"),
        ("<Code/><Message>why</Message>", "Unknown"),
    ],
)
def test_xml_error_with_empty_elements_is_an_error_of_aws(aws: AwsServer, inner: str, code: str) -> None:
    aws.faults.append(lambda _: Answer(403, f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>"))

    with pytest.raises(AwsError) as caught:
        Retrier(Cancellation()).call(make_clients(connections=2).sts.get_caller_identity)

    assert caught.value.code == code
    assert str(caught.value)
