"""Puts events on an EventBridge event bus. Their content is made elsewhere (`reports`)."""

from typing import TYPE_CHECKING

from orchestrator.aws.errors import ERROR_BY_CODE, reads_answers
from orchestrator.aws.retries import Retrier
from orchestrator.domain.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_events import EventBridgeClient

SOURCE = "orgmfa"


class EventBus:
    """An event bus of the caller's account and Region."""

    def __init__(self, client: "EventBridgeClient", retrier: Retrier, name: str) -> None:
        """Take the client, the retrier, and the name of the bus."""
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
            Entries=[{"Source": SOURCE, "DetailType": detail_type, "Detail": detail, "EventBusName": self.name}]
        )
        entry: Mapping[str, object] = next(iter(answer["Entries"]), {})
        if answer["FailedEntryCount"] or not entry.get("EventId"):
            code = str(entry.get("ErrorCode") or "Unknown")
            message = str(entry.get("ErrorMessage") or "EventBridge did not take the event")
            raise ERROR_BY_CODE.get(code, AwsError)(message, code=code, operation="PutEvents")
