"""How EnforceMFA and its group compare with ours, and how they are made where the program owns them."""

import json
from typing import Any

import pytest

from orchestrator.aws.enforcement import OWNER_TAG, OWNER_TAG_VALUE
from orchestrator.domain.model import PolicyChange, PolicyState
from orchestrator.domain.policy_document import render_enforcement_policy
from tests.aws.member import entered
from tests.aws_server import AwsServer
from tests.member_role.rendering import earlier_text
from tests.organization import SampleOrganization

OURS, MISSING, DRIFTED, OUTDATED = (PolicyState(state) for state in ("ours", "missing", "drifted", "outdated"))
GRANT: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@pytest.fixture
def account_id(organization: SampleOrganization) -> str:
    return organization.add_account("payments", with_policy=False)


def states(account_id: str, managed_by: str = "stackset") -> tuple[PolicyState, PolicyState]:
    """Return policy and group as the bulk read tells them, after checking that the live look tells the same."""
    with entered(account_id, managed_by=managed_by) as member:
        bulk = member.iam.inspect(account_id).enforcement
        live = member.policies.look(account_id, group=True)

    assert bulk == live
    return bulk.policy, bulk.group


def test_policy_and_group_of_the_stackset_are_ours(organization: SampleOrganization, account_id: str) -> None:
    organization.enforce_policy(account_id)

    assert states(account_id) == (OURS, OURS)


def test_account_without_them_has_them_missing(account_id: str) -> None:
    assert states(account_id) == (MISSING, MISSING)


@pytest.mark.parametrize("managed_by", ["stackset", "orchestrator"])
def test_policy_turned_into_a_grant_is_drifted_and_not_ours_to_mend(
    organization: SampleOrganization, account_id: str, managed_by: str
) -> None:
    organization.enforce_policy(account_id, GRANT)

    assert states(account_id, managed_by)[0] is DRIFTED


def test_policy_text_with_a_key_twice_is_drifted_whichever_value_python_would_take(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    ours = json.dumps(render_enforcement_policy(partition="aws", access_keys="deny"))
    grant = json.dumps(GRANT["Statement"])
    organization.enforce_policy(account_id, f'{{"Statement": {grant}, {ours[1:]}')
    assert states(account_id)[0] is DRIFTED

    iam, arn = aws.client("iam", account_id), f"arn:aws:iam::{account_id}:policy/EnforceMFA"
    one_effect = ours.replace('"Effect": "Deny"', '"Effect": "Allow", "Effect": "Deny"', 1)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=one_effect, SetAsDefault=True)
    assert states(account_id)[0] is DRIFTED


def test_text_of_the_default_version_decides(aws: AwsServer, organization: SampleOrganization, account_id: str) -> None:
    organization.enforce_policy(account_id, GRANT)
    iam, arn = aws.client("iam", account_id), f"arn:aws:iam::{account_id}:policy/EnforceMFA"
    ours = json.dumps(render_enforcement_policy(partition="aws", access_keys="deny"))
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=ours, SetAsDefault=False)
    assert states(account_id)[0] is DRIFTED

    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    assert states(account_id)[0] is OURS


def test_text_of_a_version_is_read_once_and_that_of_another_version_or_policy_anew(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.enforce_policy(account_id, group=False)
    iam, arn = aws.client("iam", account_id), f"arn:aws:iam::{account_id}:policy/EnforceMFA"
    ours = json.dumps(render_enforcement_policy(partition="aws", access_keys="deny"))
    with entered(account_id) as member:

        def look() -> tuple[PolicyState, int]:
            aws.forget_calls()
            state = member.policies.look(account_id, group=False).policy
            return state, aws.actions(account_id).count("GetPolicyVersion")

        assert [look(), look()] == [(OURS, 1), (OURS, 0)]

        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(GRANT), SetAsDefault=True)
        assert [look(), look()] == [(DRIFTED, 1), (DRIFTED, 0)]

        iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
        assert look() == (OURS, 0)

        iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
        iam.delete_policy(PolicyArn=arn)
        iam.create_policy(PolicyName="EnforceMFA", PolicyDocument=json.dumps(GRANT))
        assert look() == (DRIFTED, 1)

        iam.delete_policy(PolicyArn=arn)
        iam.create_policy(PolicyName="EnforceMFA", PolicyDocument=ours)
        assert look() == (OURS, 1)


def test_group_that_carries_anything_else_is_drifted(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.enforce_policy(account_id)
    iam = aws.client("iam", account_id)
    other = iam.create_policy(PolicyName="Other", PolicyDocument=json.dumps(GRANT))["Policy"]["Arn"]
    iam.attach_group_policy(GroupName="EnforceMFA", PolicyArn=other)

    assert states(account_id) == (OURS, DRIFTED)


def test_group_with_an_inline_policy_is_drifted(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.enforce_policy(account_id)
    document = json.dumps(GRANT)
    aws.client("iam", account_id).put_group_policy(GroupName="EnforceMFA", PolicyName="x", PolicyDocument=document)

    assert states(account_id) == (OURS, DRIFTED)


@pytest.mark.parametrize(
    ("managed_by", "has_member", "state"),
    [("stackset", False, DRIFTED), ("orchestrator", False, OUTDATED), ("orchestrator", True, DRIFTED)],
)
def test_empty_group_is_unfinished_only_where_we_own_it_and_nobody_is_in_it(
    aws: AwsServer, organization: SampleOrganization, account_id: str, managed_by: str, has_member: bool, state: Any
) -> None:
    organization.enforce_policy(account_id, group=False)
    iam = aws.client("iam", account_id)
    iam.create_group(GroupName="EnforceMFA")
    if has_member:
        organization.add_user(account_id, "alice")
        iam.add_user_to_group(GroupName="EnforceMFA", UserName="alice")

    assert states(account_id, managed_by) == (OURS, state)


def test_policy_and_group_are_made_where_the_program_owns_them(aws: AwsServer, account_id: str) -> None:
    with entered(account_id, managed_by="orchestrator") as member:
        for change in (PolicyChange.CREATE_POLICY, PolicyChange.CREATE_GROUP, PolicyChange.ATTACH_GROUP_POLICY):
            member.policies.change(account_id, change)
            member.policies.change(account_id, change)  # safe to repeat

    assert states(account_id, "orchestrator") == (OURS, OURS)


@pytest.mark.parametrize("managed_by", ["stackset", "orchestrator"])
@pytest.mark.parametrize("tags", [[], [{"Key": OWNER_TAG, "Value": OWNER_TAG_VALUE}]])
@pytest.mark.parametrize(
    ("text", "state", "can_lock_out"),
    [
        (json.dumps(GRANT), DRIFTED, False),
        (earlier_text("deny"), OUTDATED, True),
        (earlier_text("allow"), OUTDATED, True),
        (earlier_text("deny", "aws-cn"), DRIFTED, False),
        (earlier_text("deny").replace("iam:GetUser", "iam:DeactivateMFADevice"), DRIFTED, False),
        (json.dumps(render_enforcement_policy(partition="aws", access_keys="allow")), OUTDATED, False),
        (json.dumps(render_enforcement_policy(partition="aws", access_keys="deny")), OURS, False),
    ],
)
def test_text_alone_decides_whoever_s_tag_the_policy_bears(
    aws: AwsServer, account_id: str, managed_by: str, tags: Any, text: str, state: PolicyState, *, can_lock_out: bool
) -> None:
    aws.client("iam", account_id).create_policy(PolicyName="EnforceMFA", PolicyDocument=text, Tags=tags)

    with entered(account_id, managed_by=managed_by) as member:
        seen = member.policies.look(account_id, group=False)

    assert (seen.policy, seen.can_lock_out) == (state, can_lock_out)


def test_earlier_text_with_a_key_twice_is_drifted(organization: SampleOrganization, account_id: str) -> None:
    grant = json.dumps(GRANT["Statement"])
    organization.enforce_policy(account_id, f'{{"Statement": {grant}, {earlier_text("deny").strip()[1:]}')

    assert states(account_id)[0] is DRIFTED


def test_old_policy_of_our_own_is_updated_by_a_new_version(aws: AwsServer, account_id: str) -> None:
    with entered(account_id, managed_by="orchestrator") as member:
        member.policies.change(account_id, PolicyChange.CREATE_POLICY)
    iam, arn = aws.client("iam", account_id), f"arn:aws:iam::{account_id}:policy/EnforceMFA"
    for _ in range(4):  # five versions in all, the quota
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=earlier_text("deny"), SetAsDefault=True)
    assert states(account_id, "orchestrator")[0] is OUTDATED

    with entered(account_id, managed_by="orchestrator") as member:
        member.policies.change(account_id, PolicyChange.UPDATE_POLICY)

    assert states(account_id, "orchestrator")[0] is OURS
    versions = [version["VersionId"] for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]]
    assert sorted(versions) == ["v2", "v3", "v4", "v5", "v6"]


def test_look_without_the_group_does_not_ask_for_it(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.enforce_policy(account_id)
    with entered(account_id) as member:
        aws.forget_calls()
        found = member.policies.look(account_id, group=False)

    assert found.policy is OURS
    assert aws.actions() == ["GetPolicy", "GetPolicyVersion"]
