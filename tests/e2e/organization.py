"""An organization under ministack, and orgmfa deployed in it: what the end-to-end tests begin with."""

import gzip
import json
import platform
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.deploy.lambda_zip import build_package
from tests.e2e.deployment import HUB, Emulator, load_template
from tests.fake_slack import FakeSlack

ARCHITECTURE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
BUCKET = "orgmfa-e2e-archive"


@dataclass
class Organization:
    """An organization whose management account is the hub; its members by name, and the outputs of the stack."""

    emulator: Emulator
    slack: FakeSlack
    id: str
    account_ids: dict[str, str] = field(default_factory=dict)
    stack: dict[str, str] = field(default_factory=dict)

    def add_account(self, name: str) -> str:
        """Make a member account and return its ID."""
        made = self.emulator.client("organizations").create_account(Email=f"{name}@example.com", AccountName=name)
        self.account_ids[name] = made["CreateAccountStatus"]["AccountId"]
        return self.account_ids[name]

    def attached(self, account: str, user: str) -> list[str]:
        """Return the names of the policies attached to a user."""
        iam = self.emulator.client("iam", self.account_ids[account])
        answer = iam.list_attached_user_policies(UserName=user)
        return [policy["PolicyName"] for policy in answer["AttachedPolicies"]]

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Invoke the schedule's function and return what it returned."""
        answer = self.emulator.client("lambda").invoke(FunctionName="orgmfa-schedule", Payload=json.dumps(event))
        result = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, result
        return dict(result)

    def report(self, address: str) -> dict[str, Any]:
        """Return an archived report by the address that a run returned."""
        key = address.removeprefix(f"s3://{BUCKET}/")
        content = self.emulator.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        read: dict[str, Any] = json.loads(gzip.decompress(content))
        return read

    def ous(self, address: str) -> dict[str, str]:
        """Return the OUs of the accounts in an archived report, by account ID."""
        return {account["id"]: account["ou"] for account in self.report(address)["accounts"]}


def found_organization(emulator: Emulator, slack: FakeSlack) -> Organization:
    """Return the organization of an emulator, without members yet."""
    organization = emulator.client("organizations").describe_organization()["Organization"]
    return Organization(emulator, slack, organization["Id"])


def move_to_unit(organization: Organization, name: str, unit: str) -> None:
    """Make an OU under the root and move a member into it."""
    organizations = organization.emulator.client("organizations")
    root_id = organizations.list_roots()["Roots"][0]["Id"]
    made = organizations.create_organizational_unit(ParentId=root_id, Name=unit)
    organizations.move_account(
        AccountId=organization.account_ids[name],
        SourceParentId=root_id,
        DestinationParentId=made["OrganizationalUnit"]["Id"],
    )


def furnish(emulator: Emulator, account_id: str, users: dict[str, str]) -> None:
    """Make users with a console password; those with the word `mfa` have a virtual device."""
    iam = emulator.client("iam", account_id)
    for name, kind in users.items():
        iam.create_user(UserName=name)
        iam.create_login_profile(UserName=name, Password="Correct-Horse-9-Battery")
        if kind == "mfa":
            device = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]["SerialNumber"]
            iam.enable_mfa_device(
                UserName=name, SerialNumber=device, AuthenticationCode1="123456", AuthenticationCode2="654321"
            )


def deploy_member(organization: Organization, template: dict[str, Any], account_id: str) -> None:
    """Put the member roles, the policy and the group into an account."""
    emulator = organization.emulator
    emulator.deploy(template, "orgmfa-member", account_id, OrganizationId=organization.id, SecurityAccountId=HUB)
    iam = emulator.client("iam", account_id)
    iam.create_group(GroupName="EnforceMFA")
    iam.attach_group_policy(GroupName="EnforceMFA", PolicyArn=f"arn:aws:iam::{account_id}:policy/EnforceMFA")


def deploy_hub(organization: Organization, folder: Path, **parameters: str) -> None:
    """Put the package, the secret and the central stack into the hub; parameters are those of the stack."""
    emulator = organization.emulator
    config = folder / "config.yaml"
    config.write_text("enforcement: {check_enrolment: false}\n", encoding="utf-8")
    package = build_package(
        folder / "orgmfa.zip",
        architecture=ARCHITECTURE,
        python=f"3.{sys.version_info.minor}",  # ministack runs functions with the Python that runs it
        config=config,
        progress=lambda _: None,
    )
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="artifacts/orgmfa.zip", Body=package.path.read_bytes())
    secret = emulator.client("secretsmanager").create_secret(
        Name="orgmfa/slack", SecretString=organization.slack.webhook_url
    )["ARN"]
    organization.stack = emulator.deploy(
        load_template("stackset/central.yaml"),
        "orgmfa-central",
        CodeBucket=BUCKET,
        CodeKey="artifacts/orgmfa.zip",
        Architecture=ARCHITECTURE,
        OrganizationId=organization.id,
        Mode="apply",
        SlackSecretArn=secret,
        OperatorPrincipalArns=f"arn:aws:iam::{HUB}:role/security-team",
        RequireMfa="false",
        **parameters,
    )


def scheduled(*, minutes_ago: int) -> dict[str, str]:
    """Return the event of the schedule for a moment that has just been."""
    moment = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return {"trigger": "schedule", "scheduled_time": f"{moment:%Y-%m-%dT%H:%M:00Z}"}


def fire_schedule(emulator: Emulator) -> None:
    """Have what the daily schedule starts be started in some seconds, by a schedule of the same group, target and role.

    Not the schedule itself: ministack passes over a new moment of one whose old moment it has reckoned with. It leaves
    `<aws.scheduler.scheduled-time>` in the input as it is, where EventBridge Scheduler writes the time.
    """
    scheduler = emulator.client("scheduler")
    group = next(
        found["Name"] for found in scheduler.list_schedule_groups()["ScheduleGroups"] if "orgmfa" in found["Name"]
    )
    schedule = scheduler.list_schedules(GroupName=group)["Schedules"][0]["Name"]
    daily = scheduler.get_schedule(Name=schedule, GroupName=group)
    assert daily["ScheduleExpression"] == "cron(0 12 * * ? *)"
    soon = datetime.now(UTC) + timedelta(seconds=2)
    filled = daily["Target"]["Input"].replace("<aws.scheduler.scheduled-time>", f"{soon:%Y-%m-%dT%H:%M:%SZ}")
    scheduler.create_schedule(
        Name="now",
        GroupName=group,
        ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow=daily["FlexibleTimeWindow"],
        Target=daily["Target"] | {"Input": filled},
    )
