"""Plans of a run in steps that were altered in the archive, or that a limit no longer allows, when they are applied."""

from dataclasses import replace

import pytest

from orchestrator.domain.model import AccountResult, AddToGroup, AttachPolicy, Trigger, UserChange
from orchestrator.pipeline.apply import Progress, apply_account
from orchestrator.pipeline.distributed.state import MANIFEST, RunState
from orchestrator.pipeline.distributed.steps import apply_batch, gate_plans, list_batches, merge, plan_batch
from orchestrator.pipeline.inspection import inspect_account
from tests.builders import make_config, make_request, make_user
from tests.fake_aws import FakeAws
from tests.fakes import MemoryStore, make_context
from tests.pipeline.stage import outcomes

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


@pytest.mark.parametrize(("limit", "outcome"), [(2, "enforced"), (1, "held"), (0, "held")])
def test_batch_over_a_limit_that_was_lowered_since_the_gate_is_held(limit: int, outcome: str) -> None:
    aws, store = FakeAws(), MemoryStore()
    aws.add(make_user("alice"), make_user("bob"))
    context = make_context(aws, request=make_request(trigger=Trigger.MAP))
    state = RunState(store, context.request.run_id)
    list_batches(context, state, batch_size=1, max_changes=None)
    plan_batch(0, context, state)
    assert gate_plans(state.read(MANIFEST), context, state) == [0]
    lowered = replace(context, config=make_config(limits={"max_changes_per_run": limit}))

    apply_batch(0, lowered, state)

    report = merge(state.read(MANIFEST), context, state).report
    assert outcomes(report) == dict.fromkeys(("alice", "bob"), outcome)
    assert {user.error.code for account in report.accounts for user in account.users if user.error} <= {"over_limit"}
    assert len(aws.writes()) == (2 if outcome == "enforced" else 0)
