"""What central.yaml tells of failures: alarms, and what the dashboard draws."""

import json

import pytest

from orchestrator.domain.model import Mode, RunRequest, Trigger
from orchestrator.lambdas.runtime import NAMESPACE, SERVICE, count_metrics
from orchestrator.pipeline.context import Finished
from orchestrator.reports.build import build_report
from orchestrator.wiring import utc_now
from tests.member_role.rendering import ORGANIZATION, SECURITY
from tests.stackset.rendering import (
    EVERYTHING,
    IAM_QUEUE,
    REGION,
    alarms,
    resources,
)

pytestmark = pytest.mark.thorough


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
