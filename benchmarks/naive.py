"""The job as it is usually scripted: list users, ask for the devices of each, attach the policy to those without."""

from typing import TYPE_CHECKING

from benchmarks.organization import policy_arn

if TYPE_CHECKING:
    import boto3

WORKERS = 32
"""As many threads as orgmfa has by default; each of these tools keeps one core busy with fewer."""


def enforce(session: "boto3.Session", account: str) -> int:
    """Attach EnforceMFA to each user of an account who has no MFA device, and return to how many."""
    iam = session.client("iam")
    written = 0
    for page in iam.get_paginator("list_users").paginate():
        for user in page["Users"]:
            name = user["UserName"]
            if not iam.list_mfa_devices(UserName=name)["MFADevices"]:
                iam.attach_user_policy(UserName=name, PolicyArn=policy_arn(account))
                written += 1
    return written
