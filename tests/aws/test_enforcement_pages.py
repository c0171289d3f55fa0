"""Lists of the group and the policy that come in several pages, of which IAM may leave any empty."""

from collections.abc import Iterable
from typing import Any

import pytest

from orchestrator.domain.model import PolicyChange, PolicyState
from tests.aws.member import entered
from tests.aws_server import Answer, AwsServer, Call
from tests.member_role.rendering import earlier_text
from tests.organization import SampleOrganization

GROUP = "<Path>/</Path><GroupName>EnforceMFA</GroupName><GroupId>AGPAEXAMPLE</GroupId><Arn>arn:aws:iam::1:group/x</Arn>"


def member(**fields: str) -> str:
    return f"<member>{''.join(f'<{name}>{text}</{name}>' for name, text in fields.items())}</member>"


def paged(aws: AwsServer, action: str, key: str, *pages: Iterable[str], more: str = "") -> None:
    """Have a list call answer these pages, each with the members given."""

    def answer(call: Call) -> Answer | None:
        if call.action != action:
            return None
        number = int(call.parameters.get("Marker", "0"))
        rest = f"<IsTruncated>true</IsTruncated><Marker>{number + 1}</Marker>" if number + 1 < len(pages) else ""
        body = f"{more}<{key}>{''.join(pages[number])}</{key}>{rest or '<IsTruncated>false</IsTruncated>'}"
        return Answer(200, f"<{action}Response><{action}Result>{body}</{action}Result></{action}Response>")

    aws.faults.append(answer)


@pytest.fixture
def account_id(organization: SampleOrganization) -> str:
    return organization.add_account("payments", with_policy=False)


@pytest.mark.parametrize("list_call", ["ListAttachedGroupPolicies", "ListGroupPolicies"])
def test_grant_on_a_later_page_of_the_group_makes_it_drifted(
    aws: AwsServer, organization: SampleOrganization, account_id: str, list_call: str
) -> None:
    organization.enforce_policy(account_id)
    ours = member(PolicyName="EnforceMFA", PolicyArn=f"arn:aws:iam::{account_id}:policy/EnforceMFA")
    grant = member(PolicyName="Grant", PolicyArn=f"arn:aws:iam::{account_id}:policy/Grant")
    if list_call == "ListAttachedGroupPolicies":
        paged(aws, list_call, "AttachedPolicies", [ours], [], [grant])
    else:
        paged(aws, list_call, "PolicyNames", [], ["<member>grant</member>"])

    with entered(account_id) as entry:
        assert entry.policies.look(account_id, group=True).group is PolicyState.DRIFTED


def test_group_whose_members_are_on_a_later_page_is_somebody_else_s(
    aws: AwsServer, organization: SampleOrganization, account_id: str
) -> None:
    organization.enforce_policy(account_id, group=False)
    aws.client("iam", account_id).create_group(GroupName="EnforceMFA")
    alice = member(UserName="alice", UserId="AIDAEXAMPLE", Path="/", Arn="arn", CreateDate="2026-01-01T00:00:00Z")
    paged(aws, "GetGroup", "Users", [], [alice], more=f"<Group>{GROUP}</Group>")

    with entered(account_id, managed_by="orchestrator") as entry:
        assert entry.policies.look(account_id, group=True).group is PolicyState.DRIFTED


def test_versions_on_later_pages_count_towards_the_five_of_a_policy(aws: AwsServer, account_id: str) -> None:
    iam, arn = aws.client("iam", account_id), f"arn:aws:iam::{account_id}:policy/EnforceMFA"
    iam.create_policy(PolicyName="EnforceMFA", PolicyDocument=earlier_text("deny"))
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=earlier_text("deny"))
    versions: list[Any] = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    shown = [
        member(
            VersionId=one["VersionId"],
            IsDefaultVersion=str(one["IsDefaultVersion"]).lower(),
            CreateDate=f"2026-01-0{one['VersionId'][1:]}T00:00:00Z",
        )
        for one in versions
    ]
    paged(aws, "ListPolicyVersions", "Versions", shown[:3], [], shown[3:])

    with entered(account_id, managed_by="orchestrator") as entry:
        entry.policies.change(account_id, PolicyChange.UPDATE_POLICY)
        assert entry.policies.look(account_id, group=False).policy is PolicyState.OURS
    assert "DeletePolicyVersion" in aws.actions(account_id)


def test_alias_on_a_later_page_is_found(aws: AwsServer, account_id: str) -> None:
    paged(aws, "ListAccountAliases", "AccountAliases", [], ["<member>acme-payments</member>"])

    with entered(account_id) as entry:
        assert entry.iam.inspect(account_id).alias == "acme-payments"
        assert entry.iam.describe(account_id).alias == "acme-payments"
