"""Makes the IAM resources of one sample account in moto: those of the StackSet, and users with what they have.

Times in the past are written into moto's own state: when users were made, devices enrolled, access keys last used.
"""

import json
import secrets
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from moto.iam.models import AccessKeyLastUsed, iam_backends

from orchestrator.domain.config import Config
from orchestrator.domain.member_roles import MEMBER_ROLE, RELEASE_ROLE, RoleSettings, default_trusted, render_role
from orchestrator.domain.model import Via
from orchestrator.domain.policy_document import render_enforcement_policy
from orchestrator.sandbox.sample_organization import SampleAccount, SampleUser

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

PARTITION = "aws"
MAIL_DOMAIN = "larkspur.example"
_SETTINGS = Config()
_READS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}


def furnish_account(
    iam: "IAMClient", account: SampleAccount, *, trusts: str, organization_id: str, now: datetime
) -> None:
    """Make the IAM resources of an account: alias, those of the StackSet, users with what they have.

    `trusts` is the account whose principals may assume the member roles, of this organization alone.
    """
    if account.alias is not None:
        iam.create_account_alias(AccountAlias=account.alias)
    if account.has_member_roles:
        _deploy_stack(iam, account, trusts=trusts, organization_id=organization_id)
    most_policies = max((user.policies for user in account.users), default=0)
    arns = [_create_policy(iam, f"team-policy-{number}", _READS) for number in range(1, most_policies + 1)]
    groups = [f"team-{number}" for number in range(1, max((user.groups for user in account.users), default=0) + 1)]
    for group in groups:
        iam.create_group(GroupName=group)
    for user in account.users:
        _create_user(iam, user)
        for arn in arns[: user.policies]:
            iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
        for group in groups[: user.groups]:
            iam.add_user_to_group(UserName=user.name, GroupName=group)
        _enforce(iam, account, user)
        _enrol(iam, account, user)
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


def _enforce(iam: "IAMClient", account: SampleAccount, user: SampleUser) -> None:
    policy = _SETTINGS.policy
    if user.enforced is Via.USER:
        arn = f"arn:{PARTITION}:iam::{account.id}:policy{policy.path}{policy.name}"
        iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
    elif user.enforced is Via.GROUP:
        iam.add_user_to_group(UserName=user.name, GroupName=policy.group)


def _enrol(iam: "IAMClient", account: SampleAccount, user: SampleUser) -> None:
    """Give a user its MFA device; moto takes any serial number, so one of a FIDO key too."""
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


def naive_utc(moment: datetime) -> datetime:
    """Return a moment as moto stores it: in UTC, without a time zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)
