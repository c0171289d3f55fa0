"""Asking IAM's simulator whether a user could enrol.

moto has no simulator: the answers here are injected at the served AWS, in the shape of botocore 1.44. The program calls
it through boto3.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import MemberSessions
from orchestrator.aws.simulator import SIGN_IN_UNKNOWN, PolicySimulator
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config import MemberRoleConfig
from orchestrator.domain.errors import AccessDenied, AwsError, Malformed, Throttled
from orchestrator.domain.model import Access, Reason
from orchestrator.wiring import utc_now
from tests.aws_server import Answer, AwsServer, Call, members, simulated, simulation, xml_error
from tests.builders import make_account, make_user

ACCOUNT_ID = "111122223333"
USER_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/teams/alice"
DEVICES = f"arn:aws:iam::{ACCOUNT_ID}:mfa/*"
CONSOLE = "arn:aws:signin:::console/*"
DOCUMENT = '{"Version":"2012-10-17","Statement":[]}'
ENABLE, CREATE, CHANGE = "iam:EnableMFADevice", "iam:CreateVirtualMFADevice", "iam:ChangePassword"
AUTHENTICATE = "signin:Authenticate"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def ask(
    aws: AwsServer,
    *,
    given: dict[str, object] | None = None,
    arn: str = USER_ARN,
    org_path: str | None = None,
    document: str | None = DOCUMENT,
) -> Reason | None:
    retrier = Retrier(Cancellation(), sleep=lambda _: None)
    clients = make_clients(connections=1)
    sessions = MemberSessions(
        clients,
        retrier,
        partition="aws",
        roles=MemberRoleConfig(),
        session_name="orgmfa-run",
        now=utc_now,
    )
    user = make_user("alice", arn=arn, tags=(("team", "payments"), ("costCentre", "7")))
    with sessions.enter(ACCOUNT_ID, Access.INSPECT):
        simulator = PolicySimulator(
            clients.iam, retrier, organization_id="o-exampleorg1", given=given or {}, document=document
        )
        return simulator.simulate_enrolment(user, make_account(ACCOUNT_ID, org_path=org_path), NOW)


def code_of(reason: Reason | None) -> str | None:
    return None if reason is None else reason.code


def answer(aws: AwsServer, **changes: Any) -> None:
    """Have the simulator allow everything but what is named here, as keywords of `simulated` by action."""
    by_action = {key.replace("_", ":"): value for key, value in changes.items()}

    def decide(call: Call) -> Answer | None:
        if call.action != "SimulatePrincipalPolicy":
            return None
        (resource,) = members(call, "ResourceArns")
        return simulation(
            *(simulated(action, resource, **by_action.get(action, {})) for action in members(call, "ActionNames"))
        )

    aws.faults.append(decide)


def questions(aws: AwsServer) -> list[Call]:
    return [call for call in aws.calls if call.action == "SimulatePrincipalPolicy"]


def entries_of(call: Call) -> dict[str, tuple[str, list[str]]]:
    """Return the context entries of a question: kind and values by key."""
    found = {}
    for parameter, key in call.parameters.items():
        if parameter.endswith(".ContextKeyName"):
            entry = parameter.removesuffix(".ContextKeyName")
            values = [value for name, value in call.parameters.items() if name.startswith(f"{entry}.ContextKeyValues")]
            found[key] = (call.parameters[f"{entry}.ContextKeyType"], values)
    return found


def test_each_call_asks_about_one_resource_and_all_that_an_enrolment_takes_is_asked(aws: AwsServer) -> None:
    assert ask(aws) is None

    asked = {tuple(members(call, "ResourceArns")): members(call, "ActionNames") for call in questions(aws)}
    assert asked == {
        (USER_ARN,): [ENABLE, "iam:ListMFADevices", "iam:GetUser", CHANGE],
        (DEVICES,): [CREATE],
        (CONSOLE,): [AUTHENTICATE, "signin:AuthorizeOAuth2Access", "signin:CreateOAuth2Token"],
    }
    for call in questions(aws):
        assert call.parameters["PolicySourceArn"] == USER_ARN
        assert members(call, "PolicyInputList") == [DOCUMENT]


def test_without_a_text_the_users_own_policies_alone_are_asked_about(aws: AwsServer) -> None:
    assert ask(aws, document=None) is None

    assert len(questions(aws)) == 3
    assert not [call for call in questions(aws) if "PolicyInputList.member.1" in call.parameters]


def test_each_call_tells_all_that_is_known_of_a_console_session_without_mfa(aws: AwsServer) -> None:
    path = "o-exampleorg1/r-ab12/ou-ab12-11111111/"

    ask(aws, org_path=path, given={"aws:SourceIp": "198.51.100.7"})

    for call in questions(aws):
        assert entries_of(call) == {
            "aws:MultiFactorAuthPresent": ("boolean", ["false"]),
            "aws:ViaAWSService": ("boolean", ["false"]),
            "aws:PrincipalIsAWSService": ("boolean", ["false"]),
            "aws:SecureTransport": ("boolean", ["true"]),
            "aws:CurrentTime": ("date", ["2026-03-02T12:00:00Z"]),
            "aws:RequestedRegion": ("string", ["us-east-1"]),
            "aws:username": ("string", ["alice"]),
            "aws:PrincipalArn": ("string", [USER_ARN]),
            "aws:PrincipalAccount": ("string", [ACCOUNT_ID]),
            "aws:PrincipalType": ("string", ["User"]),
            "aws:PrincipalOrgID": ("string", ["o-exampleorg1"]),
            "aws:PrincipalOrgPaths": ("stringList", [path]),
            "aws:PrincipalTag/team": ("string", ["payments"]),
            "aws:PrincipalTag/costCentre": ("string", ["7"]),
            "aws:ResourceAccount": ("string", [ACCOUNT_ID]),
            "aws:ResourceOrgID": ("string", ["o-exampleorg1"]),
            "aws:SourceIp": ("ip", ["198.51.100.7"]),
        }


@pytest.mark.parametrize(
    ("value", "entry"),
    [
        ("vpc-1", ("string", ["vpc-1"])),
        (True, ("boolean", ["true"])),
        (42, ("numeric", ["42"])),
        (("a", "b"), ("stringList", ["a", "b"])),
    ],
)
def test_what_the_operator_gives_is_sent_with_its_kind(
    aws: AwsServer, value: object, entry: tuple[str, list[str]]
) -> None:
    ask(aws, given={"aws:SourceVpc": value})

    assert all(entries_of(call)["aws:SourceVpc"] == entry for call in questions(aws))


@pytest.mark.parametrize(
    ("partition", "region"),
    [("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-north-1"), ("aws-eusc", "eusc-de-east-1"), ("aws-iso", None)],
)
def test_resources_and_region_are_those_of_the_users_partition(
    aws: AwsServer, partition: str, region: str | None
) -> None:
    ask(aws, arn=f"arn:{partition}:iam::{ACCOUNT_ID}:user/alice")

    asked = [members(call, "ResourceArns")[0].split(":")[1] for call in questions(aws)]
    assert asked == [partition] * 3
    regions = {entries_of(call).get("aws:RequestedRegion", ("", [None]))[1][0] for call in questions(aws)}
    assert regions == {region}


EXPLICIT, IMPLICIT = {"decision": "explicitDeny"}, {"decision": "implicitDeny"}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"iam_EnableMFADevice": IMPLICIT | {"boundary": False}}, ("permissions boundary", ENABLE)),
        ({"iam_CreateVirtualMFADevice": EXPLICIT | {"organization": False}}, ("SCP", "as far as", CREATE)),
        # Whatever the decision says: the organization's stands at the top level alone.
        ({"iam_GetUser": {"organization": False}}, ("SCP", "iam:GetUser")),
        ({"iam_ListMFADevices": EXPLICIT}, ("another policy", "iam:ListMFADevices")),
        ({"iam_EnableMFADevice": EXPLICIT | {"matched": ["no-devices"]}}, ("no-devices", ENABLE)),
        ({"iam_EnableMFADevice": EXPLICIT | {"matched": ["PolicyInputList.1"]}}, ("EnforceMFA itself", ENABLE)),
        ({"signin_Authenticate": EXPLICIT}, ("another policy", AUTHENTICATE)),
        ({"signin_CreateOAuth2Token": IMPLICIT | {"organization": False}}, ("SCP", "signin:CreateOAuth2Token")),
        # One clear no outweighs what cannot be told.
        ({"iam_GetUser": {"missing": ["aws:SourceIp"]}, "iam_EnableMFADevice": EXPLICIT}, ("another policy", ENABLE)),
        # SCPs tell no missing keys: those told are of other policies.
        ({"iam_GetUser": EXPLICIT | {"organization": False, "missing": ["aws:SourceIp"]}}, ("SCP", "iam:GetUser")),
    ],
)
def test_user_who_cannot_enrol_is_told_with_who_denies_what(
    aws: AwsServer, answers: dict[str, Any], words: tuple[str, ...]
) -> None:
    answer(aws, **answers)

    found = ask(aws)

    assert found is not None
    assert found.code == "cannot_enrol"
    assert all(word in found.message for word in words), found.message


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"iam_EnableMFADevice": {"missing": ["aws:SourceIp"]}}, ("aws:SourceIp", "enforcement.context")),
        ({"iam_EnableMFADevice": EXPLICIT | {"missing": ["aws:SourceIp"]}}, ("aws:SourceIp",)),
        ({"iam_CreateVirtualMFADevice": {"missing": ["aws:SourceVpce"]}}, ("aws:SourceVpce",)),
        ({"signin_Authenticate": IMPLICIT | {"missing": ["aws:SourceIp"]}}, ("aws:SourceIp",)),
        (
            {"iam_GetUser": {"missing": ["aws:SourceIp"]}, "iam_EnableMFADevice": {"missing": ["aws:SourceVpc"]}},
            ("aws:SourceIp", "aws:SourceVpc"),
        ),
        ({"iam_GetUser": {"missing": ["aws:PrincipalTag/x", "aws:SourceVpc"]}}, ("for aws:SourceVpc",)),
        ({"iam_EnableMFADevice": {"decision": "conditionallyAllowed"}}, (ENABLE, "does not know")),
        ({"signin_Authenticate": {"decision": "conditionallyAllowed"}}, (AUTHENTICATE, "does not know")),
    ],
)
def test_what_the_simulator_cannot_tell_is_told_with_what_it_lacks(
    aws: AwsServer, answers: dict[str, Any], words: tuple[str, ...]
) -> None:
    answer(aws, **answers)

    found = ask(aws)

    assert found is not None
    assert found.code == "cannot_tell"
    assert all(word in found.message for word in words), found.message


@pytest.mark.parametrize(
    "answers",
    [
        {"iam_EnableMFADevice": {"boundary": True}},
        # Nothing but a deny counts for signing in: where console authorization is off, it needs no permission.
        {"signin_Authenticate": IMPLICIT},
        {"signin_Authenticate": IMPLICIT | {"boundary": False}},
        # A session without MFA has no age of it, and no tags of the user beyond those that were sent.
        {"iam_EnableMFADevice": {"missing": ["aws:MultiFactorAuthAge", "aws:PrincipalTag/department"]}},
    ],
)
def test_what_stands_in_nobodys_way_holds_nobody(aws: AwsServer, answers: dict[str, Any]) -> None:
    answer(aws, **answers)

    assert ask(aws) is None


@pytest.mark.parametrize(
    ("profile", "must"),
    [
        ("<PasswordResetRequired>true</PasswordResetRequired>", True),
        ("<PasswordResetRequired>false</PasswordResetRequired>", False),
        ("", True),  # not told counts as must
        (None, False),  # no password
    ],
)
@pytest.mark.parametrize("refusal", [EXPLICIT, {"missing": ["aws:SourceIp"]}])
def test_changing_the_password_counts_for_those_who_must(
    aws: AwsServer, profile: str | None, must: bool, refusal: dict[str, Any]
) -> None:
    answer(aws, iam_ChangePassword=refusal)
    aws.faults.append(lambda call: login_profile(profile) if call.action == "GetLoginProfile" else None)

    wanted = "cannot_tell" if must and "missing" in refusal else "cannot_enrol" if must else None
    assert code_of(ask(aws)) == wanted


def login_profile(extra: str | None) -> Answer:
    if extra is None:
        return xml_error("NoSuchEntity", status=404)
    body = (
        f"<LoginProfile><UserName>alice</UserName><CreateDate>2026-01-01T00:00:00Z</CreateDate>{extra}</LoginProfile>"
    )
    return Answer(
        200, f"<GetLoginProfileResponse><GetLoginProfileResult>{body}</GetLoginProfileResult></GetLoginProfileResponse>"
    )


def test_password_is_looked_at_only_where_changing_it_is_not_allowed(aws: AwsServer) -> None:
    ask(aws)

    assert "GetLoginProfile" not in aws.actions()


def refuse(aws: AwsServer, resource: str, given: Answer) -> None:
    aws.faults.append(
        lambda call: (
            given if call.action == "SimulatePrincipalPolicy" and members(call, "ResourceArns") == [resource] else None
        )
    )


NOTHING = simulation()
OF_ANOTHER = simulation(simulated("iam:GetUser", "*"))


@pytest.mark.parametrize(
    "given",
    [xml_error("InvalidInput"), xml_error("ValidationError"), xml_error("PolicyEvaluation", status=500), NOTHING],
)
def test_sign_in_that_cannot_be_simulated_holds_nobody_and_is_said(aws: AwsServer, given: Answer) -> None:
    refuse(aws, CONSOLE, given)

    assert ask(aws) is SIGN_IN_UNKNOWN
    assert len(questions(aws)) == 3


@pytest.mark.parametrize(
    ("given", "error"),
    [(xml_error("AccessDenied", status=403), AccessDenied), (xml_error("Throttling"), Throttled)],
)
def test_sign_in_that_could_not_be_asked_is_an_error(aws: AwsServer, given: Answer, error: type[AwsError]) -> None:
    refuse(aws, CONSOLE, given)

    with pytest.raises(error):
        ask(aws)


@pytest.mark.parametrize("resource", [USER_ARN, DEVICES])
@pytest.mark.parametrize(
    ("given", "error"),
    [
        (NOTHING, Malformed),
        (OF_ANOTHER, Malformed),
        (xml_error("InvalidInput"), AwsError),
        (xml_error("AccessDenied", status=403), AccessDenied),
    ],
)
def test_question_about_a_device_that_gets_no_answer_is_an_error_and_never_a_yes(
    aws: AwsServer, resource: str, given: Answer, error: type[AwsError]
) -> None:
    refuse(aws, resource, given)

    with pytest.raises(error):
        ask(aws)


def test_answers_in_pages_are_read_to_the_end(aws: AwsServer) -> None:
    def page(call: Call) -> Answer | None:
        if call.action != "SimulatePrincipalPolicy" or members(call, "ResourceArns") != [DEVICES]:
            return None
        if "Marker" in call.parameters:
            return simulation(simulated(CREATE, DEVICES, "explicitDeny"))
        first = simulation().body.replace("<IsTruncated>false", "<Marker>more</Marker><IsTruncated>true")
        return Answer(200, first)

    aws.faults.append(page)

    assert code_of(ask(aws)) == "cannot_enrol"


@pytest.mark.parametrize(("top", "specific"), [("allowed", "explicitDeny"), ("explicitDeny", "allowed")])
def test_yes_needs_both_decisions(aws: AwsServer, top: str, specific: str) -> None:
    mixed = simulated(CREATE, DEVICES).replace("<EvalDecision>allowed", f"<EvalDecision>{top}")
    mixed = mixed.replace("<EvalResourceDecision>allowed", f"<EvalResourceDecision>{specific}")
    refuse(aws, DEVICES, simulation(mixed))

    assert code_of(ask(aws)) == "cannot_enrol"


def test_older_shape_without_decisions_by_resource_is_read_too(aws: AwsServer) -> None:
    older = simulated(CREATE, DEVICES, "implicitDeny", boundary=False).partition("<ResourceSpecificResults>")[0]
    refuse(aws, DEVICES, simulation(f"{older}</member>"))

    found = ask(aws)

    assert found is not None
    assert found.code == "cannot_enrol"
    assert "boundary" in found.message
