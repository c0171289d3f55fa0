"""Services of the caller's own account, a call or two each: secrets, queues, Security Hub, an event bus, e-mail.

What is sent through them is made elsewhere (`output`, `reports`, `domain.nudges`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from orchestrator.aws.errors import ERROR_BY_CODE, reads_answers, require
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import AccessDenied, AwsError, DeliveryError, NoCredentials, Throttled
from orchestrator.domain.model import Imported, Product, Refused

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_securityhub import SecurityHubClient
    from mypy_boto3_securityhub.type_defs import AwsSecurityFindingTypeDef

MESSAGES_PER_BATCH = 10
"""Most messages of one call (API reference, ChangeMessageVisibilityBatch)."""
FINDINGS_PER_BATCH = 100
"""Most findings of one call (API reference, BatchImportFindings)."""
EVENT_SOURCE = "orgmfa"
_GENERAL = (AccessDenied, NoCredentials, Throttled)
_GENERAL_CODES = frozenset(
    {"AccountSuspendedException", "MailFromDomainNotVerifiedException", "SendingPausedException"}
)
"""Refusals of Amazon SES that concern every message: no permission, the day's quota used up, sending switched off."""


def read_secret(client: "SecretsManagerClient", retrier: Retrier, name: str) -> str:
    """Return the text of a secret, by name or ARN. Raises AwsError where it cannot be read."""
    answer = retrier.call(client.get_secret_value, SecretId=name)
    return require(answer.get("SecretString"), "SecretString", "GetSecretValue")


def postpone_messages(client: Any, retrier: Retrier, queue_arn: str, *, handles: Sequence[str], seconds: int) -> None:  # noqa: ANN401 - the stubs of SQS are not installed
    """Have the messages with these receipt handles delivered again after so many seconds. Raises AwsError."""
    account_id, name = queue_arn.split(":")[4:]
    url = f"{client.meta.endpoint_url}/{account_id}/{name}"
    for start in range(0, len(handles), MESSAGES_PER_BATCH):
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for number, handle in enumerate(handles[start : start + MESSAGES_PER_BATCH])
        ]
        # A message that SQS refuses here comes again after the visibility timeout of the queue.
        retrier.call(client.change_message_visibility_batch, QueueUrl=url, Entries=entries)


class FindingImporter:
    """Imports findings into the Security Hub of the caller's account and Region."""

    def __init__(self, client: "SecurityHubClient", retrier: Retrier, product: Product) -> None:
        self._client = client
        self._retrier = retrier
        self.product = product

    @reads_answers
    def import_findings(self, findings: Sequence[Mapping[str, Any]], cancellation: Cancellation) -> Imported:
        """Import findings, and return how many were sent and which were refused; cancellation stops between batches.

        Raises AwsError where a whole batch fails. A finding with the ID of an earlier one updates it.
        """
        sent, refused = 0, list[Refused]()
        while sent < len(findings) and cancellation.reason is None:
            batch = cast("Sequence[AwsSecurityFindingTypeDef]", findings[sent : sent + FINDINGS_PER_BATCH])
            answer = self._retrier.call(self._client.batch_import_findings, Findings=batch)
            failed = [Refused(one["Id"], one["ErrorCode"], one["ErrorMessage"]) for one in answer["FailedFindings"]]
            refused += failed or [Refused("", "FailedCount", "")] * answer["FailedCount"]
            sent += len(batch)
        return Imported(sent, tuple(refused))


class EventBus:
    """An event bus of the caller's account and Region."""

    def __init__(self, client: "EventBridgeClient", retrier: Retrier, name: str) -> None:
        self._client = client
        self._retrier = retrier
        self.name = name

    @reads_answers
    def put(self, detail_type: str, detail: str) -> None:
        """Put one event, whose detail is JSON. Raises AwsError, also where there is no such bus.

        EventBridge takes an event for a bus that does not exist, and drops it (user guide, PutEvents); so the bus is
        looked up first.
        """
        self._retrier.call(self._client.describe_event_bus, Name=self.name)
        self._retrier.call(self._put, detail_type, detail)

    def _put(self, detail_type: str, detail: str) -> None:
        """Put one event, or raise AwsError: an answer with status 200 can refuse it."""
        answer = self._client.put_events(
            Entries=[{"Source": EVENT_SOURCE, "DetailType": detail_type, "Detail": detail, "EventBusName": self.name}]
        )
        entry: Mapping[str, object] = next(iter(answer["Entries"]), {})
        if answer["FailedEntryCount"] or not entry.get("EventId"):
            code = str(entry.get("ErrorCode") or "Unknown")
            message = str(entry.get("ErrorMessage") or "EventBridge did not take the event")
            raise ERROR_BY_CODE.get(code, AwsError)(message, code=code, operation="PutEvents")


class SesMessenger:
    """Sends messages to users from one identity of Amazon SES, as plain text."""

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
            said = str(error).replace(recipient, "the address")  # reports and logs keep no address
            message = f"Amazon SES did not accept the message ({error.code}: {said})"
            raise DeliveryError(message, is_general=is_general) from error
