"""Messages by Amazon SES, against a served AWS."""

from typing import Any

import pytest
from moto.backends import get_backend

from orchestrator.aws.clients import make_clients
from orchestrator.aws.email import SesMessenger
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import DeliveryError
from tests.aws_server import AwsServer


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


def test_refusal_is_a_delivery_error(messenger: SesMessenger) -> None:
    with pytest.raises(DeliveryError, match="Amazon SES did not accept the message"):
        messenger.send("alice@acme.com", "Subject", "words")
