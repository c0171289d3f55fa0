"""Asking IAM's simulator whether a user could enrol. moto has no simulator: the answers here are injected."""

from typing import Any

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import MemberSessions, RoleNames
from orchestrator.aws.simulator import EnrolmentSimulator
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import AccessDenied, Malformed
from orchestrator.domain.model import Access
from orchestrator.wiring import utc_now
from tests.aws_server import Answer, AwsServer, xml_error

ACCOUNT_ID = "111122223333"
USER_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/teams/alice"
DEVICE_ARN = f"arn:aws:iam::{ACCOUNT_ID}:mfa/alice"
DOCUMENT = '{"Version":"2012-10-17","Statement":[]}'


def ask(aws: AwsServer) -> str | None:
    retrier = Retrier(Cancellation(), sleep=lambda _: None)
    clients = make_clients(connections=1)
    sessions = MemberSessions(
        clients,
        retrier,
        partition="aws",
        role_names=RoleNames("orgmfa-member", "orgmfa-release", "/"),
        session_name="orgmfa-run",
        now=utc_now,
    )
    with sessions.enter(ACCOUNT_ID, Access.INSPECT):
        return EnrolmentSimulator(clients.iam, retrier, DOCUMENT).enrolment_blocker("alice", USER_ARN)


def result(action: str, resource: str, decision: str = "allowed", details: str = "") -> str:
    name = f"<EvalActionName>iam:{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>"
    return f"<member>{name}<EvalDecision>{decision}</EvalDecision>{details}</member>"


def answer_with(aws: AwsServer, *results: str) -> None:
    body = f"<EvaluationResults>{''.join(results)}</EvaluationResults><IsTruncated>false</IsTruncated>"
    wrapped = f"<SimulatePrincipalPolicyResult>{body}</SimulatePrincipalPolicyResult>"
    document = f"<SimulatePrincipalPolicyResponse>{wrapped}</SimulatePrincipalPolicyResponse>"
    aws.faults.append(lambda call: Answer(200, document) if call.action == "SimulatePrincipalPolicy" else None)


def organization(allowed: str) -> str:
    detail = f"<AllowedByOrganizations>{allowed}</AllowedByOrganizations>"
    return f"<OrganizationsDecisionDetail>{detail}</OrganizationsDecisionDetail>"


def boundary(allowed: str) -> str:
    detail = f"<AllowedByPermissionsBoundary>{allowed}</AllowedByPermissionsBoundary>"
    return f"<PermissionsBoundaryDecisionDetail>{detail}</PermissionsBoundaryDecisionDetail>"


ENABLE_OK, CREATE_OK = result("EnableMFADevice", USER_ARN), result("CreateVirtualMFADevice", DEVICE_ARN)


def test_user_is_simulated_in_the_console_without_mfa_and_with_enforce_mfa_added(aws: AwsServer) -> None:
    assert ask(aws) is None

    (call,) = [call for call in aws.calls if call.action == "SimulatePrincipalPolicy"]
    said: dict[str, Any] = call.parameters
    assert said["PolicySourceArn"] == USER_ARN
    assert said["PolicyInputList.member.1"] == DOCUMENT
    entries = {
        said[f"ContextEntries.member.{number}.ContextKeyName"]: said[
            f"ContextEntries.member.{number}.ContextKeyValues.member.1"
        ]
        for number in (1, 2, 3)
    }
    assert entries == {
        "aws:MultiFactorAuthPresent": "false",
        "aws:ViaAWSService": "false",
        "aws:username": "alice",
    }


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ((ENABLE_OK, CREATE_OK), None),
        ((result("EnableMFADevice", USER_ARN, "implicitDeny", boundary("false")), CREATE_OK), "boundary"),
        ((result("EnableMFADevice", USER_ARN, "explicitDeny", organization("false")), CREATE_OK), "SCP"),
        ((result("EnableMFADevice", USER_ARN, "explicitDeny"), CREATE_OK), "another policy"),
        ((ENABLE_OK, result("CreateVirtualMFADevice", DEVICE_ARN, "explicitDeny")), "CreateVirtualMFADevice"),
        (
            (ENABLE_OK, CREATE_OK, result("EnableMFADevice", DEVICE_ARN, "implicitDeny")),
            None,  # the simulator also tries each action on the other's resource
        ),
    ],
)
def test_obstacle_is_told_by_who_denies_what(aws: AwsServer, results: tuple[str, ...], words: str | None) -> None:
    answer_with(aws, *results)

    blocker = ask(aws)

    assert (blocker is None) == (words is None)
    assert words is None or words in (blocker or "")


def test_decisions_by_resource_are_read_too(aws: AwsServer) -> None:
    specific = (
        f"<ResourceSpecificResults><member><EvalResourceName>{USER_ARN}</EvalResourceName>"
        "<EvalResourceDecision>explicitDeny</EvalResourceDecision></member></ResourceSpecificResults>"
    )
    answer_with(aws, result("EnableMFADevice", "*", "explicitDeny", specific), CREATE_OK)

    assert "iam:EnableMFADevice" in (ask(aws) or "")


def test_answer_without_a_decision_is_an_error_and_never_a_yes(aws: AwsServer) -> None:
    answer_with(aws, CREATE_OK)

    with pytest.raises(Malformed, match="did not decide"):
        ask(aws)


def test_missing_permission_is_an_error(aws: AwsServer) -> None:
    aws.faults.append(
        lambda call: xml_error("AccessDenied", status=403) if call.action == "SimulatePrincipalPolicy" else None
    )

    with pytest.raises(AccessDenied):
        ask(aws)
