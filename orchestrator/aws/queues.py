"""SQS: puts messages off that cannot be handled yet."""

from collections.abc import Sequence
from typing import Any

from orchestrator.aws.retries import Retrier

BATCH_SIZE = 10
"""Most messages of one call (API reference, ChangeMessageVisibilityBatch)."""


def postpone_messages(client: Any, retrier: Retrier, queue_arn: str, *, handles: Sequence[str], seconds: int) -> None:  # noqa: ANN401 - the stubs of SQS are not installed
    """Have the messages with these receipt handles delivered again after so many seconds. Raises AwsError.

    One that SQS refuses comes again after the visibility timeout of the queue.
    """
    account_id, name = queue_arn.split(":")[4:]
    url = f"{client.meta.endpoint_url}/{account_id}/{name}"
    for start in range(0, len(handles), BATCH_SIZE):
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for number, handle in enumerate(handles[start : start + BATCH_SIZE])
        ]
        retrier.call(client.change_message_visibility_batch, QueueUrl=url, Entries=entries)
