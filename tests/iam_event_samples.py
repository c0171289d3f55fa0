"""IAM events of CloudTrail as EventBridge delivers them, in shapes that AWS documents, and batches of their queue."""

import json
import time
from itertools import count
from typing import Any

HUB = "123456789012"
QUEUE_ARN = f"arn:aws:sqs:eu-central-1:{HUB}:orgmfa-iam-events"


_numbers = count(1)


def iam_event(account_id: str, name: str, *, number: int | None = None, **detail: Any) -> dict[str, Any]:
    """Return an event of an account (CloudTrail User Guide, 'CloudTrail record contents').

    Each has an ID of its own, unless `number` says which. `user` names the user in the request; other keyword arguments
    replace parts of the detail.
    """
    number = next(_numbers) if number is None else number
    user = detail.pop("user", None)
    asked = detail.pop("requestParameters", {"userName": user} if user else None)
    role = f"arn:aws:sts::{account_id}:assumed-role/admin/somebody"
    return {
        "version": "0",
        "id": f"7bf73129-1428-4cd3-a780-{number:012}",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.iam",
        "account": account_id,
        "time": "2026-03-02T08:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": {"type": "AssumedRole", "arn": role, "accountId": account_id},
            "eventTime": "2026-03-02T08:00:00Z",
            "eventSource": "iam.amazonaws.com",
            "eventName": name,
            "awsRegion": "us-east-1",
            "sourceIPAddress": "198.51.100.7",
            "userAgent": "aws-cli/2.30",
            "requestParameters": asked,
            "responseElements": None,
            "requestID": "e5b0c6a1-0000-4cd3-a780-000000000000",
            "eventID": f"c4a1d2f0-1428-4cd3-a780-{number:012}",
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": account_id,
            "eventCategory": "Management",
        }
        | detail,
    }


def password(account_id: str, user: str, **changes: Any) -> dict[str, Any]:
    """Return the event of a user who got a password."""
    return iam_event(account_id, "CreateLoginProfile", user=user, **changes)


def by_user(name: str, account_id: str) -> dict[str, Any]:
    """Return the identity of an IAM user who acts on oneself."""
    arn = f"arn:aws:iam::{account_id}:user/{name}"
    return {"userIdentity": {"type": "IAMUser", "arn": arn, "accountId": account_id, "userName": name}}


def undone(account_id: str, user: str, *, number: int | None = None, policy: str = "EnforceMFA") -> dict[str, Any]:
    """Return the event of a policy taken from a user."""
    asked = {"userName": user, "policyArn": f"arn:aws:iam::{account_id}:policy/{policy}"}
    return iam_event(account_id, "DetachUserPolicy", number=number, requestParameters=asked)


def queue_batch(*events: Any, minutes_old: float = 0.0) -> dict[str, Any]:
    """Return the events as SQS hands them to the function, sent so long ago."""
    sent = int((time.time() - minutes_old * 60) * 1000)
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"handle-{number}",
                "body": event if isinstance(event, str) else json.dumps(event),
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": str(sent)},
                "messageAttributes": {},
                "md5OfBody": "0",
                "eventSource": "aws:sqs",
                "eventSourceARN": QUEUE_ARN,
                "awsRegion": "eu-central-1",
            }
            for number, event in enumerate(events)
        ]
    }
