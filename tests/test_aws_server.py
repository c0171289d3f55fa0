"""An AWS that was prepared once is put back as it was, whatever was done to it in between."""

import pytest

from tests.aws_server import AwsServer, xml_error
from tests.organization import SampleOrganization

BUILT: list[AwsServer] = []


def build(aws: AwsServer) -> tuple[SampleOrganization, str]:
    BUILT.append(aws)
    organization = SampleOrganization(aws)
    account_id = organization.add_account("payments")
    organization.add_user(account_id, "alice", mfa="virtual")
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="reports")
    s3.put_object(Bucket="reports", Key="run", Body=b"first")
    aws.client("secretsmanager").create_secret(Name="slack", SecretString="secret")
    return organization, account_id


def test_prepared_aws_is_put_back_as_it_was(aws: AwsServer) -> None:
    organization, account_id = aws.prepare(build)
    organization.add_account("search")
    organization.add_user(account_id, "bob")
    aws.client("s3").put_object(Bucket="reports", Key="run", Body=b"second")
    aws.client("ssm").put_parameter(Name="/stop", Value="stop", Type="String")
    aws.client("secretsmanager").delete_secret(SecretId="slack", ForceDeleteWithoutRecovery=True)
    aws.client("iam", account_id).delete_login_profile(UserName="alice")

    organization, account_id = aws.prepare(build)

    iam = aws.client("iam", account_id)
    assert [account["Name"] for account in organization.organizations.list_accounts()["Accounts"]][1:] == ["payments"]
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["alice"]
    assert len(iam.list_mfa_devices(UserName="alice")["MFADevices"]) == 1
    assert iam.get_login_profile(UserName="alice")
    assert aws.client("s3").get_object(Bucket="reports", Key="run")["Body"].read() == b"first"
    assert aws.client("ssm").describe_parameters()["Parameters"] == []
    assert aws.client("secretsmanager").get_secret_value(SecretId="slack")["SecretString"] == "secret"


def test_prepared_aws_was_built_once_and_answers_for_its_accounts(aws: AwsServer) -> None:
    _, account_id = aws.prepare(build)
    aws.reset()
    aws.prepare(build)
    aws.client("iam", account_id).list_users()

    assert len(BUILT) == 1
    assert (aws.calls[-1].action, aws.calls[-1].account_id) == ("ListUsers", account_id)


def test_prepared_aws_has_empty_books_and_no_faults(aws: AwsServer) -> None:
    aws.faults.append(lambda call: xml_error("AccessDenied") if call.action == "ListUsers" else None)
    aws.missing_roles.add(("123456789012", "orgmfa-member"))

    aws.prepare(build)

    assert (aws.calls, aws.faults, aws.missing_roles) == ([], [], set())


def test_empty_aws_has_nothing_of_a_prepared_one(aws: AwsServer) -> None:
    aws.prepare(build)
    aws.reset()

    assert aws.client("s3").list_buckets()["Buckets"] == []
    assert aws.client("iam").list_groups()["Groups"] == []


def test_what_cannot_be_put_back_is_refused(aws: AwsServer) -> None:
    def put_parameter(aws: AwsServer) -> None:
        aws.client("ssm").put_parameter(Name="/stop", Value="go", Type="String")

    with pytest.raises(AssertionError, match="ssm"):
        aws.prepare(put_parameter)
