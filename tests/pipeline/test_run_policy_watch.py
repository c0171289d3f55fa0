"""The policy changed under way: who was given it since the last good look has failed, and nobody else is given it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.policy_document import render_enforcement_policy
from orchestrator.reports.report import RunReport, exit_code
from tests.aws_server import Answer, Call, xml_error
from tests.pipeline.served import ServedDays
from tests.pipeline.stage import outcomes, user_of

pytestmark = pytest.mark.thorough

ONE_THREAD = {"enforcement": {"check_enrolment": False}, "concurrency": {"workers": 1}}
GRANT = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
OURS = json.dumps(render_enforcement_policy(partition="aws", access_keys="deny"))


def arn_of(served: ServedDays) -> str:
    return f"arn:aws:iam::{served.payments}:policy/EnforceMFA"


def make_version(served: ServedDays, text: str = GRANT) -> None:
    """Have another text be the default version."""
    served.iam.create_policy_version(PolicyArn=arn_of(served), PolicyDocument=text, SetAsDefault=True)


def go_back(served: ServedDays) -> None:
    """Have the first version be the default again."""
    served.iam.set_default_policy_version(PolicyArn=arn_of(served), VersionId="v1")


def remake(served: ServedDays, text: str = GRANT) -> None:
    """Delete the policy, as one can who takes it off everybody first, and make one of the same name."""
    iam, arn = served.iam, arn_of(served)
    held = iam.list_entities_for_policy(PolicyArn=arn)
    for user in held["PolicyUsers"]:
        iam.detach_user_policy(UserName=user["UserName"], PolicyArn=arn)
    for group in held["PolicyGroups"]:
        iam.detach_group_policy(GroupName=group["GroupName"], PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    iam.create_policy(PolicyName="EnforceMFA", PolicyDocument=text)


def remake_ours(served: ServedDays) -> None:
    remake(served, OURS)


def remake_nothing(served: ServedDays) -> None:
    remake(served)
    served.iam.delete_policy(PolicyArn=arn_of(served))


def add_many(served: ServedDays, count: int) -> list[str]:
    names = [f"user-{number:02}" for number in range(1, count + 1)]
    served.add(*names)
    return names


def at_writes(served: ServedDays, happenings: dict[int, Callable[[ServedDays], None]]) -> None:
    """Have something happen after so many writes of the run; 0: right before the first."""
    written = 0

    def before(call: Call) -> Answer | None:
        if call.action == "AttachUserPolicy" and not written and 0 in happenings:
            happenings.pop(0)(served)
        return None

    def after(call: Call) -> Answer | None:
        nonlocal written
        written += call.action in {"AttachUserPolicy", "AddUserToGroup"}
        if written in happenings and call.action in {"AttachUserPolicy", "AddUserToGroup"}:
            happenings.pop(written)(served)
        return None

    served.aws.faults.append(before)
    served.aws.after.append(after)


def expected(names: list[str], at: int) -> dict[str, str]:
    """Return what becomes of users where the policy changes after so many writes: looks come in fives."""
    first = max(0, at - 1) // 5 * 5
    fate = ["enforced"] * first + ["failed"] * 5 + ["held"] * len(names)
    return dict(zip(names, fate, strict=False))


def codes(report: RunReport) -> set[str | None]:
    """Return the codes of all who have failed or are held."""
    users = [user for account in report.accounts for user in account.users if user.outcome in {"failed", "held"}]
    return {user.error.code if user.error else None for user in users}


@pytest.mark.parametrize("change", [make_version, remake, remake_ours, remake_nothing])
@pytest.mark.parametrize(("users", "at"), [(12, 0), (12, 4), (12, 5), (12, 6), (12, 11)])
def test_who_was_given_a_policy_that_changed_has_failed(
    served: ServedDays, users: int, at: int, change: Callable[[ServedDays], None]
) -> None:
    names = add_many(served, users)
    at_writes(served, {at: change})

    report = served.play(0, config=ONE_THREAD)

    assert outcomes(report) == expected(names, at)
    assert codes(report) - {"NoSuchEntity"} == {"policy_drifted"}
    assert exit_code(report) == 1


@pytest.mark.parametrize(("users", "at"), [(1, 0), (1, 1), (5, 1), (5, 5), (6, 6), (10, 10), (12, 12)])
def test_change_after_any_write_is_seen_also_after_the_last(served: ServedDays, users: int, at: int) -> None:
    names = add_many(served, users)
    at_writes(served, {at: make_version})

    report = served.play(0, config=ONE_THREAD)

    assert outcomes(report) == expected(names, at)
    assert codes(report) == {"policy_drifted"}


def test_change_that_was_taken_back_before_a_look_harms_nobody(served: ServedDays) -> None:
    add_many(served, 6)
    at_writes(served, {1: make_version, 3: go_back})

    report = served.play(0, config=ONE_THREAD)

    assert set(outcomes(report).values()) == {"enforced"}


def test_change_that_is_taken_back_after_a_look_has_been_seen(served: ServedDays) -> None:
    names = add_many(served, 12)
    at_writes(served, {2: make_version})

    def undo(call: Call) -> None:
        if call.action == "GetPolicyVersion" and call.parameters["VersionId"] != "v1":
            go_back(served)

    served.aws.after.append(undo)

    report = served.play(0, config=ONE_THREAD)

    assert outcomes(report) == expected(names, 2)


def test_text_of_ours_in_a_version_made_meanwhile_is_a_change(served: ServedDays) -> None:
    names = add_many(served, 3)
    at_writes(served, {1: make_version, 2: lambda here: make_version(here, OURS)})

    report = served.play(0, config=ONE_THREAD)

    assert outcomes(report) == expected(names, 1)


def test_group_that_is_given_another_policy_meanwhile_is_a_change(served: ServedDays) -> None:
    served.add("alice", "bob", policies=10)

    def grant(here: ServedDays) -> None:
        here.iam.put_group_policy(GroupName="EnforceMFA", PolicyName="more", PolicyDocument=GRANT)

    at_writes(served, {1: grant})

    report = served.play(0, config=ONE_THREAD)

    assert outcomes(report) == {"alice": "failed", "bob": "failed"}
    assert codes(report) == {"policy_drifted"}


@pytest.mark.parametrize(("users", "looks"), [(1, 2), (5, 2), (6, 3), (10, 3), (11, 4)])
def test_looks_cost_one_call_for_five_writes_and_one_at_the_end(served: ServedDays, users: int, looks: int) -> None:
    add_many(served, users)
    served.play(0, "plan", config=ONE_THREAD)
    planned = served.aws.actions(served.payments).count("GetPolicy")

    report = served.play(0, config=ONE_THREAD)

    assert report.totals.enforced == users
    assert served.aws.actions(served.payments).count("GetPolicy") - planned == looks
    assert served.aws.actions(served.payments).count("GetPolicyVersion") == 1


def test_who_was_enforced_since_the_last_good_look_has_failed_where_no_further_look_is_allowed(
    served: ServedDays,
) -> None:
    names = add_many(served, 7)
    count = 0

    def refuse(call: Call) -> Answer | None:
        nonlocal count
        count += call.action == "AttachUserPolicy"
        return xml_error("AccessDenied", status=403) if call.action == "GetPolicy" and count >= 6 else None

    served.aws.faults.append(refuse)

    report = served.play(0, config=ONE_THREAD)

    assert outcomes(report) == expected(names, 6) | {"user-06": "failed", "user-07": "failed"}
    assert codes(report) == {"AccessDenied"}
    assert [account.status for account in report.accounts] == ["inspected", "inspected"]


def test_interrupted_run_looks_once_more_at_what_it_has_given(served: ServedDays) -> None:
    add_many(served, 4)
    cancellation = Cancellation()

    def interrupt(here: ServedDays) -> None:
        make_version(here)
        cancellation.event.set()

    at_writes(served, {2: interrupt})

    report = served.play(0, config=ONE_THREAD, cancellation=cancellation)

    assert list(outcomes(report).values()) == ["failed", "failed", "planned", "planned"]
    assert user_of(report, "user-01").error is not None


def test_next_run_gives_it_to_nobody(served: ServedDays) -> None:
    names = add_many(served, 3)
    at_writes(served, {1: make_version})
    served.play(0, config=ONE_THREAD)

    after: Any = served.play(1, config=ONE_THREAD)

    assert outcomes(after) == dict.fromkeys(names, "held")
    assert codes(after) == {"policy_drifted"}
