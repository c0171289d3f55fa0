"""Messages to users by e-mail: Amazon SES."""

from typing import Any

from orchestrator.aws.retries import Retrier
from orchestrator.domain.errors import AwsError, DeliveryError


class SesMessenger:
    """Sends messages from one identity of Amazon SES, as plain text."""

    def __init__(self, client: Any, retrier: Retrier, sender: str) -> None:  # noqa: ANN401 - no stubs of SES
        """Take the client of the Region of the identity, and its address."""
        self._client, self._call, self._sender = client, retrier.call, sender

    def find(self, address: str) -> tuple[str, str]:
        """Return the address: it is whom to write to."""
        return address, address

    def send(self, recipient: str, subject: str, text: str) -> None:
        """Send one message. Raises DeliveryError where SES does not accept it."""
        body = {"Text": {"Data": text, "Charset": "UTF-8"}}
        try:
            self._call(
                self._client.send_email,
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [recipient]},
                Content={"Simple": {"Subject": {"Data": subject, "Charset": "UTF-8"}, "Body": body}},
            )
        except AwsError as error:
            raise DeliveryError(f"Amazon SES did not accept the message ({error.code}: {error})") from error
