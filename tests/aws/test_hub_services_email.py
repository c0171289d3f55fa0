"""Messages by Amazon SES, against a served AWS."""

from typing import Any

import pytest
from moto.backends import get_backend

from orchestrator.aws.clients import make_clients
from orchestrator.aws.hub_services import SesMessenger
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import DeliveryError
from tests.aws_server import AwsServer, json_error


@pytest.fixture
def messenger(aws: AwsServer) -> SesMessenger:
    client = make_clients(connections=1).sesv2("eu-west-1")
    return SesMessenger(client, Retrier(Cancellation()), "security@acme.com")


def test_message_goes_as_plain_text_from_the_identity(aws: AwsServer, messenger: SesMessenger) -> None:
    make_clients(connections=1).sesv2("eu-west-1").create_email_identity(EmailIdentity="security@acme.com")

    messenger.send(messenger.find("alice@acme.com")[0], "Subject", "words")

    backend: Any = get_backend("sesv2")["123456789012"]["eu-west-1"]
    (sent,) = backend.core_backend.sent_messages
    assert (sent.source, sent.subject, sent.body) == ("security@acme.com", "Subject", "words")
    assert sent.destinations["ToAddresses"] == ["alice@acme.com"]


@pytest.mark.parametrize(
    ("code", "message", "is_general"),
    [
        ("AccessDeniedException", "not authorized: identity/security@acme.com", True),
        ("AccessDeniedException", "not authorized: identity/alice@acme.com", False),
        ("SendingPausedException", "paused", True),
        ("MessageRejected", "not verified. The following identities failed the check: alice@acme.com", False),
        ("BadRequestException", "invalid", False),
    ],
)
def test_refusal_of_every_message_is_told_apart_from_that_of_one(
    aws: AwsServer, messenger: SesMessenger, code: str, message: str, *, is_general: bool
) -> None:
    aws.faults.append(lambda call: json_error(code, message) if call.service == "ses" else None)

    with pytest.raises(DeliveryError) as caught:
        messenger.send("alice@acme.com", "Subject", "words")

    assert caught.value.is_general is is_general
    assert "alice@acme.com" not in str(caught.value)


def test_refusal_is_a_delivery_error(messenger: SesMessenger) -> None:
    with pytest.raises(DeliveryError, match="Amazon SES did not accept the message"):
        messenger.send("alice@acme.com", "Subject", "words")


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ThrottlingException"])
def test_rate_limit_is_waited_for(aws: AwsServer, messenger: SesMessenger, code: str) -> None:
    make_clients(connections=1).sesv2("eu-west-1").create_email_identity(EmailIdentity="security@acme.com")
    refusals = [json_error(code, "Maximum sending rate exceeded", 429), None]
    aws.faults.append(lambda call: refusals.pop(0) if call.service == "ses" else None)

    messenger.send("alice@acme.com", "Subject", "words")

    assert refusals == []
