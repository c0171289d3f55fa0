"""Guards of others in a run: when they are asked about, what failing means, and accounts over their limit."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.errors import AwsError, NotFound, Throttled
from orchestrator.domain.model import Guard, LiveUser, Trigger
from orchestrator.pipeline.inspection import GUARD_BATCH
from tests.builders import NOW, days_ago, make_config, make_user
from tests.fakes import fail
from tests.pipeline.days import Days
from tests.pipeline.stage import Stage, account_of, outcomes, user_of

BY_SCP, BY_POLICY = Guard(("SCP",), is_scp=True), Guard(("policy Force_MFA",))
NAMES = [f"user-{number:03}" for number in range(120)]


def accepting(**changes: Any) -> Any:
    return make_config(**({"enforcement": {"guarded": "accept"}} | changes))


def asked(stage: Stage, action: str = "find_guard") -> list[str]:
    return [call[2] for call in stage.aws.calls if call[0] == action]


def test_guard_is_asked_about_for_users_who_could_enrol_and_no_other(stage: Stage) -> None:
    users = [make_user("alice"), make_user("bob"), make_user("carol", has_mfa=True), make_user("dave")]
    stage.aws.add(*users, obstacles={"bob": "an SCP"}, credentials={"dave": ("bedrock.amazonaws.com",)})

    stage.play()

    assert asked(stage) == ["alice"]


def test_guard_is_not_asked_about_where_nobody_is_simulated(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), guards={"alice": BY_SCP})

    report = stage.play(config=make_config(enforcement={"check_enrolment": False}))

    assert asked(stage) == []
    assert (outcomes(report), user_of(report).guarded) == ({"alice": "enforced"}, None)


@pytest.mark.parametrize(
    ("guard", "config", "outcome", "action"),
    [
        (BY_SCP, accepting(), "guarded", "guard_of_all_calls"),
        (BY_SCP, accepting(policy={"access_keys": "allow"}), "guarded", "guard_of_enrolling"),
        (BY_SCP, make_config(), "enforced", None),
        (BY_POLICY, accepting(), "enforced", None),
        (Guard(("SCP",), is_partial=True), accepting(), "enforced", None),
        (None, accepting(), "enforced", None),
    ],
)
def test_guard_by_scp_alone_is_accepted_and_only_then_access_keys_are_asked_about(
    stage: Stage, guard: Guard | None, config: Any, outcome: str, action: str | None
) -> None:
    stage.aws.add(make_user("alice"), guards={"alice": guard} if guard else {})

    report = stage.play(config=config)

    assert outcomes(report) == {"alice": outcome}
    assert (user_of(report).guarded is None) is (guard is None)
    assert [call[0] for call in stage.aws.calls if call[0].startswith("guard_of")] == ([action] if action else [])


def test_guard_that_lets_access_keys_through_is_shown_and_enforced(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), guards={"alice": BY_SCP}, spares_keys={"alice"})

    report = stage.play(config=accepting())

    assert outcomes(report) == {"alice": "enforced"}
    assert user_of(report).guarded is not None


@pytest.mark.parametrize(
    ("action", "error", "found"),
    [
        ("find_guard", Throttled, {"alice": "enforced"}),
        ("find_guard", AwsError, {"alice": "enforced"}),
        ("guard_of_all_calls", Throttled, {"alice": "enforced"}),
        ("find_guard", NotFound, {}),
        ("guard_of_all_calls", NotFound, {}),
    ],
)
def test_question_that_fails_is_no_guard_and_a_user_who_is_gone_is_in_no_list(
    stage: Stage, action: str, error: type[AwsError], found: dict[str, str]
) -> None:
    stage.aws.add(make_user("alice"), guards={"alice": BY_SCP})

    def refuse(called: str, account_id: str, subject: str) -> None:
        if called == action:
            raise fail(error, error.__name__, "SimulatePrincipalPolicy")

    stage.aws.before = refuse

    assert outcomes(stage.play(config=accepting())) == found


def test_guard_of_a_stored_plan_is_asked_about_again_before_the_write() -> None:
    days, times = Days(engine="steps"), 0
    days.aws.add(make_user("alice"), guards={"alice": BY_POLICY})

    def refuse(called: str, account_id: str, subject: str) -> None:
        nonlocal times
        times += called == "find_guard"
        if (called, times) == ("find_guard", 2):
            raise fail(AwsError, "InvalidInput", "SimulatePrincipalPolicy")

    days.aws.before = refuse

    report = days.play(0, trigger=Trigger.MAP)

    assert (times, outcomes(report)) == (2, {"alice": "enforced"})
    assert user_of(report).guarded is None


# -- an account over its limit


LIMIT_10 = {"max_changes_per_account": 10}


@pytest.mark.parametrize("limits", [LIMIT_10, {"max_share_per_account": 0.1}])
def test_account_over_its_limit_is_asked_about_until_more_than_the_limit_are_not_guarded(
    stage: Stage, limits: dict[str, Any]
) -> None:
    stage.aws.add(*map(make_user, NAMES), make_user("unread", has_mfa=None), guards=dict.fromkeys(NAMES[:40], BY_SCP))

    report = stage.play(config=accepting(limits=limits))

    assert report.totals.model_dump() | {"guarded": 40, "held": 80, "none": 1} == report.totals.model_dump()
    assert user_of(report, "user-119").error.code == "over_limit"  # type: ignore[union-attr]
    assert user_of(report, "unread").error.code == "over_limit"  # type: ignore[union-attr]
    assert sorted(asked(stage)) == NAMES[: 3 * GUARD_BATCH]
    assert stage.aws.writes() == []


def test_account_whose_users_are_guarded_up_to_the_limit_is_enforced(stage: Stage) -> None:
    stage.aws.add(*map(make_user, NAMES), make_user("bob", has_mfa=True), guards=dict.fromkeys(NAMES[10:], BY_SCP))

    report = stage.play(config=accepting(limits=LIMIT_10))

    assert (report.totals.guarded, report.totals.enforced, report.totals.held) == (110, 10, 0)
    assert sorted(asked(stage)) == NAMES
    assert [user.name for user in account_of(report).users] == [*NAMES, "bob"]


def test_users_whom_only_a_look_tells_about_are_asked_about_once_and_count(stage: Stage) -> None:
    unread = [make_user(name, has_mfa=None) for name in NAMES[:4]]
    stage.aws.add(
        *unread,
        *map(make_user, NAMES[4:16]),
        guards=dict.fromkeys(NAMES[4:16], BY_SCP),
        live={name: LiveUser(False) for name in NAMES[:4]},
        report_made_at=days_ago(0.1),
    )

    few = stage.play("plan", accepting(limits={"max_changes_per_account": 4}))
    first = asked(stage)
    many = stage.play("plan", accepting(limits={"max_changes_per_account": 3}))

    assert (few.totals.guarded, few.totals.planned, few.totals.held) == (12, 4, 0)
    assert sorted(first) == NAMES[:16]
    assert (many.totals.guarded, many.totals.planned, many.totals.held) == (12, 0, 4)


def test_guards_that_are_not_accepted_leave_an_account_over_its_limit_unasked(stage: Stage) -> None:
    stage.aws.add(*map(make_user, NAMES), guards=dict.fromkeys(NAMES, BY_SCP))

    report = stage.play(config=make_config(limits=LIMIT_10))

    assert report.totals.held == len(NAMES)
    assert asked(stage) == []


def test_guarded_users_do_not_count_towards_the_limit_of_the_run(stage: Stage) -> None:
    stage.aws.add(*map(make_user, NAMES[:3]), guards=dict.fromkeys(NAMES[:2], BY_SCP))

    report = stage.play(config=accepting(limits={"max_changes_per_run": 1}))

    assert (report.gate, report.totals.guarded, report.totals.enforced) == (None, 2, 1)


# -- unused users


def test_release_tells_nobody_to_be_unused(stage: Stage) -> None:
    unused = make_user("alice", password_last_used="never", created_at=NOW - timedelta(days=91))
    stage.aws.add(unused)

    assert user_of(stage.play("plan")).unused
    assert not user_of(stage.play("release")).unused
