"""Reading a member account in bulk."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.domain.errors import AccessDenied, Malformed
from orchestrator.domain.model import RootUser
from tests.aws.iam_answers import HEADER, QUOTAS, rewrite_report, summary
from tests.aws.member import assert_just_now, entered
from tests.aws_server import Answer, AwsServer, Call, xml_error
from tests.organization import SampleOrganization

BULK_READS = [
    "AssumeRole",
    "GenerateCredentialReport",
    "GetAccountAuthorizationDetails",
    "GetAccountSummary",
    "ListVirtualMFADevices",
    "ListAccountAliases",
    "GetPolicy",
    "GetPolicyVersion",
    "GetCredentialReport",
]


@pytest.mark.parametrize("users", [0, 5, 100])
def test_account_costs_the_same_nine_calls_whatever_its_users(
    aws: AwsServer, organization: SampleOrganization, account_id: str, users: int
) -> None:
    for number in range(users):
        organization.add_user(account_id, f"user{number}", password=False)
    aws.forget_calls()

    with entered(account_id) as member:
        facts = member.iam.inspect(account_id)

    assert len(facts.users) == users
    assert facts.is_report_ours
    assert aws.actions() == BULK_READS


def test_user_is_read_with_mfa_password_keys_policies_groups_and_path(
    organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice", mfa="virtual", keys=2, path="/teams/payments/", policies=2, groups=1)

    with entered(account_id) as member:
        (alice,) = member.iam.inspect(account_id).users

    assert alice.arn == f"arn:aws:iam::{account_id}:user/teams/payments/alice"
    assert (alice.has_mfa, alice.has_console_password, alice.active_access_keys) == (True, True, 2)
    assert alice.keys_last_used is None
    assert len(alice.attached_policy_arns) == 2
    assert alice.group_names == {"alice-0"}
    assert datetime.now(UTC) - alice.created_at < timedelta(minutes=5)


def test_alias_and_quotas_are_read_from_the_account(account_id: str) -> None:
    with entered(account_id) as member:
        facts = member.iam.inspect(account_id)

    assert facts.alias == "acme-payments"
    assert (facts.quotas.policies_per_user, facts.quotas.groups_per_user) == (10, 10)


def test_account_without_alias_has_none(organization: SampleOrganization) -> None:
    account_id = organization.add_account("nameless")

    with entered(account_id) as member:
        assert member.iam.inspect(account_id).alias is None


def test_answer_without_what_it_must_have_is_an_error(aws: AwsServer, account_id: str) -> None:
    body = "<GetAccountSummaryResponse><GetAccountSummaryResult></GetAccountSummaryResult></GetAccountSummaryResponse>"
    aws.faults.append(lambda call: Answer(200, body) if call.action == "GetAccountSummary" else None)

    with entered(account_id) as member, pytest.raises(Malformed, match="SummaryMap"):
        member.iam.inspect(account_id)


def test_missing_permission_is_an_error_with_its_operation(aws: AwsServer, account_id: str) -> None:
    aws.faults.append(
        lambda call: xml_error("AccessDenied", status=403) if call.action == "ListVirtualMFADevices" else None
    )

    with entered(account_id) as member, pytest.raises(AccessDenied) as caught:
        member.iam.inspect(account_id)

    assert caught.value.operation == "ListVirtualMFADevices"


def test_every_page_of_users_is_read(aws: AwsServer, organization: SampleOrganization, account_id: str) -> None:
    """moto has no pages here: the first answer is cut to one user with a marker, and the second begins after it."""
    for name in ("alice", "bob", "carol"):
        organization.add_user(account_id, name, password=False)
    pages: list[str] = []

    def note(call: Call) -> Answer | None:
        if call.action == "GetAccountAuthorizationDetails":
            pages.append(call.parameters.get("Marker", ""))
            if pages == [""]:
                return Answer(200, _EMPTY_PAGE)
        return None

    aws.faults.append(note)

    with entered(account_id) as member:
        facts = member.iam.inspect(account_id)

    assert pages == ["", "page-2"]
    assert {user.name for user in facts.users} == {"alice", "bob", "carol"}


_EMPTY_PAGE = """<GetAccountAuthorizationDetailsResponse><GetAccountAuthorizationDetailsResult>
<IsTruncated>true</IsTruncated><Marker>page-2</Marker>
<UserDetailList/><GroupDetailList/><RoleDetailList/><Policies/>
</GetAccountAuthorizationDetailsResult></GetAccountAuthorizationDetailsResponse>"""


@pytest.mark.parametrize(
    ("counts", "row", "root"),
    [
        ({"AccountMFAEnabled": 1, "AccountAccessKeysPresent": 0, "AccountPasswordPresent": 1}, "", (True, True)),
        ({"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 0, "AccountPasswordPresent": 1}, "", (True, False)),
        ({"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 0, "AccountPasswordPresent": 0}, "", (False, False)),
        ({"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 1, "AccountPasswordPresent": 0}, "", (True, False)),
        ({"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 0}, "", (True, False)),
        (
            {"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 0},
            "<root_account>,not_supported,false,false,N/A,false,N/A,N/A,N/A",
            (True, False),
        ),
        (
            {"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 0},
            "<root_account>,false,false,false,N/A,false,N/A,N/A,N/A",
            (False, False),
        ),
    ],
)
def test_root_user_counts_only_where_it_can_sign_in(
    aws: AwsServer, account_id: str, counts: dict[str, int], row: str, root: tuple[bool, bool]
) -> None:
    summary(aws, **counts, **QUOTAS)
    rewrite_report(aws, f"{HEADER}\n{row}\n", datetime.now(UTC) + timedelta(minutes=1))

    with entered(account_id) as member:
        facts = member.iam.inspect(account_id)

    assert facts.root_user == RootUser(*root)
    assert (facts.quotas.policies_per_user, facts.quotas.groups_per_user) == (12, 7)


@pytest.mark.parametrize(("mfa", "kind"), [("virtual", "virtual"), ("fido", None), ("hardware", None), (None, None)])
def test_bulk_reads_tell_virtual_devices_and_their_date_alone(
    organization: SampleOrganization, account_id: str, mfa: Any, kind: str | None
) -> None:
    organization.add_user(account_id, "alice", mfa=mfa)

    with entered(account_id) as member:
        (alice,) = member.iam.inspect(account_id).users

    assert alice.has_mfa is (mfa is not None)
    assert (alice.mfa_device and alice.mfa_device.kind) == kind
    if alice.mfa_device:
        assert_just_now(alice.mfa_device.enrolled_at)
