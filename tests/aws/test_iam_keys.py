"""Access keys that come and go while a user is looked at."""

import pytest

from tests.aws.member import entered
from tests.aws_server import Answer, AwsServer, Call, xml_error
from tests.organization import SampleOrganization


@pytest.mark.parametrize(("keys", "deleted", "expected"), [(1, 1, 0), (2, 1, 1), (2, 2, 0), (2, 0, 2)])
def test_key_that_is_deleted_between_list_and_look_does_not_make_its_user_gone(
    aws: AwsServer, organization: SampleOrganization, account_id: str, keys: int, deleted: int, expected: int
) -> None:
    organization.add_user(account_id, "alice", keys=keys)
    names = [one["AccessKeyId"] for one in list_keys(aws, account_id)]

    def refuse(call: Call) -> Answer | None:
        is_asked = call.action == "GetAccessKeyLastUsed" and call.parameters["AccessKeyId"] in names[:deleted]
        return xml_error("NoSuchEntity", "The Access Key cannot be found", 404) if is_asked else None

    aws.faults.append(refuse)
    with entered(account_id) as member:
        seen = member.iam.read_user_live("alice", password=True, keys=True)

    assert (seen.active_access_keys, seen.has_console_password) == (expected, True)


def list_keys(aws: AwsServer, account_id: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = aws.client("iam", account_id).list_access_keys(UserName="alice")["AccessKeyMetadata"]
    return found
