"""The functions of central.yaml, and what starts them: the schedule and the queues."""

import json
import re
from datetime import timedelta

import pytest

from orchestrator.domain.config import Config
from orchestrator.domain.config_file import load_config
from orchestrator.domain.model import Mode
from orchestrator.lambdas.events import MAX_AGE
from tests.member_role.rendering import ORGANIZATION, SECURITY
from tests.stackset.rendering import (
    BUCKET,
    EVERYTHING,
    IAM_QUEUE,
    REGION,
    functions,
    resources,
    template,
)

pytestmark = pytest.mark.thorough


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
