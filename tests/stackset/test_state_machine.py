"""What the state machine of a distributed run does: its definition as deployed, read as the Amazon States Language."""

import json
from collections.abc import Iterator
from typing import Any

import cfnlint.api
import pytest

from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.rendering import SECURITY
from tests.stackset.rendering import BUCKET, REGION, TO_DELIVER_LOGS, definition, permissions_of, resources
from tests.stackset.test_calls import cut_up

FUNCTIONS = f"arn:aws:lambda:{REGION}:{SECURITY}:function"
STEPS, CHILD = f"{FUNCTIONS}:orgmfa-map-steps", f"{FUNCTIONS}:orgmfa-map-child"
# Step Functions developer guide, Invoke Lambda: what is worth another attempt.
TRANSIENT = {
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
}
LONGEST_FUNCTION_SECONDS = 900
WORK = f"arn:aws:s3:::{BUCKET}/archive/work/20260302T120000Z-0a1b2c3d/batches.json"
# How the guide writes the executions of batches; their ARNs bear the label of the map.
BY_THE_GUIDE = f"arn:aws:states:{REGION}:{SECURITY}:execution:orgmfa-run:*"


def states() -> dict[str, Any]:
    """Return the states of a run by name, those of a batch beside the others."""
    outer: dict[str, Any] = definition()["States"]
    inner = [one["ItemProcessor"]["States"] for one in outer.values() if one["Type"] == "Map"]
    return {name: state for machine in [outer, *inner] for name, state in machine.items()}


def tasks() -> dict[str, dict[str, Any]]:
    return {name: state for name, state in states().items() if state["Type"] == "Task"}


def following(state: dict[str, Any]) -> Iterator[str]:
    """Yield every state that may come after one."""
    yield from (state[key] for key in ("Next", "Default") if key in state)
    for one in [*state.get("Choices", ()), *state.get("Catch", ())]:
        yield one["Next"]


def requests() -> set[tuple[str, str]]:
    """Return what Step Functions calls in the name of the machine, as its definition says it."""
    arn = f"arn:aws:states:{REGION}:{SECURITY}"
    found = {("lambda:InvokeFunction", one["Parameters"]["FunctionName"]) for one in tasks().values()}
    for one in definition()["States"].values():
        if one["Type"] == "Map":
            execution = f"{arn}:execution:orgmfa-run/{one['Label']}:0a1b"
            found |= {
                (f"s3:{one['ItemReader']['Resource'].rsplit(':', 1)[1].replace('get', 'Get')}", WORK),
                ("states:StartExecution", f"{arn}:stateMachine:orgmfa-run"),
                ("states:DescribeExecution", execution),
                ("states:StopExecution", execution),
            }
    return found


def test_the_role_may_do_what_the_definition_does_and_nothing_else() -> None:
    documents = permissions_of("RunMachineRole", Scale="distributed")
    calls = [Request(*one) for one in requests()]

    refused = {one.action for one in calls if decide(one, documents) is not Decision.ALLOW}
    unused = {
        (one["Action"], one["Resource"])
        for one in cut_up(documents)
        if one["Action"] not in TO_DELIVER_LOGS and one["Resource"] != BY_THE_GUIDE
        if not any(decide(call, [{"Version": "2012-10-17", "Statement": [one]}]) is Decision.ALLOW for call in calls)
    }

    assert refused == set()
    assert unused == set()


def test_the_definition_is_one_that_cfn_lint_knows() -> None:
    # Only a definition without functions is looked into, so here it stands as it is deployed.
    machine = resources("central", Scale="distributed")["RunMachine"]
    template = {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine}}}
    broken = json.loads(json.dumps(template).replace('\\"Type\\": \\"Succeed\\"', '\\"Type\\": \\"Success\\"'))

    def rules(text: dict[str, Any]) -> set[str]:
        return {found.rule.id for found in cfnlint.api.lint(json.dumps(text), regions=[REGION])}

    assert "E3601" not in rules(template)
    assert "E3601" in rules(broken)


def test_every_state_is_reached_and_leads_somewhere() -> None:
    for machine in [definition(), *(one["ItemProcessor"] for one in definition()["States"].values() if "Label" in one)]:
        reached, waiting = set(), [machine["StartAt"]]
        while waiting:
            name = waiting.pop()
            reached.add(name)
            waiting += [one for one in following(machine["States"][name]) if one not in reached]

        assert reached == machine["States"].keys()
        for name, state in machine["States"].items():
            assert list(following(state)) or state.get("End") or state["Type"] == "Succeed", name


def test_a_run_goes_from_select_over_the_gate_to_merge() -> None:
    run = definition()["States"]

    assert definition()["StartAt"] == "Select"
    assert run["IsRepeated"] == {
        "Type": "Choice",
        "Choices": [{"Variable": "$.repeated", "BooleanEquals": True, "Next": "Repeated"}],
        "Default": "Plan",
    }
    assert run["MayApply"] == {
        "Type": "Choice",
        "Choices": [{"Variable": "$.go", "BooleanEquals": True, "Next": "Apply"}],
        "Default": "Merge",
    }
    assert [run[name].get("Next") for name in ("Select", "Plan", "Gate", "Apply", "Merge")] == [
        "IsRepeated",
        "Gate",
        "MayApply",
        "Merge",
        None,
    ]


def test_each_step_has_its_function_and_its_event() -> None:
    events = {name: (one["Parameters"]["FunctionName"], one["Parameters"]["Payload"]) for name, one in tasks().items()}

    assert events == {
        "Select": (
            STEPS,
            {
                "step": "select",
                "execution.$": "$$.Execution.Name",
                "started.$": "$$.Execution.StartTime",
                "input.$": "$$.Execution.Input",
            },
        ),
        "PlanBatch": (CHILD, {"step": "plan", "run_id.$": "$.run_id", "batch.$": "$.batch"}),
        "Gate": (STEPS, {"step": "gate", "run_id.$": "$.run_id", "input.$": "$$.Execution.Input"}),
        "ApplyBatch": (CHILD, {"step": "apply", "run_id.$": "$.run_id", "batch.$": "$.batch"}),
        "Merge": (STEPS, {"step": "merge", "run_id.$": "$.run_id", "input.$": "$$.Execution.Input"}),
    }
    assert {one["Resource"] for one in tasks().values()} == {"arn:aws:states:::lambda:invoke"}


@pytest.mark.parametrize("name", ["Plan", "Apply"])
def test_a_map_takes_its_batches_from_s3_and_loses_none(name: str) -> None:
    found = definition()["States"][name]

    assert found["ItemReader"] == {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket.$": "$.bucket", "Key.$": "$.batches"},
    }
    assert found["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    # A batch that fails does not end the others; gate and merge miss it.
    assert found["ToleratedFailurePercentage"] == 100
    # What a batch found stands in S3: a map gathers outputs in 256 KB (Step Functions developer guide, Quotas).
    assert found["ResultPath"] is None
    assert found["ItemProcessor"]["States"][f"{name}Batch"]["OutputPath"] is None
    assert not found.keys() & {"ItemBatcher", "ResultWriter"}


@pytest.mark.parametrize("concurrency", ["1", "40"])
def test_the_batches_at_once_are_a_parameter(concurrency: str) -> None:
    run = definition(MapConcurrency=concurrency)["States"]

    assert [run[name]["MaxConcurrency"] for name in ("Plan", "Apply")] == [int(concurrency)] * 2


def test_whatever_fails_between_select_and_merge_is_reported_by_merge() -> None:
    caught = {name: one["Catch"] for name, one in definition()["States"].items() if "Catch" in one}

    # The run ID stays: the failure is put beside it.
    to_merge = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Merge"}]
    assert caught == {"Plan": to_merge, "Gate": to_merge, "Apply": to_merge}


def test_every_step_may_come_twice_but_for_the_last() -> None:
    retried = {
        name: {error for retrier in one["Retry"] for error in retrier["ErrorEquals"]} for name, one in tasks().items()
    }

    # A throttled merge was not begun; after any other failure a digest may be out.
    assert retried == {
        "Select": TRANSIENT,
        "PlanBatch": TRANSIENT,
        "Gate": TRANSIENT,
        "ApplyBatch": TRANSIENT,
        "Merge": {"Lambda.TooManyRequestsException"},
    }
    for retrier in (retrier for one in tasks().values() for retrier in one["Retry"]):
        assert (retrier["BackoffRate"], retrier["JitterStrategy"]) == (2, "FULL")


def test_a_throttled_step_waits_as_long_as_a_batch_takes() -> None:
    for name, one in tasks().items():
        [throttled] = [
            retrier for retrier in one["Retry"] if "Lambda.TooManyRequestsException" in retrier["ErrorEquals"]
        ]
        waits = [
            min(throttled["IntervalSeconds"] * throttled["BackoffRate"] ** attempt, throttled["MaxDelaySeconds"])
            for attempt in range(throttled["MaxAttempts"])
        ]

        # With full jitter a wait is half of that on average.
        assert sum(waits) / 2 >= LONGEST_FUNCTION_SECONDS / 2, name


def test_a_step_has_longer_than_its_function_and_a_run_ends_before_the_next() -> None:
    assert {one["TimeoutSeconds"] for one in tasks().values()} == {LONGEST_FUNCTION_SECONDS + 60}
    assert definition()["TimeoutSeconds"] < 86_400


def test_the_log_holds_errors_and_no_users() -> None:
    deployed = resources("central", Scale="distributed", LogRetentionDays="30")

    assert deployed["RunMachine"]["LoggingConfiguration"] == {
        "Level": "ERROR",
        "IncludeExecutionData": False,
        "Destinations": [
            {
                "CloudWatchLogsLogGroup": {
                    "LogGroupArn": f"arn:aws:logs:{REGION}:{SECURITY}:log-group:/aws/vendedlogs/states/orgmfa-run:*"
                }
            }
        ],
    }
    assert deployed["RunLog"]["RetentionInDays"] == "30"
    assert deployed["RunMachine"]["StateMachineType"] == "STANDARD"
