"""What STS and Organizations answer: credentials, the caller, the organization and its accounts. Keeps no state.

Sources: the API references of AWS STS and AWS Organizations.
"""

from datetime import UTC, datetime, timedelta

from benchmarks.organization import HUB_ACCOUNT_ID, PAGE_OF_ACCOUNTS, Scenario, account_id
from benchmarks.wire import PLACEHOLDER, json_answer, xml

ROOT_ID = "r-bnch"


def assume_role() -> bytes:
    """Return credentials whose access key names the account."""
    ends_at = datetime.now(UTC) + timedelta(hours=12)
    return xml(
        "AssumeRole",
        f"<AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:run</AssumedRoleId>"
        f"<Arn>arn:aws:sts::{PLACEHOLDER}:assumed-role/orgmfa-member/run</Arn></AssumedRoleUser>"
        f"<Credentials><AccessKeyId>ASIA{PLACEHOLDER}MADE</AccessKeyId>"
        f"<SecretAccessKey>{'s' * 40}</SecretAccessKey><SessionToken>{'t' * 500}{PLACEHOLDER}</SessionToken>"
        f"<Expiration>{ends_at:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>",
        "sts",
    )


def caller_identity() -> bytes:
    """Return who calls."""
    return xml(
        "GetCallerIdentity",
        f"<Arn>arn:aws:sts::{HUB_ACCOUNT_ID}:assumed-role/orgmfa-operator/bench</Arn>"
        f"<UserId>AROAEXAMPLE:bench</UserId><Account>{HUB_ACCOUNT_ID}</Account>",
        "sts",
    )


def describe_organization() -> bytes:
    """Return the organization."""
    management = account_id(0)
    arn = f"arn:aws:organizations::{management}:organization/o-benchmark01"
    return json_answer(
        {
            "Organization": {
                "Id": "o-benchmark01",
                "Arn": arn,
                "FeatureSet": "ALL",
                "MasterAccountId": management,
                "MasterAccountArn": f"arn:aws:organizations::{management}:account/o-benchmark01/{management}",
                "MasterAccountEmail": "management@example.com",
            }
        }
    )


def list_roots() -> bytes:
    """Return the root, under which all accounts stand."""
    arn = f"arn:aws:organizations::{account_id(0)}:root/o-benchmark01/{ROOT_ID}"
    return json_answer({"Roots": [{"Id": ROOT_ID, "Arn": arn, "Name": "Root", "PolicyTypes": []}]})


def list_units() -> bytes:
    """Return the OUs under the root: none."""
    return json_answer({"OrganizationalUnits": []})


def list_accounts(scenario: Scenario, start: int) -> bytes:
    """Return a page of the listing, of all accounts or of those under the root, from the account at this place."""
    end = min(start + PAGE_OF_ACCOUNTS, scenario.accounts)
    page: dict[str, object] = {"Accounts": [_account(index) for index in range(start, end)]}
    return json_answer(page | ({"NextToken": str(end)} if end < scenario.accounts else {}))


def _account(index: int) -> dict[str, object]:
    identifier = account_id(index)
    return {
        "Id": identifier,
        "Arn": f"arn:aws:organizations::{account_id(0)}:account/o-benchmark01/{identifier}",
        "Email": f"aws+{index}@example.com",
        "Name": f"workload-{index:05d}",
        "Status": "ACTIVE",
        "State": "ACTIVE",
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": 1700000000,
    }
