import json
import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

import cfnlint.api
import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from orchestrator.aws.partitions import describe_partition
from orchestrator.domain.config import Config
from orchestrator.domain.config_file import load_config
from orchestrator.domain.model import Mode, RunRequest, Trigger
from orchestrator.domain.policy_document import PARTITIONS
from orchestrator.lambdas.events import MAX_AGE
from orchestrator.lambdas.runtime import NAMESPACE, SERVICE, count_metrics
from orchestrator.pipeline.context import Finished
from orchestrator.reports.archive import MAX_RELEASE
from orchestrator.reports.build import build_report
from orchestrator.wiring import utc_now
from tests.member_role import rendering as member_role
from tests.member_role.rendering import MEMBER, ORGANIZATION, SECURITY
from tests.stackset.rendering import (
    BUCKET,
    EVENTS,
    EVERYTHING,
    FOLDER,
    IAM_BUS,
    MANAGEMENT,
    NAMES,
    PATHS,
    REGION,
    REQUIRED,
    SENDING,
    URL,
    StackResolver,
    permissions_of,
    resources,
    template,
)

pytestmark = pytest.mark.thorough

README = (FOLDER / "README.md").read_text("utf-8")
PROTECT = json.loads((member_role.FOLDER / "protect.scp.json").read_text("utf-8"))
ONE_LINE = json.dumps(PROTECT, separators=(",", ":"))
IAM_QUEUE = "orgmfa-iam-events"
BUS = f"arn:aws:events:{REGION}:{SECURITY}:event-bus/orgmfa"
SSO_ROLES = f"arn:aws:iam::{SECURITY}:role/aws-reserved/sso.amazonaws.com"
ALL = [*NAMES, EVENTS]
REGIONS = ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"]


def parameters() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name in ALL:
        for parameter, declared in template(name)["Parameters"].items():
            yield name, parameter, declared


def functions() -> dict[str, dict[str, Any]]:
    deployed = resources("central", **EVERYTHING)
    return {name: one for name, one in deployed.items() if name.endswith("Function")}


def alarms(**given: str) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in resources("central", **given).items() if name.endswith("Alarm")}


# -- all templates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_cfn_lint_finds_nothing_in_any_partition(name: str) -> None:
    assert cfnlint.api.lint(PATHS[name].read_text("utf-8"), regions=REGIONS) == []


@pytest.mark.parametrize("name", ALL)
def test_the_template_can_be_deployed(name: str) -> None:
    size = len(PATHS[name].read_bytes())

    # CloudFormation API reference, CreateChangeSet: TemplateBody; a template in S3 may have a million bytes.
    assert size <= (1_000_000 if name == "central" else 51_200)


def test_every_parameter_is_described_and_bounded() -> None:
    for name, parameter, declared in parameters():
        bounds = declared.keys() & {"AllowedPattern", "AllowedValues", "MinValue", "MaxValue"}

        assert declared["Description"], (name, parameter)
        assert declared["ConstraintDescription"], (name, parameter)
        assert bounds in ({"AllowedPattern"}, {"AllowedValues"}, {"MinValue", "MaxValue"}), (name, parameter)


def test_every_parameter_takes_its_default() -> None:
    for name, parameter, declared in parameters():
        if "Default" in declared and "AllowedPattern" in declared:
            assert re.fullmatch(declared["AllowedPattern"], declared["Default"]), (name, parameter)


@pytest.mark.parametrize("name", ALL)
def test_the_console_shows_each_parameter_in_one_group(name: str) -> None:
    groups = template(name)["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    shown = [parameter for group in groups for parameter in group["Parameters"]]

    assert sorted(shown) == sorted(template(name)["Parameters"])


def test_a_parameter_of_several_templates_is_the_same_in_each() -> None:
    # One value given to `orgmfa deploy` serves all of them. Some templates take none where others need one.
    def shape(declared: dict[str, Any]) -> tuple[Any, ...]:
        pattern = re.sub(r"^\^\((.*)\)\?\$$", r"^\1$", declared.get("AllowedPattern", ""))
        return (declared["Type"], pattern, declared.get("Default") or None, declared.get("AllowedValues"))

    shapes: dict[str, set[str]] = {}
    declarations = [*parameters(), *(("member", *one) for one in member_role.template()["Parameters"].items())]
    for _, parameter, declared in declarations:
        shapes.setdefault(parameter, set()).add(repr(shape(declared)))

    assert {parameter: found for parameter, found in shapes.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("name", "parameter", "value", "is_taken"),
    [
        ("bootstrap", "KmsKeyArn", "arn:aws-cn:kms:cn-north-1:111122223333:key/0f1e2d3c", True),
        ("bootstrap", "KmsKeyArn", "arn:aws:kms:eu-central-1:111122223333:alias/mine", False),
        ("central", "TimeZone", "Europe/Berlin", True),
        ("central", "TimeZone", "America/Argentina/Buenos_Aires", True),
        ("central", "TimeZone", "Etc/GMT+5", True),
        ("central", "TimeZone", "12:00", False),
        ("central", "StopParameterName", "/security/orgmfa/stop", True),
        ("central", "StopParameterName", "orgmfa-stop", False),
        ("central", "StopParameterName", "/orgmfa/*", False),
        ("central", "OperatorPrincipalArns", "arn:aws:iam::111122223333:role/security-team", True),
        ("central", "OperatorPrincipalArns", "arn:aws:iam::111122223333:user/path/ana", True),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/eu-central-1/AWSReservedSSO_Security_{'?' * 16}", True),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_Security_{'?' * 16}", True),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_Security_0123456789abcdef", True),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/eu-central-1/AWSReservedSSO_Security_*", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_Security_{'?' * 15}*", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_Security_{'?' * 15}", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_Security_{'?' * 17}", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_{'?' * 16}", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_*", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/*", False),
        ("central", "OperatorPrincipalArns", f"arn:aws:iam::{SECURITY}:role/security-*", False),
        ("central", "OperatorPrincipalArns", f"arn:aws:iam::{SECURITY}:role/security-{'?' * 16}", False),
        ("central", "OperatorPrincipalArns", f"arn:aws:iam::{SECURITY}:user/security/*", False),
        ("central", "OperatorPrincipalArns", "arn:aws:iam::111122223333:role/*", False),
        ("central", "OperatorPrincipalArns", "arn:aws:iam::111122223333:root", False),
        ("central", "OperatorPrincipalArns", "arn:aws:iam::*:role/security-team", False),
        ("central", "OperatorPrincipalArns", "*", False),
        ("central", "SlackSecretArn", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:orgmfa/s-a1B2c3", True),
        ("central", "SlackSecretArn", "orgmfa/slack", False),
        ("central", "SlackSecretArn", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:orgmfa/*", False),
        ("central", "NudgeIdentityArn", "arn:aws:ses:eu-central-1:111122223333:identity/acme.com", True),
        ("central", "NudgeIdentityArn", "arn:aws:ses:eu-central-1:111122223333:identity/security@acme.com", True),
        ("central", "NudgeIdentityArn", "arn:aws:ses:eu-central-1:111122223333:identity/*", False),
        ("central", "NudgeIdentityArn", "arn:aws-cn:ses:cn-north-1:111122223333:identity/acme.com", False),
        ("central", "SlackChannel", "C0123456789", True),
        ("central", "SlackChannel", "#security", False),
        ("central", "AlarmEmail", "security@example.com", True),
        ("central", "AlarmEmail", "security", False),
        ("central", "ReservedConcurrency", "2", True),
        ("central", "ReservedConcurrency", "0", False),
        ("central", "ChildReservedConcurrency", "20", True),
        ("central", "ChildReservedConcurrency", "0", False),
        ("central", "CodeKey", "artifacts/orgmfa-0123abcd.zip", True),
        ("central", "StackSetName", "orgmfa-2", True),
        ("central", "StackSetName", "mfa", False),
        ("stackset", "TargetIds", "r-ab12", True),
        ("stackset", "TargetIds", "ou-ab12-11112222", True),
        ("stackset", "TargetIds", "111122223333", False),
        ("stackset", "TargetIds", "", False),
        *(("stackset", "StackSetRegion", describe_partition(one).iam_region, True) for one in PARTITIONS),
        ("stackset", "StackSetRegion", "eusc-de-east-11", False),
        ("stackset", "StackSetRegion", "global", False),
        ("stackset", "TemplateUrl", URL, True),
        *(
            (
                "stackset",
                "TemplateUrl",
                f"https://b.s3.some-region-1.{suffix}/member.yaml",
                True,
            )
            for suffix in sorted({describe_partition(one).suffix for one in PARTITIONS})
        ),
        ("stackset", "TemplateUrl", "https://b.s3.eu-west-1.amazonaws.com.eu/member.yaml", False),
        ("stackset", "TemplateUrl", "https://example.com/member.yaml", False),
        ("stackset", "TemplateUrl", f"s3://{BUCKET}/member.yaml", False),
        ("stackset", "IamEventBusArn", IAM_BUS, True),
        ("stackset", "IamEventBusArn", BUS, False),
        ("events", "IamEventBusArn", "", False),
        *(("stackset", "EventsRegion", describe_partition(one).iam_region, True) for one in PARTITIONS),
        ("management", "EventBusArn", BUS, True),
        ("management", "EventBusArn", f"arn:aws:events:{REGION}:{SECURITY}:rule/orgmfa", False),
        ("management", "ControlPolicyDocument", ONE_LINE, True),
        ("management", "ControlPolicyDocument", json.dumps(PROTECT, indent=2), False),
        ("management", "ControlPolicyTargetIds", "111122223333", True),
        ("management", "ControlPolicyTargetIds", "everybody", False),
    ],
)
def test_a_parameter_takes(name: str, parameter: str, value: str, *, is_taken: bool) -> None:
    pattern = template(name)["Parameters"][parameter]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, value)) is is_taken


@pytest.mark.parametrize("name", NAMES)
def test_every_resource_that_takes_tags_has_ours(name: str) -> None:
    for logical_id, resource in template(name)["Resources"].items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
        takes_tags = "Tags" in schema["properties"]

        tags = resource["Properties"].get("Tags")

        assert tags == ([{"Key": "application", "Value": "orgmfa"}] if takes_tags else None), logical_id


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_lists_every_parameter_with_its_default(name: str) -> None:
    section = README.split(f"\n### {name}.yaml\n")[1].split("\n#")[0]
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE))
    passed_on = member_role.template()["Parameters"].keys() if "every parameter of `member_role" in section else set()

    assert listed == _defaults(name, but=passed_on)


def test_the_readme_of_the_member_templates_lists_every_parameter_of_the_events() -> None:
    readme = (member_role.FOLDER / "README.md").read_text("utf-8")
    section = readme.split("\n## events.yaml\n")[1].split("\n## ")[0]

    assert dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE)) == _defaults(EVENTS)


def _defaults(name: str, *, but: Collection[str] = ()) -> dict[str, str]:
    return {
        parameter: f"`{declared['Default']}`"
        if declared.get("Default") not in (None, "")
        else _without_default(declared)
        for parameter, declared in template(name)["Parameters"].items()
        if parameter not in but
    }


def _without_default(declared: dict[str, Any]) -> str:
    return "none" if "Default" in declared else "required"


@pytest.mark.parametrize(("role", "listed_as"), [("OrchestratorRole", "orchestrator"), ("OperatorRole", "operator")])
def test_the_readme_lists_every_permission(role: str, listed_as: str) -> None:
    rows = re.findall(r"^\| (both|orchestrator|operator)(?:, with [^|]+)? \| (`\w+:.+?) \|", README, re.MULTILINE)
    listed = {action for who, cell in rows if who in {"both", listed_as} for action in re.findall(r"`(\w+:\w+)`", cell)}

    documents = permissions_of(role, **EVERYTHING, AllowSessionContext="true")
    granted = [statement["Action"] for one in documents for statement in one["Statement"]]

    assert listed == set(re.findall(r"\w+:[A-Z]\w+", json.dumps(granted)))


def test_the_readme_lists_every_permission_of_the_state_machine() -> None:
    section = README.split("`RunMachineRole`, with")[1].split("\n### ")[0]
    listed = {
        action
        for cell in re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
        for action in re.findall(r"`(\w+:\w+)`", cell)
    }

    granted = [
        action
        for document in permissions_of("RunMachineRole", **EVERYTHING)
        for statement in document["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]

    assert listed == set(granted)


# -- bootstrap.yaml ---------------------------------------------------------------------------------------------------


def test_the_bucket_is_closed_versioned_encrypted_and_outlives_its_stack() -> None:
    bucket = resources("bootstrap")["Bucket"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    for logical_id in ("Bucket", "BucketPolicy"):
        declared = template("bootstrap")["Resources"][logical_id]
        assert declared["DeletionPolicy"] == "RetainExceptOnCreate"
        assert declared["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]),
        (
            {"KmsKeyArn": EVERYTHING["KmsKeyArns"]},
            [
                {
                    "ServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "aws:kms",
                        "KMSMasterKeyID": EVERYTHING["KmsKeyArns"],
                    },
                    "BucketKeyEnabled": True,
                }
            ],
        ),
    ],
)
def test_the_bucket_is_encrypted_with(given: dict[str, str], expected: list[Any]) -> None:
    encryption = resources("bootstrap", **given)["Bucket"]["BucketEncryption"]

    assert encryption["ServerSideEncryptionConfiguration"] == expected


def test_s3_forgets_no_release_before_it_is_over_and_nothing_that_is_deployed() -> None:
    """A release lasts 90 days at most, and the note that ends one is needed no longer."""
    rules = resources("bootstrap", ArchiveKeepDays="30")["Bucket"]["LifecycleConfiguration"]["Rules"]

    expiring = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}

    assert expiring.pop("archive/releases/") > 2 * MAX_RELEASE.days
    assert expiring == {
        "archive/accounts/": "30",
        "archive/runs/": "30",
        "archive/event-runs/": "30",
        "archive/events/": "30",
        "archive/work/": 7,
    }


# -- central.yaml: functions and schedule -----------------------------------------------------------------------------


def test_it_enforces_nothing_and_hears_nothing_by_default() -> None:
    deployed = resources("central")

    assert deployed["ScheduleFunction"]["Environment"]["Variables"]["ORGMFA_ENFORCEMENT_MODE"] == "plan"
    assert not [name for name in deployed if re.search("Onboarding|IamEvent|Rule|Bus|DeadLetter", name)]


def test_it_is_one_function_by_default() -> None:
    deployed = resources("central")

    assert not [name for name in deployed if re.search("Map|Run(Log|Machine)|Distributed|Execution", name)]


def test_the_functions_differ_in_name_and_log_alone_and_that_of_iam_events_in_its_time() -> None:
    their_own = {
        "FunctionName",
        "Description",
        "LoggingConfig",
        "Handler",
        "Environment",
        "ReservedConcurrentExecutions",
    }

    found = functions()

    alike = [{key: one[key] for key in one if key not in their_own} for one in found.values()]

    assert len(alike) == 5
    assert (
        found["IamEventsFunction"]["Timeout"] == alike.pop(list(found).index("IamEventsFunction")).pop("Timeout") == 120
    )
    assert all(one == alike[0] for one in alike)


def test_the_functions_have_one_configuration_and_those_of_a_distributed_run_the_size_of_a_batch() -> None:
    variables = {name: one["Environment"]["Variables"] for name, one in functions().items()}
    shared, batch = variables["ScheduleFunction"], {"ORGMFA_BATCH_SIZE": 200}

    assert variables == {
        "ScheduleFunction": shared,
        "OnboardingFunction": shared,
        "IamEventsFunction": shared,
        "MapStepsFunction": shared | batch,
        "MapChildFunction": shared | batch,
    }


@pytest.mark.parametrize("name", ["MapStepsFunction", "MapChildFunction"])
def test_a_function_of_a_distributed_run_begins_at_its_steps(name: str) -> None:
    deployed = resources("central", **EVERYTHING)
    function, log = deployed[name], deployed[name.replace("Function", "Log")]

    assert function["Handler"] == "orchestrator.lambdas.step.lambda_handler"
    assert function["LoggingConfig"] == {"LogGroup": name.replace("Function", "Log")}
    assert log["LogGroupName"] == f"/aws/lambda/{function['FunctionName']}"
    assert log["RetentionInDays"] == 90


@pytest.mark.parametrize("name", ["ScheduleFunction", "OnboardingFunction", "IamEventsFunction"])
def test_a_function_runs_the_package_and_is_never_repeated(name: str) -> None:
    deployed = resources("central", **EVERYTHING)
    function, log = deployed[name], deployed[name.replace("Function", "Log")]

    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    assert function["Handler"] == "orchestrator.handler.lambda_handler"
    assert function["LoggingConfig"] == {"LogGroup": name.replace("Function", "Log")}
    assert log["LogGroupName"] == f"/aws/lambda/{function['FunctionName']}"
    assert log["RetentionInDays"] == 90
    assert deployed[f"{name}Invocation"]["MaximumRetryAttempts"] == 0
    assert deployed[f"{name}Invocation"]["FunctionName"] == name


def variables_of(name: str, **given: str) -> dict[str, str]:
    """Return the variables of a function, which are texts, whatever the parameters are that they come from."""
    variables = resources("central", **given)[name]["Environment"]["Variables"]
    return {key: str(value) for key, value in variables.items()}


def test_the_program_understands_the_variables_of_a_function() -> None:
    given = EVERYTHING | {"Mode": "apply", "RolePath": "/security/", "SlackChannel": "C0123456789"}
    variables = variables_of("ScheduleFunction", **given)

    config = load_config(None, variables)

    known = {
        f"ORGMFA_{section}_{key}".upper()
        for section, field in Config.model_fields.items()
        for key in getattr(field.annotation, "model_fields", {})
    }
    assert variables.keys() - known == {"ORGMFA_IAM_EVENTS", "ORGMFA_ONBOARDING", "ORGMFA_STACKSET_NAME"}
    assert config.organization.id == ORGANIZATION
    assert (config.member_role.name, config.member_role.path) == ("orgmfa-member", "/security/")
    assert config.member_role.release_name == "orgmfa-release"
    assert config.enforcement.mode is Mode.APPLY
    assert config.enforcement.stop == "ssm:/orgmfa/stop"
    assert config.archive.location == f"s3://{BUCKET}/archive"
    assert (config.slack.secret, config.slack.channel) == (EVERYTHING["SlackSecretArn"], "C0123456789")


@pytest.mark.parametrize(
    "name", ["ScheduleFunction", "OnboardingFunction", "IamEventsFunction", "MapStepsFunction", "MapChildFunction"]
)
def test_every_function_changes_at_most_as_many_users_in_a_run_as_the_stack_says(name: str) -> None:
    limits = [
        load_config(None, variables_of(name, **EVERYTHING, **given)).limits for given in ({}, {"MaxChanges": "7"})
    ]

    assert [(one.max_changes_per_run, one.max_changes_per_account) for one in limits] == [(100, 100), (7, 100)]


def test_without_slack_the_configuration_of_the_package_holds() -> None:
    variables = variables_of("ScheduleFunction")

    assert load_config(None, variables).slack.secret is None


@pytest.mark.parametrize(("given", "expected"), [({}, None), ({"ReservedConcurrency": "2"}, "2")])
def test_concurrency_is_reserved_on_demand_alone(given: dict[str, str], expected: str | None) -> None:
    assert resources("central", **given)["ScheduleFunction"].get("ReservedConcurrentExecutions") == expected


@pytest.mark.parametrize(("given", "expected"), [({}, None), ({"ChildReservedConcurrency": "20"}, "20")])
def test_concurrency_of_batches_is_reserved_on_demand_alone(given: dict[str, str], expected: str | None) -> None:
    deployed = resources("central", Scale="distributed", **given)

    assert deployed["MapChildFunction"].get("ReservedConcurrentExecutions") == expected
    assert "ReservedConcurrentExecutions" not in deployed["MapStepsFunction"]


@pytest.mark.parametrize(
    ("scale", "started"),
    [
        ("lambda", f"arn:aws:lambda:{REGION}:{SECURITY}:function:orgmfa-schedule"),
        ("distributed", f"arn:aws:states:{REGION}:{SECURITY}:stateMachine:orgmfa-run"),
    ],
)
def test_the_schedule_is_daily_at_noon_of_a_time_zone_and_starts_once(scale: str, started: str) -> None:
    deployed = resources("central", TimeZone="Europe/Berlin", Scale=scale)
    schedule, target = deployed["DailySchedule"], deployed["DailySchedule"]["Target"]

    assert schedule["ScheduleExpression"] == "cron(0 12 * * ? *)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert target["Arn"] == started
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 0
    kept = [target["RetryPolicy"], deployed["ScheduleFunctionInvocation"]]
    assert timedelta(seconds=sum(one["MaximumEventAgeInSeconds"] for one in kept), minutes=15) == MAX_AGE
    assert json.loads(target["Input"]) == {"trigger": "schedule", "scheduled_time": "<aws.scheduler.scheduled-time>"}


# -- central.yaml: new accounts ---------------------------------------------------------------------------------------


def test_a_message_stays_hidden_while_its_batch_is_worked_on() -> None:
    deployed = resources("central", **EVERYTHING)
    queue, source, function = (
        deployed["OnboardingQueue"],
        deployed["OnboardingSource"],
        functions()["OnboardingFunction"],
    )
    longest = template("central")["Parameters"]["Timeout"]["MaxValue"]

    # Taken up to a whole batch window before the function starts, then up to its longest time.
    assert queue["VisibilityTimeout"] >= source["MaximumBatchingWindowInSeconds"] + longest
    assert function["Timeout"] <= longest
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{SECURITY}:OnboardingDeadLetters",
        "maxReceiveCount": 10,
    }


def test_a_rollout_is_a_handful_of_runs() -> None:
    source = resources("central", **EVERYTHING)["OnboardingSource"]

    # Lambda API reference, CreateEventSourceMapping: up to 10,000 for a standard queue, above 10 with a window alone.
    assert source["BatchSize"] == 1_000
    assert source["MaximumBatchingWindowInSeconds"] == 300
    assert source["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert "FunctionResponseTypes" not in source


# -- central.yaml: events of IAM users --------------------------------------------------------------------------------


def test_batch_of_iam_events_waits_for_seconds_and_a_message_comes_again_by_itself() -> None:
    deployed = resources("central", **EVERYTHING)
    queue, source, function = (deployed[f"IamEvents{part}"] for part in ("Queue", "Source", "Function"))

    assert queue["QueueName"] == IAM_QUEUE
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["VisibilityTimeout"] == 6 * function["Timeout"]
    assert queue["MessageRetentionPeriod"] == timedelta(days=1).total_seconds()
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{SECURITY}:orgmfa-iam-events-dead-letters",
        "maxReceiveCount": 200,
    }
    assert deployed["IamEventsDeadLetters"]["MessageRetentionPeriod"] == timedelta(days=14).total_seconds()
    assert (source["BatchSize"], source["MaximumBatchingWindowInSeconds"]) == (1_000, 20)
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert (source["FunctionName"], source["EventSourceArn"]) == (
        "IamEventsFunction",
        f"arn:aws:sqs:{REGION}:{SECURITY}:{IAM_QUEUE}",
    )


def test_iam_events_that_nothing_takes_ring_after_ninety_minutes() -> None:
    alarm = alarms(**EVERYTHING)["IamEventsWaitingAlarm"]

    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateAgeOfOldestMessage")
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": IAM_QUEUE}]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 90 * 60)
    assert (alarm["Statistic"], alarm["TreatMissingData"]) == ("Maximum", "notBreaching")


def test_iam_events_that_were_given_up_ring_and_so_do_three_hours_of_failures() -> None:
    found = alarms(**EVERYTHING)
    given_up, failed = found["IamEventsDeadLettersAlarm"], found["IamEventsFailedAlarm"]
    of_new_accounts = found["DeadLettersAlarm"], found["OnboardingFailedAlarm"]
    named = {"AlarmName", "AlarmDescription", "Dimensions"}

    for one, other in zip((given_up, failed), of_new_accounts, strict=True):
        assert {key: one[key] for key in one.keys() - named} == {key: other[key] for key in other.keys() - named}
    assert given_up["Dimensions"] == [{"Name": "QueueName", "Value": f"{IAM_QUEUE}-dead-letters"}]
    assert failed["Dimensions"] == [{"Name": "FunctionName", "Value": "IamEventsFunction"}]


# -- central.yaml: what tells of failures -----------------------------------------------------------------------------


def test_every_alarm_is_sent_to_the_topic_and_known_to_it() -> None:
    deployed = resources("central", **EVERYTHING)
    topic = f"arn:aws:sns:{REGION}:{SECURITY}:AlarmTopic"
    [statement] = deployed["AlarmTopicPolicy"]["PolicyDocument"]["Statement"]

    found = alarms(**EVERYTHING)

    assert {one["AlarmName"] for one in found.values()} == {
        "orgmfa-run-failed",
        "orgmfa-run-held",
        "orgmfa-no-run",
        "orgmfa-accounts-failed",
        "orgmfa-execution-aborted",
        "orgmfa-execution-failed",
        "orgmfa-execution-timed-out",
        "orgmfa-onboarding-failed",
        "orgmfa-dead-letters",
        "orgmfa-iam-events-dead-letters",
        "orgmfa-iam-events-failed",
        "orgmfa-iam-events-waiting",
    }
    assert {tuple(one["AlarmActions"]) for one in found.values()} == {(topic,)}
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Condition"] == {
        "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{SECURITY}:alarm:orgmfa-*"}
    }
    assert deployed["AlarmSubscription"]["Endpoint"] == "security@example.com"
    assert "AlarmSubscription" not in resources("central")


def test_an_alarm_looks_no_further_than_cloudwatch_lets_it() -> None:
    for name, alarm in alarms(**EVERYTHING).items():
        periods = {one["MetricStat"]["Period"] for one in alarm.get("Metrics", []) if "MetricStat" in one}
        [period] = periods or {alarm["Period"]}
        seconds = period * alarm["EvaluationPeriods"]

        # CloudWatch user guide, Evaluating an alarm: a day at most, seven where the period is an hour or more.
        assert seconds <= (7 if period >= 3600 else 1) * 86_400, name


@pytest.mark.parametrize("scale", ["lambda", "distributed"])
def test_a_day_without_a_finished_daily_run_rings_and_a_day_with_one_does_not(scale: str) -> None:
    alarm = alarms(Scale=scale)["NoRunAlarm"]

    assert alarm["Period"] * alarm["EvaluationPeriods"] == 26 * 3600
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]
    assert alarm["TreatMissingData"] == "breaching"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert (alarm["Namespace"], alarm["MetricName"]) == (NAMESPACE, "ScheduledRunsFinished")
    assert alarm["Dimensions"] == [{"Name": "service", "Value": SERVICE}]


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("ExecutionFailedAlarm", "ExecutionsFailed"),
        ("ExecutionTimedOutAlarm", "ExecutionsTimedOut"),
        ("ExecutionAbortedAlarm", "ExecutionsAborted"),
    ],
)
def test_one_distributed_run_that_does_not_come_to_its_end_rings(name: str, metric: str) -> None:
    alarm = alarms(Scale="distributed")[name]

    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/States", metric)
    assert alarm["Dimensions"] == [
        {"Name": "StateMachineArn", "Value": f"arn:aws:states:{REGION}:{SECURITY}:stateMachine:orgmfa-run"}
    ]
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "Sum",
        "GreaterThanOrEqualToThreshold",
        1,
    )
    assert (alarm["DatapointsToAlarm"], alarm["TreatMissingData"]) == (1, "notBreaching")


@pytest.mark.parametrize("scale", ["single", "distributed"])
def test_one_run_that_was_held_rings_and_no_run_at_all_does_not(scale: str) -> None:
    alarm = alarms(Scale=scale)["RunHeldAlarm"]

    assert (alarm["Namespace"], alarm["MetricName"]) == (NAMESPACE, "RunsHeld")
    assert alarm["Dimensions"] == [{"Name": "service", "Value": SERVICE}]
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "Sum",
        "GreaterThanOrEqualToThreshold",
        1,
    )
    assert (alarm["DatapointsToAlarm"], alarm["TreatMissingData"]) == (1, "notBreaching")


def test_alarms_and_dashboard_know_the_metrics_that_are_written() -> None:
    deployed = resources("central", **EVERYTHING)
    request = RunRequest(run_id="1", mode=Mode.PLAN, trigger=Trigger.SCHEDULE, started_at=utc_now())
    report = build_report(request, ORGANIZATION, (), errors=(), is_complete=True, finished_at=utc_now())
    written = {*count_metrics(Finished(report, None), is_failed=False, is_scheduled=True), "DurationSeconds"}

    widgets = json.loads(deployed["Dashboard"]["DashboardBody"])["widgets"]
    drawn = [metric for widget in widgets for metric in widget["properties"]["metrics"]]
    watched = [
        one["MetricStat"]["Metric"]
        for alarm in alarms(**EVERYTHING).values()
        for one in alarm.get("Metrics", [])
        if "MetricStat" in one
    ]

    assert {tuple(metric) for metric in drawn} == {(NAMESPACE, name, "service", SERVICE) for name in written}
    assert {metric["MetricName"] for metric in watched} == {"AccountsFailed", "AccountsNotReached"}
    for metric in watched:
        assert metric["Namespace"] == NAMESPACE
        assert metric["Dimensions"] == [{"Name": "service", "Value": SERVICE}]


# -- stackset.yaml and management.yaml --------------------------------------------------------------------------------


def test_the_stackset_reaches_every_account_at_once_and_takes_nothing_back() -> None:
    stack_set = resources("stackset", TargetIds="r-ab12")["MemberStackSet"]

    assert stack_set["PermissionModel"] == "SERVICE_MANAGED"
    assert stack_set["AutoDeployment"] == {"Enabled": True, "RetainStacksOnAccountRemoval": True}
    assert stack_set["ManagedExecution"] == {"Active": True}
    assert stack_set["OperationPreferences"] == {
        "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
        "FailureTolerancePercentage": 100,
        "MaxConcurrentPercentage": 100,
    }
    assert stack_set["StackInstancesGroup"] == [
        {"DeploymentTargets": {"OrganizationalUnitIds": ["r-ab12"]}, "Regions": ["us-east-1"]}
    ]
    assert stack_set["Capabilities"] == ["CAPABILITY_NAMED_IAM"]


def test_the_second_stackset_is_like_the_first_but_for_its_region_and_leaves_nothing_behind() -> None:
    deployed = resources(
        "stackset", **SENDING, TargetIds="r-ab12", StackSetRegion="eu-west-1", EventsRegion="us-gov-west-1"
    )
    members, events = deployed["MemberStackSet"], deployed["EventsStackSet"]
    own = {"StackSetName", "Description", "TemplateURL", "AutoDeployment", "StackInstancesGroup", "Parameters"}

    assert {key: events[key] for key in events.keys() - own} == {key: members[key] for key in members.keys() - own}
    assert (members["StackSetName"], events["StackSetName"]) == ("orgmfa", "orgmfa-events")
    assert template("stackset")["Resources"]["EventsStackSet"]["DependsOn"] == "MemberStackSet"
    assert events["TemplateURL"] == SENDING["EventsTemplateUrl"]
    assert events["AutoDeployment"] == {"Enabled": True, "RetainStacksOnAccountRemoval": False}
    assert events["StackInstancesGroup"] == [
        {"DeploymentTargets": {"OrganizationalUnitIds": ["r-ab12"]}, "Regions": ["us-gov-west-1"]}
    ]


@pytest.mark.parametrize("missing", [None, *SENDING])
def test_iam_events_are_sent_where_they_are_switched_on_with_all_that_takes(missing: str | None) -> None:
    given = {key: value for key, value in SENDING.items() if key != missing}

    assert ("EventsStackSet" in resources("stackset", **given)) is (missing is None)
    assert ("IamEventsStack" in resources("management", **given)) is (missing is None)
    assert refusals("stackset", given) == (
        [f"IamEvents needs {missing}"] if missing in {"IamEventBusArn", "EventsTemplateUrl"} else []
    )


def test_the_template_of_the_events_gets_every_parameter_from_both_stacks() -> None:
    declared = template(EVENTS)["Parameters"]
    given = {name: f"/{name}/" if name.endswith("Path") else name for name in declared} | {
        "IamEventBusArn": IAM_BUS,
        "IamEventsScope": "all",
    }

    stack_set = resources("stackset", **SENDING | given)["EventsStackSet"]
    nested = resources("management", **SENDING | given)["IamEventsStack"]

    assert {one["ParameterKey"]: one["ParameterValue"] for one in stack_set["Parameters"]} == given
    assert nested["Parameters"] == given
    for name in ("stackset", "management"):
        for parameter, one in declared.items():
            if parameter != "RolePath":
                assert template(name)["Parameters"][parameter]["Description"] == one["Description"]


def test_the_member_template_gets_every_parameter_from_both_stacks() -> None:
    declared = member_role.template()["Parameters"]
    protected = "arn:aws:iam::*:user/a,arn:aws:iam::*:user/b"
    given = {"OrganizationId": ORGANIZATION, "SecurityAccountId": SECURITY, "ProtectedUserArns": protected}

    stack_set = resources("stackset", **given)["MemberStackSet"]
    nested = resources("management", MemberRoles="on", TemplateUrl=URL, **given)["MemberRolesStack"]

    expected = {name: one.get("Default") for name, one in declared.items()} | given
    assert {one["ParameterKey"]: one["ParameterValue"] for one in stack_set["Parameters"]} == expected
    assert nested["Parameters"] == expected
    for name in ("stackset", "management"):
        for parameter, one in declared.items():
            assert template(name)["Parameters"][parameter]["Description"] == one["Description"]


PARTS = {
    "member roles": ({"MemberRoles": "on", "TemplateUrl": URL}, {"MemberRolesStack"}),
    "forwarder": ({"Forwarder": "on", "EventBusArn": BUS}, {"ForwarderRole", "StackSetRule"}),
    "forwarder, Control Tower": (
        {"Forwarder": "on", "EventBusArn": BUS, "ControlTower": "on"},
        {"ForwarderRole", "StackSetRule", "NewAccountRule"},
    ),
    "events of IAM users": (SENDING, {"IamEventsStack"}),
    "control policy": ({"ControlPolicy": "on", "ControlPolicyDocument": ONE_LINE}, {"ProtectionPolicy"}),
}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_the_management_account_is_off_until_it_is_on(part: str) -> None:
    given, expected = PARTS[part]

    assert resources("management", **given).keys() == expected
    assert resources("management", **{key: value for key, value in given.items() if value != "on"}) == {}


def test_the_control_policy_is_the_one_in_member_role() -> None:
    policy = resources(
        "management", ControlPolicy="on", ControlPolicyDocument=ONE_LINE, ControlPolicyTargetIds="r-ab12"
    )

    # CloudFormation user guide, Quotas: the value of a parameter.
    assert len(ONE_LINE.encode()) <= 4_096
    assert json.loads(policy["ProtectionPolicy"]["Content"]) == PROTECT
    assert policy["ProtectionPolicy"]["TargetIds"] == ["r-ab12"]
    assert policy["ProtectionPolicy"]["Type"] == "SERVICE_CONTROL_POLICY"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("central", {}, []),
        ("central", {"ControlTower": "on"}, ["ControlTower and ForwarderBus need Onboarding to be on"]),
        ("central", {"ControlTower": "on", "Onboarding": "on"}, []),
        ("central", {"ForwarderBus": "on", "Onboarding": "on"}, ["ForwarderBus needs ManagementAccountId"]),
        ("central", {"ChildReservedConcurrency": "20"}, ["ChildReservedConcurrency needs Scale to be distributed"]),
        ("central", {"ChildReservedConcurrency": "20", "Scale": "distributed"}, []),
        ("central", EVERYTHING, []),
        ("management", {}, []),
        ("management", {"Forwarder": "on"}, ["Forwarder needs EventBusArn"]),
        ("management", {"ControlTower": "on"}, ["ControlTower needs Forwarder to be on"]),
        ("management", {"ControlPolicy": "on"}, ["ControlPolicy needs ControlPolicyDocument"]),
        (
            "management",
            {"MemberRoles": "on"},
            [f"MemberRoles needs {name}" for name in ("TemplateUrl", "OrganizationId", "SecurityAccountId")],
        ),
        ("management", PARTS["forwarder, Control Tower"][0], []),
    ],
)
def test_parameters_that_need_each_other_are_refused_alone(
    name: str, given: dict[str, str], expected: list[str]
) -> None:
    assert refusals(name, given) == expected


def refusals(name: str, given: dict[str, str]) -> list[str]:
    """Return what the rules of a template say against these parameters, before anything is made."""
    resolver = StackResolver(template(name), REQUIRED[name] | given, {"AWS::NoValue": object()})
    return [
        assertion["AssertDescription"]
        for rule in template(name)["Rules"].values()
        if resolver.resolve(rule["RuleCondition"])
        for assertion in rule["Assertions"]
        if not resolver.resolve(assertion["Assert"])
    ]


@pytest.mark.parametrize(
    ("partition", "region", "suffix"),
    [(one, describe_partition(one).iam_region, describe_partition(one).suffix) for one in PARTITIONS[1:]],
)
def test_no_arn_is_of_another_partition(partition: str, region: str, suffix: str) -> None:
    everything = {key: value.replace("arn:aws:", f"arn:{partition}:") for key, value in EVERYTHING.items()}
    pseudo = {"Partition": partition, "Region": region, "URLSuffix": suffix}
    rendered = json.dumps(
        [
            resources("bootstrap", ManagementAccountId=MANAGEMENT, **pseudo),
            resources("central", **everything, **pseudo),
            resources(EVENTS, IamEventBusArn=IAM_BUS.replace("arn:aws:", f"arn:{partition}:"), **pseudo),
            resources("management", Forwarder="on", EventBusArn=BUS.replace("arn:aws:", f"arn:{partition}:"), **pseudo),
        ]
    )

    assert set(re.findall(r"arn:([a-z-]+):", rendered)) == {partition}
    assert f"s3.{region}.{suffix}" in rendered
    assert MEMBER not in rendered
