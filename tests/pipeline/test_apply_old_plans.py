"""What is asked again of a user whose plan has waited, at the question of `apply` for example, before the write."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from orchestrator.domain.model import AccountResult, LiveUser
from orchestrator.pipeline.apply import PLAN_TIME, Progress, apply_account
from orchestrator.pipeline.inspection import inspect_account
from tests.builders import NOW, make_config, make_user
from tests.fake_aws import FakeAccount, FakeAws
from tests.fakes import make_context

HAPPENINGS: dict[str, Callable[[FakeAccount], object]] = {
    "cannot_enrol": lambda account: account.obstacles.update(alice="a boundary keeps the user from enrolling"),
    "active_credential": lambda account: account.credentials.update(alice=("bedrock.amazonaws.com",)),
    "active_credential by SSH": lambda account: account.ssh_keys.update(alice=("codecommit.amazonaws.com (SSH key)",)),
    "active_key": lambda account: account.live.update(alice=LiveUser(False, True, 1, NOW, None)),
}


def play(happening: str, now: Callable[[], datetime]) -> tuple[FakeAws, AccountResult]:
    """Apply the plan of an account with alice and bob, after something has happened to alice."""
    aws = FakeAws()
    account = aws.add(make_user("alice"), make_user("bob"))
    context = make_context(aws)
    plan = inspect_account(account.account, context)
    HAPPENINGS[happening](account)
    return aws, apply_account(plan, replace(context, now=now), Progress())


def told(result: AccountResult) -> dict[str, str]:
    return {one.user.name: one.reason.code if one.reason else one.outcome.value for one in result.decisions}


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_what_would_stop_or_lock_out_a_user_since_the_plan_holds_the_user(happening: str) -> None:
    aws, result = play(happening, lambda: NOW + PLAN_TIME + timedelta(seconds=1))

    assert told(result) == {"alice": happening.partition(" ")[0], "bob": "enforced"}
    assert [write[2] for write in aws.writes()] == ["bob"]


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_plan_that_gets_old_within_an_account_is_looked_at_again_from_then_on(happening: str) -> None:
    times = iter([NOW, NOW])  # of the account, and at the first look at alice

    _, result = play(happening, lambda: next(times, NOW + PLAN_TIME + timedelta(seconds=1)))

    assert told(result) == {"alice": happening.partition(" ")[0], "bob": "enforced"}


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_plan_of_the_last_minutes_is_not_asked_about_again(happening: str) -> None:
    aws, result = play(happening, lambda: NOW + PLAN_TIME)

    assert told(result) == {"alice": "enforced", "bob": "enforced"}
    assert [call[0] for call in aws.calls].count("simulate") == 2
    assert [call[0] for call in aws.calls].count("list_credentials") == 1


def test_credentials_that_nothing_would_stop_are_not_asked_for() -> None:
    aws = FakeAws()
    account = aws.add(make_user("alice"), credentials={"alice": ("bedrock.amazonaws.com",)})
    context = make_context(aws, config=make_config(policy={"access_keys": "allow"}))
    plan = inspect_account(account.account, context)

    result = apply_account(plan, replace(context, now=lambda: NOW + 2 * PLAN_TIME), Progress())

    assert told(result) == {"alice": "enforced"}
    assert "list_credentials" not in [call[0] for call in aws.calls]
