"""What the program calls in member accounts, compared with what the roles there may: nothing missing, nothing unused.

The full job runs against a served AWS: plan, apply, release and doctor, with both owners of the policy, and with what
makes rare calls necessary (a lost answer, a full quota, five versions, an unfinished group). Each call is booked on the
role whose credentials signed it.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.sts.models import sts_backends

from orchestrator.cli.doctor_command import run_doctor
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config import Config
from orchestrator.domain.model import IamEvent, Mode, RunRequest, Trigger
from orchestrator.wiring import Hub, build_context, make_hub, make_run_id, run_once
from tests.aws_server import MANAGEMENT, AwsServer, Call, xml_error
from tests.fakes import FakeObserver
from tests.iam_evaluator import Decision, Request, decide
from tests.member_role.rendering import MEMBER, earlier_text, permissions_of
from tests.organization import SampleOrganization

pytestmark = pytest.mark.thorough

# CreatePolicy with tags needs it, and no call bears its name (Service Authorization Reference, IAM).
IMPLIED = {"iam:TagPolicy"}
# What each of these calls is about, for the policies that name resources.
POLICY_CALLS = ("GetPolicy", "GetPolicyVersion", "CreatePolicyVersion", "DeletePolicyVersion", "ListPolicyVersions")
GROUP_CALLS = ("ListAttachedGroupPolicies", "ListGroupPolicies", "GetGroup", "CreateGroup", "AttachGroupPolicy")
MEMBERSHIP_CALLS = ("AddUserToGroup", "RemoveUserFromGroup")


def run(hub: Hub, mode: Mode, *targets: str, later: timedelta = timedelta(0)) -> None:
    """Carry out a run that begins so much later, for which the credential reports are as much older."""
    now = hub.now() + later
    carry_out(hub, RunRequest(run_id=make_run_id(now), mode=mode, trigger=Trigger.CLI, started_at=now, targets=targets))


def react(hub: Hub, account_id: str, user_name: str) -> None:
    """Carry out a run of an IAM event that names a user."""
    now = hub.now()
    event = IamEvent(
        id="1", kind="sign_in", account_id=account_id, name="CreateLoginProfile", at=now, user_name=user_name
    )
    request = RunRequest(
        run_id=make_run_id(now),
        mode=Mode.APPLY,
        trigger=Trigger.IAM_EVENT,
        started_at=now,
        targets=(account_id,),
        events=(event,),
    )
    carry_out(hub, request)


def carry_out(hub: Hub, request: RunRequest) -> None:
    context = build_context(
        hub, request, cancellation=Cancellation(), observer=FakeObserver(), confirm=lambda _: True, send_digest=False
    )
    run_once(context)


def open_hub(folder: Path, managed_by: str) -> Hub:
    sections = {"policy": {"managed_by": managed_by}, "archive": {"location": str(folder / managed_by)}}
    return make_hub(Config.model_validate(sections), {})


def lose(aws: AwsServer, action: str) -> None:
    """Have every answer to a write be lost after it took effect."""
    aws.after.append(lambda call: xml_error("InternalFailure", status=500) if call.action == action else None)


def furnish(aws: AwsServer, organization: SampleOrganization) -> tuple[str, str, str]:
    """Add accounts in which every call has its reason, and return their IDs."""
    payments = organization.add_account("payments")
    organization.add_user(payments, "alice", keys=1)
    organization.add_user(payments, "full", policies=10)
    organization.add_user(payments, "enrolled", mfa="fido")
    owned = organization.add_account("owned", with_policy=False)
    organization.add_user(owned, "bob")
    organization.add_user(owned, "full", policies=10)
    unfinished = organization.add_account("unfinished", with_policy=False)
    organization.add_user(unfinished, "full", policies=10)
    aws.client("iam", unfinished).create_group(GroupName="EnforceMFA")
    return payments, owned, unfinished


def work(aws: AwsServer, organization: SampleOrganization, folder: Path) -> None:
    """Do the full job: what the StackSet owns, then what the program owns."""
    payments, owned, unfinished = furnish(aws, organization)
    aws.forget_calls()
    hub = open_hub(folder, "stackset")
    run(hub, Mode.PLAN)
    lose(aws, "AttachUserPolicy")
    lose(aws, "AddUserToGroup")
    run(hub, Mode.APPLY, payments)
    aws.after.clear()
    react(hub, payments, "alice")
    run(hub, Mode.RELEASE, payments)
    run_doctor(hub, config_source="the defaults", cancellation=Cancellation(), observer=FakeObserver())

    hub = open_hub(folder, "orchestrator")
    run(hub, Mode.APPLY, owned, unfinished)
    for _ in range(4):  # five versions in all: the next one needs room
        arn = f"arn:aws:iam::{owned}:policy/EnforceMFA"
        text = earlier_text("deny")
        aws.client("iam", owned).create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)
    run(hub, Mode.APPLY, owned)
    run_doctor(hub, config_source="the defaults", cancellation=Cancellation(), observer=FakeObserver())
    organization.add_user(owned, "carol", keys=1)
    run(hub, Mode.PLAN, owned, later=timedelta(hours=1))


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory, served_aws: AwsServer) -> Iterator[dict[str, list[Call]]]:
    """The calls of the full job, by the role whose credentials signed them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrator.aws.retries.FIRST_WAIT_SECONDS", 0.001)
        patch.setenv("AWS_ENDPOINT_URL", served_aws.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEHUB000000")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        served_aws.reset()
        work(served_aws, SampleOrganization(served_aws), tmp_path_factory.mktemp("archive"))
        booked: dict[str, list[Call]] = {"orgmfa-member": [], "orgmfa-release": []}
        for call in served_aws.calls:
            role = None if call.account_id == MANAGEMENT and call.service != "iam" else signer(call)
            if role in booked:
                booked[role].append(call)
        yield booked
    served_aws.reset()


def signer(call: Call) -> str | None:
    """Return the role whose credentials signed a call."""
    role = sts_backends[call.account_id]["aws"].get_assumed_role_from_access_key(call.access_key)
    return None if role is None else role.role_arn.rpartition("/")[2]


def granted(role: str, **parameters: str) -> set[str]:
    """Return the actions that a role's policies allow."""
    found: set[str] = set()
    for document in permissions_of(role, **parameters):
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow":
                action = statement["Action"]
                found.update([action] if isinstance(action, str) else action)
    return found


ROLES = [("orgmfa-member", "MemberRole"), ("orgmfa-release", "ReleaseRole")]


@pytest.mark.parametrize(("name", "logical_id"), ROLES)
def test_role_may_make_the_calls_that_are_made_and_no_other(
    calls: dict[str, list[Call]], name: str, logical_id: str
) -> None:
    made = {f"iam:{call.action}" for call in calls[name]}

    assert made == granted(logical_id, AllowPolicyManagement="true") - IMPLIED


@pytest.mark.parametrize(("name", "logical_id"), ROLES)
def test_each_call_is_allowed_with_its_resource_and_policy(
    calls: dict[str, list[Call]], name: str, logical_id: str
) -> None:
    documents = permissions_of(logical_id, AllowPolicyManagement="true")

    refused = {
        (call.action, resource_of(call))
        for call in calls[name]
        if decide(make_request(call), documents) is not Decision.ALLOW
    }

    assert refused == set()


def resource_of(call: Call) -> str:
    """Return what a call is about, as if it had been made in the account of the rendered template."""
    arn = f"arn:aws:iam::{MEMBER}"
    said = call.parameters
    if call.action in POLICY_CALLS or call.action == "CreatePolicy":
        return f"{arn}:policy/EnforceMFA"
    if call.action in (*GROUP_CALLS, *MEMBERSHIP_CALLS):
        return f"{arn}:group/{said['GroupName']}"
    if call.action == "SimulatePrincipalPolicy":
        return arn + ":" + said["PolicySourceArn"].rpartition(":")[2]
    user = said.get("UserName", "")
    return f"{arn}:user/{user}" if user or call.action == "GetAccessKeyLastUsed" else "*"


def make_request(call: Call) -> Request:
    context: dict[str, Any] = {}
    if "PolicyArn" in call.parameters:
        context["iam:PolicyARN"] = f"arn:aws:iam::{MEMBER}:policy/EnforceMFA"
    return Request(f"iam:{call.action}", resource_of(call), context)


def test_a_book_with_one_call_more_would_be_noticed(calls: dict[str, list[Call]]) -> None:
    foreign = Call("iam", "CreateUser", MEMBER, {"UserName": "mallory"}, "")

    assert decide(make_request(foreign), permissions_of("MemberRole")) is not Decision.ALLOW
