"""`orgmfa deploy`, with the real templates, against a fake CloudFormation over HTTP.

tests/fake_cloudformation.py says why not moto's: it cannot be under way, fail, or give an output of a change set. S3,
STS, IAM and Organizations are moto's. What no test double can prove is that AWS accepts the templates.
"""

import json
import os
import pty
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from zipfile import ZipFile

import pytest

from orchestrator.cli.enforced_users import EnforcedUsers, _is_unseen, format_enforced_users
from orchestrator.deploy.context import Place
from orchestrator.deploy.function_code import read_code, read_packed_config
from orchestrator.deploy.messages import explain_failure
from orchestrator.deploy.parameters import (
    Known,
    choose_values,
    find_missing,
    list_differences,
    parse_given,
)
from orchestrator.deploy.templates import STACKS, Template, read_template
from orchestrator.domain.cloudformation import ParameterValue, Stack, StackEvent
from orchestrator.domain.config import Config
from orchestrator.domain.config_file import parse_config
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Caller, Organization, Stage, Status
from orchestrator.reports.report import ProblemReport
from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call, xml_error
from tests.builders import make_seen, make_seen_account
from tests.command_line import run_here
from tests.fake_cloudformation import FakeCloudFormation
from tests.organization import SampleOrganization

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 90
BUILT = "no package is named"
"""Stands for a call without --package."""
BOOTSTRAP, CENTRAL, STACK_SET = "orgmfa-bootstrap", "orgmfa-central", "orgmfa-stackset"
BUCKET = "orgmfa-bootstrap-bucket-0123456789ab"
OPERATOR = f"arn:aws:iam::{MANAGEMENT}:role/security-team"


@dataclass(frozen=True)
class Done:
    """What a call ended in."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Deployer:
    """Runs `orgmfa deploy` in a folder with a package, against the fake: called, in this process."""

    aws: AwsServer
    cloud: FakeCloudFormation
    organization: SampleOrganization
    payments: str
    folder: Path

    def __call__(self, *arguments: str, **environment: str) -> Done:
        self.aws.forget_calls()
        done = run_here("deploy", *self.packaged(arguments), folder=self.folder, environment=environment)
        return Done(done.returncode, done.stdout, done.stderr)

    def process(self, *arguments: str) -> Done:
        """Run the command as operators do, in a process of its own."""
        self.aws.forget_calls()
        with self.started(arguments) as process:
            stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
        return Done(process.returncode, stdout, stderr)

    @contextmanager
    def started(self, arguments: Sequence[str], *, stdin: int = DEVNULL) -> Iterator[Popen[str]]:
        """Start the command as a process."""
        command = [sys.executable, "-m", "orchestrator", "deploy", *self.packaged(arguments)]
        settings = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
        with Popen(command, env=settings, stdin=stdin, stdout=PIPE, stderr=PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def stand(self, *parameters: str) -> None:
        """Have a deployment that stands, to the root; and none of its calls in the books."""
        self.cloud.is_instant = True
        done = self("--yes", *self.first(*parameters))
        self.cloud.is_instant = False
        self.aws.forget_calls()
        assert done.code == 0, done.stderr

    def first(self, *parameters: str) -> list[str]:
        """Return the arguments of a first deployment, to the root."""
        return given(f"TargetIds={self.organization.root_id}", *parameters)

    def packaged(self, arguments: Sequence[str]) -> list[str]:
        is_named = not {"--delete", "--package", BUILT}.isdisjoint(arguments)
        return [*([] if is_named else ["--package", "code.zip"]), *(one for one in arguments if one != BUILT)]

    def pack(self, **files: str) -> None:
        """Write a package with these files beside the handler."""
        with ZipFile(self.folder / "code.zip", "w") as archive:
            for name, text in {"orchestrator/handler.py": "", **files}.items():
                archive.writestr(name, text)

    def statuses(self) -> dict[str, str]:
        return {name: stack.status for name, stack in self.cloud.stacks.items()}

    def parameters(self, stack: str) -> dict[str, str]:
        return self.cloud.stacks[stack].content.parameters

    def executed(self) -> list[str]:
        """Return the names of the stacks whose change was begun in the last call."""
        calls = [call for call in self.aws.calls if call.action == "ExecuteChangeSet"]
        return [self.cloud.executed[call.parameters["ChangeSetName"]] for call in calls]


def given(*parameters: str) -> list[str]:
    return [word for parameter in parameters for word in ("--parameter", parameter)]


@pytest.fixture
def deploy(aws: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployer:
    """The management account, which is the security account too, and the accounts `payments` and `search`."""
    monkeypatch.chdir(tmp_path)
    organization, payments = aws.prepare(build_accounts)
    deployer = Deployer(aws, FakeCloudFormation(aws), organization, payments, tmp_path)
    deployer.pack()
    return deployer


def build_accounts(aws: AwsServer) -> tuple[SampleOrganization, str]:
    organization = SampleOrganization(aws)
    payments = organization.add_account("payments", alias="acme-payments")
    organization.add_user(payments, "alice")
    organization.add_account("search")
    return organization, payments


# -- putting up


def test_first_deployment_makes_three_stacks_and_says_what_is_next(deploy: Deployer) -> None:
    done = deploy.process("--yes", *deploy.first())

    assert done.code == 0, done.stderr
    assert deploy.statuses() == dict.fromkeys([BOOTSTRAP, CENTRAL, STACK_SET], "CREATE_COMPLETE")
    assert deploy.executed() == [BOOTSTRAP, CENTRAL, STACK_SET]
    central, stack_set = deploy.parameters(CENTRAL), deploy.parameters(STACK_SET)
    assert central["CodeBucket"] == BUCKET
    assert central["OrganizationId"] == stack_set["OrganizationId"] == deploy.organization.id
    assert central["Mode"] == "plan"
    assert (stack_set["SecurityAccountId"], stack_set["CallAs"]) == (MANAGEMENT, "SELF")
    s3 = deploy.aws.client("s3")
    assert (
        s3.get_object(Bucket=BUCKET, Key=central["CodeKey"])["Body"].read() == (deploy.folder / "code.zip").read_bytes()
    )
    member = s3.get_object(Bucket=BUCKET, Key=stack_set["TemplateUrl"].partition(".amazonaws.com/")[2])["Body"].read()
    assert member == (ROOT / "member_role/template.yaml").read_bytes()
    shown = done.stdout.splitlines()
    assert f"{CENTRAL}: a new stack, 14 resources" in shown
    assert "  Add     ScheduleFunction            AWS::Lambda::Function" in shown
    assert "  orgmfa plan                              what a run would do" in shown
    assert any(line.startswith("  aws cloudformation deploy --stack-name orgmfa-management") for line in shown)
    assert any(f"OrganizationId={deploy.organization.id}" in line for line in shown)


def test_stacks_are_tagged_and_named_roles_are_acknowledged(deploy: Deployer) -> None:
    deploy("--yes", *deploy.first())

    for call in [call for call in deploy.aws.calls if call.action == "CreateChangeSet"]:
        assert call.parameters["Tags.member.1.Value"] == "orgmfa"
        assert call.parameters["Capabilities.member.1"] == "CAPABILITY_NAMED_IAM"


def test_second_deployment_changes_nothing(deploy: Deployer) -> None:
    deploy.stand("OperatorPrincipalArns=" + OPERATOR, "LogRetentionDays=30")

    done = deploy("--yes")

    assert done.code == 0, done.stderr
    assert "Nothing to change." in done.stdout
    assert deploy.executed() == []
    assert deploy.cloud.change_sets == {}
    assert not [action for action in deploy.aws.actions() if action.startswith("PUT")]


def test_changed_parameter_changes_its_stack_alone_and_others_keep_theirs(deploy: Deployer) -> None:
    deploy.stand("LogRetentionDays=30")

    done = deploy("--yes", *given("central.Mode=apply"))

    assert done.code == 0, done.stderr
    assert deploy.executed() == [CENTRAL]
    assert (deploy.parameters(CENTRAL)["Mode"], deploy.parameters(CENTRAL)["LogRetentionDays"]) == ("apply", "30")
    assert f"{STACK_SET}: nothing to change" in done.stdout
    assert "  Mode: plan -> apply" in done.stdout
    assert "  Modify  ScheduleFunction  AWS::Lambda::Function  no" in done.stdout


@pytest.mark.parametrize("is_given", [True, False])
def test_operator_pattern_that_lets_in_others_is_refused_given_or_kept(deploy: Deployer, *, is_given: bool) -> None:
    roles = f"arn:aws:iam::{MANAGEMENT}:role/aws-reserved/sso.amazonaws.com"
    named, open_to_others = (f"{roles}/AWSReservedSSO_Security_{end}" for end in ("?" * 16, "*"))
    deploy.stand("OperatorPrincipalArns=" + named)
    deploy.parameters(CENTRAL)["OperatorPrincipalArns"] = named if is_given else open_to_others

    done = deploy("--yes", *given(f"OperatorPrincipalArns={OPERATOR},{open_to_others}" if is_given else "Mode=apply"))

    assert_refused(done, "--parameter OperatorPrincipalArns", "without *", "AWSReservedSSO_NAME_" + "?" * 16)
    assert deploy.executed() == []


def test_plain_name_reaches_every_stack_that_has_the_parameter(deploy: Deployer) -> None:
    deploy.stand("OperatorRoleName=security-operator", "OperatorPrincipalArns=" + OPERATOR)

    done = deploy("--yes", *given("OperatorRoleName=mfa-operator"))

    assert deploy.executed() == [CENTRAL, STACK_SET]
    assert "  Modify  OperatorRole  AWS::IAM::Role  yes" in done.stdout


def test_distributed_run_is_a_parameter_and_so_is_the_way_back(deploy: Deployer) -> None:
    deploy.stand()

    there = deploy("--yes", *given("Scale=distributed", "MapConcurrency=4"))
    machines = [one for one in deploy.cloud.stacks[CENTRAL].content.resources.values() if "StateMachine" in one.type]
    back = deploy("--yes", *given("Scale=lambda"))

    assert (there.code, back.code) == (0, 0), there.stderr + back.stderr
    assert len(machines) == 1
    assert '"MaxConcurrency": 4' in machines[0].properties["DefinitionString"]
    assert ["Add", "RunMachine", "AWS::StepFunctions::StateMachine"] in [
        line.split() for line in there.stdout.splitlines()
    ]
    assert ["Remove", "RunMachine", "AWS::StepFunctions::StateMachine"] in [
        line.split() for line in back.stdout.splitlines()
    ]


def test_changed_package_is_uploaded_under_another_key(deploy: Deployer) -> None:
    deploy.stand()
    before = deploy.parameters(CENTRAL)["CodeKey"]
    deploy.pack(**{"orchestrator/new.py": ""})

    deploy("--yes")

    assert deploy.executed() == [CENTRAL]
    assert deploy.parameters(CENTRAL)["CodeKey"] != before


def test_configuration_in_the_package_decides_what_must_agree(deploy: Deployer) -> None:
    deploy.pack(**{"config.yaml": "policy: {access_keys: allow, group: MfaGroup}\nmember_role: {path: /security/}\n"})

    deploy("--yes", *deploy.first())

    stack_set = deploy.parameters(STACK_SET)
    assert (stack_set["AccessKeys"], stack_set["GroupName"], stack_set["RolePath"]) == (
        "allow",
        "MfaGroup",
        "/security/",
    )
    assert deploy.parameters(CENTRAL)["RolePath"] == "/security/"


def test_bootstrap_that_stands_is_shown_together_with_the_others(deploy: Deployer) -> None:
    deploy.stand()

    code, text = on_terminal(deploy, "y\n", *given(f"ManagementAccountId={MANAGEMENT}", "Mode=apply"))

    assert code == 0
    assert "Change 2 stacks?" in text
    assert text.count("[y/N]") == 1
    assert deploy.parameters(BOOTSTRAP)["ManagementAccountId"] == MANAGEMENT


# -- asking


def test_user_is_asked_once_for_the_bucket_and_once_for_the_rest(deploy: Deployer) -> None:
    code, text = on_terminal(deploy, "y\ny\n", *deploy.first())

    assert code == 0
    assert text.count("[y/N]") == 2
    assert "Change 1 stack?" in text
    assert "Change 2 stacks?" in text
    assert deploy.executed() == [BOOTSTRAP, CENTRAL, STACK_SET]


def test_declined_deployment_leaves_nothing_behind(deploy: Deployer) -> None:
    code, text = on_terminal(deploy, "n\n", *deploy.first())

    assert code == 1
    assert "Nothing more was changed." in text
    assert deploy.executed() == []
    assert (deploy.cloud.stacks, deploy.cloud.change_sets) == ({}, {})


def test_neither_terminal_nor_yes_is_refused(deploy: Deployer) -> None:
    done = deploy()

    assert_refused(done, "--yes", "no terminal")
    assert deploy.aws.calls == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (given("Colour=red"), ("Colour", "known:", "TargetIds", "Mode")),
        (given("cellar.Mode=apply"), ("cellar", "bootstrap, central, stackset")),
        (given("stackset.Mode=apply"), ("stackset", "does not have", "AccessKeys")),
        (given("Mode"), ("'Mode'", "Name=Value")),
        (given("Mode=enforce"), ("Mode", "plan or apply")),
        (given("TargetIds=r-ab12,somewhere"), ("TargetIds", "r-ab12,somewhere")),
        (given("Timeout=5"), ("Timeout", "120")),
        (given("Timeout=long"), ("Timeout", "long")),
        (given("CodeBucket=mine"), ("CodeBucket", "by itself")),
        (given("AccessKeys=allow"), ("AccessKeys", "policy.access_keys", "'deny'")),
        ([], ("TargetIds", "root of the organization")),
        (["--package", "missing.zip"], ("--package", "missing.zip")),
        (["--delete", "--parameter", "Mode=plan"], ("--delete", "--parameter")),
    ],
)
def test_call_that_cannot_be_used_is_refused_before_anything_is_made(
    deploy: Deployer, arguments: list[str], words: tuple[str, ...]
) -> None:
    assert_refused(deploy("--yes", *arguments), *words)
    assert deploy.cloud.actions() == []


def test_nothing_is_deployed_without_a_region(deploy: Deployer) -> None:
    assert_refused(deploy("--yes", AWS_DEFAULT_REGION=""), "AWS_REGION")
    assert deploy.cloud.actions() == []


def test_package_that_cannot_be_built_is_told_before_anything_is_made(deploy: Deployer) -> None:
    done = deploy(BUILT, "--yes", *deploy.first(), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(deploy.folder))

    assert_refused(done, "cannot fetch the packages of the Lambda", "arm64", "3.13")
    assert deploy.cloud.actions() == []


def test_no_permission_to_look_is_told(deploy: Deployer) -> None:
    deploy.aws.faults.insert(0, lambda call: _denied(call) if call.action == "DescribeStacks" else None)

    assert_refused(deploy("--yes", *deploy.first()), BOOTSTRAP, "AccessDenied")


# -- failing and going on


def test_failure_in_the_middle_is_explained_and_the_next_call_goes_on(deploy: Deployer) -> None:
    deploy.cloud.failing[CENTRAL] = ("ScheduleFunction", "The runtime is not supported")

    failed = deploy("--yes", *deploy.first())

    assert failed.code == 1
    assert "  ScheduleFunction (AWS::Lambda::Function): The runtime is not supported\n" in failed.stderr
    assert "Resource creation cancelled" not in failed.stderr
    assert "run the same command again" in failed.stderr
    assert deploy.statuses() == {BOOTSTRAP: "CREATE_COMPLETE", CENTRAL: "ROLLBACK_COMPLETE"}

    resumed = deploy("--yes", *deploy.first())

    assert resumed.code == 0, resumed.stderr
    assert deploy.cloud.actions()[0] == "DeleteStack"
    assert deploy.executed() == [CENTRAL, STACK_SET]
    assert set(deploy.statuses().values()) == {"CREATE_COMPLETE"}


def test_values_given_for_a_creation_that_failed_are_remembered(deploy: Deployer) -> None:
    deploy.cloud.failing[STACK_SET] = ("MemberStackSet", "You must be the management account or delegated admin")
    deploy("--yes", *deploy.first())

    resumed = deploy("--yes")

    assert resumed.code == 0, resumed.stderr
    assert deploy.executed() == [STACK_SET]
    assert deploy.parameters(STACK_SET)["TargetIds"] == deploy.organization.root_id


def test_update_that_was_rolled_back_can_be_tried_again(deploy: Deployer) -> None:
    deploy.stand()
    deploy.cloud.failing[CENTRAL] = ("ScheduleFunction", "busy")

    failed = deploy("--yes", *given("Mode=apply"))
    again = deploy("--yes", *given("Mode=apply"))

    assert (failed.code, again.code) == (1, 0)
    assert "rolled back to what it was before" in failed.stderr
    assert deploy.parameters(CENTRAL)["Mode"] == "apply"


def test_way_back_that_failed_needs_a_hand(deploy: Deployer) -> None:
    deploy.stand()
    deploy.cloud.failing[CENTRAL] = ("ScheduleFunction", "busy")
    deploy.cloud.rolls_back = False
    deploy("--yes", *given("Mode=apply"))

    done = deploy("--yes")

    assert done.code == 1
    assert f"aws cloudformation continue-update-rollback --stack-name {CENTRAL}" in done.stderr
    assert deploy.cloud.actions() == []


def test_refusal_on_the_way_is_told_and_leaves_no_change_set(deploy: Deployer) -> None:
    deploy.aws.faults.insert(0, lambda call: _denied(call) if call.action == "ExecuteChangeSet" else None)

    done = deploy("--yes", *deploy.first())

    assert done.code == 1
    assert "AccessDenied" in done.stderr
    assert "Traceback" not in done.stderr
    assert (deploy.cloud.stacks, deploy.cloud.change_sets) == ({}, {})


def test_change_whose_answer_was_lost_is_made_once(deploy: Deployer) -> None:
    lost: list[Call] = []

    def lose(call: Call) -> Answer | None:
        if call.action != "ExecuteChangeSet" or lost:
            return None
        lost.append(call)
        deploy.cloud(call)
        return xml_error("ServiceUnavailable", status=503)

    deploy.aws.faults.insert(0, lose)

    done = deploy("--yes", *deploy.first())

    assert done.code == 0, done.stderr
    assert deploy.aws.actions().count("ExecuteChangeSet") == 4


def test_interrupted_deployment_says_how_to_follow_it_and_the_next_call_waits_for_it(deploy: Deployer) -> None:
    deploy.cloud.holds.add(CENTRAL)
    looks: list[Call] = []
    running: list[Popen[str]] = []

    def interrupt(call: Call) -> Answer | None:
        if call.action == "DescribeStackEvents" and CENTRAL in call.parameters["StackName"]:
            looks.append(call)
            if len(looks) == 3:
                running[0].send_signal(signal.SIGINT)
        return None

    deploy.aws.faults.insert(0, interrupt)
    with deploy.started(["--yes", *deploy.first()]) as process:
        running.append(process)
        _, stderr = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 1
    assert f"The work on {CENTRAL} goes on in AWS" in stderr
    assert f"aws cloudformation describe-stack-events --stack-name {CENTRAL} --region eu-central-1" in stderr
    assert deploy.statuses() == {BOOTSTRAP: "CREATE_COMPLETE", CENTRAL: "CREATE_IN_PROGRESS"}

    deploy.cloud.holds.clear()
    deploy.cloud.stacks[CENTRAL].coming.insert(0, ("CREATE_IN_PROGRESS", []))
    deploy.aws.faults.pop(0)
    done = deploy("--yes", *deploy.first())

    assert done.code == 0, done.stderr
    assert f"{CENTRAL} is CREATE_IN_PROGRESS: waiting" in done.stderr
    assert deploy.executed() == [STACK_SET]


# -- taking down


def test_nobody_is_left_under_the_policy_when_all_is_taken_down(deploy: Deployer) -> None:
    deploy.stand("OperatorPrincipalArns=" + OPERATOR)
    enforce(deploy)

    refused = deploy("--delete", "--yes")

    assert refused.code == 1
    assert "1 user in 1 account still under EnforceMFA:" in refused.stderr
    assert f"  acme-payments ({deploy.payments}): alice\n" in refused.stderr
    assert "orgmfa release" in refused.stderr
    assert deploy.cloud.actions() == []
    operator = f"arn:aws:iam::{MANAGEMENT}:role/OperatorRole"
    assert operator in [call.parameters.get("RoleArn") for call in deploy.aws.calls]

    release(deploy)
    done = deploy("--delete", "--yes")

    assert done.code == 0, done.stderr
    assert deploy.cloud.actions() == ["DeleteStackInstances", "DeleteStack", "DeleteStack", "DeleteStack"]
    assert (deploy.cloud.stacks, deploy.cloud.instances) == ({}, [])
    assert deploy.aws.client("s3").list_buckets()["Buckets"] == []
    assert "Taken down." in done.stdout
    assert not list(deploy.folder.glob("orgmfa-runs"))


def test_user_in_the_group_counts_too(deploy: Deployer) -> None:
    deploy.stand()
    deploy.aws.client("iam", deploy.payments).add_user_to_group(GroupName="EnforceMFA", UserName="alice")

    assert ": alice" in deploy("--delete", "--yes").stderr


def test_account_that_cannot_be_looked_at_keeps_everything_standing(deploy: Deployer) -> None:
    deploy.stand()
    deploy.aws.missing_roles.add((deploy.payments, "orgmfa-member"))

    done = deploy("--delete", "--yes")

    assert done.code == 1
    assert "1 account of the StackSet could not be looked at" in done.stderr
    assert f"payments ({deploy.payments})" in done.stderr
    assert "OperatorPrincipalArns" in done.stderr
    assert deploy.cloud.actions() == []


def test_account_that_the_stack_set_has_not_reached_does_not_matter(deploy: Deployer) -> None:
    deploy.stand()
    deploy.cloud.instances.remove(deploy.payments)
    deploy.aws.missing_roles.update({(deploy.payments, "orgmfa-member"), (MANAGEMENT, "orgmfa-member")})

    assert deploy("--delete", "--yes").code == 0


def test_caller_who_cannot_become_the_operator_is_told(deploy: Deployer) -> None:
    deploy.stand("OperatorPrincipalArns=" + OPERATOR)
    deploy.aws.missing_roles.add((MANAGEMENT, "OperatorRole"))

    assert_refused(deploy("--delete", "--yes"), "OperatorRole", "OperatorPrincipalArns", stdout=True)
    assert deploy.cloud.actions() == []


def test_archive_keeps_the_bucket_and_its_stack(deploy: Deployer) -> None:
    deploy.stand()
    deploy.aws.client("s3").put_object(Bucket=BUCKET, Key="archive/runs/2026/01/01/run.json.gz", Body=b"evidence")

    done = deploy("--delete", "--yes")

    assert done.code == 0, done.stderr
    assert deploy.statuses() == {BOOTSTRAP: "CREATE_COMPLETE"}
    assert "holds the archive, so it stays" in done.stdout

    again = deploy("--delete", "--yes")

    assert again.code == 0
    assert "Nothing to take down." in again.stdout


def test_deployment_after_a_removal_goes_on_with_the_archive_that_stayed(deploy: Deployer) -> None:
    deploy.stand()
    deploy.aws.client("s3").put_object(Bucket=BUCKET, Key="archive/runs/2026/01/01/run.json.gz", Body=b"evidence")
    deploy("--delete", "--yes")

    done = deploy("--yes", *deploy.first())

    assert done.code == 0, done.stderr
    assert deploy.executed() == [CENTRAL, STACK_SET]


def test_accounts_whose_stack_cannot_be_deleted_are_named(deploy: Deployer) -> None:
    deploy.stand()

    def enforce_now(call: Call) -> Answer | None:
        if call.action == "DeleteStackInstances":
            deploy.aws.faults.remove(enforce_now)
            enforce(deploy)
        return None

    deploy.aws.faults.insert(0, enforce_now)

    done = deploy("--delete", "--yes")

    assert done.code == 1
    assert f"  {deploy.payments}: EnforcementPolicy: Cannot delete a policy attached to entities" in done.stderr
    assert set(deploy.statuses()) == {BOOTSTRAP, CENTRAL, STACK_SET}

    release(deploy)

    assert deploy("--delete", "--yes").code == 0


def test_stack_that_cannot_be_deleted_is_explained_and_tried_again(deploy: Deployer) -> None:
    deploy.stand()
    deploy.cloud.failing[CENTRAL] = ("OrchestratorRole", "Cannot delete entity, must detach all policies first")

    failed = deploy("--delete", "--yes")
    again = deploy("--delete", "--yes")

    assert (failed.code, again.code) == (1, 0)
    assert "OrchestratorRole (AWS::IAM::Role): Cannot delete entity" in failed.stderr
    assert deploy.cloud.stacks == {}


def test_interrupted_removal_says_how_to_follow_it(deploy: Deployer) -> None:
    deploy.stand()
    deploy.cloud.runs_on = True

    def interrupt(call: Call) -> Answer | None:
        if call.action == "DescribeStackSetOperation":
            os.kill(os.getpid(), signal.SIGINT)
        return None

    deploy.aws.faults.insert(0, interrupt)

    done = deploy("--delete", "--yes")

    assert done.code == 1
    assert "The StackSet goes on deleting its stacks in AWS" in done.stderr
    assert "aws cloudformation describe-stack-set-operation --stack-set-name orgmfa:0123" in done.stderr
    assert set(deploy.statuses()) == {BOOTSTRAP, CENTRAL, STACK_SET}


def test_removal_goes_on_with_what_an_earlier_one_left(deploy: Deployer) -> None:
    deploy.stand()
    stack = deploy.cloud.stacks[STACK_SET]
    stack.status, stack.content.outputs = "DELETE_FAILED", {}
    deploy.cloud.stacks[CENTRAL].status = "DELETE_IN_PROGRESS"
    deploy.cloud.stacks[CENTRAL].coming = [("DELETE_IN_PROGRESS", []), ("DELETE_COMPLETE", [])]

    done = deploy("--delete", "--yes")

    assert done.code == 0, done.stderr
    assert deploy.cloud.actions() == ["DeleteStackInstances", "DeleteStack", "DeleteStack"]
    assert deploy.cloud.stacks == {}


def test_removal_shows_what_goes_and_asks(deploy: Deployer) -> None:
    deploy.stand()

    code, text = on_terminal(deploy, "n\n", "--delete")

    assert code == 1
    assert "the StackSet's stacks in 2 accounts" in text
    assert f"the stack {BOOTSTRAP}" in text
    assert len(deploy.statuses()) == 3


def test_nothing_deployed_is_nothing_to_take_down(deploy: Deployer) -> None:
    done = deploy("--delete", "--yes")

    assert done.code == 0
    assert "Nothing to take down." in done.stdout


# -- parameters, without AWS

TEMPLATES = [read_template(name) for name in STACKS]
SAMPLE = Template(
    "central",
    "Parameters:\n"
    "  Size: {Type: Number, Default: 2, MinValue: 1, MaxValue: 3}\n"
    "  Name: {Type: String}\n"
    "  CodeKey: {Type: String}\n"
    "  CallAs: {Type: String, Default: X}\n",
)
KNOWN = Known({"CodeKey": "key"}, {"CallAs": "SELF"})


def test_every_template_takes_what_deploy_finds_or_names_it_with_a_default() -> None:
    known = Known({"OrganizationId": "o", "SecurityAccountId": "1"}, {})
    missing = {
        (template.name, one.name)
        for template in TEMPLATES
        for one in find_missing(template, given={}, known=known, current=None)
    }

    assert missing == {("stackset", "TargetIds")}


def test_new_stack_gets_what_is_given_and_known_and_else_the_defaults() -> None:
    values = choose_values(SAMPLE, given={"Name": "n"}, known=KNOWN, current=None)

    assert values == (ParameterValue("Name", "n"), ParameterValue("CodeKey", "key"), ParameterValue("CallAs", "SELF"))
    assert list_differences(SAMPLE, values, None) == (
        ("Name", "", "n"),
        ("CodeKey", "", "key"),
        ("CallAs", "X", "SELF"),
    )


def test_stack_that_stands_keeps_what_is_neither_given_nor_known() -> None:
    current = {"Size": "3", "Name": "n", "CodeKey": "old", "CallAs": "DELEGATED_ADMIN"}

    values = choose_values(SAMPLE, given={"Size": "1"}, known=KNOWN, current=current)

    assert values == (
        ParameterValue("Size", "1"),
        ParameterValue("Name", None),
        ParameterValue("CodeKey", "key"),
        ParameterValue("CallAs", None),
    )
    assert list_differences(SAMPLE, values, current) == (("Size", "3", "1"), ("CodeKey", "old", "key"))


def test_parameter_that_is_new_in_a_template_has_to_be_given_or_has_a_default() -> None:
    current = {"Size": "3", "CodeKey": "old"}

    values = choose_values(SAMPLE, given={}, known=KNOWN, current=current)

    assert ParameterValue("CallAs", "SELF") in values
    assert [one.name for one in find_missing(SAMPLE, given={}, known=KNOWN, current=current)] == ["Name"]


def test_name_of_a_stack_wins_over_a_plain_one_and_values_may_hold_anything() -> None:
    found = parse_given(
        ["central.OrchestratorRoleName=b=c", "OrchestratorRoleName=a.b", "ProtectedUserArns="], TEMPLATES, Config()
    )

    assert found["central"] == {"OrchestratorRoleName": "b=c"}
    assert found["stackset"] == {"OrchestratorRoleName": "a.b", "ProtectedUserArns": ""}
    assert found["bootstrap"] == {}


def test_value_that_agrees_with_the_configuration_may_be_given() -> None:
    config = parse_config("policy: {access_keys: allow, managed_by: orchestrator}\n", source="test")

    found = parse_given(["AccessKeys=allow", "AllowPolicyManagement=true"], TEMPLATES, config)

    assert found["stackset"] == {"AccessKeys": "allow", "AllowPolicyManagement": "true"}


# -- where, and who is left


@pytest.mark.parametrize(
    ("partition", "region", "address", "at_first"),
    [
        ("aws", "eu-central-1", "https://b.s3.eu-central-1.amazonaws.com/k", {"CallAs": "DELEGATED_ADMIN"}),
        (
            "aws-us-gov",
            "us-gov-east-1",
            "https://b.s3.us-gov-east-1.amazonaws.com/k",
            {"CallAs": "DELEGATED_ADMIN", "StackSetRegion": "us-gov-west-1"},
        ),
        (
            "aws-cn",
            "cn-north-1",
            "https://b.s3.cn-north-1.amazonaws.com.cn/k",
            {"CallAs": "DELEGATED_ADMIN", "StackSetRegion": "cn-north-1"},
        ),
    ],
)
def test_place_tells_addresses_and_what_a_new_stack_set_needs(
    partition: str, region: str, address: str, at_first: dict[str, str]
) -> None:
    caller = Caller("999988887777", f"arn:{partition}:iam::999988887777:user/admin", partition)
    place = Place(caller, Organization("o-a1b2c3d4e5", "222233334444", partition), region)

    assert place.address("b", "k") == address
    assert place.known().at_first == at_first
    assert place.known().always == {"OrganizationId": "o-a1b2c3d4e5", "SecurityAccountId": "999988887777"}


def test_refusal_counts_very_many_users_and_says_that_a_listing_broke_off() -> None:
    users = tuple(make_seen(f"user-{number:02}") for number in range(12))
    account = make_seen_account(*users, name="payments", alias=None)

    told = format_enforced_users(EnforcedUsers(enforced=(account,), unseen=(), is_complete=False)).splitlines()

    assert told[0] == "12 users in 1 account still under EnforceMFA:"
    assert told[1].startswith("  payments (111122223333): user-00, user-01,")
    assert told[1].endswith("user-09 and 2 more")
    assert told[-2:] == ["The organization could not be listed to its end: run again.", "Nothing was changed."]


@pytest.mark.parametrize(
    ("code", "is_unseen"), [("AccessDenied", True), ("excluded_account", True), ("suspended", False)]
)
def test_account_that_can_be_entered_and_was_not_is_unseen(code: str, is_unseen: bool) -> None:
    error = ProblemReport(stage=Stage.SELECT, code=code, message="why", remedy="")
    account = make_seen_account(status=Status.SKIPPED, error=error)

    assert _is_unseen(account) is is_unseen


# -- packages, and words


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "has no orchestrator/handler.py"),
        (None, "no package of orgmfa"),
        (
            {"orchestrator/handler.py": "", "orgmfa.cdx.json": "x86_64"},
            "built for x86_64, but the functions run on arm64",
        ),
    ],
)
def test_file_that_is_no_package_for_these_functions_is_refused(
    tmp_path: Path, files: dict[str, str] | None, words: str
) -> None:
    path = tmp_path / "code.zip"
    path.write_bytes(b"nothing")
    if files is not None:
        with ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, bill(text) if text else "")

    with pytest.raises(ConfigError, match=words):
        read_code(path, architecture="arm64", python="3.13")


def test_package_is_known_by_its_hash_and_brings_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "code.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("orchestrator/handler.py", "")
        archive.writestr("orgmfa.cdx.json", bill("arm64"))
        archive.writestr("config.yaml", "policy: {name: OurMfa}\n")

    code = read_code(path, architecture="arm64", python="3.13")

    assert code.content == path.read_bytes()
    assert code.key == f"artifacts/orgmfa-{code.sha256[:16]}.zip"
    assert read_packed_config(path).policy.name == "OurMfa"


def bill(architecture: str) -> str:
    properties = [
        {"name": "orgmfa:architecture", "value": architecture},
        {"name": "orgmfa:python", "value": "3.13"},
    ]
    return json.dumps({"metadata": {"properties": properties}})


def test_very_many_reasons_are_counted() -> None:
    stack = Stack(id="i", name=CENTRAL, status="DELETE_FAILED")
    events = [
        StackEvent(id=str(number), logical_id=f"R{number}", type="AWS::X::Y", status="DELETE_FAILED", reason="why")
        for number in range(25)
    ]

    told = explain_failure(stack, events, region="eu-central-1").splitlines()

    assert told[0] == f"{CENTRAL}: DELETE_FAILED"
    assert told[20:22] == ["  R19 (AWS::X::Y): why", "  and 5 more"]


# -- what the tests above stand on


def assert_refused(done: Done, *words: str, stdout: bool = False) -> None:
    assert done.code == 2, done.stderr
    assert stdout or done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def enforce(deploy: Deployer) -> None:
    arn = f"arn:aws:iam::{deploy.payments}:policy/EnforceMFA"
    deploy.aws.client("iam", deploy.payments).attach_user_policy(UserName="alice", PolicyArn=arn)


def release(deploy: Deployer) -> None:
    arn = f"arn:aws:iam::{deploy.payments}:policy/EnforceMFA"
    deploy.aws.client("iam", deploy.payments).detach_user_policy(UserName="alice", PolicyArn=arn)


def _denied(call: Call) -> Answer:
    return xml_error("AccessDenied", f"User is not authorized to perform: cloudformation:{call.action}", 403)


def on_terminal(deploy: Deployer, answers: str, *arguments: str) -> tuple[int, str]:
    """Run with a terminal as standard input, type the answers, and return exit code and all that was written."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answers.encode())
        deploy.aws.forget_calls()
        with deploy.started(arguments, stdin=theirs) as process:
            stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
        return process.returncode, stdout + stderr
    finally:
        os.close(ours)
        os.close(theirs)
