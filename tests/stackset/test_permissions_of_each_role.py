"""What each role of central.yaml may do and no more, and what its parameters change about that."""

import pytest

from tests.iam_evaluator import Request, decide
from tests.stackset.permission_samples import FUNCTION, MACHINE, NOTHING, OURS, WORK, YES, actions, member
from tests.stackset.rendering import EVERYTHING, TO_DELIVER_LOGS, permissions_of, resources


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
