"""The whole of it, deployed: real trust policies, the real zip, the schedule, one digest. `make e2e` runs this.

ministack is AWS here, with authorisation on; what its authorisation lacks is added by `emulator.py`. Its CloudFormation
has no IAM groups and no alarms over metric math: the group is made by hand, those alarms are left out. What it cannot
prove, conditions on MFA and the quotas among it, is proven elsewhere (tests/member_role, tests/aws). Its policy
simulator passes over policies that are added to a question: it is not asked (`check_enrolment: false` in the package).
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.deployment import HUB, load_template, running_emulator
from tests.e2e.organization import (
    BUCKET,
    Organization,
    deploy_hub,
    deploy_member,
    fire_schedule,
    found_organization,
    furnish,
    move_to_unit,
    scheduled,
)
from tests.fake_slack import FakeSlack

RUN_SECONDS = 180
MEMBERS = ("payments", "search", "billing", "mobile")
WITHOUT_ROLE = "legacy"


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    folder = tmp_path_factory.mktemp("e2e")
    with running_emulator(folder) as emulator, FakeSlack() as slack:
        found = found_organization(emulator, slack)
        for name in (*MEMBERS, WITHOUT_ROLE):
            found.add_account(name)
        move_to_unit(found, "payments", "Workloads")
        member = load_template("member_role/template.yaml")
        for name in MEMBERS:
            deploy_member(found, member, found.account_ids[name])
        deploy_member(found, member, HUB)
        furnish(emulator, found.account_ids["payments"], {"alice": "", "bob": "mfa"})
        furnish(emulator, found.account_ids["search"], {"carol": ""})
        furnish(emulator, found.account_ids[WITHOUT_ROLE], {"dave": ""})
        deploy_hub(found, folder)
        yield found


def test_schedule_fires_the_real_zip_and_users_are_enforced(organization: Organization) -> None:
    fire_schedule(organization.emulator)
    ends_at = time.monotonic() + RUN_SECONDS
    while not organization.slack.messages and time.monotonic() < ends_at:
        time.sleep(1)

    assert len(organization.slack.messages) == 1
    assert organization.attached("payments", "alice") == ["EnforceMFA"]
    assert organization.attached("payments", "bob") == []
    assert organization.attached("search", "carol") == ["EnforceMFA"]
    assert organization.attached(WITHOUT_ROLE, "dave") == []


def test_account_without_the_role_is_reported_and_a_second_run_changes_nothing(organization: Organization) -> None:
    single = organization.invoke({"accounts": [organization.account_ids["payments"]]})
    result = organization.invoke(scheduled(minutes_ago=1))

    totals = result["totals"]
    assert totals["accounts"] == len(MEMBERS) + 2
    assert (totals["failed"], totals["inspected"]) == (1, len(MEMBERS) + 1)
    assert (totals["enforced"], totals["already_enforced"]) == (0, 2)
    assert result["report"].startswith(f"s3://{BUCKET}/archive/runs/")
    payments = {organization.account_ids["payments"]: "Root/Workloads"}
    assert organization.ous(single["report"]) == payments
    everywhere = dict.fromkeys([HUB, *organization.account_ids.values()], "Root") | payments
    assert organization.ous(result["report"]) == everywhere


def test_same_scheduled_time_twice_is_one_run(organization: Organization) -> None:
    event = scheduled(minutes_ago=2)
    organization.invoke(event)
    messages = len(organization.slack.messages)

    assert organization.invoke(event)["repeated"] is True
    assert len(organization.slack.messages) == messages


def refused(call: Any, **parameters: Any) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"AccessDenied", "AccessDeniedException"}:
            raise
        return True
    return False


def assume(client: Any, arn: str) -> dict[str, str]:
    keys = client.assume_role(RoleArn=arn, RoleSessionName="e2e")["Credentials"]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


TRUSTS_ROOT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}],
}
MAY_ASSUME = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}],
}


def become(organization: Organization, role: str) -> Any:
    """Return an STS client of a role of the hub that may assume anything, as far as it is concerned."""
    iam = organization.emulator.client("iam")
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUSTS_ROOT))
    iam.put_role_policy(RoleName=role, PolicyName="assume", PolicyDocument=json.dumps(MAY_ASSUME))
    keys = assume(organization.emulator.client("sts"), f"arn:aws:iam::{HUB}:role/{role}")
    return organization.emulator.client("sts", **keys)


def test_other_principals_of_the_hub_cannot_assume_the_roles(organization: Organization) -> None:
    stranger = become(organization, "somebody-else")
    target = organization.account_ids["payments"]

    for role in ("orgmfa-member", "orgmfa-release"):
        arn = f"arn:aws:iam::{target}:role/{role}"
        assert refused(stranger.assume_role, RoleArn=arn, RoleSessionName="e2e")


def as_orchestrator(organization: Organization, service: str) -> Any:
    """Return a client of the role that the functions run as, by a trust added for the test alone."""
    iam = organization.emulator.client("iam")
    iam.update_assume_role_policy(RoleName="orgmfa-orchestrator", PolicyDocument=json.dumps(TRUSTS_ROOT))
    keys = assume(organization.emulator.client("sts"), f"arn:aws:iam::{HUB}:role/orgmfa-orchestrator")
    return organization.emulator.client(service, **keys)


def test_the_functions_role_enforces_and_cannot_release(organization: Organization) -> None:
    sts = as_orchestrator(organization, "sts")
    target = organization.account_ids["payments"]

    release = f"arn:aws:iam::{target}:role/orgmfa-release"
    assert refused(sts.assume_role, RoleArn=release, RoleSessionName="e2e")

    iam = organization.emulator.client("iam", **assume(sts, f"arn:aws:iam::{target}:role/orgmfa-member"))
    own, foreign = f"arn:aws:iam::{target}:policy/EnforceMFA", f"arn:aws:iam::{target}:policy/Other"
    organization.emulator.client("iam", target).create_policy(PolicyName="Other", PolicyDocument=json.dumps(MAY_ASSUME))
    assert refused(iam.detach_user_policy, UserName="alice", PolicyArn=own)
    assert refused(iam.attach_user_policy, UserName="bob", PolicyArn=foreign)
    assert refused(iam.create_user, UserName="mallory")
    assert not refused(iam.attach_user_policy, UserName="alice", PolicyArn=own)


def test_the_functions_role_reads_no_other_secret_and_writes_no_other_prefix(organization: Organization) -> None:
    organization.emulator.client("secretsmanager").create_secret(Name="other", SecretString="hidden")
    s3 = as_orchestrator(organization, "s3")

    assert refused(as_orchestrator(organization, "secretsmanager").get_secret_value, SecretId="other")
    assert refused(s3.put_object, Bucket=BUCKET, Key="artifacts/orgmfa.zip", Body=b"evil")
    assert not refused(s3.put_object, Bucket=BUCKET, Key="archive/runs/probe", Body=b"")
