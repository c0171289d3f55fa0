"""Builds organizations in a served AWS, a call at a time, as an administrator would."""

import json
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.policy_document import render_enforcement_policy
from tests.aws_server import MANAGEMENT, AwsServer


@dataclass
class SampleOrganization:
    """An organization whose management account is moto's own; member accounts are added by name."""

    aws: AwsServer

    def __post_init__(self) -> None:
        self.organizations = self.aws.client("organizations")
        self.organizations.create_organization(FeatureSet="ALL")
        self.root_id = self.organizations.list_roots()["Roots"][0]["Id"]
        self.id = self.organizations.describe_organization()["Organization"]["Id"]
        self.enforce_policy(MANAGEMENT)

    def add_ou(self, name: str, parent_id: str | None = None) -> str:
        """Add an OU under another, or under the root, and return its ID."""
        answer = self.organizations.create_organizational_unit(ParentId=parent_id or self.root_id, Name=name)
        ou_id: str = answer["OrganizationalUnit"]["Id"]
        return ou_id

    def add_account(
        self, name: str, *, ou_id: str | None = None, alias: str | None = None, with_policy: bool = True
    ) -> str:
        """Add a member account, with the policy and group of the StackSet, and return its ID."""
        answer = self.organizations.create_account(Email=f"{name}@example.com", AccountName=name)
        account_id: str = answer["CreateAccountStatus"]["AccountId"]
        if ou_id:
            self.organizations.move_account(
                AccountId=account_id, SourceParentId=self.root_id, DestinationParentId=ou_id
            )
        if alias:
            self.aws.client("iam", account_id).create_account_alias(AccountAlias=alias)
        if with_policy:
            self.enforce_policy(account_id)
        return account_id

    def enforce_policy(
        self, account_id: str, document: dict[str, Any] | str | None = None, *, group: bool = True
    ) -> None:
        """Put policy and group into an account, as the StackSet does; or a policy of another text."""
        iam = self.aws.client("iam", account_id)
        document = document or render_enforcement_policy(partition="aws", access_keys="deny")
        text = document if isinstance(document, str) else json.dumps(document)
        arn = iam.create_policy(PolicyName="EnforceMFA", PolicyDocument=text)["Policy"]["Arn"]
        if group:
            iam.create_group(GroupName="EnforceMFA")
            iam.attach_group_policy(GroupName="EnforceMFA", PolicyArn=arn)

    def add_user(
        self,
        account_id: str,
        name: str,
        *,
        password: bool = True,
        mfa: str | None = None,
        keys: int = 0,
        path: str = "/",
        policies: int = 0,
        groups: int = 0,
    ) -> None:
        """Add a user; `mfa` is `virtual`, `fido` or `hardware`."""
        iam = self.aws.client("iam", account_id)
        iam.create_user(UserName=name, Path=path)
        if password:
            iam.create_login_profile(UserName=name, Password="Correct-Horse-9-Battery")
        if mfa:
            self.enrol(account_id, name, mfa)
        for _ in range(keys):
            iam.create_access_key(UserName=name)
        for number in range(policies):
            arn = f"arn:aws:iam::{account_id}:policy/{name}-{number}"
            iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=_HARMLESS)
            iam.attach_user_policy(UserName=name, PolicyArn=arn)
        for number in range(groups):
            iam.create_group(GroupName=f"{name}-{number}")
            iam.add_user_to_group(UserName=name, GroupName=f"{name}-{number}")

    def enrol(self, account_id: str, name: str, mfa: str = "virtual") -> None:
        """Give a user an MFA device."""
        iam = self.aws.client("iam", account_id)
        serial = f"arn:aws:iam::{account_id}:u2f/user/{name}/key-1" if mfa == "fido" else f"GAHT1234-{name}"
        if mfa == "virtual":
            serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]["SerialNumber"]
        iam.enable_mfa_device(
            UserName=name, SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321"
        )

    def attached(self, account_id: str, name: str) -> list[str]:
        """Return the names of the managed policies on a user."""
        answer = self.aws.client("iam", account_id).list_attached_user_policies(UserName=name)
        return sorted(policy["PolicyName"] for policy in answer["AttachedPolicies"])

    def groups(self, account_id: str, name: str) -> list[str]:
        """Return the groups of a user."""
        answer = self.aws.client("iam", account_id).list_groups_for_user(UserName=name)
        return sorted(group["GroupName"] for group in answer["Groups"])


_HARMLESS = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}
)
