"""Looking at one user live, and the writes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.domain.errors import Garbled, Malformed, NotFound, QuotaExceeded
from orchestrator.domain.model import (
    AddToGroup,
    AttachPolicy,
    DetachPolicy,
    LiveUser,
    MfaDevice,
    RemoveFromGroup,
    UserChange,
)
from tests.aws.member import assert_just_now, entered
from tests.aws_server import Answer, AwsServer
from tests.organization import SampleOrganization

PAGE = "<html><body><p>Sign in to the guest network</p></body></html>"
CHANGES: tuple[UserChange, ...] = (
    AttachPolicy("alice", "arn:aws:iam::111122223333:policy/EnforceMFA"),
    AddToGroup("alice", "EnforceMFA"),
    DetachPolicy("alice", "arn:aws:iam::111122223333:policy/EnforceMFA"),
    RemoveFromGroup("alice", "EnforceMFA"),
)


@pytest.mark.parametrize("mfa", ["virtual", "fido", "hardware"])
def test_live_look_sees_any_kind_of_device(organization: SampleOrganization, account_id: str, mfa: Any) -> None:
    organization.add_user(account_id, "alice", mfa=mfa)

    with entered(account_id) as member:
        seen = member.iam.read_user_live("alice", password=False, keys=False)

    assert seen.has_mfa
    assert seen.mfa_device is not None
    assert seen.mfa_device.kind == mfa
    assert_just_now(seen.mfa_device.enrolled_at)


def test_of_several_devices_the_one_enrolled_last_is_told(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice")
    devices = "".join(
        f"<member><UserName>alice</UserName><SerialNumber>{serial}</SerialNumber><EnableDate>{date}</EnableDate></member>"
        for serial, date in (
            (f"arn:aws:iam::{account_id}:mfa/phone", "2026-01-02T03:04:05Z"),
            ("GAHT12345678", "2026-03-01T09:12:00Z"),
            (f"arn:aws:iam::{account_id}:u2f/user/alice/key", "2025-12-31T00:00:00Z"),
        )
    )
    body = (
        "<ListMFADevicesResponse><ListMFADevicesResult><IsTruncated>false</IsTruncated>"
        f"<MFADevices>{devices}</MFADevices></ListMFADevicesResult></ListMFADevicesResponse>"
    )
    aws.faults.append(lambda call: Answer(200, body) if call.action == "ListMFADevices" else None)

    with entered(account_id) as member:
        seen = member.iam.read_user_live("alice", password=False, keys=False)

    assert seen.mfa_device == MfaDevice("hardware", datetime(2026, 3, 1, 9, 12, tzinfo=UTC))


def answer_devices(aws: AwsServer, *serials: str) -> None:
    """Have the live list hold devices of these serial numbers."""
    devices = "".join(
        f"<member><UserName>alice</UserName><SerialNumber>{one}</SerialNumber></member>" for one in serials
    )
    body = (
        "<ListMFADevicesResponse><ListMFADevicesResult><IsTruncated>false</IsTruncated>"
        f"<MFADevices>{devices}</MFADevices></ListMFADevicesResult></ListMFADevicesResponse>"
    )
    aws.faults.append(lambda call: Answer(200, body) if call.action == "ListMFADevices" else None)


def test_device_of_a_new_kind_makes_nobody_compliant_and_nobody_non_compliant(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice")
    answer_devices(aws, "arn:aws:iam::111122223333:oath/alice")

    with entered(account_id) as member, pytest.raises(Malformed, match="of a kind"):
        member.iam.read_user_live("alice", password=False, keys=False)


def test_device_of_a_known_kind_beside_one_of_a_new_kind_is_mfa(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice")
    answer_devices(aws, "arn:aws:iam::111122223333:oath/alice", "GAHT12345678")

    with entered(account_id) as member:
        seen = member.iam.read_user_live("alice", password=False, keys=False)

    assert seen.mfa_device == MfaDevice("hardware", None)


@pytest.mark.parametrize(("status", "active"), [("Active", 1), ("Inactive", 0), ("Expired", 0), ("Dormant", 1)])
def test_key_counts_as_active_unless_aws_says_that_it_cannot_sign(
    aws: AwsServer, organization: SampleOrganization, account_id: str, status: str, active: int
) -> None:
    organization.add_user(account_id, "alice", keys=1)
    key = "<member><AccessKeyId>AKIA0000000000000001</AccessKeyId>"
    body = (
        "<ListAccessKeysResponse><ListAccessKeysResult><IsTruncated>false</IsTruncated>"
        f"<AccessKeyMetadata>{key}<Status>{status}</Status></member></AccessKeyMetadata>"
        "</ListAccessKeysResult></ListAccessKeysResponse>"
    )
    used = "<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><AccessKeyLastUsed/></GetAccessKeyLastUsedResult>"
    answers = {"ListAccessKeys": body, "GetAccessKeyLastUsed": f"{used}</GetAccessKeyLastUsedResponse>"}
    aws.faults.append(lambda call: Answer(200, answers[call.action]) if call.action in answers else None)

    with entered(account_id) as member:
        seen = member.iam.read_user_live("alice", password=False, keys=True)

    assert seen.active_access_keys == active


def test_live_look_costs_what_is_asked_for(aws: AwsServer, organization: SampleOrganization, account_id: str) -> None:
    organization.add_user(account_id, "alice", keys=1)
    with entered(account_id) as member:
        aws.forget_calls()
        bare = member.iam.read_user_live("alice", password=False, keys=False)
        assert aws.actions() == ["ListMFADevices"]

        aws.forget_calls()
        full = member.iam.read_user_live("alice", password=True, keys=True)

    assert bare == LiveUser(has_mfa=False)
    assert full.has_console_password is True
    assert full.active_access_keys == 1
    assert aws.actions() == ["ListMFADevices", "GetLoginProfile", "ListAccessKeys", "GetAccessKeyLastUsed"]


@pytest.mark.parametrize("page", [PAGE, "<{0}Response><{0}Result></{0}Result></{0}Response>"], ids=["proxy", "empty"])
@pytest.mark.parametrize("action", ["ListMFADevices", "GetLoginProfile", "ListAccessKeys", "GetAccessKeyLastUsed"])
def test_answer_that_does_not_tell_what_a_live_look_asks_is_an_error(
    aws: AwsServer, organization: SampleOrganization, account_id: str, action: str, page: str
) -> None:
    organization.add_user(account_id, "alice", keys=1)
    aws.faults.append(lambda call: Answer(200, page.format(action)) if call.action == action else None)

    with entered(account_id) as member, pytest.raises(Malformed):
        member.iam.read_user_live("alice", password=True, keys=True)


def test_live_look_tells_a_missing_password_and_leaves_inactive_keys_out(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice", password=False, keys=1)
    iam = aws.client("iam", account_id)
    key = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"][0]["AccessKeyId"]
    iam.update_access_key(UserName="alice", AccessKeyId=key, Status="Inactive")

    with entered(account_id) as member:
        seen = member.iam.read_user_live("alice", password=True, keys=True)

    assert (seen.has_console_password, seen.active_access_keys) == (False, 0)


def test_live_look_at_a_user_who_is_gone_says_so(account_id: str) -> None:
    with entered(account_id) as member, pytest.raises(NotFound):
        member.iam.read_user_live("nobody", password=False, keys=False)


def test_changes_are_made_seen_and_undone(organization: SampleOrganization, account_id: str) -> None:
    organization.add_user(account_id, "alice")
    arn = f"arn:aws:iam::{account_id}:policy/EnforceMFA"
    attach, join = AttachPolicy("alice", arn), AddToGroup("alice", "EnforceMFA")
    with entered(account_id) as member:
        assert not member.iam.is_applied(attach)
        assert not member.iam.is_applied(join)

        for change in (attach, attach, join, join):  # each is safe to repeat
            member.iam.apply_change(change)

        assert member.iam.is_applied(attach)
        assert member.iam.is_applied(join)
        assert organization.attached(account_id, "alice") == ["EnforceMFA"]

        member.iam.apply_change(DetachPolicy("alice", arn))
        member.iam.apply_change(RemoveFromGroup("alice", "EnforceMFA"))

    assert organization.attached(account_id, "alice") == []
    assert organization.groups(account_id, "alice") == []


def test_full_quota_is_an_error_of_its_own(organization: SampleOrganization, account_id: str) -> None:
    organization.add_user(account_id, "alice", policies=10, groups=10)

    with entered(account_id) as member:
        with pytest.raises(QuotaExceeded):
            member.iam.apply_change(AttachPolicy("alice", f"arn:aws:iam::{account_id}:policy/EnforceMFA"))
        with pytest.raises(QuotaExceeded):
            member.iam.apply_change(AddToGroup("alice", "EnforceMFA"))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_page_of_a_proxy_is_no_answer_to_a_write(aws: AwsServer, account_id: str, change: UserChange) -> None:
    aws.faults.append(lambda call: Answer(200, PAGE) if "User" in call.action else None)

    with entered(account_id) as member, pytest.raises(Garbled):
        member.iam.apply_change(change)


def test_write_that_a_proxy_answered_is_made_again(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.add_user(account_id, "alice", password=False)
    pages = [Answer(200, PAGE)]
    aws.faults.append(lambda call: pages.pop() if call.action == "AddUserToGroup" and pages else None)

    with entered(account_id) as member:
        member.iam.apply_change(AddToGroup("alice", "EnforceMFA"))

    assert organization.groups(account_id, "alice") == ["EnforceMFA"]
