"""Asking IAM's simulator whether others deny a user without MFA already.

moto has no simulator: answers are evaluated by `tests.guarding`, or injected, at the served AWS.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import MemberSessions
from orchestrator.aws.simulator import PolicySimulator
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config import MemberRoleConfig
from orchestrator.domain.errors import AccessDenied, Malformed
from orchestrator.domain.model import Access, Guard
from orchestrator.wiring import utc_now
from tests.aws_server import AwsServer, Call, members, simulated, simulation, xml_error
from tests.builders import make_account, make_user
from tests.guarding import (
    ALLOW_ALL,
    DENY_KEYS_TO_ENROL,
    GUARD,
    SIMULATE,
    SPARES_KEYS,
    Simulation,
    context_of,
    deny,
    document,
    questions,
)

ACCOUNT_ID = "111122223333"
USER_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/teams/alice"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
BY_SCP = Guard(("SCP",), is_scp=True)
WITHOUT, WITH, BY_KEY = ("*", "false"), ("*", "true"), ("*", None)
WITH_MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


def use(question: Callable[[PolicySimulator], Any]) -> Any:
    retrier, clients = Retrier(Cancellation(), sleep=lambda _: None), make_clients(connections=1)
    sessions = MemberSessions(
        clients, retrier, partition="aws", roles=MemberRoleConfig(), session_name="orgmfa-run", now=utc_now
    )
    with sessions.enter(ACCOUNT_ID, Access.INSPECT):
        return question(PolicySimulator(clients.iam, retrier, organization_id="o-exampleorg1", given={}, document=None))


def find() -> Guard | None:
    found: Guard | None = use(
        lambda guards: guards.find_guard(make_user("alice", arn=USER_ARN), make_account(ACCOUNT_ID), NOW)
    )
    return found


def denies_keys(*, all_calls: bool) -> bool:
    account, user = make_account(ACCOUNT_ID), make_user("alice", arn=USER_ARN)
    denies: bool = use(lambda guards: guards.denies_access_keys(user, account, NOW, all_calls=all_calls))
    return denies


@pytest.mark.parametrize(
    ("simulation", "guard"),
    [
        (Simulation(), None),
        (Simulation(scps=[GUARD]), BY_SCP),
        (Simulation(policies={"Force_MFA": GUARD}), Guard(("policy Force_MFA",))),
        (Simulation(boundary=document(ALLOW_ALL["Statement"][0], deny())), Guard(("permissions boundary",))),
        # A boundary that allows nothing but with MFA denies as much, though not explicitly.
        (
            Simulation(boundary=document({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": WITH_MFA})),
            Guard(("permissions boundary",)),
        ),
        # A policy can have any name, and stays one.
        (Simulation(policies={"SCP": GUARD}), Guard(("policy SCP",))),
        (Simulation(policies={"a": GUARD, "b": GUARD}), Guard(("policy a", "policy b"))),
        (Simulation(scps=[GUARD], policies={"Force_MFA": GUARD}), BY_SCP),
        # Who is denied all the same with MFA has no guard.
        (Simulation(scps=[document(deny({}))]), None),
        (Simulation(policies={"nothing": document(deny({}))}), None),
        # Regions that are closed are so with MFA too.
        (
            Simulation(
                scps=[document(deny({"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}, Action="ec2:*"))]
            ),
            None,
        ),
        (Simulation(scps=[document(deny(Action="s3:*"))]), Guard(("SCP",), is_partial=True)),
        (
            Simulation(scps=[document(deny(Action="s3:*"))], policies={"Force_MFA": GUARD}),
            Guard(("SCP", "policy Force_MFA")),
        ),
        # One of the calls is denied whatever is done, so nothing is proven of it.
        (
            Simulation(scps=[GUARD, document(deny({}, Action="sts:AssumeRole"))]),
            Guard(("SCP",), is_partial=True),
        ),
        (Simulation(scps=[document(deny({"Null": {"aws:MultiFactorAuthAge": "true"}}))]), BY_SCP),
    ],
)
def test_guard_is_what_denies_without_mfa_and_not_with_it(
    aws: AwsServer, simulation: Simulation, guard: Guard | None
) -> None:
    aws.faults.append(simulation)

    assert find() == guard


@pytest.mark.parametrize(
    ("simulation", "asked"),
    [
        (Simulation(), [WITHOUT]),
        (Simulation(scps=[GUARD]), [WITHOUT, WITH]),
        (Simulation(scps=[document(deny(Action="s3:*"))]), [WITHOUT, WITH]),
    ],
)
def test_guard_takes_a_second_call_only_where_something_is_denied(
    aws: AwsServer, simulation: Simulation, asked: list[tuple[str, str]]
) -> None:
    aws.faults.append(simulation)
    find()

    assert questions(aws.calls) == asked
    (first, *_) = [members(call, "ActionNames") for call in aws.calls if call.action == SIMULATE]
    assert first == ["s3:ListAllMyBuckets", "ec2:DescribeRegions", "iam:CreateAccessKey", "sts:AssumeRole"]


def test_session_with_mfa_has_its_age_and_a_key_has_neither(aws: AwsServer) -> None:
    aws.faults.append(Simulation(scps=[GUARD]))
    find()
    denies_keys(all_calls=True)

    said = [context_of(call) for call in aws.calls if call.action == SIMULATE]
    keys = [{key: one[key] for key in one if "MultiFactor" in key} for one in said]
    present, old = "aws:MultiFactorAuthPresent", "aws:MultiFactorAuthAge"
    assert keys == [{present: "false"}, {present: "true", old: "60"}, {}, {}]


DENIED: dict[str, Any] = {"decision": "implicitDeny", "organization": False}


@pytest.mark.parametrize("is_about_mfa", [True, False])
@pytest.mark.parametrize(
    "unclear",
    [
        {"decision": "conditionallyDenied"},
        {"decision": "explicitDeny", "missing": ["aws:SourceIp"]},
        {"decision": "allowed", "organization": False},
    ],
)
def test_what_is_unclear_of_one_call_is_no_guard(aws: AwsServer, unclear: dict[str, Any], is_about_mfa: bool) -> None:
    def answer(call: Call) -> Any:
        if call.action != SIMULATE:
            return None
        has_mfa = context_of(call)["aws:MultiFactorAuthPresent"] == "true"
        clear: dict[str, Any] = {} if has_mfa else DENIED
        given = {"sts:AssumeRole": unclear} if has_mfa is is_about_mfa else {}
        actions = members(call, "ActionNames")
        return simulation(*(simulated(action, "*", **given.get(action, clear)) for action in actions))

    aws.faults.append(answer)

    assert find() is None


def test_scps_must_be_said_to_let_the_calls_through_with_mfa(aws: AwsServer) -> None:
    def answer(call: Call) -> Any:
        if call.action != SIMULATE:
            return None
        fake = Simulation(scps=[GUARD], is_silent=context_of(call)["aws:MultiFactorAuthPresent"] == "true")
        return fake(call)

    aws.faults.append(answer)

    assert find() == Guard(("SCP",), is_scp=False)


def test_call_that_is_not_decided_on_is_an_error(aws: AwsServer) -> None:
    aws.faults.append(lambda call: simulation(simulated("sts:AssumeRole", "*")) if call.action == SIMULATE else None)

    with pytest.raises(Malformed):
        find()
    with pytest.raises(Malformed):
        denies_keys(all_calls=False)


def test_refusal_is_an_error(aws: AwsServer) -> None:
    aws.faults.append(lambda call: xml_error("AccessDenied", status=403) if call.action == SIMULATE else None)

    with pytest.raises(AccessDenied):
        find()


OWN = "arn:aws:iam::*:user/teams/${aws:username}"


@pytest.mark.parametrize(
    ("simulation", "enrolling", "all_calls"),
    [
        (Simulation(scps=[GUARD]), True, True),
        (Simulation(policies={"Force_MFA": GUARD}), False, False),
        (Simulation(scps=[document(deny())]), False, False),
        (Simulation(scps=[document(deny(SPARES_KEYS), DENY_KEYS_TO_ENROL)]), True, False),
        # Services differ: what is denied of one is proof of no other.
        (Simulation(scps=[document(deny(Action="iam:*"), DENY_KEYS_TO_ENROL)]), True, False),
        # A key may not enrol a device for others, and for its own user it may.
        (Simulation(scps=[document(deny(), deny(Action="iam:EnableMFADevice", NotResource=OWN))]), False, False),
        # A key may not make another one, but for its own user.
        (Simulation(scps=[document(deny(NotResource=OWN), DENY_KEYS_TO_ENROL)]), True, False),
    ],
)
def test_access_keys_are_denied_where_scps_deny_them_by_themselves(
    aws: AwsServer, simulation: Simulation, enrolling: bool, all_calls: bool
) -> None:
    aws.faults.append(simulation)

    assert (denies_keys(all_calls=False), denies_keys(all_calls=True)) == (enrolling, all_calls)


def test_key_is_asked_about_the_users_own_arn(aws: AwsServer) -> None:
    aws.faults.append(Simulation(scps=[GUARD]))
    denies_keys(all_calls=True)

    assert questions(aws.calls) == [(USER_ARN, None), BY_KEY]


@pytest.mark.parametrize(("missing", "denied"), [("aws:MultiFactorAuthPresent", True), ("aws:SourceIp", False)])
def test_key_of_mfa_is_missing_in_fact_and_any_other_is_not(aws: AwsServer, missing: str, denied: bool) -> None:
    def answer(call: Call) -> Any:
        if call.action != SIMULATE:
            return None
        (resource,) = members(call, "ResourceArns")
        actions = members(call, "ActionNames")
        return simulation(*(simulated(action, resource, **DENIED, missing=[missing]) for action in actions))

    aws.faults.append(answer)

    assert denies_keys(all_calls=True) is denied
