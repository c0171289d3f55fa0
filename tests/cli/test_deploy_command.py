"""`orgmfa deploy`, against a fake CloudFormation over HTTP: tests/cli/deploying.py says how."""

import signal
from typing import TYPE_CHECKING

import pytest

from tests.aws_server import MANAGEMENT, Answer, Call, xml_error
from tests.cli.deploying import (
    BOOTSTRAP,
    BUCKET,
    BUILT,
    CENTRAL,
    OPERATOR,
    ROOT,
    STACK_SET,
    TIMEOUT_SECONDS,
    Deployer,
    assert_refused,
    denied,
    given,
    on_terminal,
)
from tests.fake_cloudformation import REGION

pytestmark = pytest.mark.thorough

if TYPE_CHECKING:
    from subprocess import Popen

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
    assert f"{CENTRAL}: a new stack, 15 resources" in shown
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


def test_iam_events_are_one_parameter_and_so_is_the_way_back(deploy: Deployer) -> None:
    deploy.stand()

    there = deploy("--yes", *given("IamEvents=on"))
    again = deploy("--yes")
    stacks = {name: dict(deploy.cloud.stacks[name].content.resources) for name in (CENTRAL, STACK_SET)}
    parameters, reached = dict(deploy.parameters(STACK_SET)), [*deploy.cloud.event_instances]
    back = deploy("--yes", *given("IamEvents=off"))

    assert (there.code, again.code, back.code) == (0, 0, 0), there.stderr + back.stderr
    assert "Nothing to change." in again.stdout
    # The bus is there before accounts send to it.
    assert deploy.executed() == [CENTRAL, STACK_SET]
    bus = f"arn:aws:events:{REGION}:{MANAGEMENT}:event-bus/{stacks[CENTRAL]['IamEventBus'].properties['Name']}"
    events = stacks[STACK_SET]["EventsStackSet"].properties
    assert {one["ParameterKey"]: one["ParameterValue"] for one in events["Parameters"]}["IamEventBusArn"] == bus
    assert (events["StackSetName"], parameters["EventsRegion"]) == ("orgmfa-events", "us-east-1")
    key = events["TemplateURL"].partition(".amazonaws.com/")[2]
    assert deploy.aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() == (
        (ROOT / "member_role/events.yaml").read_bytes()
    )
    assert deploy.payments in reached
    by_hand = "aws cloudformation deploy --stack-name orgmfa-management"
    shown = [line.strip() for line in there.stdout.splitlines() if by_hand in line or "IamEvents=on" in line]
    assert shown[0] == f"{by_hand} --region {REGION} \\"
    assert shown[1] == f"{by_hand}-events --region us-east-1 \\"
    assert shown[2].startswith(f"--parameter-overrides IamEvents=on IamEventBusArn={bus} EventsTemplateUrl=https://")
    assert "MemberRoles" not in shown[2]
    assert not {"IamEventBus", "IamEventsFunction"} & deploy.cloud.stacks[CENTRAL].content.resources.keys()
    assert "EventsStackSet" not in deploy.cloud.stacks[STACK_SET].content.resources
    assert "IamEvents" not in back.stdout.partition("Deployed.")[2]


def test_first_deployment_can_have_iam_events_of_the_scope_that_the_configuration_says(deploy: Deployer) -> None:
    deploy.pack(**{"config.yaml": "enforcement: {users: all}\n"})

    done = deploy("--yes", *deploy.first("IamEvents=on"))

    assert done.code == 0, done.stderr
    sent = deploy.cloud.stacks[STACK_SET].content.resources["EventsStackSet"].properties["Parameters"]
    assert {"ParameterKey": "IamEventsScope", "ParameterValue": "all"} in sent
    assert_refused(deploy("--yes", *given("IamEventsScope=console")), "enforcement.users of the configuration decides")
    assert_refused(deploy("--yes", *given("IamEventBusArn=")), "deploy finds this value by itself")


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


@pytest.mark.parametrize(
    ("limits", "given_values", "expected"),
    [
        ("{max_changes_per_run: 10}", (), "10"),
        ("{max_changes_per_run: 10}", ("MaxChanges=500",), "500"),
        ("{max_changes_per_run: 0}", (), "0"),
        ("{max_changes_per_run: null}", (), None),
        ("{}", (), "100"),
    ],
)
@pytest.mark.parametrize("stands", [True, False])
def test_stack_without_a_limit_of_its_own_begins_with_that_of_the_package(
    deploy: Deployer, limits: str, given_values: tuple[str, ...], expected: str | None, *, stands: bool
) -> None:
    if stands:
        deploy.stand("LogRetentionDays=30")
        deploy.parameters(CENTRAL).pop("MaxChanges", None)
    deploy.pack(**{"config.yaml": f"limits: {limits}\n"})

    done = deploy("--yes", *(given(*given_values) if stands else [*deploy.first(), *given(*given_values)]))

    assert done.code == 0, done.stderr
    assert deploy.parameters(CENTRAL).get("MaxChanges", "100") == (expected or "100")


def test_limit_that_a_stack_has_is_kept(deploy: Deployer) -> None:
    deploy.stand("MaxChanges=7")
    deploy.pack(**{"config.yaml": "limits: {max_changes_per_run: 200}\n"})

    done = deploy("--yes")

    assert done.code == 0, done.stderr
    assert deploy.parameters(CENTRAL)["MaxChanges"] == "7"


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
    deploy.aws.faults.insert(0, lambda call: denied(call) if call.action == "DescribeStacks" else None)

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
    deploy.aws.faults.insert(0, lambda call: denied(call) if call.action == "ExecuteChangeSet" else None)

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
