"""Answers of IAM to the reads of an account: the credential report, and the summary."""

import base64
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import iam_backends

from tests.aws_server import Answer, AwsServer, Call


def rewrite_report(
    aws: AwsServer, text: str, made_at: datetime = datetime(2026, 3, 2, 8, tzinfo=UTC), *, is_whole: bool = False
) -> None:
    """Have the credential report hold this text, and be made then: unless told otherwise, long before the call.

    Unless it is whole, ARN and creation are added to the row of each user who exists.
    """

    def replace(call: Call) -> Answer | None:
        if call.action != "GetCredentialReport":
            return None
        users = iam_backends[call.account_id]["aws"].users
        rows = (
            f"{row},{identity(users[name])}" if not is_whole and (name := row.split(",")[0]) in users else row
            for row in lines
        )
        content = base64.b64encode("\n".join(rows).encode()).decode()
        return Answer(
            200,
            "<GetCredentialReportResponse><GetCredentialReportResult>"
            f"<Content>{content}</Content><ReportFormat>text/csv</ReportFormat>"
            f"<GeneratedTime>{made_at:%Y-%m-%dT%H:%M:%SZ}</GeneratedTime>"
            "</GetCredentialReportResult></GetCredentialReportResponse>",
        )

    lines = text.splitlines()
    aws.faults.append(replace)


def identity(user: Any) -> str:
    """Return the cells that tell whose row it is, of a user of moto."""
    return f"{user.arn},{user.create_date:%Y-%m-%dT%H:%M:%S+00:00}"


HEADER = ",".join(
    (
        *("user", "password_enabled", "mfa_active"),
        *("access_key_1_active", "access_key_1_last_used_date"),
        *("access_key_2_active", "access_key_2_last_used_date"),
        *("arn", "user_creation_time"),
    )
)


def summary(aws: AwsServer, **counts: int) -> None:
    entries = "".join(f"<entry><key>{key}</key><value>{value}</value></entry>" for key, value in counts.items())

    def replace(call: Call) -> Answer | None:
        result = f"<GetAccountSummaryResult><SummaryMap>{entries}</SummaryMap></GetAccountSummaryResult>"
        wrapped = f"<GetAccountSummaryResponse>{result}</GetAccountSummaryResponse>"
        return Answer(200, wrapped) if call.action == "GetAccountSummary" else None

    aws.faults.append(replace)


QUOTAS = {"AttachedPoliciesPerUserQuota": 12, "GroupsPerUserQuota": 7}
