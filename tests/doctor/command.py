"""Runs `orgmfa doctor` against AWS served over HTTP, and reads its report."""

import json
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from orchestrator.doctor import Check, CheckName, CheckStatus, DoctorReport
from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call, Fault, error_for
from tests.command_line import run_here
from tests.member_role.rendering import MEMBER, resources
from tests.organization import SampleOrganization

PROBLEM, UNKNOWN, OK = CheckStatus.PROBLEM, CheckStatus.UNKNOWN, CheckStatus.OK


@dataclass
class Doctor:
    """Runs `orgmfa doctor` in a folder of its own."""

    folder: Path

    def __call__(self, *arguments: str, **environment: str) -> CompletedProcess[str]:
        settings = {"AWS_DEFAULT_REGION": "us-east-1", **environment}
        return run_here("doctor", *arguments, folder=self.folder, environment=settings)

    def report(self, *arguments: str, **environment: str) -> tuple[int, DoctorReport]:
        """Run with JSON output and return exit code and report; standard output must hold the report alone."""
        done = self(*arguments, "--output", "json", **environment)
        assert done.stdout, done.stderr
        return done.returncode, DoctorReport.model_validate_json(done.stdout)

    def configure(self, text: str) -> None:
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")


@dataclass
class Sample:
    """The management account, `payments` and `search`, each with what the StackSet puts there."""

    organization: SampleOrganization
    payments: str
    search: str


def make_sample(aws: AwsServer) -> Sample:
    organization = SampleOrganization(aws)
    sample = Sample(organization, organization.add_account("payments", alias="acme-payments"), "")
    sample.search = organization.add_account("search")
    for account_id in (MANAGEMENT, sample.payments, sample.search):
        deploy_roles(aws, account_id, organization.id)
    return sample


def deploy_roles(aws: AwsServer, account_id: str, organization_id: str) -> None:
    """Make the roles of the template, as its own tests render it."""
    iam = aws.client("iam", account_id)
    deployed = resources(OrganizationId=organization_id, SecurityAccountId=MANAGEMENT)
    for rendered in (deployed["MemberRole"], deployed["ReleaseRole"]):
        role = json.loads(json.dumps(rendered).replace(MEMBER, account_id))
        iam.create_role(
            RoleName=role["RoleName"], AssumeRolePolicyDocument=json.dumps(role["AssumeRolePolicyDocument"])
        )
        for policy in role["Policies"]:
            iam.put_role_policy(
                RoleName=role["RoleName"],
                PolicyName=policy["PolicyName"],
                PolicyDocument=json.dumps(policy["PolicyDocument"]),
            )


def faults(report: DoctorReport) -> list[tuple[str, str | None]]:
    """Return name and account of each problem."""
    return [(check.name.value, check.account_id) for check in report.checks if check.status is PROBLEM]


def line(report: DoctorReport, name: CheckName, account_id: str | None = None) -> Check:
    (found,) = [check for check in report.checks if check.name is name and check.account_id == account_id]
    return found


def denies(action: str, account_id: str) -> Fault:
    """Return a fault that refuses an action in an account."""

    def fault(call: Call) -> Answer | None:
        if (call.action, call.account_id) != (action, account_id):
            return None
        code = "AccessDenied" if call.service == "iam" else "AccessDeniedException"
        return error_for(call, code, f"not authorized to perform: {call.service}:{action}", 403)

    return fault
