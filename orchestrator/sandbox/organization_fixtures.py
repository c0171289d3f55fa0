"""Makes a sample organization in moto: organization, units and accounts by the API, then IAM by `iam_fixtures`.

No call can choose an account's ID or name the management account; these are written into moto's own state.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
from moto.moto_api._internal import mock_random
from moto.organizations.models import organizations_backends

from orchestrator.sandbox.iam_fixtures import PARTITION, furnish_account
from orchestrator.sandbox.sample_organization import SampleAccount, SampleOrganization, SampleUnit

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_sts import STSClient

OPERATOR_ROLE = "orgmfa-operator"
_ACCESS_ROLE = "OrganizationAccountAccessRole"


def build_organization(sample: SampleOrganization, now: datetime) -> dict[str, Any]:
    """Make the organization in the moto that is running, and return its operator's credentials, as boto3 takes them."""
    session = boto3.Session()
    sts = session.client("sts")
    operator = _assume(sts, sample.management_account.id, OPERATOR_ROLE)
    organizations = session.client("organizations", **operator)
    with _same_draws():
        _make_tree(organizations, sample)
    organization_id = organizations.describe_organization()["Organization"]["Id"]
    for account in sample.all_accounts():
        iam = session.client("iam", **_assume(sts, account.id, _ACCESS_ROLE))
        furnish_account(iam, account, trusts=sample.management_account.id, organization_id=organization_id, now=now)
    return operator


@contextmanager
def _same_draws() -> Iterator[None]:
    """Context manager: moto gives organization and units the same IDs on each run ('Deterministic identifiers')."""
    state = mock_random.getstate()
    mock_random.seed(20)
    try:
        yield
    finally:
        mock_random.setstate(state)


def _assume(sts: "STSClient", account_id: str, role: str) -> dict[str, Any]:
    arn = f"arn:{PARTITION}:iam::{account_id}:role/{role}"
    issued = sts.assume_role(RoleArn=arn, RoleSessionName="sandbox")["Credentials"]
    keys = {"aws_access_key_id": issued["AccessKeyId"], "aws_secret_access_key": issued["SecretAccessKey"]}
    return keys | {"aws_session_token": issued["SessionToken"]}


def _make_tree(organizations: "OrganizationsClient", sample: SampleOrganization) -> None:
    """Make the organization with all its units and accounts, from the root down."""
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
