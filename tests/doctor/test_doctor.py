"""`orgmfa doctor`: each fault is one line with a remedy, everything else is still checked, and nothing is changed."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from rich.console import Console

from orchestrator.aws.sessions import READ_ACTIONS
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.doctor import (
    Check,
    CheckName,
    CheckStatus,
    DoctorContext,
    DoctorReport,
    DoctorRequest,
    DoctorRun,
    run_checks,
)
from orchestrator.doctor.config_checks import check_exemptions, check_limits
from orchestrator.doctor.report import build_doctor_report, fine, group_checks, problem, unknown
from orchestrator.doctor.scp import list_denied
from orchestrator.doctor.table import MAX_ACCOUNTS, print_examination
from orchestrator.domain.config import Config
from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.errors import (
    AccessDenied,
    ArchiveError,
    AssumeRoleDenied,
    ConfigError,
    DeniedByScp,
    DigestError,
    NotFound,
    NotSubscribed,
    Throttled,
)
from orchestrator.domain.member_roles import (
    MEMBER_ROLE,
    RELEASE_ROLE,
    DeployedRole,
    RoleSettings,
    Trusted,
    default_trusted,
    render_role,
)
from orchestrator.domain.model import Account, AccountState, Caller, Organization, PolicyState
from orchestrator.domain.stop_switch import NO_SWITCH, Reading, absent, read_content, unreadable
from orchestrator.output.slack.client import SlackClient
from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call, Fault, error_for
from tests.builders import NOW, ORGANIZATION, make_config
from tests.command_line import run_here
from tests.fake_slack import Answer as SlackAnswer
from tests.fake_slack import Drop, FakeSlack, Say, ServerError
from tests.fakes import FakeAws, FakeObserver, MemoryStore, fail
from tests.member_role.rendering import MEMBER, resources
from tests.organization import SampleOrganization

PROBLEM, UNKNOWN, OK = CheckStatus.PROBLEM, CheckStatus.UNKNOWN, CheckStatus.OK

# -- the command, against AWS served over HTTP


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


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    return Doctor(tmp_path)


@dataclass
class Sample:
    """The management account, `payments` and `search`, each with what the StackSet puts there."""

    organization: SampleOrganization
    payments: str
    search: str


@pytest.fixture
def sample(aws: AwsServer) -> Sample:
    return aws.prepare(make_sample)


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


def test_all_is_well_and_nothing_was_changed(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    done = doctor()

    words = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No problem found" in words
    assert "Nothing was changed in any account" in words
    assert "orgmfa-member and orgmfa-release are as the template makes them" in words
    assert "problem " not in done.stdout.replace("No problem found", "")
    assert all(len(text) <= 80 for text in done.stdout.splitlines())
    assert aws.writes() == []
    assert [path for path in (doctor.folder / "orgmfa-runs").rglob("*") if path.is_file()] == []


def test_the_accounts_are_read_with_the_calls_of_a_plan_alone(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    doctor.report()

    inside = [call for call in aws.calls if call.service == "iam"]
    assumed = [call.parameters for call in aws.calls if call.action == "AssumeRole"]
    reading = [one for one in assumed if one["RoleArn"].endswith("/orgmfa-member")]
    assert {f"iam:{call.action}" for call in inside} <= set(READ_ACTIONS)
    assert {call.account_id for call in inside} == {MANAGEMENT, sample.payments, sample.search}
    assert len(assumed) == 6
    assert len(reading) == 3
    assert all("Policy" in one for one in reading)


def test_json_is_one_report_on_stdout_and_nothing_else(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    code, report = doctor.report("--verbose")

    assert code == 0
    assert report.ok
    assert report.schema_version == 1
    assert {check.name for check in report.checks} == set(CheckName)
    assert {check.account_id for check in report.checks} == {None, MANAGEMENT, sample.payments, sample.search}
    assert "problem" not in {check.status.value for check in report.checks}


def test_one_account_is_all_that_is_entered(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    doctor.configure("concurrency: {workers: 2}\n")
    code, report = doctor.report("--account", sample.payments, "--config", "config.yaml")
    named, by_name = doctor.report("--account", "payments", ORGMFA_CONFIG="config.yaml")

    assert (code, named) == (0, 0)
    assert line(report, CheckName.CONFIGURATION).message == line(by_name, CheckName.CONFIGURATION).message
    assert {check.account_id for check in report.checks} == {None, sample.payments}
    assert {check.account_id for check in by_name.checks} == {None, sample.payments}


def test_missing_role_is_a_problem_and_the_other_accounts_are_checked(
    aws: AwsServer, doctor: Doctor, sample: Sample
) -> None:
    aws.missing_roles.add((sample.search, "orgmfa-member"))

    code, report = doctor.report()
    told = doctor()

    assert code == told.returncode == 1
    assert faults(report) == [("member_role", sample.search)]
    assert "StackSet" in line(report, CheckName.MEMBER_ROLE, sample.search).remedy
    assert line(report, CheckName.ROLE_POLICIES, sample.payments).status is OK
    assert f"search ({sample.search})" in told.stdout
    assert "Remedy: The role orgmfa-member is missing" in " ".join(told.stdout.split())
    assert "1 problem" in told.stdout


def test_denied_read_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    aws.faults.append(denies("ListAccountAliases", sample.payments))

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("reads", sample.payments)]
    assert "iam:ListAccountAliases" in line(report, CheckName.READS, sample.payments).remedy
    assert line(report, CheckName.POLICY, sample.payments).status is OK


def test_drifted_policy_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    iam = aws.client("iam", sample.payments)
    grants_all = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    arn = f"arn:aws:iam::{sample.payments}:policy/EnforceMFA"
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(grants_all), SetAsDefault=True)
    iam.put_group_policy(GroupName="EnforceMFA", PolicyName="more", PolicyDocument=json.dumps(grants_all))

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("policy", sample.payments), ("group", sample.payments)]
    assert line(report, CheckName.POLICY, sample.payments).remedy


def test_roles_that_are_not_the_templates_are_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    iam = aws.client("iam", sample.search)
    anybody = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
    iam.update_assume_role_policy(RoleName="orgmfa-release", PolicyDocument=json.dumps(anybody))
    arn = f"arn:aws:iam::{sample.search}:policy/EnforceMFA"
    iam.attach_role_policy(RoleName="orgmfa-member", PolicyArn=arn)

    code, report = doctor.report()

    told = line(report, CheckName.ROLE_POLICIES, sample.search)
    assert code == 1
    assert faults(report) == [("role_policies", sample.search)]
    assert "orgmfa-release trusts others" in told.message
    assert f"orgmfa-member has {arn} attached" in told.message
    assert "StackSet" in told.remedy


def test_wrong_organization_is_a_problem_and_no_account_is_entered(
    aws: AwsServer, doctor: Doctor, sample: Sample
) -> None:
    doctor.configure("organization: {id: o-someoneelse1}\n")

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("organization", None)]
    assert line(report, CheckName.MEMBER_ROLE).status is UNKNOWN
    assert line(report, CheckName.ARCHIVE).status is OK
    assert "AssumeRole" not in aws.actions()


def test_listing_that_is_denied_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    aws.faults.append(denies("ListAccounts", MANAGEMENT))

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("accounts", None)]
    assert "delegated administrator" in line(report, CheckName.ACCOUNTS).remedy
    assert line(report, CheckName.ARCHIVE).status is OK


def test_archive_in_a_bucket_is_left_as_it_was(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="acme-archive")
    doctor.configure("archive: {location: 's3://acme-archive/orgmfa'}\n")
    aws.forget_calls()

    code, report = doctor.report()

    puts = [call.action for call in aws.calls if call.action.startswith("PUT")]
    assert code == 0, report
    assert len(puts) == 1
    assert puts[0].startswith("PUT /acme-archive/orgmfa/probe/")
    assert s3.list_objects_v2(Bucket="acme-archive")["KeyCount"] == 0


def test_archive_that_cannot_be_written_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    doctor.configure("archive: {location: 's3://acme-nowhere/orgmfa'}\n")

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("archive", None)]
    assert "archive.location" in line(report, CheckName.ARCHIVE).remedy
    assert line(report, CheckName.MEMBER_ROLE, sample.payments).status is OK


def test_slack_is_asked_and_nobody_sees_a_message(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    with FakeSlack() as slack:
        code, report = doctor.report(ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url)

    assert code == 0
    assert "accepts the webhook" in line(report, CheckName.SLACK).message
    assert slack.messages == []
    assert slack.requests == 1


def test_dead_webhook_is_a_problem_and_is_never_told(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    with FakeSlack() as slack:
        dead = slack.webhook_url + "-mistyped"
        aws.client("secretsmanager").create_secret(Name="orgmfa/slack", SecretString=dead)
        doctor.configure("slack: {secret: orgmfa/slack}\n")
        done = doctor("--output", "json", "--verbose")

    report = DoctorReport.model_validate_json(done.stdout)
    assert done.returncode == 1
    assert faults(report) == [("slack", None)]
    assert "no_service" in line(report, CheckName.SLACK).message
    assert "new webhook" in line(report, CheckName.SLACK).message
    assert line(report, CheckName.SLACK_SECRET).status is OK
    assert "/services/" not in done.stdout + done.stderr


@pytest.mark.parametrize("text", [None, "neither a URL nor JSON"])
def test_secret_that_cannot_be_used_is_a_problem(
    aws: AwsServer, doctor: Doctor, sample: Sample, text: str | None
) -> None:
    if text is not None:
        aws.client("secretsmanager").create_secret(Name="orgmfa/slack", SecretString=text)
    doctor.configure("slack: {secret: orgmfa/slack}\n")

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("slack_secret", None)]
    assert "orgmfa/slack" in line(report, CheckName.SLACK_SECRET).remedy
    assert line(report, CheckName.SLACK).status is UNKNOWN


@pytest.mark.parametrize("place", ["file", "parameter"])
def test_stop_that_is_set_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample, place: str) -> None:
    switch = "./stop" if place == "file" else "ssm:/orgmfa/stop"
    doctor.configure(f"enforcement: {{stop: '{switch}'}}\n")
    before, absent = doctor.report()
    (doctor.folder / "stop").write_text("STOP\n", encoding="utf-8")
    aws.client("ssm").put_parameter(Name="/orgmfa/stop", Value="stop", Type="String")

    code, report = doctor.report()

    assert (before, code) == (0, 1)
    assert "does not exist" in line(absent, CheckName.STOP_SWITCH).message
    assert faults(report) == [("stop_switch", None)]
    assert switch in line(report, CheckName.STOP_SWITCH).remedy
    shown = str(doctor.folder / "stop") if place == "file" else switch
    word = "STOP" if place == "file" else "stop"
    assert line(report, CheckName.STOP_SWITCH).message == f'{shown} holds "{word}": nothing is written'


def test_paths_are_shown_as_they_are_used(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    doctor.configure("{enforcement: {stop: ~/stop}, archive: {location: ./runs}}")
    (doctor.folder / "stop").write_text("stop # incident 12", encoding="utf-8")

    code, report = doctor.report(HOME=str(doctor.folder), ORGMFA_CONFIG="$HOME/config.yaml")

    assert code == 1
    assert f"read from {doctor.folder}/config.yaml;" in line(report, CheckName.CONFIGURATION).message
    assert line(report, CheckName.ARCHIVE).message.startswith(f"{doctor.folder}/runs can be written")
    assert line(report, CheckName.STOP_SWITCH).message == (
        f'{doctor.folder}/stop holds "stop # incident 12", which is not one of go, run, off, false, no: '
        "nothing is written"
    )


def test_stop_that_cannot_be_read_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    aws.faults.append(denies("GetParameter", MANAGEMENT))
    doctor.configure("enforcement: {stop: 'ssm:/orgmfa/stop'}\n")

    code, report = doctor.report()

    assert code == 1
    assert "counts as stop" in line(report, CheckName.STOP_SWITCH).message


@pytest.mark.parametrize(("state", "status"), [("ENABLED", OK), ("DISABLED", PROBLEM)])
def test_schedule_is_looked_at(aws: AwsServer, doctor: Doctor, sample: Sample, state: str, status: CheckStatus) -> None:
    scheduler = aws.client("scheduler")
    scheduler.create_schedule_group(Name="orgmfa")
    scheduler.create_schedule(
        Name="orgmfa-daily",
        GroupName="orgmfa",
        ScheduleExpression="cron(0 12 * * ? *)",
        FlexibleTimeWindow={"Mode": "OFF"},
        State=state,
        Target={
            "Arn": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "RoleArn": "arn:aws:iam::123456789012:role/r",
        },
    )

    _, report = doctor.report()

    told = line(report, CheckName.SCHEDULE)
    assert told.status is status
    assert "cron(0 12 * * ? *) UTC" in told.message
    assert bool(told.remedy) is (status is PROBLEM)


def test_function_of_another_archive_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    variables = {"ORGMFA_ENFORCEMENT_MODE": "apply", "ORGMFA_ARCHIVE_LOCATION": "s3://acme-archive/archive"}
    body = json.dumps({"FunctionName": "orgmfa-schedule", "State": "Active", "Environment": {"Variables": variables}})
    aws.faults.append(lambda call: Answer(200, body, "application/json") if call.service == "lambda" else None)

    code, report = doctor.report()

    assert code == 1
    assert faults(report) == [("function", None)]
    assert "s3://acme-archive/archive" in line(report, CheckName.FUNCTION).remedy


def test_control_policy_that_may_stop_a_run_is_told_as_a_maybe(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    organizations = sample.organization.organizations
    for name, condition in (("NoMoreIam", {}), ("OnlyOurRegion", {"Condition": {"StringEquals": {"aws:x": "y"}}})):
        statement = {"Effect": "Deny", "Action": "iam:Attach*", "Resource": "*"} | condition
        made = organizations.create_policy(
            Name=name,
            Description="",
            Type="SERVICE_CONTROL_POLICY",
            Content=json.dumps({"Version": "2012-10-17", "Statement": statement}),
        )
        organizations.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=sample.search)

    code, report = doctor.report()

    told = line(report, CheckName.SCP)
    assert code == 0
    assert told.status is UNKNOWN
    assert told.message == "the SCP NoMoreIam may deny iam:AttachUserPolicy in search"
    assert "orgmfa-member" in told.remedy


def test_security_hub_that_is_off_is_a_problem(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    on = {"ORGMFA_SECURITYHUB_ENABLED": "true"}
    code, report = doctor.report(**on)

    assert (code, faults(report)) == (1, [("security_hub", None)])
    assert (
        f"Switch Security Hub on in account {MANAGEMENT}, Region us-east-1"
        in line(report, CheckName.SECURITY_HUB).remedy
    )
    aws.client("securityhub").enable_security_hub()
    assert doctor.report(**on)[0] == 0


def test_what_may_not_be_read_is_unknown(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    aws.faults.append(denies("ListPolicies", MANAGEMENT))

    code, report = doctor.report()

    assert code == 0
    assert line(report, CheckName.SCP).status is UNKNOWN
    assert "organizations:ListPolicies" in line(report, CheckName.SCP).remedy
    assert line(report, CheckName.SCHEDULE).status is UNKNOWN
    assert "central.yaml" in line(report, CheckName.SCHEDULE).remedy


def test_several_faults_are_all_told(aws: AwsServer, doctor: Doctor, sample: Sample) -> None:
    aws.missing_roles |= {(sample.search, "orgmfa-member"), (sample.payments, "orgmfa-member")}
    doctor.configure("archive: {location: 's3://acme-nowhere/x'}\nslack: {secret: missing}\n")

    done = doctor()

    words = " ".join(done.stdout.split())
    assert done.returncode == 1
    assert f"2 accounts: payments ({sample.payments}), search ({sample.search})" in words
    assert "arn:aws:iam::ACCOUNT:role/orgmfa-member" in words.replace(" ", "") or "ACCOUNT" in words
    assert "3 problems" in words


@pytest.mark.parametrize(
    ("arguments", "config", "words"),
    [
        (["--account", "nobody"], "", ("--account", "nobody", "matches no account")),
        (["--account", "000000000000"], "", ("--account", "000000000000")),
        (["--ou", "ou-none-00000000"], "", ("--ou", "ou-none-00000000")),
        (["--config", "missing.yaml"], "", ("missing.yaml",)),
        ([], "enforcement: {user: all}\n", ("config.yaml", "enforcement.user")),
        (["--output", "xml"], "", ("--output",)),
    ],
)
def test_call_that_cannot_be_used_is_refused(
    doctor: Doctor, sample: Sample, arguments: list[str], config: str, words: tuple[str, ...]
) -> None:
    doctor.configure(config)

    done = doctor(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words)


def test_without_credentials_nothing_can_be_checked(doctor: Doctor, sample: Sample) -> None:
    done = doctor(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")

    assert (done.returncode, done.stdout) == (2, "")
    assert "credentials" in done.stderr


def test_sandbox_needs_nothing_and_shows_its_faults(doctor: Doctor) -> None:
    with FakeSlack() as slack:
        code, report = doctor.report(
            "--sandbox",
            ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url,
            AWS_ACCESS_KEY_ID="",
            AWS_SECRET_ACCESS_KEY="",
        )

    assert code == 1
    assert slack.requests == 0
    assert line(report, CheckName.CONFIGURATION).message.startswith("read from the sandbox")
    assert {"member_role", "reads", "policy"} <= {name for name, _ in faults(report)}
    assert len({check.account_id for check in report.checks} - {None}) == 14


def denies(action: str, account_id: str) -> Fault:
    """Return a fault that refuses an action in an account."""

    def fault(call: Call) -> Answer | None:
        if (call.action, call.account_id) != (action, account_id):
            return None
        code = "AccessDenied" if call.service == "iam" else "AccessDeniedException"
        return error_for(call, code, f"not authorized to perform: {call.service}:{action}", 403)

    return fault


# -- in memory: what is said of what is found

SETTINGS = RoleSettings(
    partition="aws",
    account_id="000000000001",
    organization_id=ORGANIZATION.id,
    security_account_id="999999999999",
    config=Config(),
)


@dataclass(frozen=True)
class Policy:
    """A service control policy in memory; its ID is its name."""

    name: str
    document: str

    @property
    def id(self) -> str:
        return self.name


@dataclass(frozen=True)
class Function:
    is_usable: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Schedule:
    is_enabled: bool
    expression: str = "cron(0 12 * * ? *)"
    time_zone: str = "UTC"


@dataclass
class Ward:
    """One account and all else that the doctor looks through, in memory; `aws.before` may raise in the place of AWS."""

    aws: FakeAws = field(default_factory=FakeAws)
    config: Config = field(default_factory=Config)
    role: str = "orgmfa-operator"
    trusted: Trusted = field(default_factory=default_trusted)
    roles: dict[str, DeployedRole] | None = None
    store: MemoryStore = field(default_factory=MemoryStore)
    observer: FakeObserver = field(default_factory=FakeObserver)
    cancellation: Cancellation = field(default_factory=Cancellation)
    policies: tuple[Policy, ...] = ()
    targets: tuple[str, ...] = ("Workloads",)
    function: Function = field(default_factory=Function)
    is_enabled: bool = True
    secret: str = "https://hooks.slack.example/services/T/B/x"
    reading: Reading = NO_SWITCH
    slack: str | DigestError = "Slack accepts the webhook"
    aliases_fail: bool = False

    def __post_init__(self) -> None:
        self.aws.add(name="payments")

    def run_checks(self, *targets: str) -> DoctorReport:
        return self.examination(*targets).report

    def examination(self, *targets: str) -> DoctorRun:
        return run_checks(
            DoctorContext(
                request=DoctorRequest(run_id="run-1", config_source="config.yaml", targets=targets),
                config=self.config,
                caller=Caller("999999999999", f"arn:aws:sts::999999999999:assumed-role/{self.role}/ana", "aws"),
                region="eu-central-1",
                directory=self,
                sessions=self.aws,
                policies=self.aws,
                member=self,
                hub=self,
                store=self.store,
                alias_by_account_id=self.alias_by_account_id,
                environment_slack=None,
                probe_slack=self.probe_slack,
                run_actions=("iam:ListMFADevices", "iam:AttachUserPolicy", "iam:AddUserToGroup", "sts:AssumeRole"),
                now=lambda: NOW,
                cancellation=self.cancellation,
                observer=self.observer,
            )
        )

    # -- Directory

    def describe_organization(self, partition: str) -> Organization:
        self.aws._note("organization", "", "")
        return ORGANIZATION

    def list_accounts(self, watched_ou_ids: tuple[str, ...] = ()) -> Iterator[Account]:
        return self.aws.list_accounts(watched_ou_ids)

    def get_account(self, account_id: str, watched_ou_ids: tuple[str, ...] = ()) -> Account:
        return self.aws.get_account(account_id, watched_ou_ids)

    # -- MemberReader

    def get_alias(self) -> str | None:
        self.aws._note("alias", "", "")
        return "acme-payments"

    def get_roles(self, names: Sequence[str]) -> Mapping[str, DeployedRole]:
        self.aws._note("roles", "", "")
        if self.roles is not None:
            return self.roles
        return {role.name: role for role in (render_role(one, SETTINGS, self.trusted) for one in ROLES)}

    # -- HubReader

    def list_control_policies(self) -> tuple[Policy, ...]:
        self.aws._note("policies", "", "")
        return self.policies

    def list_targets(self, policy_id: str) -> tuple[str, ...]:
        return self.targets

    def get_schedule(self, group: str, name: str) -> Schedule:
        self.aws._note("schedule", group, name)
        return Schedule(self.is_enabled)

    def get_function(self, name: str) -> Function:
        self.aws._note("function", "", name)
        return self.function

    def look_at_switch(self, switch: str | None) -> Reading:
        self.aws._note("stop", "", switch or "")
        return self.reading

    def read_secret(self, name: str) -> str:
        self.aws._note("secret", "", name)
        return self.secret

    def look_at_security_hub(self) -> None:
        self.aws._note("security_hub", "", "")

    def probe_slack(self, credentials: SlackCredentials) -> str:
        if isinstance(self.slack, DigestError):
            raise self.slack
        return self.slack

    def alias_by_account_id(self) -> dict[str, str]:
        if self.aliases_fail:
            raise ArchiveError("the archive: cannot list")
        return {}


ROLES = (MEMBER_ROLE, RELEASE_ROLE)
ACCOUNT = "000000000001"


@pytest.fixture
def ward() -> Ward:
    return Ward()


def breaks(step: str, error: Exception, subject: str = "") -> Callable[[str, str, str], None]:
    """Return what stands before each call: it raises at one step, and where a subject is named, at that alone."""

    def before(action: str, account_id: str, what: str) -> None:
        if action == step and subject in {"", what}:
            raise error

    return before


def states(report: DoctorReport) -> dict[str, str]:
    return {check.name.value: check.status.value for check in report.checks if check.status is not OK}


def test_what_is_as_it_should_be_is_ok(ward: Ward) -> None:
    examination = ward.examination()

    assert states(examination.report) == {}
    assert examination.report.ok
    assert examination.title_by_account_id == {ACCOUNT: "acme-payments"}
    assert ward.aws.writes() == []
    assert ward.store.files == {}
    assert (ward.observer.accounts_done, ward.observer.failures) == (1, 0)


@pytest.mark.parametrize(
    ("step", "error", "expected"),
    [
        ("security_hub", fail(NotSubscribed), {"security_hub": "problem"}),
        ("security_hub", fail(Throttled), {"security_hub": "problem"}),
        ("security_hub", fail(AccessDenied), {"security_hub": "unknown"}),
        ("organization", fail(AccessDenied), {"organization": "problem", "member_role": "unknown"}),
        ("list", fail(AccessDenied), {"accounts": "problem"}),
        ("enter", fail(AssumeRoleDenied, operation="AssumeRole"), {"member_role": "problem"}),
        ("alias", fail(AccessDenied), {"reads": "problem"}),
        ("alias", fail(DeniedByScp), {"reads": "problem"}),
        ("look_at_policy", fail(AccessDenied), {"policy": "problem"}),
        ("roles", fail(AccessDenied), {"role_policies": "problem"}),
        ("policies", fail(AccessDenied), {"scp": "unknown"}),
        ("policies", fail(Throttled), {"scp": "unknown"}),
        ("schedule", fail(NotFound), {"schedule": "unknown"}),
        ("schedule", fail(AccessDenied), {"schedule": "unknown"}),
        ("function", fail(NotFound), {"function": "unknown"}),
        ("function", fail(AccessDenied), {"function": "unknown"}),
    ],
)
def test_each_failure_is_one_line_with_a_remedy(
    ward: Ward, step: str, error: Exception, expected: dict[str, str]
) -> None:
    ward.config = make_config(securityhub={"enabled": True})
    ward.aws.before = breaks(step, error)

    report = ward.run_checks()

    assert states(report) == expected
    assert all(check.remedy for check in report.checks if check.status is not OK)


def test_a_call_that_a_control_policy_denies_is_told_once(ward: Ward) -> None:
    ward.aws.before = breaks("alias", fail(DeniedByScp))

    names = {check.name for check in ward.run_checks().checks}

    assert CheckName.READS in names
    assert names.isdisjoint({CheckName.POLICY, CheckName.GROUP, CheckName.ROLE_POLICIES})


@pytest.mark.parametrize("operation", ["write", "read", "list", "delete"])
def test_archive_that_fails_in_any_way_is_a_problem(ward: Ward, operation: str) -> None:
    ward.store.broken[operation] = ArchiveError(f"the archive: cannot {operation} memory:probe/run-1")

    report = ward.run_checks()

    assert states(report) == {"archive": "problem"}
    assert operation in line(report, CheckName.ARCHIVE).message
    assert operation == "delete" or ward.store.files == {}


def test_archive_that_gives_back_something_else_is_a_problem(ward: Ward) -> None:
    ward.store.read = lambda name: b"something else"  # type: ignore[method-assign]  # a store that garbles

    assert states(ward.run_checks()) == {"archive": "problem"}


@pytest.mark.parametrize(
    ("managed_by", "policy", "group", "expected"),
    [
        ("stackset", PolicyState.MISSING, PolicyState.MISSING, {"policy": "problem", "group": "problem"}),
        ("stackset", PolicyState.DRIFTED, PolicyState.OURS, {"policy": "problem"}),
        ("orchestrator", PolicyState.MISSING, PolicyState.OUTDATED, {"role_policies": "problem"}),
        ("orchestrator", PolicyState.OUTDATED, PolicyState.DRIFTED, {"role_policies": "problem", "group": "problem"}),
    ],
)
def test_policy_and_group_are_judged_by_who_owns_them(
    ward: Ward, managed_by: str, policy: PolicyState, group: PolicyState, expected: dict[str, str]
) -> None:
    ward.config = make_config(policy={"managed_by": managed_by})
    ward.aws.accounts[ACCOUNT].policy = policy
    ward.aws.accounts[ACCOUNT].group = group

    report = ward.run_checks()

    # The roles here are those of a stack without AllowPolicyManagement, which the orchestrator's ownership needs.
    assert states(report) == expected


@pytest.mark.parametrize(
    ("role", "is_denied", "expected"),
    [
        ("orgmfa-operator", False, OK),
        ("orgmfa-operator", True, PROBLEM),
        ("orgmfa-orchestrator", False, PROBLEM),
        ("orgmfa-orchestrator", True, UNKNOWN),
        ("auditor", True, UNKNOWN),
    ],
)
def test_release_role_is_for_the_operator_alone(ward: Ward, role: str, is_denied: bool, expected: CheckStatus) -> None:
    ward.role = role
    if is_denied:
        ward.aws.before = breaks("enter", fail(AssumeRoleDenied, operation="AssumeRole"), "release")

    told = line(ward.run_checks(), CheckName.RELEASE_ROLE, ACCOUNT)

    assert told.status is expected
    assert bool(told.remedy) is (expected is not OK)


def test_release_role_that_fails_otherwise_is_a_problem(ward: Ward) -> None:
    ward.aws.before = breaks("enter", fail(DeniedByScp, operation="AssumeRole"), "release")

    assert states(ward.run_checks()) == {"release_role": "problem"}


def test_a_role_that_is_missing_is_a_problem(ward: Ward) -> None:
    ward.roles = {}

    told = line(ward.run_checks(), CheckName.ROLE_POLICIES, ACCOUNT)

    assert told.status is PROBLEM
    assert told.message == "the account has no role orgmfa-member and no role orgmfa-release"


@pytest.mark.parametrize(("role", "expected"), [("mfa-people", "mfa-lambda"), ("auditor", "mfa-lambda and mfa-people")])
def test_roles_that_trust_other_names_are_to_be_looked_at(ward: Ward, role: str, expected: str) -> None:
    ward.role, ward.trusted = role, Trusted("mfa-lambda", "mfa-people")

    told = line(ward.run_checks(), CheckName.ROLE_POLICIES, ACCOUNT)

    assert told.status is UNKNOWN
    assert f"trusting {expected} of" in told.message


def test_suspended_account_is_not_entered(ward: Ward) -> None:
    ward.aws.add(name="closed", state=AccountState.SUSPENDED)

    report = ward.run_checks()

    told = line(report, CheckName.MEMBER_ROLE, "000000000002")
    assert (told.status, told.message) == (OK, "not to be entered: the account is suspended")
    assert report.ok


def test_organization_without_accounts_is_a_problem(ward: Ward) -> None:
    ward.aws.accounts.clear()

    assert states(ward.run_checks()) == {"accounts": "problem"}


def test_account_that_was_named_and_does_not_exist_ends_the_examination(ward: Ward) -> None:
    ward.aliases_fail = True  # the check of the archive tells that

    with pytest.raises(ConfigError, match="nobody"):
        ward.run_checks("nobody")
    with pytest.raises(ConfigError, match="000000000099"):
        ward.run_checks("000000000099")


def test_what_an_interruption_left_out_is_unknown(ward: Ward) -> None:
    ward.cancellation.event.set()

    told = line(ward.run_checks(), CheckName.MEMBER_ROLE, ACCOUNT)

    assert (told.status, told.message) == (UNKNOWN, "not looked at: interrupted")


def test_defect_is_told_and_hides_nothing(ward: Ward) -> None:
    ward.aws.add(name="search", state=AccountState.SUSPENDED)
    ward.aws.before = breaks("look_at_policy", KeyError("no such key"))

    report = ward.run_checks()

    assert faults(report) == [("member_role", ACCOUNT)]
    assert "defect" in line(report, CheckName.MEMBER_ROLE, ACCOUNT).remedy
    assert line(report, CheckName.MEMBER_ROLE, "000000000002").status is OK


@pytest.mark.parametrize(
    ("function", "status", "words"),
    [
        (Function(environment={"ORGMFA_ENFORCEMENT_MODE": "plan"}), OK, "writes nothing"),
        (Function(environment={"ORGMFA_ENFORCEMENT_MODE": "apply"}), OK, "it enforces"),
        (Function(environment={"ORGMFA_ARCHIVE_LOCATION": "./orgmfa-runs/"}), OK, "enforcement.mode in its package"),
        (Function(environment={"ORGMFA_ARCHIVE_LOCATION": "s3://acme/archive"}), PROBLEM, "undo releases"),
        (Function(is_usable=False), PROBLEM, "failed"),
    ],
)
def test_function_is_judged_by_its_settings(ward: Ward, function: Function, status: CheckStatus, words: str) -> None:
    ward.function = function

    told = line(ward.run_checks(), CheckName.FUNCTION)

    assert told.status is status
    assert words in told.message


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (read_content("go", "ssm:/orgmfa/stop"), 'ssm:/orgmfa/stop holds "go": lets writes through'),
        (read_content("", "ssm:/orgmfa/stop"), "ssm:/orgmfa/stop is empty: lets writes through"),
        (absent("ssm:/orgmfa/stop"), "ssm:/orgmfa/stop does not exist: lets writes through"),
    ],
)
def test_stop_switch_that_is_not_set_is_ok(ward: Ward, reading: Reading, words: str) -> None:
    ward.config = make_config(enforcement={"stop": "ssm:/orgmfa/stop"})
    ward.reading = reading

    told = line(ward.run_checks(), CheckName.STOP_SWITCH)

    assert told.status is OK
    assert told.message == words


@pytest.mark.parametrize(
    ("reading", "words", "remedy"),
    [
        (read_content("stop", "/var/orgmfa/stop"), 'holds "stop": nothing is written', "Write go into"),
        (
            read_content("stop # incident 12", "/var/orgmfa/stop"),
            'holds "stop # incident 12", which is not one of go, run, off, false, no: nothing is written',
            "Write go into",
        ),
        (unreadable("/var/orgmfa/stop", "not yours"), "counts as stop: nothing is written (not yours)", "read"),
    ],
)
def test_stop_switch_that_is_set_or_unreadable_is_a_problem(
    ward: Ward, reading: Reading, words: str, remedy: str
) -> None:
    ward.config = make_config(enforcement={"stop": "/var/orgmfa/stop"})
    ward.reading = reading

    report = ward.run_checks()

    assert states(report) == {"stop_switch": "problem"}
    told = line(report, CheckName.STOP_SWITCH)
    assert words in told.message
    assert remedy in told.remedy


def test_schedule_that_is_disabled_is_a_problem(ward: Ward) -> None:
    ward.is_enabled = False

    assert states(ward.run_checks()) == {"schedule": "problem"}


@pytest.mark.parametrize("target", ["payments", ACCOUNT])
def test_account_that_was_named_is_the_only_one_entered(ward: Ward, target: str) -> None:
    ward.aws.add(name="search")

    report = ward.run_checks(target)

    assert {check.account_id for check in report.checks} == {None, ACCOUNT}


def test_slack_is_asked_with_what_the_secret_holds(ward: Ward) -> None:
    ward.config = make_config(slack={"secret": "orgmfa/slack"})
    assert line(ward.run_checks(), CheckName.SLACK).message == "Slack accepts the webhook"

    ward.slack = DigestError("Slack refused the credentials: no_service")
    assert states(ward.run_checks()) == {"slack": "problem"}


@pytest.mark.parametrize(
    ("enabled", "words"),
    [
        (False, "securityhub.enabled is false: no findings are imported"),
        (True, "switched on in account 999999999999, Region eu-central-1"),
    ],
)
def test_security_hub_is_asked_only_where_findings_go_there(ward: Ward, words: str, *, enabled: bool) -> None:
    ward.config = make_config(securityhub={"enabled": enabled})

    report = ward.run_checks()

    assert words in line(report, CheckName.SECURITY_HUB).message
    assert (("security_hub", "", "") in ward.aws.calls) == enabled


def test_secret_that_cannot_be_used_leaves_slack_unknown(ward: Ward) -> None:
    ward.config = make_config(slack={"secret": "orgmfa/slack"})
    ward.aws.before = breaks("secret", fail(AccessDenied))
    assert states(ward.run_checks()) == {"slack_secret": "problem", "slack": "unknown"}

    ward.aws.before = lambda *_: None
    ward.secret = "neither"
    told = line(ward.run_checks(), CheckName.SLACK_SECRET)
    assert told.status is PROBLEM
    assert "bot_token" in told.remedy


def test_control_policies_that_cannot_be_read_or_hang_nowhere(ward: Ward) -> None:
    deny = '{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'
    ward.policies = (Policy("torn", "{"), Policy("list", "[]"), Policy("quarantine", deny))

    told = line(ward.run_checks(), CheckName.SCP).message
    ward.targets = ()
    unattached = line(ward.run_checks(), CheckName.SCP).message

    assert told == (
        "the SCP torn cannot be read; the SCP list cannot be read; the SCP quarantine may deny iam:ListMFADevices, "
        "iam:AttachUserPolicy, iam:AddUserToGroup and 1 more in Workloads"
    )
    assert "quarantine" not in unattached


# -- the pure parts

ATTACH, ASSUME = "iam:AttachUserPolicy", "sts:AssumeRole"
USER, MEMBER_ARN = "arn:aws:iam::999999999999:user/somebody", "arn:aws:iam::999999999999:role/orgmfa-member"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, (ATTACH, ASSUME)),
        ({"Effect": "Deny", "Action": "IAM:attach*", "Resource": "*"}, (ATTACH,)),
        ({"Effect": "Deny", "Action": ["iam:CreateUser", "sts:AssumeRole"], "Resource": "*"}, (ASSUME,)),
        ({"Effect": "Deny", "Action": "iam:*", "Resource": "arn:aws:iam::111122223333:user/*"}, (ATTACH,)),
        ({"Effect": "Deny", "Action": "sts:*", "Resource": "arn:aws:iam::*:role/admin"}, ()),
        ({"Effect": "Deny", "Action": "iam:*", "NotResource": "arn:aws:iam::*:role/*"}, (ATTACH,)),
        ({"Effect": "Deny", "NotAction": ["iam:*"], "Resource": "*"}, (ASSUME,)),
        ({"Effect": "Deny", "Action": "iam:CreateUser", "Resource": "*"}, ()),
        ({"Effect": "Allow", "Action": "*", "Resource": "*"}, ()),
        ({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:x": "true"}}}, ()),
    ],
)
def test_control_policy_may_deny(statement: dict[str, Any], expected: tuple[str, ...]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})

    assert list_denied(document, (ATTACH, ASSUME), (USER, MEMBER_ARN)) == expected


def test_control_policy_with_a_key_twice_cannot_be_judged() -> None:
    document = '{"Statement": {"Effect": "Deny", "Effect": "Allow", "Action": "*", "Resource": "*"}}'

    with pytest.raises(ValueError, match="a key twice"):
        list_denied(document, (ATTACH,), (USER,))


@pytest.mark.parametrize("name", ["max_changes_per_account", "max_changes_per_run", "max_share_per_account"])
def test_limit_of_nothing_is_a_problem(name: str) -> None:
    told = check_limits(make_config(limits={name: 0}))

    assert told.status is PROBLEM
    assert f"limits.{name}" in told.message


def test_no_limit_is_said() -> None:
    assert (
        "any number of changes an account"
        in check_limits(make_config(limits={"max_changes_per_account": None})).message
    )


def test_exemptions_that_have_ended_are_named_and_are_no_problem() -> None:
    entries = [
        {"user": "old-*", "reason": "r", "until": NOW.date() - timedelta(days=1)},
        {"user": "new-*", "reason": "r", "until": NOW.date()},
    ]

    told = check_exemptions(make_config(exemptions=entries), NOW)

    assert (told.status, told.message) == (OK, "1 in force; ended: old-* on 2026-03-01")
    assert told.remedy
    assert check_exemptions(Config(), NOW).remedy == ""


def test_accounts_with_the_same_finding_stand_together() -> None:
    def denied(account_id: str, role: str = "orgmfa-member") -> Check:
        return problem(CheckName.MEMBER_ROLE, f"no role/{role} in {account_id}", f"see {account_id}").of(account_id)

    checks = [
        fine(CheckName.MEMBER_ROLE, "entered").of("000000000009"),
        denied("000000000001", "other"),
        denied("000000000002"),
        denied("000000000003"),
        unknown(CheckName.SCHEDULE, "none", "deploy"),
    ]

    found = [(one.name, one.status, one.message, one.remedy, one.account_ids) for one in group_checks(checks)]

    role = CheckName.MEMBER_ROLE
    assert found == [
        (CheckName.SCHEDULE, UNKNOWN, "none", "deploy", ()),
        (role, PROBLEM, "no role/orgmfa-member in ACCOUNT", "see ACCOUNT", ("000000000002", "000000000003")),
        (role, PROBLEM, "no role/other in 000000000001", "see 000000000001", ("000000000001",)),
        (role, OK, "entered", "", ("000000000009",)),
    ]


def printed(*checks: Check, titles: Mapping[str, str], **console: Any) -> str:
    out = StringIO()
    examination = DoctorRun(build_doctor_report(checks), titles)
    print_examination(examination, Console(file=out, width=80, **console))
    return out.getvalue()


def test_table_names_accounts_up_to_a_cap_and_fits_80_columns() -> None:
    accounts = [f"{number:012}" for number in range(1, MAX_ACCOUNTS + 4)]
    checks = [problem(CheckName.READS, "denied", "allow it").of(account_id) for account_id in accounts]
    hostile = "[red]payments\x1b[31m\n\u202e"

    text = printed(*checks, titles=dict.fromkeys(accounts, hostile))

    assert all(len(one) <= 80 for one in text.splitlines())
    assert f"{len(accounts)} accounts: [red]payments" in text
    assert "and 3 more (--output json names all)" in " ".join(text.split())
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.endswith("1 problem. Nothing was changed in any account.\n")


def test_colour_is_never_the_only_sign_and_no_color_is_honoured() -> None:
    checks = (problem(CheckName.ARCHIVE, "no", "yes"), unknown(CheckName.SCP, "maybe", "look"))

    coloured = printed(*checks, titles={}, force_terminal=True, color_system="standard")
    plain = printed(*checks, titles={}, force_terminal=True, no_color=True)

    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    assert "problem" in plain
    assert "unknown" in plain


# -- Slack


@dataclass
class SlackWithAuthTest(FakeSlack):
    """A Slack that also answers auth.test, listing these scopes."""

    scopes: str | None = "channels:read,chat:write"

    def __post_init__(self) -> None:
        super().__init__()

    def answer(self, path: str, authorization: str, body: bytes) -> SlackAnswer | None:
        if path != "/api/auth.test":
            return super().answer(path, authorization, body)
        is_known = authorization == f"Bearer {self.bot_token}"
        said = {"ok": True, "team": "ACME"} if is_known else {"ok": False, "error": "invalid_auth"}
        headers = {} if self.scopes is None else {"X-OAuth-Scopes": self.scopes}
        return SlackAnswer(200, json.dumps(said), {"Content-Type": "application/json"} | headers)


def probe(slack: FakeSlack, webhook_url: str | None = None, bot_token: str | None = None) -> str:
    credentials = SlackCredentials(webhook_url=webhook_url, bot_token=bot_token)
    notifier = SlackClient(
        credentials, channel=slack.channel, base_url=slack.api_url, timeout_seconds=2, sleep=lambda _: None
    )
    return notifier.probe()


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackWithAuthTest]:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with SlackWithAuthTest() as server:
        yield server


@pytest.mark.parametrize("words", [None, "invalid_payload", "missing_text_or_fallback_or_attachments"])
def test_webhook_that_works_refuses_an_empty_message(slack: SlackWithAuthTest, words: str | None) -> None:
    if words:
        slack.next(Say(words, 400))

    assert "accepts the webhook" in probe(slack, slack.webhook_url)
    assert slack.messages == []


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Say("invalid_token", 403), "refused the credentials: invalid_token"),
        (Say("no_service", 404), "make a new webhook"),
        (Say("<html>hello</html>", 200), "not Slack's"),
        (ServerError(504), "error of its own"),
        (Drop(), "did not answer"),
    ],
)
def test_webhook_that_does_not_work_is_told(slack: SlackWithAuthTest, failure: Any, words: str) -> None:
    slack.next(failure)

    with pytest.raises(DigestError) as caught:
        probe(slack, slack.webhook_url)

    assert words in str(caught.value)
    assert "digest may have arrived" not in str(caught.value)
    assert not any(secret in str(caught.value) for secret in slack.secret_texts)


@pytest.mark.parametrize("scopes", [None, "channels:read, chat:write", "bot"])
def test_bot_token_that_may_post_is_accepted(slack: SlackWithAuthTest, scopes: str | None) -> None:
    slack.scopes = scopes

    assert slack.channel in probe(slack, bot_token=slack.bot_token)
    assert slack.messages == []


def test_bot_token_that_is_unknown_or_may_not_post_is_refused(slack: SlackWithAuthTest) -> None:
    with pytest.raises(DigestError, match="invalid_auth"):
        probe(slack, bot_token="xoxb-wrong")
    slack.scopes = "channels:read"
    with pytest.raises(DigestError, match=r"missing_scope.*chat:write"):
        probe(slack, bot_token=slack.bot_token)


@pytest.mark.parametrize(
    ("scopes", "may_attach"), [("chat:write,files:write", True), ("chat:write", False), (None, True)]
)
def test_bot_token_that_is_to_attach_needs_the_scope_for_it(
    slack: SlackWithAuthTest, scopes: str | None, may_attach: bool
) -> None:
    slack.scopes = scopes
    credentials = SlackCredentials(bot_token=slack.bot_token)
    notifier = SlackClient(credentials, channel=slack.channel, attaches=True, base_url=slack.api_url)

    with nullcontext() if may_attach else pytest.raises(DigestError, match=r"missing_scope.*files:write"):
        notifier.probe()
