"""Makes a sample organization in moto: organization, units and accounts, then the IAM resources of each account.

All by the API, but for what no call can choose: IDs of accounts, the name of the management account, and times in the
past (when users were made, devices enrolled, access keys last used). These are written into moto's own state.
"""

import json
import secrets
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import boto3
from moto.iam.models import AccessKeyLastUsed, iam_backends
from moto.moto_api._internal import mock_random
from moto.organizations.models import organizations_backends

from orchestrator.domain.config import Config
from orchestrator.domain.member_roles import MEMBER_ROLE, RELEASE_ROLE, RoleSettings, default_trusted, render_role
from orchestrator.domain.model import Via
from orchestrator.domain.policy_document import render_enforcement_policy
from orchestrator.sandbox.sample_organization import SampleAccount, SampleOrganization, SampleUnit, SampleUser

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_sts import STSClient

OPERATOR_ROLE = "orgmfa-operator"
PARTITION = "aws"
MAIL_DOMAIN = "larkspur.example"
_ACCESS_ROLE = "OrganizationAccountAccessRole"
_SETTINGS = Config()
_READS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}


def build_organization(sample: SampleOrganization, now: datetime) -> dict[str, Any]:
    """Make the organization in the moto that is running, and return its operator's credentials, as boto3 takes them."""
    session = boto3.Session()
    sts = session.client("sts")
    operator = _assume(sts, sample.management_account.id, OPERATOR_ROLE)
    organizations = session.client("organizations", **operator)
    draws = mock_random.getstate()
    mock_random.seed(20)  # so that organization and units have the same IDs in each run ('Deterministic identifiers')
    try:
        _make_tree(organizations, sample)
    finally:
        mock_random.setstate(draws)
    organization_id = organizations.describe_organization()["Organization"]["Id"]
    for account in sample.all_accounts():
        iam = session.client("iam", **_assume(sts, account.id, _ACCESS_ROLE))
        _furnish_account(iam, account, trusts=sample.management_account.id, organization_id=organization_id, now=now)
    return operator


def _assume(sts: "STSClient", account_id: str, role: str) -> dict[str, Any]:
    arn = f"arn:{PARTITION}:iam::{account_id}:role/{role}"
    issued = sts.assume_role(RoleArn=arn, RoleSessionName="sandbox")["Credentials"]
    keys = {"aws_access_key_id": issued["AccessKeyId"], "aws_secret_access_key": issued["SecretAccessKey"]}
    return keys | {"aws_session_token": issued["SessionToken"]}


def _make_tree(organizations: "OrganizationsClient", sample: SampleOrganization) -> None:
    management, books = sample.management_account, organizations_backends[sample.management_account.id][PARTITION]

    def add_unit(unit: SampleUnit, parent_id: str) -> None:
        made = organizations.create_organizational_unit(ParentId=parent_id, Name=unit.name)
        unit_id = made["OrganizationalUnit"]["Id"]
        for account in unit.accounts:
            add_account(account, unit_id)
        for child in unit.units:
            add_unit(child, unit_id)

    def add_account(account: SampleAccount, unit_id: str) -> None:
        made = organizations.create_account(AccountName=account.name, Email=f"aws+{account.id}@larkspur.example")
        drawn_id = made["CreateAccountStatus"]["AccountId"]
        books.get_account_by_id(drawn_id).id = account.id
        management_by_member = organizations_backends.master_accounts
        management_by_member[account.id] = management_by_member.pop(drawn_id)
        organizations.move_account(AccountId=account.id, SourceParentId=root_id, DestinationParentId=unit_id)
        if account.is_suspended:
            organizations.close_account(AccountId=account.id)

    organizations.create_organization(FeatureSet="ALL")
    books.get_account_by_id(management.id).name = management.name
    root_id = organizations.list_roots()["Roots"][0]["Id"]
    for unit in sample.units:
        add_unit(unit, root_id)


def _furnish_account(
    iam: "IAMClient", account: SampleAccount, *, trusts: str, organization_id: str, now: datetime
) -> None:
    # `trusts` is the account whose principals may assume the member roles, of this organization alone.
    if account.alias is not None:
        iam.create_account_alias(AccountAlias=account.alias)
    if account.has_member_roles:
        _deploy_stack(iam, account, trusts=trusts, organization_id=organization_id)
    most_policies = max((user.policies for user in account.users), default=0)
    most_groups = max((user.groups for user in account.users), default=0)
    arns = [_create_policy(iam, f"team-policy-{number}", _READS) for number in range(1, most_policies + 1)]
    groups = [f"team-{number}" for number in range(1, most_groups + 1)]
    for group in groups:
        iam.create_group(GroupName=group)
    for user in account.users:
        _create_user(iam, user)
        for arn in arns[: user.policies]:
            iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
        for group in groups[: user.groups]:
            iam.add_user_to_group(UserName=user.name, GroupName=group)
        _enforce_and_enrol(iam, account, user)
        _backdate(account.id, user, now)


def _deploy_stack(iam: "IAMClient", account: SampleAccount, *, trusts: str, organization_id: str) -> None:
    """Make the roles, policy and group of member_role/template.yaml; moto's CloudFormation leaves the group out."""
    settings = RoleSettings(
        partition=PARTITION,
        account_id=account.id,
        organization_id=organization_id,
        security_account_id=trusts,
        config=_SETTINGS,
    )
    for role in (render_role(name, settings, default_trusted()) for name in (MEMBER_ROLE, RELEASE_ROLE)):
        iam.create_role(RoleName=role.name, AssumeRolePolicyDocument=json.dumps(role.trust))
        for name, document in role.policies.items():
            iam.put_role_policy(RoleName=role.name, PolicyName=name, PolicyDocument=json.dumps(document))
    policy = render_enforcement_policy(partition=PARTITION, access_keys=_SETTINGS.policy.access_keys)
    if account.has_drifted_policy:
        policy["Statement"].append({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    iam.create_group(GroupName=_SETTINGS.policy.group)
    arn = _create_policy(iam, _SETTINGS.policy.name, policy)
    iam.attach_group_policy(GroupName=_SETTINGS.policy.group, PolicyArn=arn)


def _create_policy(iam: "IAMClient", name: str, document: dict[str, Any]) -> str:
    return iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))["Policy"]["Arn"]


def _create_user(iam: "IAMClient", user: SampleUser) -> None:
    iam.create_user(UserName=user.name, Path=user.path)
    if user.has_console_password and user.name[0].isalpha():
        iam.tag_user(UserName=user.name, Tags=[{"Key": "email", "Value": f"{user.name}@{MAIL_DOMAIN}"}])
    if user.has_console_password:
        iam.create_login_profile(UserName=user.name, Password=secrets.token_urlsafe(24))
    for _ in user.keys_used_ago:
        iam.create_access_key(UserName=user.name)


def _enforce_and_enrol(iam: "IAMClient", account: SampleAccount, user: SampleUser) -> None:
    """Enforce MFA on a user, and give it its device; moto takes any serial number, so one of a FIDO key too."""
    if user.enforced is Via.USER:
        iam.attach_user_policy(UserName=user.name, PolicyArn=policy_arn(account.id, _SETTINGS))
    elif user.enforced is Via.GROUP:
        iam.add_user_to_group(UserName=user.name, GroupName=_SETTINGS.policy.group)
    if user.mfa is None:
        return
    if user.mfa == "virtual":
        device = iam.create_virtual_mfa_device(VirtualMFADeviceName=user.name)
        serial = device["VirtualMFADevice"]["SerialNumber"]
    else:
        serial = f"arn:{PARTITION}:iam::{account.id}:u2f/user/{user.name}/security-key"
    iam.enable_mfa_device(
        UserName=user.name, SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321"
    )


def _backdate(account_id: str, user: SampleUser, now: datetime) -> None:
    made = iam_backends[account_id][PARTITION].users[user.name]
    made.id = f"AIDA{sha256(f'{account_id}/{user.name}'.encode()).hexdigest()[:17].upper()}"  # the same in every run
    made.create_date = naive_utc(now - user.created_ago)
    for device in made.mfa_devices.values():
        device.enable_date = naive_utc(now - user.enrolled_ago)
    for key, used_ago in zip(made.access_keys, user.keys_used_ago, strict=True):
        key.create_date = made.create_date
        if used_ago is not None:
            key.last_used = AccessKeyLastUsed(naive_utc(now - used_ago), "s3", "us-east-1")


def policy_arn(account_id: str, config: Config) -> str:
    """Return the ARN of EnforceMFA in an account."""
    return f"arn:{PARTITION}:iam::{account_id}:policy{config.policy.path}{config.policy.name}"


def naive_utc(moment: datetime) -> datetime:
    """Return a moment as moto stores it: in UTC, without a time zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)
