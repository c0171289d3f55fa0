"""`--role`: a plan and a check through a role that others made, before anything of orgmfa is deployed."""

import json

import pytest

from orchestrator.aws.sessions import READ_ONLY_SESSION_POLICY
from tests.aws_server import MANAGEMENT, AwsServer, error_for
from tests.cli.calling import Cli, assert_refused, outcomes
from tests.organization import SampleOrganization

pytestmark = pytest.mark.thorough

ROLE = "OrganizationAccountAccessRole"
ANOTHER_TEXT = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
ADMINISTRATORS = [ROLE, "AWSControlTowerExecution", "AWSCloudFormationStackSetExecutionRole"]


def build_bare(aws: AwsServer) -> dict[str, str]:
    """Return the accounts of an organization that knows nothing of orgmfa; in `owned` the names are taken."""
    organization = SampleOrganization(aws)
    ids = {name: organization.add_account(name, with_policy=False) for name in ("payments", "search", "owned")}
    organization.add_user(ids["payments"], "alice")
    organization.add_user(ids["payments"], "bob", mfa="virtual")
    organization.add_user(ids["search"], "carol", policies=10)
    organization.enforce_policy(ids["owned"], ANOTHER_TEXT)
    organization.add_user(ids["owned"], "dave")
    aws.client("iam", MANAGEMENT).create_user(UserName="root-of-all")
    return ids


@pytest.fixture
def accounts(aws: AwsServer) -> dict[str, str]:
    return aws.prepare(build_bare)


def assumed(aws: AwsServer) -> list[dict[str, str]]:
    return [call.parameters for call in aws.calls if call.action == "AssumeRole"]


@pytest.mark.parametrize("role", ["OrganizationAccountAccessRole", "AWSControlTowerExecution", "Audit"])
@pytest.mark.parametrize("managed_by", ["stackset", "orchestrator"])
def test_a_plan_is_read_with_nothing_deployed(
    aws: AwsServer, cli: Cli, accounts: dict[str, str], role: str, managed_by: str
) -> None:
    cli.configure(f"policy: {{managed_by: {managed_by}}}\nmember_role: {{name: x, path: /security/}}\n")

    code, report = cli.report("plan", "--role", role)

    found = {account.id: account for account in report.accounts}
    assert {name: found[one].policy for name, one in accounts.items()} == {
        "payments": "not_deployed",
        "search": "not_deployed",
        "owned": "drifted",
    }
    assert outcomes(report) == {"alice": "planned", "bob": "none", "carol": "planned", "dave": "held"}
    assert [user.via for account in report.accounts for user in account.users if user.name == "carol"] == ["group"]
    changes = {name: list(found[one].policy_changes) for name, one in accounts.items()}
    made = ["create_policy", "create_group", "attach_group_policy"] if managed_by == "orchestrator" else []
    assert changes == {"payments": made[:1], "search": made, "owned": []}
    assert (code, report.gate) == (1, None)  # dave is for a person
    calls = assumed(aws)
    assert {call["RoleArn"] for call in calls} == {f"arn:aws:iam::{one}:role/{role}" for one in accounts.values()}
    assert {call["Policy"] for call in calls} == {READ_ONLY_SESSION_POLICY}
    assert {call.account_id for call in aws.calls if call.service == "iam"} == set(accounts.values())
    assert aws.writes() == []


def test_the_management_account_is_skipped_with_the_way(aws: AwsServer, cli: Cli, accounts: dict[str, str]) -> None:
    _, report = cli.report("plan", "--role", ROLE)
    alone = cli("plan", "--role", ROLE, "--account", MANAGEMENT)

    (account,) = [account for account in report.accounts if account.id == MANAGEMENT]
    assert account.status == "skipped"
    assert account.error is not None
    assert (account.error.stage, account.error.code) == ("select", "management_account")
    assert "stackset/management.yaml" in account.error.message
    assert account.users == ()
    assert_refused(alone, "stackset/management.yaml")


def test_account_without_the_role_fails_with_a_remedy_of_its_own(
    aws: AwsServer, cli: Cli, accounts: dict[str, str]
) -> None:
    aws.missing_roles.add((accounts["search"], ROLE))
    denied = accounts["owned"]
    aws.faults.append(
        lambda call: (
            error_for(call, "AccessDenied", "not authorized", 403)
            if (call.action, call.account_id) == ("GetAccountSummary", denied)
            else None
        )
    )

    code, report = cli.report("plan", "--role", ROLE)

    errors = {account.id: account.error for account in report.accounts if account.status == "failed"}
    missing, refused = errors[accounts["search"]], errors[denied]
    assert (code, len(errors)) == (1, 2)
    assert missing is not None
    assert missing.stage == "assume_role"
    assert "were invited" in missing.remedy
    assert MANAGEMENT in missing.remedy
    assert refused is not None
    assert "--role" in refused.remedy
    assert "StackSet" not in refused.remedy
    assert outcomes(report) == {"alice": "planned", "bob": "none"}


def test_the_plan_says_what_is_not_there_and_names_the_deployment_next(
    aws: AwsServer, cli: Cli, accounts: dict[str, str]
) -> None:
    cli.configure("limits: {max_changes_per_run: 1}\n")

    texts = [cli("plan", "--role", ROLE, *more).stdout for more in ((), ("-q",), ("--account", accounts["owned"]))]

    words = " ".join(texts[0].split())
    assert "EnforceMFA is not deployed in 2 accounts" in words
    assert f"The management account {MANAGEMENT} was not read" in words
    for text in texts:
        assert "Next:   deploy the member roles (docs/deploy.md), then orgmfa doctor" in text
        assert "orgmfa apply" not in text
        assert "STOPPED" not in text


def test_without_the_option_a_missing_policy_is_drift(aws: AwsServer, cli: Cli, accounts: dict[str, str]) -> None:
    _, report = cli.report("plan")

    found = {account.id: account.policy for account in report.accounts}
    assert found[accounts["payments"]] == "missing"
    assert outcomes(report)["alice"] == "held"


def test_doctor_checks_through_the_role_and_not_what_is_not_deployed(
    aws: AwsServer, cli: Cli, accounts: dict[str, str]
) -> None:
    done = cli("doctor", "--role", ROLE, "--account", "payments", "--output", "json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"] if check["account_id"]}
    whole = json.loads(cli("doctor", "--role", ROLE, "--output", "json").stdout)["checks"]

    assert done.returncode == 0, done.stdout
    assert set(checks) == {"member_role", "reads", "policy", "group"}
    assert ROLE in checks["member_role"]["message"]
    assert "is not deployed" in checks["policy"]["message"]
    assert "is not deployed" in checks["group"]["message"]
    (management,) = [check for check in whole if check["account_id"] == MANAGEMENT]
    assert "stackset/management.yaml" in management["message"]
    assert {check["account_id"] for check in whole if check["status"] == "problem"} == {accounts["owned"]}
    assert {call["RoleArn"].partition("/")[2] for call in assumed(aws)} == {ROLE}
    assert {call["Policy"] for call in assumed(aws)} == {READ_ONLY_SESSION_POLICY}


@pytest.mark.parametrize("name", [*ADMINISTRATORS, ROLE.lower()])
def test_nothing_writes_through_a_role_that_may_do_anything(
    aws: AwsServer, cli: Cli, accounts: dict[str, str], name: str
) -> None:
    commands = ("apply --yes", "release --yes", "release --yes --for 0d --user alice", "deploy --yes")
    for key in ("name", "release_name"):
        for path in ("/", "/security/"):
            cli.configure(f"member_role: {{{key}: {name}, path: {path}}}\n")
            for command in commands:
                assert_refused(cli(*command.split()), f"member_role.{key}", name)
    assert_refused(
        cli("apply", "--yes", "--sandbox", "--config", "config.yaml", ORGMFA_MEMBER_ROLE_NAME=name), "member_role.name"
    )
    assert aws.calls == []


@pytest.mark.parametrize("command", ["apply", "release", "report", "policy", "deploy", "package", "config"])
def test_only_plan_and_doctor_have_the_option(aws: AwsServer, cli: Cli, command: str) -> None:
    assert_refused(cli(command, "--role", ROLE), "--role")


@pytest.mark.parametrize("name", ["", "a/b", "arn:aws:iam::111122223333:role/x", "x" * 65, "rôle", "x\n"])
@pytest.mark.parametrize("command", ["plan", "doctor"])
def test_what_is_no_name_of_a_role_is_refused(aws: AwsServer, cli: Cli, command: str, name: str) -> None:
    assert_refused(cli(command, "--role", name), "--role", "is not the name of a role")
    assert aws.calls == []
