"""Changes to policy and group, where the program owns them, in whole runs against an organization in memory."""

import pytest

from orchestrator.domain.errors import AccessDenied
from orchestrator.domain.model import Access, PolicyState
from orchestrator.reports.report import exit_code
from tests.builders import make_config, make_user
from tests.fakes import fail
from tests.pipeline.stage import Stage, outcomes, user_of

OWNED = {"policy": {"managed_by": "orchestrator"}}


def test_missing_policy_and_group_are_made_before_anybody_is_enforced(stage: Stage) -> None:
    policies = frozenset(f"arn:aws:iam::aws:policy/P{number}" for number in range(10))
    stage.aws.add(
        make_user("alice"),
        make_user("bob", attached_policy_arns=policies),
        policy=PolicyState.MISSING,
        group=PolicyState.MISSING,
    )

    report = stage.play(config=make_config(**OWNED))

    assert [write[0] for write in stage.aws.writes()] == [
        "create_policy",
        "create_group",
        "attach_group_policy",
        "attach",
        "join",
    ]
    assert outcomes(report) == {"alice": "enforced", "bob": "enforced"}
    assert report.accounts[0].policy_changes == ("create_policy", "create_group", "attach_group_policy")


def test_group_that_somebody_else_made_meanwhile_is_given_no_policy(stage: Stage) -> None:
    policies = frozenset(f"arn:aws:iam::aws:policy/{number}" for number in range(10))
    made = stage.aws.add(make_user("bob", attached_policy_arns=policies), group=PolicyState.MISSING)

    def fill(action: str, *_: str) -> None:
        if action == "look_at_policy" and any(write[0] == "create_group" for write in stage.aws.writes()):
            made.group = PolicyState.DRIFTED

    stage.aws.before = fill

    report = stage.play(config=make_config(**OWNED))

    assert [write[0] for write in stage.aws.writes()] == ["create_group"]
    assert report.accounts[0].policy_changes == ("create_group",)
    assert outcomes(report) == {"bob": "held"}


def test_old_policy_of_our_own_is_updated_also_where_nobody_is_to_be_enforced(stage: Stage) -> None:
    stage.aws.add(make_user("bob", has_mfa=True), policy=PolicyState.OUTDATED)

    report = stage.play(config=make_config(**OWNED))

    assert stage.aws.writes() == [("update_policy", "000000000001", "")]
    assert exit_code(report) == 0


def test_plan_shows_changes_to_the_policy_and_makes_none(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), policy=PolicyState.MISSING)

    report = stage.play("plan", make_config(**OWNED))

    assert report.accounts[0].policy_changes == ("create_policy",)
    assert stage.aws.writes() == []


def test_update_that_cancellation_forestalled_is_not_reported_as_made(stage: Stage) -> None:
    stage.aws.add(make_user("bob", has_mfa=True), policy=PolicyState.OUTDATED)

    def cancellation(action: str, _: str, subject: str) -> None:
        if (action, subject) == ("enter", Access.ENFORCE.value):
            stage.cancellation.event.set()

    stage.aws.before = cancellation

    report = stage.play(config=make_config(**OWNED))

    assert stage.aws.writes() == []
    assert (report.accounts[0].status, report.accounts[0].policy_changes) == ("not_reached", ())
    assert exit_code(report) == 1


def test_change_to_a_policy_that_cancellation_left_undone_is_not_reported_as_made(stage: Stage) -> None:
    for _ in range(2):
        stage.aws.add(make_user("alice"), policy=PolicyState.MISSING)

    def cancellation(action: str, *_: str) -> None:
        if action == "attach":
            stage.cancellation.event.set()

    stage.aws.before = cancellation

    report = stage.play(config=make_config(concurrency={"workers": 1}, **OWNED))

    assert [write[:2] for write in stage.aws.writes()] == [
        ("create_policy", "000000000001"),
        ("attach", "000000000001"),
    ]
    assert [(account.status, account.policy_changes) for account in report.accounts] == [
        ("inspected", ("create_policy",)),
        ("not_reached", ()),
    ]


def test_update_that_the_stop_switch_forestalled_is_not_reported_as_made(stage: Stage) -> None:
    stage.aws.add(make_user("bob", has_mfa=True), policy=PolicyState.OUTDATED)
    answers = iter([False, False])  # at the gate, and again with the lease
    stage.is_stopped = lambda: next(answers, True)

    report = stage.play(config=make_config(**OWNED))

    assert stage.aws.writes() == []
    assert report.accounts[0].policy_changes == ()


def test_changes_to_the_policy_are_reported_as_far_as_they_were_made(stage: Stage) -> None:
    policies = frozenset(f"arn:aws:iam::aws:policy/{number}" for number in range(10))
    stage.aws.add(
        make_user("bob", attached_policy_arns=policies), policy=PolicyState.MISSING, group=PolicyState.MISSING
    )

    def deny(action: str, *_: str) -> None:
        if action == "create_group":
            raise fail(AccessDenied)

    stage.aws.before = deny

    report = stage.play(config=make_config(**OWNED))

    assert stage.aws.writes()[0][0] == "create_policy"
    assert (report.accounts[0].status, report.accounts[0].policy_changes) == ("failed", ("create_policy",))


def test_without_ownership_nothing_is_made(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), policy=PolicyState.MISSING)

    report = stage.play()

    assert user_of(report).outcome == "held"
    assert stage.aws.writes() == []


@pytest.mark.parametrize(
    ("state", "made", "code", "words"),
    [
        (PolicyState.MISSING, "create_policy", "policy_drifted", "is not there yet: run again"),
        (PolicyState.OUTDATED, "update_policy", "policy_outdated", "has an earlier text still: run again"),
    ],
)
def test_change_that_iam_does_not_show_yet_asks_for_another_run_and_for_no_stack_set(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, state: PolicyState, made: str, code: str, words: str
) -> None:
    stage.aws.add(make_user("alice"), policy=state)
    monkeypatch.setattr(stage.aws, "change", lambda *_: None)

    report = stage.play(config=make_config(**OWNED))

    assert report.accounts[0].policy_changes == (made,)
    error = user_of(report).error
    assert error is not None
    assert (outcomes(report), error.code) == ({"alice": "held"}, code)
    assert words in error.message
    assert "StackSet" not in error.message


@pytest.mark.parametrize(
    ("stops_after", "made"), [(0, ()), (1, ("create_policy",)), (2, ("create_policy", "create_group"))]
)
def test_stop_switch_that_is_set_between_two_changes_to_policy_and_group_stops_the_next(
    stage: Stage, stops_after: int, made: tuple[str, ...]
) -> None:
    policies = frozenset(f"arn:aws:iam::aws:policy/{number}" for number in range(10))
    stage.aws.add(
        make_user("bob", attached_policy_arns=policies), policy=PolicyState.MISSING, group=PolicyState.MISSING
    )
    stage.is_stopped = lambda: (
        ("enter", "000000000001", "enforce") in stage.aws.calls and len(stage.aws.writes()) >= stops_after
    )

    report = stage.play(config=make_config(**OWNED))

    assert report.accounts[0].policy_changes == made
    assert tuple(write[0] for write in stage.aws.writes()) == made
    error = user_of(report, "bob").error
    assert (outcomes(report), error and error.code) == ({"bob": "held"}, "stopped")
