"""An organization in the middle of an upgrade of EnforceMFA: some accounts have an earlier text, some that of today.

The command line, against AWS served over HTTP; what was written is read from the books of the server.
"""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from orchestrator.aws.enforcement import OWNER_TAG, OWNER_TAG_VALUE
from orchestrator.doctor import CheckName, CheckStatus, DoctorReport
from orchestrator.domain.policy_document import render_enforcement_policy
from orchestrator.reports.report import AccountReport, RunReport
from tests.aws_server import AwsServer
from tests.cli.calling import Cli, outcomes, written
from tests.fake_slack import FakeSlack
from tests.member_role.rendering import earlier_text
from tests.organization import SampleOrganization

pytestmark = pytest.mark.thorough

TODAY = {mode: render_enforcement_policy(partition="aws", access_keys=mode) for mode in ("deny", "allow")}
GRANT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass
class HalfWay:
    """Five accounts with EnforceMFA in five states; in each, one user has it and one without MFA has not.

    upgraded   today's text              ann (has it)    una (not)
    waiting    an earlier text, deny     bea, and zoe who enrolled; cem by the group    wil (not), and kim who enrolled
    allowing   an earlier text, allow    dan             xia (not)
    other      today's text, allow       eve             yan (not)
    tampered   a grant, with our tag     fay             zed (not)
    """

    organization: SampleOrganization
    ids: dict[str, str]

    def set_text(self, name: str, text: str) -> None:
        iam, account_id = self.organization.aws.client("iam", self.ids[name]), self.ids[name]
        arn = f"arn:aws:iam::{account_id}:policy/EnforceMFA"
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)
        self.organization.aws.forget_calls()  # this write is the test's own


def make_half_way(aws: AwsServer) -> HalfWay:
    organization = SampleOrganization(aws)
    texts = {
        "upgraded": json.dumps(TODAY["deny"]),
        "waiting": earlier_text("deny"),
        "allowing": earlier_text("allow"),
        "other": json.dumps(TODAY["allow"]),
        "tampered": json.dumps(GRANT),
    }
    people = {
        "upgraded": "ann una",
        "waiting": "bea wil",
        "allowing": "dan xia",
        "other": "eve yan",
        "tampered": "fay zed",
    }
    ids = {}
    for name, text in texts.items():
        account_id = ids[name] = organization.add_account(name, with_policy=False)
        organization.enforce_policy(account_id, text)
        enforced, fresh = people[name].split()
        organization.add_user(account_id, enforced)
        organization.add_user(account_id, fresh)
        attach(aws, account_id, enforced)
    aws.client("iam", ids["tampered"]).tag_policy(
        PolicyArn=f"arn:aws:iam::{ids['tampered']}:policy/EnforceMFA",
        Tags=[{"Key": OWNER_TAG, "Value": OWNER_TAG_VALUE}],
    )
    organization.add_user(ids["waiting"], "zoe", mfa="virtual")
    attach(aws, ids["waiting"], "zoe")
    organization.add_user(ids["waiting"], "kim", mfa="virtual")
    organization.add_user(ids["waiting"], "cem")
    aws.client("iam", ids["waiting"]).add_user_to_group(GroupName="EnforceMFA", UserName="cem")
    return HalfWay(organization, ids)


def attach(aws: AwsServer, account_id: str, name: str) -> None:
    aws.client("iam", account_id).attach_user_policy(
        UserName=name, PolicyArn=f"arn:aws:iam::{account_id}:policy/EnforceMFA"
    )


@pytest.fixture
def half_way(aws: AwsServer) -> HalfWay:
    return aws.prepare(make_half_way)


def named(report: RunReport) -> dict[str, AccountReport]:
    return {account.name: account for account in report.accounts}


def test_nobody_new_gets_an_earlier_text_and_who_has_it_stays_enforced(
    aws: AwsServer, cli: Cli, half_way: HalfWay
) -> None:
    code, report = cli.report("apply", "--yes")

    assert code == 1
    assert written(aws) == [("AttachUserPolicy", "una")]
    assert {name: account.policy for name, account in named(report).items() if name in half_way.ids} == {
        "upgraded": "ours",
        "waiting": "outdated",
        "allowing": "outdated",
        "other": "outdated",
        "tampered": "drifted",
    }
    assert outcomes(report) == {
        "ann": "already_enforced",
        "una": "enforced",
        **dict.fromkeys(("bea", "cem", "dan", "eve"), "already_enforced"),
        "zoe": "none",
        "kim": "none",
        **dict.fromkeys(("wil", "xia", "yan", "fay", "zed"), "held"),
    }
    codes = {user.name: user.error.code for account in report.accounts for user in account.users if user.error}
    assert codes == {
        **dict.fromkeys(("wil", "xia", "yan", "bea", "cem", "zoe", "dan"), "policy_outdated"),
        **dict.fromkeys(("fay", "zed"), "policy_drifted"),
    }


def test_who_may_be_locked_out_stands_first_in_table_digest_page_and_csv(
    aws: AwsServer, cli: Cli, half_way: HalfWay
) -> None:
    with FakeSlack() as slack:
        shown = cli("plan", "--digest", ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url).stdout
    cli("report", "--html", "page.html", "--csv", "table.csv")
    digest = json.dumps([message.blocks for message in slack.messages])
    page, table = ((cli.folder / name).read_text("utf-8") for name in ("page.html", "table.csv"))

    to_fix = " ".join(shown.split("TO FIX")[1].split())
    assert to_fix.split(") ", 1)[1].startswith("4 users in 2 accounts may be locked out (policy_outdated)")
    assert "1 account with an earlier text of EnforceMFA (policy_outdated)" in to_fix
    assert "Update the StackSet, with AccessKeys as policy.access_keys says." in to_fix
    assert "4 users in 2 accounts may be locked out" in page
    assert "Update the StackSet" in page
    assert digest.index("may be locked out") < digest.index("policy changed")
    assert digest.count(": update the StackSet, with AccessKeys as policy.access_keys says") >= 2
    rows = shown.split("TO FIX")[0] + shown.split("TO FIX")[1]
    assert rows.index("waiting") < rows.index("tampered")
    assert table.count("policy_outdated: enforced by an earlier text") == 4


def test_doctor_says_which_accounts_have_an_earlier_text(aws: AwsServer, cli: Cli, half_way: HalfWay) -> None:
    done = cli("doctor", "--output", "json")
    found = {
        check.account_id: check
        for check in DoctorReport.model_validate_json(done.stdout).checks
        if check.name is CheckName.POLICY
    }

    by_name = {name: found[account_id] for name, account_id in half_way.ids.items()}
    assert by_name["upgraded"].status is CheckStatus.OK
    for name in ("waiting", "allowing", "other"):
        assert by_name[name].status is CheckStatus.PROBLEM
        assert "earlier text" in by_name[name].message
        assert by_name[name].remedy.startswith("Update the StackSet")
    assert "not as orgmfa made it" in by_name["tampered"].message


def test_release_frees_whoever_has_an_earlier_text(aws: AwsServer, cli: Cli, half_way: HalfWay) -> None:
    code, report = cli.report("release", "--yes", "--account", "waiting", "--user", "bea", "--user", "cem")

    assert code == 0
    assert written(aws) == [("DetachUserPolicy", "bea"), ("RemoveUserFromGroup", "cem")]
    assert {name: outcomes(report)[name] for name in ("bea", "cem")} == {"bea": "released", "cem": "released"}


def test_once_the_stackset_is_updated_the_rest_is_enforced_and_nothing_is_outdated(
    aws: AwsServer, cli: Cli, half_way: HalfWay
) -> None:
    for name in half_way.ids:
        half_way.set_text(name, json.dumps(TODAY["deny"]))
    code, report = cli.report("apply", "--yes")

    assert code == 0
    assert [name for _, name in written(aws)] == ["una", "wil", "xia", "yan", "zed"]
    assert {account.policy for account in report.accounts} == {"ours"}
    assert not any(user.error for account in report.accounts for user in account.users)


def test_way_back_to_an_earlier_text_keeps_who_is_enforced(aws: AwsServer, cli: Cli, half_way: HalfWay) -> None:
    half_way.set_text("upgraded", earlier_text("deny"))

    _, report = cli.report("apply", "--yes", "--account", "upgraded")

    assert written(aws) == []
    assert outcomes(report) == {"ann": "already_enforced", "una": "held"}


def test_text_that_turns_outdated_after_the_plan_is_given_to_nobody(
    aws: AwsServer, cli: Cli, half_way: HalfWay
) -> None:
    def roll_back(call: Any) -> None:
        """Put the earlier text in once the plan is made: at the second session in the account, the writing one."""
        if call.action == "AssumeRole" and "Policy" not in call.parameters and "upgraded" in pending:
            pending.remove("upgraded")
            half_way.set_text("upgraded", earlier_text("deny"))

    pending = ["upgraded"]
    aws.faults.append(roll_back)
    _, report = cli.report("apply", "--yes", "--account", "upgraded")

    assert pending == []
    assert written(aws) == []
    assert named(report)["upgraded"].policy == "outdated"
    assert outcomes(report)["una"] == "held"


def test_program_that_owns_the_policy_updates_an_earlier_text_and_leaves_a_foreign_one(
    aws: AwsServer, cli: Cli, half_way: HalfWay
) -> None:
    cli.configure("policy: {managed_by: orchestrator}\n")
    code, report = cli.report("apply", "--yes")

    assert code == 1
    updated = {call.account_id for call in aws.calls if call.action == "CreatePolicyVersion"}
    assert updated == {half_way.ids[name] for name in ("waiting", "allowing", "other")}
    assert {name: account.policy for name, account in named(report).items() if account.policy != "ours"} == {
        "tampered": "drifted"
    }
    assert {user.name for account in report.accounts for user in account.users if user.error} == {"fay", "zed"}
