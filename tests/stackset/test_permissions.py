"""Who can do what in the security account: each row is one request, and what IAM decides about it.

The documents are those of the templates, rendered. What the program calls is compared with them in test_calls.py.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import parliament
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.rendering import MEMBER, ORGANIZATION, SECURITY
from tests.stackset.rendering import (
    BUCKET,
    EVENTS,
    EVERYTHING,
    IAM_BUS,
    MANAGEMENT,
    PATHS,
    REGION,
    TO_DELIVER_LOGS,
    permissions_of,
    resources,
)

YES, NOTHING, NO = Decision.ALLOW, Decision.IMPLICIT_DENY, Decision.EXPLICIT_DENY

OURS = {"aws:ResourceOrgID": ORGANIZATION}
THEIRS = {"aws:ResourceOrgID": "o-somebodyelse"}
BUCKET_ARN = f"arn:aws:s3:::{BUCKET}"
ARCHIVE = f"{BUCKET_ARN}/archive"
REPORT = f"{ARCHIVE}/runs/2026/03/02/20260302T120000Z-0a1b2c3d.json.gz"
SECRET = EVERYTHING["SlackSecretArn"]
KEY = EVERYTHING["KmsKeyArns"]
STOP = f"arn:aws:ssm:{REGION}:{SECURITY}:parameter/orgmfa/stop"
EVENT_RUN = f"{ARCHIVE}/event-runs/2026/03/02/20260302T120000Z-0a1b2c3d.json.gz"
ALARM = f"arn:aws:cloudwatch:{REGION}:{SECURITY}:alarm:orgmfa-iam-events-waiting"
IAM_QUEUE = f"arn:aws:sqs:{REGION}:{SECURITY}:orgmfa-iam-events"
QUEUE = f"arn:aws:sqs:{REGION}:{SECURITY}:OnboardingQueue"
LOG = f"arn:aws:logs:{REGION}:{SECURITY}:log-group:/aws/lambda/orgmfa-schedule:log-stream:2026/03/02/x"
SCHEDULE = f"arn:aws:scheduler:{REGION}:{SECURITY}:schedule/orgmfa/orgmfa-daily"
FUNCTION = f"arn:aws:lambda:{REGION}:{SECURITY}:function:orgmfa-schedule"
MAP_CHILD = f"arn:aws:lambda:{REGION}:{SECURITY}:function:orgmfa-map-child"
STATES = f"arn:aws:states:{REGION}:{SECURITY}"
MACHINE = f"{STATES}:stateMachine:orgmfa-run"
LINES = f"{ARCHIVE}/accounts/date=2026-03-02/20260302T120000Z-0a1b2c3d.jsonl.gz"
MARK = f"{ARCHIVE}/nudges/{MEMBER}/AIDAEXAMPLE/2026-03-02/first"
IDENTITY = EVERYTHING["NudgeIdentityArn"]
WORK = f"{ARCHIVE}/work/20260302T120000Z-0a1b2c3d/batches.json"
HUB = f"arn:aws:securityhub:{REGION}:{SECURITY}:hub/default"
BUS = f"arn:aws:events:{REGION}:{SECURITY}:event-bus/security"
RUN_FINISHED = {"events:source": "orgmfa", "events:detail-type": "Run Finished"}
PRODUCT = f"arn:aws:securityhub:{REGION}:{SECURITY}:product/{SECURITY}/default"
ORGANIZATIONS = f"arn:aws:organizations::{MANAGEMENT}"
CONTROL_POLICY = f"{ORGANIZATIONS}:policy/{ORGANIZATION}/service_control_policy/p-a1b2c3d4"
VIA_S3 = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}


def member(name: str, account_id: str = MEMBER) -> str:
    return f"arn:aws:iam::{account_id}:role/{name}"


# What both roles may, and what neither may.
SHARED_ROWS = [
    ("organizations:DescribeOrganization", "*", {}, YES),
    ("organizations:ListAccounts", "*", {}, YES),
    ("organizations:DescribeAccount", f"{ORGANIZATIONS}:account/{ORGANIZATION}/{MEMBER}", {}, YES),
    ("organizations:DescribeAccount", f"{ORGANIZATIONS}:account/o-somebodyelse/{MEMBER}", {}, NOTHING),
    ("organizations:ListAccountsForParent", f"{ORGANIZATIONS}:root/{ORGANIZATION}/r-ab12", {}, YES),
    ("organizations:ListAccountsForParent", f"{ORGANIZATIONS}:ou/{ORGANIZATION}/ou-ab12-11112222", {}, YES),
    ("organizations:ListOrganizationalUnitsForParent", f"{ORGANIZATIONS}:root/{ORGANIZATION}/r-ab12", {}, YES),
    ("organizations:ListRoots", "*", {}, YES),
    ("organizations:ListParents", f"{ORGANIZATIONS}:account/{ORGANIZATION}/{MEMBER}", {}, YES),
    ("organizations:ListTagsForResource", f"{ORGANIZATIONS}:account/{ORGANIZATION}/{MEMBER}", {}, YES),
    ("organizations:ListTagsForResource", f"{ORGANIZATIONS}:ou/{ORGANIZATION}/ou-ab12-11112222", {}, NOTHING),
    ("organizations:ListParents", f"{ORGANIZATIONS}:ou/{ORGANIZATION}/ou-ab12-11112222", {}, YES),
    ("organizations:ListParents", f"{ORGANIZATIONS}:ou/o-somebodyelse/ou-ab12-11112222", {}, NOTHING),
    ("organizations:DescribeOrganizationalUnit", f"{ORGANIZATIONS}:ou/{ORGANIZATION}/ou-ab12-11112222", {}, YES),
    ("organizations:AttachPolicy", CONTROL_POLICY, {}, NOTHING),
    ("organizations:MoveAccount", f"{ORGANIZATIONS}:account/{ORGANIZATION}/{MEMBER}", {}, NOTHING),
    ("organizations:PutResourcePolicy", "*", {}, NOTHING),
    # Only the role of the member accounts, and only within the organization.
    ("sts:AssumeRole", member("orgmfa-member"), OURS, YES),
    ("sts:AssumeRole", member("orgmfa-member", MANAGEMENT), OURS, YES),
    ("sts:AssumeRole", member("orgmfa-member"), THEIRS, NOTHING),
    ("sts:AssumeRole", member("orgmfa-member"), {}, NOTHING),
    ("sts:AssumeRole", member("path/orgmfa-member"), OURS, NOTHING),
    ("sts:AssumeRole", member("orgmfa-member2"), OURS, NOTHING),
    ("sts:AssumeRole", member("OrganizationAccountAccessRole"), OURS, NOTHING),
    ("sts:AssumeRole", member("AWSCloudFormationStackSetExecutionRole"), OURS, NOTHING),
    # Only its own part of the bucket.
    ("s3:GetObject", REPORT, {}, YES),
    ("s3:PutObject", REPORT, {}, YES),
    ("s3:DeleteObject", REPORT, {}, YES),
    ("s3:GetObject", EVENT_RUN, {}, YES),
    ("s3:DeleteObjectVersion", EVENT_RUN, {}, NOTHING),
    ("s3:ListBucket", BUCKET_ARN, {"s3:prefix": "archive/event-runs/2026/"}, YES),
    ("s3:PutObject", f"{ARCHIVE}/locks/run", {}, YES),
    ("s3:DeleteObject", f"{ARCHIVE}/locks/run", {}, NOTHING),
    ("s3:GetObject", f"{ARCHIVE}/releases/20260302T120000Z-0a1b2c3d.json", {}, YES),
    ("s3:DeleteObject", f"{ARCHIVE}/releases/20260302T120000Z-0a1b2c3d.json", {}, NOTHING),
    ("s3:DeleteObjectVersion", REPORT, {}, NOTHING),
    ("s3:PutObject", MARK, {}, YES),
    ("s3:GetObject", MARK, {}, YES),
    ("s3:DeleteObject", MARK, {}, YES),
    ("s3:DeleteObjectVersion", MARK, {}, NOTHING),
    ("s3:ListBucket", BUCKET_ARN, {"s3:prefix": "archive/nudges/"}, YES),
    ("s3:PutObject", f"{ARCHIVE}/other", {}, NOTHING),
    ("s3:PutObject", f"{BUCKET_ARN}/runs/x", {}, NOTHING),
    ("s3:GetObject", f"{BUCKET_ARN}/artifacts/orgmfa-0123.zip", {}, NOTHING),
    ("s3:PutObject", f"{BUCKET_ARN}/artifacts/orgmfa-0123.zip", {}, NOTHING),
    ("s3:PutObject", "arn:aws:s3:::another-bucket/archive/runs/x", {}, NOTHING),
    ("s3:ListBucket", BUCKET_ARN, {"s3:prefix": "archive/runs/"}, YES),
    ("s3:ListBucket", BUCKET_ARN, {"s3:prefix": "archive/accounts/"}, YES),
    ("s3:PutObject", LINES, {}, YES),
    ("s3:DeleteObject", LINES, {}, YES),
    ("s3:DeleteObjectVersion", LINES, {}, NOTHING),
    ("s3:GetObject", LINES, {}, NOTHING),
    ("s3:ListBucket", BUCKET_ARN, {"s3:prefix": "archive/events/onboarding/"}, YES),
    ("s3:ListBucket", BUCKET_ARN, {"s3:prefix": "archive/work/20260302T120000Z-0a1b2c3d/"}, YES),
    ("s3:DeleteObject", WORK, {}, YES),
    ("s3:DeleteObjectVersion", WORK, {}, NOTHING),
    ("s3:ListBucket", BUCKET_ARN, {"s3:prefix": "artifacts/"}, NOTHING),
    ("s3:ListBucket", BUCKET_ARN, {"s3:prefix": ""}, NOTHING),
    ("s3:ListBucket", BUCKET_ARN, {}, NOTHING),
    ("s3:PutBucketPolicy", BUCKET_ARN, {}, NOTHING),
    ("s3:PutLifecycleConfiguration", BUCKET_ARN, {}, NOTHING),
    # One secret, one parameter, the keys of both.
    ("secretsmanager:GetSecretValue", SECRET, {}, YES),
    ("secretsmanager:GetSecretValue", SECRET.replace("slack", "other"), {}, NOTHING),
    ("secretsmanager:PutSecretValue", SECRET, {}, NOTHING),
    ("ssm:GetParameter", STOP, {}, YES),
    ("ssm:GetParameter", STOP.replace("stop", "other"), {}, NOTHING),
    ("ssm:DeleteParameter", STOP, {}, NOTHING),
    ("kms:Decrypt", KEY, VIA_S3, YES),
    ("kms:GenerateDataKey", KEY, VIA_S3, YES),
    ("kms:Decrypt", KEY, {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}, YES),
    ("kms:Decrypt", KEY, {}, NOTHING),
    ("kms:Decrypt", KEY.replace("0f1e", "ffff"), VIA_S3, NOTHING),
    # Messages from the one identity, and nothing else of Amazon SES.
    ("ses:SendEmail", IDENTITY, {}, YES),
    ("ses:SendEmail", IDENTITY.replace("acme", "other"), {}, NOTHING),
    ("ses:SendRawEmail", IDENTITY, {}, NOTHING),
    ("ses:SendBulkEmail", IDENTITY, {}, NOTHING),
    ("ses:CreateEmailIdentity", IDENTITY, {}, NOTHING),
    # Findings of this account alone, and of no other product.
    ("securityhub:BatchImportFindings", PRODUCT, {}, YES),
    ("securityhub:BatchImportFindings", PRODUCT.replace("/default", "/other"), {}, NOTHING),
    ("securityhub:BatchUpdateFindings", PRODUCT, {}, NOTHING),
    # The event of a run alone, on one bus.
    ("events:PutEvents", BUS, RUN_FINISHED, YES),
    ("events:PutEvents", BUS, RUN_FINISHED | {"events:source": "payments"}, NOTHING),
    ("events:PutEvents", BUS, RUN_FINISHED | {"events:detail-type": "Invoice Paid"}, NOTHING),
    ("events:PutEvents", BUS, {}, NOTHING),
    ("events:PutEvents", BUS.replace("security", "default"), RUN_FINISHED, NOTHING),
    ("events:DescribeEventBus", BUS, {}, YES),
    ("events:DescribeEventBus", BUS.replace("security", "default"), {}, NOTHING),
    ("events:PutRule", BUS, {}, NOTHING),
    # Nothing that would change what runs, or what either role may.
    ("lambda:UpdateFunctionCode", FUNCTION, {}, NOTHING),
    ("lambda:UpdateFunctionConfiguration", FUNCTION, {}, NOTHING),
    ("lambda:InvokeFunction", FUNCTION, {}, NOTHING),
    ("lambda:InvokeFunction", MAP_CHILD, {}, NOTHING),
    ("states:StartExecution", MACHINE, {}, NOTHING),
    ("states:StopExecution", f"{STATES}:execution:orgmfa-run:x", {}, NOTHING),
    ("states:UpdateStateMachine", MACHINE, {}, NOTHING),
    ("scheduler:UpdateSchedule", SCHEDULE, {}, NOTHING),
    ("iam:PutRolePolicy", f"arn:aws:iam::{SECURITY}:role/orgmfa-orchestrator", {}, NOTHING),
    ("iam:UpdateAssumeRolePolicy", f"arn:aws:iam::{SECURITY}:role/orgmfa-operator", {}, NOTHING),
    ("iam:PassRole", f"arn:aws:iam::{SECURITY}:role/orgmfa-orchestrator", {}, NOTHING),
    ("iam:CreateUser", f"arn:aws:iam::{SECURITY}:user/mallory", {}, NOTHING),
    ("cloudformation:UpdateStackSet", "*", {}, NOTHING),
    ("logs:DeleteLogGroup", LOG, {}, NOTHING),
]
ORCHESTRATOR_ROWS = [
    # A thief of the Lambda function cannot undo enforcement, nor keep users from it.
    ("sts:AssumeRole", member("orgmfa-release"), OURS, NOTHING),
    ("s3:PutObject", f"{ARCHIVE}/releases/20260302T120000Z-0a1b2c3d.json", {}, NOTHING),
    ("ssm:PutParameter", STOP, {}, NOTHING),
    ("s3:PutObject", f"{ARCHIVE}/events/schedule-2026-03-02T12_00_00Z", {}, YES),
    ("s3:GetObject", f"{ARCHIVE}/events/schedule-2026-03-02T12_00_00Z", {}, YES),
    ("s3:PutObject", f"{ARCHIVE}/probe/x", {}, NOTHING),
    ("s3:GetObject", WORK, {}, YES),
    ("s3:PutObject", WORK, {}, YES),
    ("sqs:ReceiveMessage", QUEUE, {}, YES),
    ("sqs:DeleteMessage", QUEUE, {}, YES),
    ("sqs:GetQueueAttributes", QUEUE, {}, YES),
    ("sqs:SendMessage", QUEUE, {}, NOTHING),
    ("sqs:PurgeQueue", QUEUE, {}, NOTHING),
    ("sqs:ChangeMessageVisibility", QUEUE, {}, NOTHING),
    # The queue of IAM events, to which this account's rule sends.
    ("s3:PutObject", EVENT_RUN, {}, YES),
    ("s3:DeleteObject", EVENT_RUN, {}, YES),
    ("sqs:ReceiveMessage", IAM_QUEUE, {}, YES),
    ("sqs:DeleteMessage", IAM_QUEUE, {}, YES),
    ("sqs:GetQueueAttributes", IAM_QUEUE, {}, YES),
    ("sqs:ChangeMessageVisibility", IAM_QUEUE, {}, YES),
    ("sqs:SendMessage", IAM_QUEUE, {}, NOTHING),
    ("sqs:SetQueueAttributes", IAM_QUEUE, {}, NOTHING),
    ("sqs:PurgeQueue", IAM_QUEUE, {}, NOTHING),
    ("sqs:ReceiveMessage", f"{IAM_QUEUE}-dead-letters", {}, NOTHING),
    ("events:PutEvents", IAM_BUS, {"events:source": "aws.iam"}, NOTHING),
    ("events:PutPermission", IAM_BUS, {}, NOTHING),
    ("logs:PutLogEvents", LOG.replace("schedule", "iam-events"), {}, YES),
    ("sqs:ReceiveMessage", QUEUE.replace("Queue", "DeadLetters"), {}, NOTHING),
    ("logs:PutLogEvents", LOG, {}, YES),
    ("logs:PutLogEvents", LOG.replace("schedule", "onboarding"), {}, YES),
    ("logs:PutLogEvents", LOG.replace("schedule", "map-steps"), {}, YES),
    ("logs:PutLogEvents", LOG.replace("schedule", "map-child"), {}, YES),
    ("logs:PutLogEvents", LOG.replace("lambda/orgmfa-schedule", "vendedlogs/states/orgmfa-run"), {}, NOTHING),
    ("logs:PutLogEvents", LOG.replace("orgmfa-schedule", "another"), {}, NOTHING),
    ("logs:CreateLogGroup", LOG, {}, NOTHING),
    ("scheduler:GetSchedule", SCHEDULE, {}, NOTHING),
    ("securityhub:DescribeHub", HUB, {}, NOTHING),
    ("ses:GetAccount", "*", {}, NOTHING),
    ("signin:GetConsoleAuthorizationConfiguration", "*", {}, NOTHING),
    ("organizations:ListPolicies", "*", {}, NOTHING),
]
OPERATOR_ROWS = [
    ("sts:AssumeRole", member("orgmfa-release"), OURS, YES),
    ("sts:AssumeRole", member("orgmfa-release"), THEIRS, NOTHING),
    ("s3:PutObject", f"{ARCHIVE}/releases/20260302T120000Z-0a1b2c3d.json", {}, YES),
    ("s3:PutObject", f"{ARCHIVE}/events/schedule-2026-03-02T12_00_00Z", {}, NOTHING),
    ("s3:GetObject", f"{ARCHIVE}/events/schedule-2026-03-02T12_00_00Z", {}, NOTHING),
    ("s3:PutObject", f"{ARCHIVE}/probe/x", {}, YES),
    ("s3:GetObject", f"{ARCHIVE}/probe/x", {}, YES),
    ("s3:DeleteObject", f"{ARCHIVE}/probe/x", {}, YES),
    ("s3:GetObject", WORK, {}, NOTHING),
    ("s3:PutObject", WORK, {}, NOTHING),
    ("ssm:PutParameter", STOP, {}, YES),
    ("ssm:PutParameter", STOP.replace("stop", "other"), {}, NOTHING),
    ("scheduler:GetSchedule", SCHEDULE, {}, YES),
    ("scheduler:GetSchedule", SCHEDULE.replace("schedule/orgmfa", "schedule/default"), {}, NOTHING),
    ("lambda:GetFunctionConfiguration", FUNCTION, {}, YES),
    ("lambda:GetFunctionConfiguration", FUNCTION.replace("orgmfa-schedule", "another"), {}, NOTHING),
    ("securityhub:DescribeHub", HUB, {}, YES),
    ("ses:GetAccount", "*", {}, YES),
    ("ses:PutAccountDetails", "*", {}, NOTHING),
    ("signin:GetConsoleAuthorizationConfiguration", "*", {}, YES),
    ("signin:PutConsoleAuthorizationConfiguration", "*", {}, NOTHING),
    ("organizations:ListPolicies", "*", {}, YES),
    ("organizations:DescribePolicy", CONTROL_POLICY, {}, YES),
    ("organizations:ListTargetsForPolicy", CONTROL_POLICY, {}, YES),
    ("organizations:DescribePolicy", CONTROL_POLICY.replace("service_control", "tag"), {}, NOTHING),
    ("events:DescribeEventBus", IAM_BUS, {}, YES),
    ("events:DescribeEventBus", IAM_BUS.removesuffix("-iam"), {}, NOTHING),
    ("cloudwatch:DescribeAlarms", ALARM, {}, YES),
    ("cloudwatch:DescribeAlarms", ALARM.replace("iam-events", "run"), {}, NOTHING),
    ("cloudwatch:SetAlarmState", ALARM, {}, NOTHING),
    ("s3:PutObject", EVENT_RUN, {}, NOTHING),
    ("s3:DeleteObject", EVENT_RUN, {}, NOTHING),
    ("sqs:ReceiveMessage", QUEUE, {}, NOTHING),
    ("sqs:ReceiveMessage", IAM_QUEUE, {}, NOTHING),
    ("sqs:PurgeQueue", IAM_QUEUE, {}, NOTHING),
    ("events:PutEvents", IAM_BUS, {"events:source": "aws.iam"}, NOTHING),
    ("logs:PutLogEvents", LOG, {}, NOTHING),
]

# What Step Functions does in the name of the state machine.
MACHINE_ROWS = [
    ("lambda:InvokeFunction", MAP_CHILD, {}, YES),
    ("lambda:InvokeFunction", MAP_CHILD.replace("child", "steps"), {}, YES),
    ("lambda:InvokeFunction", FUNCTION, {}, NOTHING),
    ("lambda:InvokeAsync", MAP_CHILD, {}, NOTHING),
    ("s3:GetObject", WORK, {}, YES),
    ("s3:GetObject", REPORT, {}, NOTHING),
    ("s3:GetObject", WORK.replace(BUCKET, "another-bucket"), {}, NOTHING),
    ("s3:PutObject", WORK, {}, NOTHING),
    ("s3:ListBucket", BUCKET_ARN, {"s3:prefix": "archive/work/"}, NOTHING),
    # A batch is an execution of the same machine, its ARN with the label of the map.
    ("states:StartExecution", MACHINE, {}, YES),
    ("states:StartExecution", MACHINE.replace("orgmfa-run", "another"), {}, NOTHING),
    ("states:StartExecution", f"{MACHINE}-2", {}, NOTHING),
    ("states:DescribeExecution", f"{STATES}:execution:orgmfa-run/plan:0a1b", {}, YES),
    ("states:StopExecution", f"{STATES}:execution:orgmfa-run/plan:0a1b", {}, YES),
    ("states:StopExecution", f"{STATES}:execution:orgmfa-run:0a1b", {}, YES),
    ("states:StopExecution", f"{STATES}:execution:orgmfa-run-2:0a1b", {}, NOTHING),
    ("states:RedriveExecution", f"{STATES}:execution:orgmfa-run/plan:0a1b", {}, NOTHING),
    ("states:UpdateStateMachine", MACHINE, {}, NOTHING),
    ("kms:Decrypt", KEY, VIA_S3, YES),
    ("kms:Decrypt", KEY, {}, NOTHING),
    ("kms:Decrypt", KEY, {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}, NOTHING),
    ("kms:GenerateDataKey", KEY, VIA_S3, NOTHING),
    ("logs:CreateLogDelivery", "*", {}, YES),
    ("logs:PutLogEvents", LOG, {}, NOTHING),
    ("logs:GetLogEvents", LOG, {}, NOTHING),
    ("sts:AssumeRole", member("orgmfa-member"), OURS, NOTHING),
    ("iam:PassRole", f"arn:aws:iam::{SECURITY}:role/orgmfa-orchestrator", {}, NOTHING),
]


@pytest.mark.parametrize(
    ("role", "action", "resource", "context", "expected"),
    [
        *(("OrchestratorRole", *row) for row in SHARED_ROWS + ORCHESTRATOR_ROWS),
        *(("OperatorRole", *row) for row in SHARED_ROWS + OPERATOR_ROWS),
        *(("RunMachineRole", *row) for row in MACHINE_ROWS),
    ],
)
def test_holder_of_a_role(role: str, action: str, resource: str, context: dict[str, str], expected: Decision) -> None:
    assert decide(Request(action, resource, context), permissions_of(role, **EVERYTHING)) == expected


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (
            "OrchestratorRole",
            {
                "logs:CreateLogStream",
                "logs:PutLogEvents",
                "organizations:DescribeAccount",
                "organizations:DescribeOrganization",
                "organizations:DescribeOrganizationalUnit",
                "organizations:ListAccounts",
                "organizations:ListAccountsForParent",
                "organizations:ListOrganizationalUnitsForParent",
                "organizations:ListParents",
                "organizations:ListRoots",
                "organizations:ListTagsForResource",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:ListBucket",
                "s3:PutObject",
                "ssm:GetParameter",
                "sts:AssumeRole",
            },
        ),
        (
            "OperatorRole",
            {
                "lambda:GetFunctionConfiguration",
                "organizations:DescribeAccount",
                "organizations:DescribeOrganization",
                "organizations:DescribeOrganizationalUnit",
                "organizations:DescribePolicy",
                "organizations:ListAccounts",
                "organizations:ListAccountsForParent",
                "organizations:ListOrganizationalUnitsForParent",
                "organizations:ListParents",
                "organizations:ListPolicies",
                "organizations:ListRoots",
                "organizations:ListTagsForResource",
                "organizations:ListTargetsForPolicy",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:ListBucket",
                "s3:PutObject",
                "scheduler:GetSchedule",
                "securityhub:DescribeHub",
                "ses:GetAccount",
                "signin:GetConsoleAuthorizationConfiguration",
                "ssm:GetParameter",
                "ssm:PutParameter",
                "sts:AssumeRole",
            },
        ),
    ],
)
def test_a_role_has_these_permissions_and_no_more(role: str, expected: set[str]) -> None:
    operators = {"OperatorPrincipalArns": EVERYTHING["OperatorPrincipalArns"]}

    assert set(actions(*permissions_of(role, **operators))) == expected


def test_the_state_machine_has_these_permissions_and_no_more() -> None:
    without_keys = permissions_of("RunMachineRole", Scale="distributed")

    assert set(actions(*without_keys)) == {
        *TO_DELIVER_LOGS,
        "lambda:InvokeFunction",
        "s3:GetObject",
        "states:DescribeExecution",
        "states:StartExecution",
        "states:StopExecution",
    }


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("lambda", {("lambda:InvokeFunction", FUNCTION)}),
        ("distributed", {("states:StartExecution", MACHINE)}),
    ],
)
def test_the_scheduler_may_start_what_the_schedule_starts_alone(scale: str, expected: set[tuple[str, str]]) -> None:
    [document] = permissions_of("SchedulerRole", Scale=scale)

    assert {(one["Action"], one["Resource"]) for one in document["Statement"]} == expected
    assert resources("central", Scale=scale)["DailySchedule"]["Target"]["Arn"] in {arn for _, arn in expected}


def test_the_work_of_a_distributed_run_is_out_of_reach_until_there_is_one() -> None:
    for role in ("OrchestratorRole", "OperatorRole"):
        documents_of_role = permissions_of(role, **EVERYTHING | {"Scale": "lambda", "ChildReservedConcurrency": ""})

        assert decide(Request("s3:GetObject", WORK), documents_of_role) == NOTHING


def test_optional_parts_bring_their_permissions_along() -> None:
    by_default, all_parts = (set(actions(*permissions_of("OrchestratorRole", **one))) for one in ({}, EVERYTHING))

    assert all_parts - by_default == {
        "events:DescribeEventBus",
        "events:PutEvents",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "secretsmanager:GetSecretValue",
        "securityhub:BatchImportFindings",
        "sqs:ChangeMessageVisibility",
        "ses:SendEmail",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
    }
    assert by_default <= all_parts


def test_other_names_of_the_member_roles_take_the_place_of_the_default_ones() -> None:
    named = permissions_of(
        "OperatorRole", **EVERYTHING, RoleName="mfa-in", ReleaseRoleName="mfa-out", RolePath="/security/"
    )

    def may_assume(name: str) -> bool:
        return decide(Request("sts:AssumeRole", member(name), OURS), named) == YES

    assert may_assume("security/mfa-in")
    assert may_assume("security/mfa-out")
    assert not may_assume("mfa-in")
    assert not may_assume("orgmfa-member")


# -- who becomes the operator -----------------------------------------------------------------------------------------

TEAM, SSO = f"arn:aws:iam::{SECURITY}:role/security-team", "role/aws-reserved/sso.amazonaws.com/eu-central-1"
SSO_ROLE = f"arn:aws:iam::{SECURITY}:{SSO}/AWSReservedSSO_Security_{'?' * 16}"
WITH_MFA, WITHOUT_MFA = {"aws:MultiFactorAuthPresent": "true"}, {"aws:MultiFactorAuthPresent": "false"}


@pytest.mark.parametrize(
    ("named", "require_mfa", "caller", "session", "expected"),
    [
        (f"{TEAM},{SSO_ROLE}", "true", TEAM, WITH_MFA, YES),
        (f"{TEAM},{SSO_ROLE}", "true", TEAM, WITHOUT_MFA, NOTHING),
        # What the sessions of roles, and so of Identity Center, are like.
        (f"{TEAM},{SSO_ROLE}", "true", TEAM, {}, NOTHING),
        (f"{TEAM},{SSO_ROLE}", "false", TEAM, {}, YES),
        (f"{TEAM},{SSO_ROLE}", "false", SSO_ROLE.replace("?" * 16, "0a1b2c3d4e5f6071"), {}, YES),
        (f"{TEAM},{SSO_ROLE}", "false", SSO_ROLE.replace("Security_" + "?" * 16, "Billing_0a1b2c3d"), {}, NOTHING),
        (TEAM, "false", f"{TEAM}-2", {}, NOTHING),
        (TEAM, "false", f"arn:aws:iam::{SECURITY}:role/orgmfa-orchestrator", {}, NOTHING),
        (TEAM, "false", f"arn:aws:iam::{SECURITY}:user/mallory", {}, NOTHING),
        (TEAM, "false", f"arn:aws:iam::{SECURITY}:root", {}, NOTHING),
        (TEAM, "false", TEAM.replace(SECURITY, MEMBER), {}, NOTHING),
    ],
)
def test_caller_becomes_the_operator(
    named: str, require_mfa: str, caller: str, session: dict[str, str], expected: Decision
) -> None:
    role = resources("central", OperatorPrincipalArns=named, RequireMfa=require_mfa)["OperatorRole"]
    request = Request("sts:AssumeRole", "*", {"aws:PrincipalArn": caller, **session})

    assert decide(request, [role["AssumeRolePolicyDocument"]]) == expected


@pytest.mark.parametrize("action", ["sts:SetSourceIdentity", "sts:TagSession"])
@pytest.mark.parametrize(("allows", "expected"), [("false", NOTHING), ("true", YES)])
def test_session_of_the_operator_keeps_its_context_only_where_that_is_switched_on(
    action: str, allows: str, expected: Decision
) -> None:
    given = {"OperatorPrincipalArns": TEAM, "RequireMfa": "true", "AllowSessionContext": allows}
    deployed = resources("central", **(EVERYTHING | given))
    trust = [deployed["OperatorRole"]["AssumeRolePolicyDocument"]]

    def on_role(name: str, role: str, context: dict[str, str]) -> Decision:
        documents = [policy["PolicyDocument"] for policy in deployed[name]["Policies"]]
        return decide(Request(action, member(role), context), documents)

    becoming = [
        decide(Request(action, "*", {"aws:PrincipalArn": TEAM} | mfa), trust) for mfa in (WITH_MFA, WITHOUT_MFA)
    ]
    assert becoming == [expected, NOTHING]
    assert [on_role("OperatorRole", role, OURS) for role in ("orgmfa-member", "orgmfa-release")] == [expected, expected]
    assert on_role("OperatorRole", "orgmfa-member", THEIRS) == NOTHING
    assert on_role("OperatorRole", "any", OURS) == NOTHING
    # A function's own session has neither: its role is never given them.
    assert on_role("OrchestratorRole", "orgmfa-member", OURS) == NOTHING


@given(
    name=st.from_regex(r"[A-Za-z0-9+=,.@_-]{0,23}", fullmatch=True),
    suffix=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    behind=st.booleans(),
)
def test_other_permission_set_of_identity_center_is_not_let_in(name: str, suffix: str, *, behind: bool) -> None:
    permission_set = f"Security_{name}" if behind else name
    assume(permission_set != "Security")
    caller = SSO_ROLE.replace("Security_" + "?" * 16, f"{permission_set}_{suffix}")
    role = resources("central", OperatorPrincipalArns=SSO_ROLE, RequireMfa="false")["OperatorRole"]
    request = Request("sts:AssumeRole", "*", {"aws:PrincipalArn": caller})

    assert decide(request, [role["AssumeRolePolicyDocument"]]) == NOTHING


def test_without_named_principals_there_is_no_operator() -> None:
    assert "OperatorRole" not in resources("central")


def test_services_assume_their_own_role_alone() -> None:
    deployed = resources("central", **EVERYTHING) | resources(
        "management", Forwarder="on", EventBusArn=f"arn:aws:events:{REGION}:{SECURITY}:event-bus/orgmfa"
    )
    deployed |= resources(EVENTS, AccountId=MEMBER, Region="us-east-1")
    trusts = {
        name: [(one["Principal"]["Service"], one.get("Condition")) for one in document["Statement"]]
        for name in ("OrchestratorRole", "SchedulerRole", "RunMachineRole", "ForwarderRole", "EventsRole")
        for document in [deployed[name]["AssumeRolePolicyDocument"]]
    }

    group = f"arn:aws:scheduler:{REGION}:{SECURITY}:schedule-group/orgmfa"
    ours = {"aws:SourceAccount": SECURITY}
    rule = f"arn:aws:events:us-east-1:{MEMBER}:rule/orgmfa-iam-events"
    assert trusts == {
        "OrchestratorRole": [("lambda.amazonaws.com", None)],
        "SchedulerRole": [
            ("scheduler.amazonaws.com", {"StringEquals": ours, "ArnEquals": {"aws:SourceArn": group}}),
        ],
        "RunMachineRole": [
            ("states.amazonaws.com", {"StringEquals": ours, "ArnLike": {"aws:SourceArn": f"{STATES}:*"}}),
        ],
        "ForwarderRole": [("events.amazonaws.com", {"StringEquals": ours})],
        "EventsRole": [
            (
                "events.amazonaws.com",
                {"StringEquals": {"aws:SourceAccount": MEMBER}, "ArnEquals": {"aws:SourceArn": rule}},
            ),
        ],
    }


# -- resource policies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account_id", "action", "expected"),
    [
        (MANAGEMENT, "events:PutEvents", YES),
        (MANAGEMENT, "events:PutRule", NOTHING),
        (MEMBER, "events:PutEvents", NOTHING),
        (SECURITY, "events:PutEvents", NOTHING),
    ],
)
def test_the_bus_hears_the_management_account_alone(account_id: str, action: str, expected: Decision) -> None:
    deployed = resources("central", **EVERYTHING)
    bus = f"arn:aws:events:{REGION}:{SECURITY}:event-bus/orgmfa"
    document = {"Version": "2012-10-17", "Statement": deployed["ForwarderEventBusPolicy"]["Statement"]}
    caller = {"aws:PrincipalArn": f"arn:aws:iam::{account_id}:role/any"}

    assert decide(Request(action, bus, caller), [document]) == expected


IAM_EVENT: dict[str, str | tuple[str, ...]] = {
    "aws:PrincipalOrgID": ORGANIZATION,
    "events:source": ("aws.iam",),
    "events:detail-type": "AWS API Call via CloudTrail",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, YES),
        ({"events:source": "aws.iam"}, YES),
        ({"aws:PrincipalOrgID": "o-somebodyelse"}, NOTHING),
        ({"aws:PrincipalOrgID": f"{ORGANIZATION}x"}, NOTHING),
        ({"aws:PrincipalOrgID": ()}, NOTHING),
        ({"events:source": ("aws.s3",)}, NOTHING),
        ({"events:source": ("aws.iam", "aws.s3")}, NOTHING),
        ({"events:source": ("aws.iam.custom",)}, NOTHING),
        ({"events:source": ()}, NOTHING),
        ({"events:detail-type": "AWS Service Event via CloudTrail"}, NOTHING),
        ({"events:detail-type": "AWS Console Sign In via CloudTrail"}, NOTHING),
        ({"events:detail-type": ()}, NOTHING),
    ],
)
@pytest.mark.parametrize("account_id", [MEMBER, MANAGEMENT])
def test_bus_of_iam_events_takes_from_the_organization_and_iam_alone(
    account_id: str, change: dict[str, Any], expected: Decision
) -> None:
    statement = resources("central", **EVERYTHING)["IamEventBusPolicy"]["Statement"]
    document = {"Version": "2012-10-17", "Statement": statement}
    context = IAM_EVENT | {"aws:PrincipalArn": f"arn:aws:iam::{account_id}:role/orgmfa-events"} | change

    def ask(action: str, bus: str = IAM_BUS) -> Decision:
        return decide(Request(action, bus, context), [document])

    assert ask("events:PutEvents") == expected
    assert {ask(action) for action in ("events:PutRule", "events:PutTargets", "events:DeleteEventBus")} == {NOTHING}
    assert ask("events:PutEvents", IAM_BUS.removesuffix("-iam")) == NOTHING


def test_role_of_the_events_may_send_to_the_one_bus_alone() -> None:
    [policy] = resources(EVENTS)["EventsRole"]["Policies"]

    assert decide(Request("events:PutEvents", IAM_BUS), [policy["PolicyDocument"]]) == YES
    for bus in (IAM_BUS.removesuffix("-iam"), IAM_BUS.replace(SECURITY, MEMBER), IAM_BUS.replace(REGION, "us-east-1")):
        assert decide(Request("events:PutEvents", bus), [policy["PolicyDocument"]]) == NOTHING
    assert list(actions(policy["PolicyDocument"])) == ["events:PutEvents"]


def test_queue_of_iam_events_takes_from_our_rule_alone() -> None:
    [statement] = resources("central", IamEvents="on")["IamEventsQueuePolicy"]["PolicyDocument"]["Statement"]

    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert (statement["Action"], statement["Resource"]) == ("sqs:SendMessage", IAM_QUEUE)
    assert statement["Condition"] == {
        "ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{SECURITY}:rule/IamEventsRule"}
    }


def test_the_bucket_is_for_its_own_account_until_the_management_account_is_named() -> None:
    [by_default] = resources("bootstrap")["BucketPolicy"]["PolicyDocument"]["Statement"]
    _, reads = resources("bootstrap", ManagementAccountId=MANAGEMENT)["BucketPolicy"]["PolicyDocument"]["Statement"]

    def may(action: str, key: str, account_id: str = MANAGEMENT) -> bool:
        caller = {"aws:PrincipalArn": f"arn:aws:iam::{account_id}:role/any"}
        document = {"Version": "2012-10-17", "Statement": [reads]}
        return decide(Request(action, f"arn:aws:s3:::Bucket/{key}", caller), [document]) == YES

    assert by_default["Effect"] == "Deny"
    assert may("s3:GetObject", "artifacts/member-0123.yaml")
    assert not may("s3:PutObject", "artifacts/member-0123.yaml")
    assert not may("s3:GetObject", "archive/runs/x")
    assert not may("s3:GetObject", "artifacts/member-0123.yaml", MEMBER)


def test_the_bucket_refuses_calls_without_tls() -> None:
    [deny] = resources("bootstrap")["BucketPolicy"]["PolicyDocument"]["Statement"]

    assert deny["Principal"] == "*"
    assert deny["Action"] == "s3:*"
    assert deny["Resource"] == ["arn:aws:s3:::Bucket", "arn:aws:s3:::Bucket/*"]
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("parts", "rules"),
    [
        ({}, ["StackSetRule"]),
        ({"ControlTower": "on"}, ["StackSetRule", "NewAccountRule"]),
        ({"ForwarderBus": "on", "ManagementAccountId": MANAGEMENT}, ["StackSetRule", "ForwardedStackSetRule"]),
        (
            {"ControlTower": "on", "ForwarderBus": "on", "ManagementAccountId": MANAGEMENT},
            ["StackSetRule", "NewAccountRule", "ForwardedStackSetRule", "ForwardedNewAccountRule"],
        ),
    ],
)
def test_the_queue_takes_from_our_rules_alone(parts: dict[str, str], rules: list[str]) -> None:
    deployed = resources("central", Onboarding="on", **parts)
    [statement] = deployed["OnboardingQueuePolicy"]["PolicyDocument"]["Statement"]

    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == QUEUE
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"] == [
        f"arn:aws:events:{REGION}:{SECURITY}:rule/{rule}" for rule in rules
    ]
    assert {name for name in deployed if name.endswith("Rule")} == set(rules)


# -- every document ---------------------------------------------------------------------------------------------------

# Everything that parliament says, and why it stays.
EXPLAINED = {
    (
        "MALFORMED",
        "Statement contains neither Resource nor NotResource",
    ): "a trust policy has none: the role that it stands in is the resource",
    (
        "RESOURCE_MISMATCH",
        "[{'action': 'states:DescribeExecution', 'required_format': 'arn:*:states:*:*:express:*:*:*'}]",
    ): "its table knows the executions of Express machines alone; these are Standard",
}
TRUST_POLICIES = {
    "central OperatorRole",
    "central OrchestratorRole",
    "central RunMachineRole",
    "central SchedulerRole",
    "events EventsRole",
    "management ForwarderRole",
}


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every policy document of every template with all its parts, and where it stands."""
    bus = f"arn:aws:events:{REGION}:{SECURITY}:event-bus/orgmfa"
    parts: dict[str, dict[str, str]] = {
        "bootstrap": {"ManagementAccountId": MANAGEMENT, "KmsKeyArn": KEY},
        "central": EVERYTHING,
        "events": {},
        "management": {"Forwarder": "on", "ControlTower": "on", "EventBusArn": bus},
        "stackset": {},
    }
    for name, parameters in parts.items():
        for logical_id, properties in resources(name, **parameters).items():
            for document in policies_in(properties):
                yield f"{name} {logical_id}", document


def policies_in(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "Statement" in node and "Version" not in node:
            yield {"Version": "2012-10-17", "Statement": [node["Statement"]]}
        elif "Statement" in node:
            yield node
        else:
            for value in node.values():
                yield from policies_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from policies_in(value)


def actions(*found: dict[str, Any]) -> Iterator[str]:
    for document in found:
        for statement in document["Statement"]:
            listed = statement["Action"]
            yield from listed if isinstance(listed, list) else [listed]


def test_the_policy_linter_finds_only_what_is_explained() -> None:
    # The sign-in service is newer than parliament's list of services.
    findings = [
        (where, (finding.issue, str(finding.detail)))
        for where, document in documents()
        for finding in parliament.analyze_policy_string(json.dumps(document)).findings
        if "Unknown action signin:" not in str(finding.detail)
    ]

    assert [(where, finding) for where, finding in findings if finding not in EXPLAINED] == []
    assert {where for where, _ in findings} == TRUST_POLICIES


@pytest.mark.parametrize("role", ["OrchestratorRole", "OperatorRole"])
def test_the_permissions_fit_into_a_role(role: str) -> None:
    long = {"CodeBucket": "b" * 63, "RolePath": "/" + "p" * 64 + "/", "StopParameterName": "/" + "s" * 64}
    found = permissions_of(role, **EVERYTHING | long)

    # IAM user guide, IAM and STS quotas: all inline policies of a role together.
    assert sum(len(json.dumps(document, separators=(",", ":"))) for document in found) <= 10_240


def test_no_template_holds_an_account_id() -> None:
    for name, path in PATHS.items():
        assert not re.search(r"[0-9]{12}", path.read_text("utf-8")), name


def test_no_document_allows_a_wildcard_action() -> None:
    allowing = [
        (where, action)
        for where, document in documents()
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for action in actions({"Statement": [statement]})
        if "*" in action
    ]

    assert allowing == []
