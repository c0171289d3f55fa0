"""Events of new accounts in the shapes that AWS documents."""

import json
from typing import Any

HUB = "123456789012"
MANAGEMENT = "999999999999"


def stack_set_event(account_id: str, **changes: Any) -> dict[str, Any]:
    """Return the event of a stack instance (CloudFormation User Guide, StackSets events)."""
    number = changes.pop("number", account_id)
    owner = changes.pop("owner", HUB)
    name = changes.pop("stack_set", "orgmfa")
    status = changes.pop("detailed_status", "SUCCEEDED")
    action = changes.pop("action", "CREATE")
    arn = f"arn:aws:cloudformation:eu-central-1:{owner}:stackset/{name}:1f0ce4b2-5b1e-4a4c-8f0a-1f7e5b1e4a4c"
    return {
        "version": "0",
        "id": f"6a7e8feb-b491-4cf7-a9f1-{number:0>12}",
        "detail-type": "CloudFormation StackSet StackInstance Status Change",
        "source": "aws.cloudformation",
        "account": owner,
        "time": "2026-03-02T08:00:00Z",
        "region": "eu-central-1",
        "resources": [arn],
        "detail": {
            "stack-set-arn": arn,
            "stack-id": (
                f"arn:aws:cloudformation:us-east-1:{account_id}:stack/"
                "StackSet-orgmfa-3c2d/9f0a1b2c-0000-11ee-8c99-0242ac120002"
            ),
            "action": action,
            "status-details": {"status": "CURRENT", "detailed-status": status, "status-reason": ""},
        },
        **changes,
    }


def control_tower_event(account_id: str, state: str = "SUCCEEDED") -> dict[str, Any]:
    """Return the lifecycle event of a new account (Control Tower User Guide, 'Lifecycle events')."""
    return {
        "version": "0",
        "id": f"999cccaa-eaaa-0000-1111-{account_id}",
        "detail-type": "AWS Service Event via CloudTrail",
        "source": "aws.controltower",
        "account": MANAGEMENT,
        "time": "2026-03-02T08:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {
            "eventVersion": "1.05",
            "eventSource": "controltower.amazonaws.com",
            "eventName": "CreateManagedAccount",
            "serviceEventDetails": {
                "createManagedAccountStatus": {
                    "organizationalUnit": {
                        "organizationalUnitName": "Custom",
                        "organizationalUnitId": "ou-abcd-11112222",
                    },
                    "account": {"accountName": "LifeCycle1", "accountId": account_id},
                    "state": state,
                    "message": "AWS Control Tower successfully created an enrolled account.",
                }
            },
        },
    }


def create_account_event(account_id: str) -> dict[str, Any]:
    """Return the event of an account made through Organizations."""
    return {
        "version": "0",
        "id": f"cccccccc-0000-0000-1111-{account_id}",
        "detail-type": "AWS Service Event via CloudTrail",
        "source": "aws.organizations",
        "account": MANAGEMENT,
        "time": "2026-03-02T08:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {
            "eventSource": "organizations.amazonaws.com",
            "eventName": "CreateAccountResult",
            "serviceEventDetails": {
                "createAccountStatus": {"id": "car-1", "state": "SUCCEEDED", "accountId": account_id}
            },
        },
    }


def batch(*events: Any) -> dict[str, Any]:
    """Return the events as SQS hands them to the function."""
    return {
        "Records": [
            {
                "messageId": f"message-{number:0>12}",
                "receiptHandle": "handle",
                "body": event if isinstance(event, str) else json.dumps(event),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "md5OfBody": "0",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:eu-central-1:{HUB}:orgmfa-onboarding",
                "awsRegion": "eu-central-1",
            }
            for number, event in enumerate(events)
        ]
    }
