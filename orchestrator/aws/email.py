"""Messages to users by e-mail: Amazon SES."""

from typing import Any

from orchestrator.aws.retries import Retrier
from orchestrator.domain.errors import AccessDenied, AwsError, DeliveryError, NoCredentials, Throttled

_GENERAL = (AccessDenied, NoCredentials, Throttled)
_GENERAL_CODES = frozenset(
    {"AccountSuspendedException", "MailFromDomainNotVerifiedException", "SendingPausedException"}
)
"""Refusals that concern every message: no permission, the quota of the day used up, sending switched off."""


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
            is_of_recipient = f"identity/{recipient}" in str(error)  # in the sandbox its identity is asked about too
            is_general = (isinstance(error, _GENERAL) or error.code in _GENERAL_CODES) and not is_of_recipient
            message = f"Amazon SES did not accept the message ({error.code}: {error})"
            raise DeliveryError(message, is_general=is_general) from error
