"""Plans of a run in steps that were altered in the archive, or that a limit no longer allows, when they are applied."""

from dataclasses import replace

import pytest

from orchestrator.domain.model import AccountResult, AddToGroup, AttachPolicy, Trigger, UserChange
from orchestrator.pipeline.apply import Progress, apply_account
from orchestrator.pipeline.inspection import inspect_account
from tests.builders import make_config, make_request, make_user
from tests.fake_aws import FakeAws
from tests.fakes import make_context

ACCOUNT = "000000000001"
ARN = f"arn:aws:iam::{ACCOUNT}:policy/EnforceMFA"
PROTECTED = make_config(protected_users=["break-glass"])


def altered(plan: AccountResult, *changes: UserChange) -> AccountResult:
    """Return a plan in which these are the changes of alice."""
    return replace(
        plan,
        decisions=tuple(replace(one, changes=changes) if one.user.name == "alice" else one for one in plan.decisions),
    )


@pytest.mark.parametrize(
    "change",
    [
        AttachPolicy("break-glass", ARN),
        AddToGroup("break-glass", "EnforceMFA"),
        AttachPolicy("ALICE", ARN),
        AttachPolicy("alice", "arn:aws:iam::aws:policy/AdministratorAccess"),
        AddToGroup("alice", "admins"),
    ],
)
def test_plan_that_writes_to_another_user_policy_or_group_than_it_looked_at_is_held(change: UserChange) -> None:
    aws = FakeAws()
    account = aws.add(make_user("alice"), make_user("break-glass"))
    context = make_context(aws, request=make_request(trigger=Trigger.MAP), config=PROTECTED)
    plan = altered(inspect_account(account.account, context), change)

    result = apply_account(plan, context, Progress())

    (alice,) = [one for one in result.decisions if one.user.name == "alice"]
    assert (alice.outcome.value, alice.reason and alice.reason.code) == ("held", "policy_drifted")
    assert aws.writes() == []
