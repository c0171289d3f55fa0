"""Who becomes the operator, and which service assumes which role."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.rendering import MEMBER, SECURITY
from tests.stackset.permission_samples import NOTHING, OURS, STATES, THEIRS, YES, member
from tests.stackset.rendering import EVENTS, EVERYTHING, REGION, resources

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
