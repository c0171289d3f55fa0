import random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.domain.assessment import Rules
from orchestrator.domain.model import (
    AccountFacts,
    AddToGroup,
    AttachPolicy,
    DetachPolicy,
    IamUser,
    LiveUser,
    Outcome,
    PolicyState,
    Quotas,
    Reason,
    RemoveFromGroup,
    Trigger,
    Verdict,
    Via,
)
from orchestrator.domain.planning import (
    close_gate,
    decide_user,
    hold,
    plan_account,
    plan_release,
    update_decision,
    without_deployment,
)
from tests.builders import (
    ACCOUNT_ID,
    NOW,
    POLICY_ARN,
    days_ago,
    make_account,
    make_config,
    make_enforcement,
    make_facts,
    make_user,
)

OURS, MISSING, DRIFTED, OUTDATED = (PolicyState(state) for state in ("ours", "missing", "drifted", "outdated"))
ATTACH = AttachPolicy("alice", POLICY_ARN)
JOIN = AddToGroup("alice", "EnforceMFA")
OTHER_POLICIES = frozenset(f"arn:aws:iam::aws:policy/Policy{number}" for number in range(10))
OTHER_GROUPS = frozenset(f"group{number}" for number in range(10))


def decide(user: IamUser, facts: AccountFacts | None = None, managed_by: Any = "stackset", **config: Any) -> Any:
    rules = Rules(make_config(policy={"managed_by": managed_by}, **config))
    return decide_user(user, ACCOUNT_ID, facts or make_facts(user), rules=rules, now=NOW)


def plan(facts: AccountFacts, managed_by: Any = "stackset", **config: Any) -> Any:
    decisions = [decide(user, facts, managed_by, **config) for user in facts.users]
    settings = make_config(policy={"managed_by": managed_by}, **config)
    return plan_account(make_account(), facts, decisions, config=settings)


@pytest.mark.parametrize(
    ("user", "enforcement", "outcome", "via", "changes"),
    [
        (make_user(has_mfa=True), {}, "none", None, ()),
        (make_user(has_mfa=None), {}, "none", None, ()),
        (make_user(has_mfa=True, attached_policy_arns=frozenset({POLICY_ARN})), {}, "none", "user", ()),
        (make_user(), {}, "planned", "user", (ATTACH, JOIN)),
        (make_user(attached_policy_arns=frozenset({POLICY_ARN})), {}, "already_enforced", "user", ()),
        (make_user(group_names=frozenset({"EnforceMFA"})), {}, "already_enforced", "group", ()),
        (make_user(attached_policy_arns=OTHER_POLICIES), {}, "planned", "group", (JOIN,)),
        (make_user(attached_policy_arns=OTHER_POLICIES, group_names=OTHER_GROUPS), {}, "quota_exceeded", None, ()),
        (make_user(group_names=OTHER_GROUPS), {}, "planned", "user", (ATTACH,)),
        (make_user(), {"policy": MISSING}, "held", None, ()),
        (make_user(), {"policy": DRIFTED}, "held", None, ()),
        (make_user(attached_policy_arns=frozenset({POLICY_ARN})), {"policy": DRIFTED}, "held", None, ()),
        (make_user(), {"policy": OUTDATED}, "held", None, ()),
        (make_user(attached_policy_arns=frozenset({POLICY_ARN})), {"policy": OUTDATED}, "already_enforced", "user", ()),
        (make_user(), {"group": DRIFTED}, "planned", "user", (ATTACH,)),
        (make_user(group_names=frozenset({"EnforceMFA"})), {"group": DRIFTED}, "planned", "user", (ATTACH,)),
        (make_user(attached_policy_arns=OTHER_POLICIES), {"group": DRIFTED}, "held", None, ()),
        (make_user(attached_policy_arns=OTHER_POLICIES), {"group": MISSING}, "held", None, ()),
    ],
)
def test_user_is_enforced_by_policy_then_group_then_not_at_all(
    user: IamUser, enforcement: dict[str, PolicyState], outcome: str, via: str | None, changes: tuple[Any, ...]
) -> None:
    decision = decide(user, make_facts(user, enforcement=make_enforcement(**enforcement)))

    assert (decision.outcome, decision.via, decision.changes) == (outcome, via, changes)


def test_quotas_are_those_of_the_account() -> None:
    user = make_user(attached_policy_arns=OTHER_POLICIES)

    raised = decide(user, make_facts(user, quotas=Quotas(policies_per_user=20, groups_per_user=10)))
    lowered = decide(make_user(), make_facts(quotas=Quotas(policies_per_user=0, groups_per_user=0)))

    assert raised.via is Via.USER
    assert lowered.outcome is Outcome.QUOTA_EXCEEDED
    assert "alice has 0 managed policies" in lowered.reason.message


@pytest.mark.parametrize(
    ("state", "code"), [(DRIFTED, "policy_drifted"), (MISSING, "policy_drifted"), (OUTDATED, "policy_outdated")]
)
def test_held_user_carries_the_code_of_the_policy(state: PolicyState, code: str) -> None:
    decision = decide(make_user(), make_facts(enforcement=make_enforcement(policy=state)))

    assert decision.reason.code == code
    assert POLICY_ARN in decision.reason.message


@pytest.mark.parametrize(
    ("user", "enforcement", "outcome", "expected"),
    [
        (make_user(), {}, "planned", ()),
        (make_user(), {"policy": MISSING, "group": MISSING}, "planned", ("create_policy",)),
        (make_user(), {"policy": OUTDATED}, "planned", ("update_policy",)),
        (make_user(has_mfa=True), {"policy": OUTDATED}, "none", ("update_policy",)),
        (make_user(has_mfa=True), {"policy": MISSING, "group": MISSING}, "none", ()),
        (
            make_user(attached_policy_arns=frozenset({POLICY_ARN})),
            {"policy": OUTDATED},
            "already_enforced",
            ("update_policy",),
        ),
        (make_user(), {"policy": DRIFTED}, "held", ()),
        (
            make_user(attached_policy_arns=OTHER_POLICIES),
            {"group": MISSING},
            "planned",
            ("create_group", "attach_group_policy"),
        ),
        (make_user(attached_policy_arns=OTHER_POLICIES), {"group": OUTDATED}, "planned", ("attach_group_policy",)),
        (make_user(attached_policy_arns=OTHER_POLICIES), {"group": DRIFTED}, "held", ()),
    ],
)
def test_policy_and_group_are_made_only_where_the_program_owns_them(
    user: IamUser, enforcement: dict[str, PolicyState], outcome: str, expected: tuple[str, ...]
) -> None:
    facts = make_facts(user, enforcement=make_enforcement(**enforcement))

    owned, foreign = plan(facts, "orchestrator"), plan(facts, "stackset")

    assert (owned.decisions[0].outcome, owned.policy_changes) == (outcome, expected)
    assert foreign.policy_changes == ()


def test_account_over_its_limit_is_held_as_a_whole() -> None:
    users = [make_user(f"user{number}") for number in range(3)]

    within = plan(make_facts(*users), limits={"max_changes_per_account": 3})
    over = plan(make_facts(*users, make_user("safe", has_mfa=True)), limits={"max_changes_per_account": 2})

    assert len(within.planned) == 3
    assert [decision.outcome.value for decision in over.decisions] == ["held", "held", "held", "none"]
    assert {decision.reason.code for decision in over.decisions[:3]} == {"over_limit"}
    assert all(decision.changes == () for decision in over.decisions)


def test_account_over_its_share_is_held_as_a_whole() -> None:
    users = [make_user(), make_user("safe", has_mfa=True)]

    assert len(plan(make_facts(*users), limits={"max_share_per_account": 0.5}).planned) == 1
    assert len(plan(make_facts(*users), limits={"max_share_per_account": 0.49}).planned) == 0


def test_limit_of_none_holds_nothing_and_zero_holds_all() -> None:
    facts = make_facts(*(make_user(f"user{number}") for number in range(200)))

    assert len(plan(facts, limits={"max_changes_per_account": None}).planned) == 200
    assert len(plan(facts, limits={"max_changes_per_account": 0}).planned) == 0


def test_gate_holds_a_run_over_its_limit_or_stopped() -> None:
    limits = make_config(limits={"max_changes_per_run": 5}).limits

    over, stopped = close_gate(6, limits, stop_reason=None), close_gate(1, limits, stop_reason="because")

    assert close_gate(5, limits, stop_reason=None) is None
    assert over is not None
    assert (over.code, over.planned, over.limit) == ("over_limit", 6, 5)
    assert "--max-changes 6" in over.remedy
    assert stopped is not None
    assert (stopped.code, stopped.planned, stopped.limit) == ("stopped", 1, None)
    assert "because" in stopped.message
    assert close_gate(10**6, limits.replaced(max_changes_per_run="none"), stop_reason=None) is None


@pytest.mark.parametrize("trigger", [one for one in Trigger if one is not Trigger.CLI])
def test_gate_of_a_function_names_what_to_deploy(trigger: Trigger) -> None:
    limits = make_config(limits={"max_changes_per_run": 5}).limits
    gate = close_gate(6, limits, stop_reason=None, trigger=trigger)

    assert gate is not None
    assert gate.remedy.endswith("have an operator run `orgmfa apply --max-changes 6`, or deploy with MaxChanges=6.")


def test_holding_leaves_no_change_behind() -> None:
    result = hold(
        plan(make_facts(make_user(), enforcement=make_enforcement(policy=OUTDATED)), "orchestrator"),
        Reason("stopped", "because"),
    )

    assert result.policy_changes == ()
    assert result.decisions[0].outcome is Outcome.HELD
    assert result.decisions[0].changes == ()


@pytest.mark.parametrize(
    ("seen", "outcome", "verdict"),
    [
        (LiveUser(has_mfa=False), "planned", "non_compliant"),
        (LiveUser(has_mfa=True), "none", "compliant"),
        (LiveUser(has_mfa=False, has_console_password=False), "out_of_scope", "non_compliant"),
        (
            LiveUser(has_mfa=False, active_access_keys=1, keys_last_used=days_ago(1)),
            "held",
            "non_compliant",
        ),
        (LiveUser(has_mfa=False, active_access_keys=1, keys_last_used=None), "planned", "non_compliant"),
    ],
)
def test_live_look_overrules_the_bulk_reads(seen: LiveUser, outcome: str, verdict: str) -> None:
    planned = decide(make_user())

    decision = update_decision(planned, seen, ACCOUNT_ID, rules=Rules(make_config()), now=NOW)

    assert (decision.outcome, decision.verdict) == (outcome, verdict)
    assert (decision.changes == planned.changes) == (outcome == "planned")


def test_release_takes_everything_off_the_named_users_and_touches_nobody_else() -> None:
    both = make_user(attached_policy_arns=frozenset({POLICY_ARN}), group_names=frozenset({"EnforceMFA", "dev"}))
    other = make_user("bob", group_names=frozenset({"EnforceMFA"}))
    free = make_user("carol", attached_policy_arns=OTHER_POLICIES)

    result = plan_release(make_account(), make_facts(both, other, free), frozenset({"alice"}))

    alice, bob, carol = result.decisions
    assert alice.changes == (DetachPolicy("alice", POLICY_ARN), RemoveFromGroup("alice", "EnforceMFA"))
    assert (alice.outcome, bob.outcome, carol.outcome) == ("planned", "already_enforced", "none")
    assert bob.changes == carol.changes == ()


def test_release_without_names_takes_it_off_everybody_even_where_the_policy_is_not_ours() -> None:
    user = make_user("bob", attached_policy_arns=frozenset({POLICY_ARN}), has_mfa=True)
    facts = make_facts(user, enforcement=make_enforcement(policy=DRIFTED))

    result = plan_release(make_account(), facts, None)

    assert result.decisions[0].outcome is Outcome.PLANNED


USERS = st.builds(
    make_user,
    st.from_regex(r"[a-z]{1,6}", fullmatch=True),
    has_mfa=st.sampled_from([True, False, None]),
    has_console_password=st.booleans(),
    active_access_keys=st.integers(0, 2),
    keys_last_used=st.sampled_from([None, days_ago(1), days_ago(200)]),
    created_at=st.sampled_from([NOW, days_ago(1), days_ago(500)]),
    attached_policy_arns=st.sets(st.sampled_from([POLICY_ARN, *OTHER_POLICIES])).map(frozenset),
    group_names=st.sets(st.sampled_from(["EnforceMFA", *OTHER_GROUPS])).map(frozenset),
)
STATES = st.sampled_from(list(PolicyState))
FACTS = st.builds(
    lambda users, policy, group: make_facts(*users, enforcement=make_enforcement(policy, group)),
    st.lists(USERS, max_size=6, unique_by=lambda user: user.name),
    STATES,
    STATES,
)


@given(FACTS, st.sampled_from(["stackset", "orchestrator"]))
def test_plan_touches_only_users_without_mfa_and_only_with_enforce_mfa(facts: AccountFacts, managed_by: str) -> None:
    for decision in plan(facts, managed_by).decisions:
        if decision.changes:
            assert decision.verdict is Verdict.NON_COMPLIANT
            assert decision.outcome is Outcome.PLANNED
        for change in decision.changes:
            assert change in (
                AttachPolicy(decision.user.name, POLICY_ARN),
                AddToGroup(decision.user.name, "EnforceMFA"),
            )


@given(FACTS)
def test_plan_does_not_depend_on_the_order_of_users(facts: AccountFacts) -> None:
    users = list(facts.users)
    random.Random(1).shuffle(users)  # noqa: S311 - no secret
    shuffled = make_facts(*users, enforcement=facts.enforcement)

    def by_name(result: Any) -> list[Any]:
        return sorted(result.decisions, key=lambda decision: decision.user.name)

    assert by_name(plan(facts)) == by_name(plan(shuffled))


@given(FACTS)
def test_wider_scope_never_plans_less(facts: AccountFacts) -> None:
    def planned(users: str) -> set[str]:
        result = plan(facts, enforcement={"users": users}, limits={"max_changes_per_account": None})
        return {decision.user.name for decision in result.decisions if decision.changes}

    assert planned("console") <= planned("all")


@given(FACTS)
def test_second_plan_after_the_first_was_carried_out_is_empty(facts: AccountFacts) -> None:
    def carried_out(user: IamUser, decision: Any) -> IamUser:
        match decision.changes[:1]:
            case (AttachPolicy(_, arn),):
                return make_user(user.name, attached_policy_arns=user.attached_policy_arns | {arn})
            case (AddToGroup(_, group),):
                return make_user(user.name, group_names=user.group_names | {group})
        return user

    states = facts.enforcement.policy, facts.enforcement.group
    assume(PolicyState.NOT_DEPLOYED not in states)  # then nothing is ever carried out
    first = plan(facts)
    after = [carried_out(user, decision) for user, decision in zip(facts.users, first.decisions, strict=True)]

    assert len(plan(make_facts(*after, enforcement=facts.enforcement)).planned) == 0


@pytest.mark.parametrize("policy", PolicyState)
@pytest.mark.parametrize("group", PolicyState)
def test_only_a_missing_policy_and_its_missing_group_are_not_deployed(policy: PolicyState, group: PolicyState) -> None:
    found = without_deployment(make_enforcement(policy, group))

    missing, not_deployed = PolicyState.MISSING, PolicyState.NOT_DEPLOYED
    is_bare = policy is missing
    assert found.policy is (not_deployed if is_bare else policy)
    assert found.group is (not_deployed if is_bare and group is missing else group)
