"""OUs that a call or the configuration names, against AWS served over HTTP: each must exist, and leave an account."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.aws_server import Answer, AwsServer, Call
from tests.cli.calling import Cli, assert_refused, outcomes
from tests.organization import SampleOrganization

pytestmark = pytest.mark.thorough

NOWHERE = "ou-none-00000000"


@dataclass
class Tree:
    """The root with `outer` and `empty`; `payments` (alice) in `outer/inner`, `search` (carol) below the root."""

    root: str
    outer: str
    empty: str
    payments: str


@pytest.fixture(params=[True, False], ids=["paths", "no paths"])
def tree(aws: AwsServer, request: pytest.FixtureRequest) -> Tree:
    """Build the tree; AWS fills `Account.Paths`, or does not."""
    organization = SampleOrganization(aws)
    outer, empty = organization.add_ou("outer"), organization.add_ou("empty")
    inner = organization.add_ou("inner", outer)
    payments = organization.add_account("payments", ou_id=inner)
    organization.add_user(payments, "alice")
    organization.add_user(organization.add_account("search"), "carol")
    if request.param:
        accounts = organization.organizations.list_accounts()["Accounts"]
        paths = {payments: f"o-x/{organization.root_id}/{outer}/{inner}/{payments}/"}
        fill_paths(
            aws, [_listed(one, paths.get(one["Id"], f"o-x/{organization.root_id}/{one['Id']}/")) for one in accounts]
        )
    aws.forget_calls()
    return Tree(organization.root_id, outer, empty, payments)


def _listed(account: dict[str, Any], path: str) -> dict[str, Any]:
    return {key: account[key] for key in ("Id", "Name", "Status")} | {"Paths": [path]}


def fill_paths(aws: AwsServer, accounts: list[dict[str, Any]]) -> None:
    def serve(call: Call) -> Answer | None:
        if call.action == "ListAccounts":
            return Answer(200, json.dumps({"Accounts": accounts}), "application/x-amz-json-1.1")
        if call.action == "DescribeAccount":
            (found,) = [one for one in accounts if one["Id"] == call.parameters["AccountId"]]
            return Answer(200, json.dumps({"Account": found}), "application/x-amz-json-1.1")
        return None

    aws.faults.append(serve)


@pytest.mark.parametrize(
    "command", ["plan", "apply --yes", "release --yes", "doctor", "apply --yes --account {payments}"]
)
@pytest.mark.parametrize("key", ["include_ous", "exclude_ous"])
def test_ou_of_the_configuration_that_does_not_exist_is_refused(
    aws: AwsServer, cli: Cli, tree: Tree, command: str, key: str
) -> None:
    cli.configure(f"organization: {{{key}: [{tree.outer}, {NOWHERE}]}}\n")

    assert_refused(cli(*command.format(payments=tree.payments).split()), f"organization.{key}", NOWHERE)
    assert aws.writes() == []


def test_ou_of_the_command_line_that_does_not_exist_is_refused(aws: AwsServer, cli: Cli, tree: Tree) -> None:
    assert_refused(cli("apply", "--yes", "--ou", tree.outer, "--ou", NOWHERE), "--ou", NOWHERE)
    assert aws.writes() == []


def test_each_ou_is_asked_for_once(aws: AwsServer, cli: Cli, tree: Tree) -> None:
    cli.configure(
        f"organization: {{include_ous: [{tree.root}, {tree.outer}], exclude_ous: [{tree.empty}, {tree.empty}]}}\n"
    )

    code, report = cli.report("plan", "--ou", tree.outer)

    asked = [call.parameters["ParentId"] for call in aws.calls if call.parameters.get("MaxResults") == "1"]
    assert code == 0
    assert outcomes(report) == {"alice": "planned"}
    assert sorted(asked) == sorted([tree.root, tree.outer, tree.empty])


@pytest.mark.parametrize(
    ("settings", "options", "reason"),
    [
        ("include_ous: [{empty}]", "", "it is in no OU that organization.include_ous names"),
        ("exclude_ous: [{root}]", "", "it is in an OU that organization.exclude_ous names"),
        (
            "include_ous: [{outer}], exclude_ous: [{outer}]",
            "",
            "1 skipped: it is in an OU that organization.exclude_ous",
        ),
        ("exclude_accounts: ['{payments}']", "--account {payments}", "organization.exclude_accounts names it"),
        ("exclude_ous: [{outer}]", "--ou {outer}", "1 skipped: it is in an OU that organization.exclude_ous names"),
        ("", "--ou {empty}", "no account to work on"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "apply --yes", "release --yes"])
def test_run_that_may_look_at_no_account_is_refused(
    aws: AwsServer, cli: Cli, tree: Tree, command: str, settings: str, options: str, reason: str
) -> None:
    names = vars(tree)
    cli.configure(f"organization: {{{settings.format(**names)}}}\n")

    refused = cli(*command.split(), *options.format(**names).split())

    assert_refused(refused, "no account to work on", reason)
    assert not (cli.folder / "orgmfa-runs" / "runs").exists()


@pytest.mark.parametrize("key", ["include_ous", "exclude_ous"])
def test_ous_that_exist_narrow_the_run_with_and_without_paths(cli: Cli, tree: Tree, key: str) -> None:
    cli.configure(f"organization: {{{key}: [{tree.outer}]}}\n")

    code, report = cli.report("plan")

    assert code == 0
    assert outcomes(report) == ({"alice": "planned"} if key == "include_ous" else {"carol": "planned"})


@pytest.mark.parametrize("tag", ["", "organization: {owner_tag: team}\n"])
def test_owner_is_told_of_each_account_where_its_tag_is_named(aws: AwsServer, cli: Cli, tree: Tree, tag: str) -> None:
    organizations = aws.client("organizations")
    organizations.tag_resource(ResourceId=tree.payments, Tags=[{"Key": "team", "Value": "Payments"}])
    aws.forget_calls()
    cli.configure(tag)

    code, report = cli.report("plan")

    assert code == 0
    assert {account.name: account.owner for account in report.accounts if account.owner} == (
        {"payments": "Payments"} if tag else {}
    )
    assert aws.actions().count("ListTagsForResource") == (len(report.accounts) if tag else 0)
