"""One account that is too large or too slow: it alone is held or left out, and the others are enforced."""

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from structlog.contextvars import get_contextvars

from orchestrator.aws.clients import Clients
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.concurrency.work_sharing import budget
from orchestrator.domain.model import LiveUser
from orchestrator.reports.report import exit_code
from tests.builders import NOW, days_ago, make_config, make_user
from tests.pipeline.served import ServedDays
from tests.pipeline.stage import Stage, account_of, outcomes, user_of

LONG = 30.0
HUGE, SMALL = "000000000001", "000000000002"
NAMES = [f"user-{number}" for number in range(8)]
AT_MOST = make_config(limits={"max_changes_per_account": 7})
PASSED_ON: dict[str, Any] = {"report_made_at": days_ago(0.1)}


class Paced(Cancellation):
    """The end of a function that is far off, with pieces of work whose own time ends when a test says so."""

    def half(self) -> Cancellation:
        return Cancellation()


def actions(stage: Stage, account_id: str = HUGE) -> set[str]:
    return {call[0] for call in stage.aws.calls if call[1] == account_id}


# -- over its limit


def test_account_over_its_limit_is_held_before_anybody_in_it_is_looked_at_or_simulated(stage: Stage) -> None:
    stage.aws.add(*map(make_user, NAMES), make_user("unread", has_mfa=None), **PASSED_ON)
    stage.aws.add(make_user("small"))

    report = stage.play(config=AT_MOST)

    assert outcomes(report) == dict.fromkeys(NAMES, "held") | {"unread": "none", "small": "enforced"}
    assert {user.error and user.error.code for user in account_of(report, HUGE).users} == {"over_limit"}
    assert actions(stage) - {"owner"} == {"list", "enter", "inspect"}


@pytest.mark.parametrize(
    ("limits", "is_held"),
    [
        ({"max_changes_per_account": 8}, False),
        ({"max_changes_per_account": None}, False),
        ({"max_changes_per_account": 0}, True),
        ({"max_share_per_account": 0.79}, True),
        ({"max_share_per_account": 0.8}, False),
    ],
)
def test_limit_is_the_same_before_the_looks_as_after_them(stage: Stage, limits: dict[str, Any], is_held: bool) -> None:
    stage.aws.add(*map(make_user, NAMES), make_user("a", has_mfa=True), make_user("b", has_mfa=True), **PASSED_ON)

    report = stage.play(config=make_config(limits=limits))

    assert report.totals.held == (8 if is_held else 0)
    assert ("simulate" in actions(stage)) is not is_held


def test_limit_is_checked_again_after_the_looks_and_before_anybody_is_simulated(stage: Stage) -> None:
    """The bulk reads do not tell who has MFA: only the looks show that there are too many."""
    stage.aws.add(*(make_user(name, has_mfa=None) for name in NAMES), **PASSED_ON)

    report = stage.play(config=AT_MOST)

    assert set(outcomes(report).values()) == {"held"}
    assert "look" in actions(stage)
    assert "simulate" not in actions(stage)


def test_users_whom_a_look_takes_out_of_scope_do_not_have_the_account_held(stage: Stage) -> None:
    robots = [make_user(name, has_console_password=None) for name in NAMES]
    live = {name: LiveUser(False, False, 0, None) for name in NAMES}
    stage.aws.add(*robots, make_user("alice"), live=live, **PASSED_ON)

    report = stage.play(config=AT_MOST)

    assert outcomes(report) == dict.fromkeys(NAMES, "out_of_scope") | {"alice": "enforced"}


def test_user_not_looked_at_in_a_held_account_is_unknown_and_says_why(stage: Stage) -> None:
    others = (make_user("passkey", has_mfa=None), make_user("bob", has_mfa=True))
    stage.aws.add(*map(make_user, NAMES), *others, **PASSED_ON)

    report = stage.play(config=AT_MOST)

    passkey = user_of(report, "passkey")
    assert (passkey.verdict, passkey.outcome) == ("unknown", "none")
    assert passkey.error is not None
    assert passkey.error.code == "over_limit"
    assert "not looked at" in passkey.error.message
    assert user_of(report, "bob").verdict == "compliant"


def test_released_are_looked_at_whatever_the_limit(stage: Stage) -> None:
    arn = f"arn:aws:iam::{HUGE}:policy/EnforceMFA"
    stage.aws.add(*(make_user(name, attached_policy_arns=frozenset({arn})) for name in NAMES))

    assert stage.play("release", make_config(limits={"max_changes_per_account": 0})).totals.released == 8


def test_held_account_costs_no_more_calls_than_one_where_nothing_is_to_be_done(served: ServedDays) -> None:
    served.add(*NAMES)

    report = served.play(0, config={"limits": {"max_changes_per_account": 7}})

    assert report.totals.held == len(NAMES)
    assert len(served.aws.actions(served.payments)) == 8


# -- slow


@pytest.fixture
def end() -> Iterator[Event]:
    """Ends the waiting of what is slow when the test is over."""
    end = Event()
    yield end
    end.set()


def test_slow_account_alone_is_not_reached_and_the_others_are_enforced(stage: Stage, end: Event) -> None:
    stage.aws.add(*map(make_user, NAMES))
    stage.aws.add(make_user("small"))
    stage.cancellation = Paced()

    def before(action: str, account_id: str, subject: str) -> None:
        if (action, account_id) == ("inspect", HUGE):
            run_out(end)

    stage.aws.before = before

    report = stage.play()

    huge = account_of(report, HUGE)
    assert (huge.status, huge.users, outcomes(report)) == ("not_reached", (), {"small": "enforced"})
    assert huge.error is not None
    assert (huge.error.stage, huge.error.code) == ("inspect", "slow")
    assert HUGE in huge.error.remedy
    assert "alone" in huge.error.remedy
    assert exit_code(report) == 1
    assert report.errors == ()


def run_out(end: Event) -> None:
    """Have the time of this piece of work be over, and the work take longer."""
    piece = budget.get()
    assert piece is not None
    piece.event.set()
    assert end.wait(LONG)


@pytest.mark.parametrize("action", ["look", "simulate"])
def test_account_whose_time_is_over_in_the_midst_of_its_users_stops_there(stage: Stage, action: str) -> None:
    stage.aws.add(*(make_user(name, has_mfa=None) for name in NAMES))
    stage.aws.add(make_user("small"))
    stage.cancellation = Paced()
    seen: list[str] = []

    def before(what: str, account_id: str, subject: str) -> None:
        if (what, account_id) == (action, HUGE):
            seen.append(subject)
            piece = budget.get()
            assert piece is not None
            piece.event.set()

    stage.aws.before = before

    report = stage.play(config=make_config(concurrency={"workers": 1}))

    assert (account_of(report, HUGE).status, outcomes(report)) == ("not_reached", {"small": "enforced"})
    assert seen == NAMES[:1]


@pytest.mark.parametrize(("targets", "has_one"), [((HUGE,), False), ((HUGE, SMALL), True), ((), True)])
def test_run_over_one_account_alone_has_no_time_but_its_own(
    stage: Stage, targets: tuple[str, ...], has_one: bool
) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("small"))
    stage.cancellation = Paced()
    seen: set[bool] = set()

    def before(action: str, account_id: str, subject: str) -> None:
        if action == "inspect":
            seen.add(budget.get() is not None)

    stage.aws.before = before

    stage.play(targets=targets)

    assert seen == {has_one}


def test_command_line_has_no_time_of_an_account(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    seen: list[Any] = []
    stage.aws.before = lambda action, account_id, subject: seen.append(budget.get())

    stage.play()

    assert set(seen) == {None}


def test_nothing_is_written_in_an_account_whose_inspection_ends_after_it_was_given_up(stage: Stage, end: Event) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("small"))
    stage.cancellation = Paced()

    def before(action: str, account_id: str, subject: str) -> None:
        if (action, account_id) == ("inspect", HUGE):
            run_out(end)
        elif (action, account_id) == ("attach", SMALL):
            end.set()

    stage.aws.before = before

    report = stage.play()

    assert [write[1] for write in stage.aws.writes()] == [SMALL]
    assert [account.status for account in report.accounts] == ["not_reached", "inspected"]


def test_slow_account_is_left_out_where_the_calls_are_real(served: ServedDays, end: Event) -> None:
    served.add("alice")
    slow = served.organization.add_account("slow")
    served.organization.add_user(slow, "dora")

    def stall(**_: object) -> None:
        if get_contextvars()["account_id"] == slow:
            run_out(end)

    def prepare(clients: Clients) -> None:
        clients.member.events.register("before-call.iam.GetAccountAuthorizationDetails", stall)

    report = served.play(0, config={"enforcement": {"mode": "apply"}}, cancellation=Paced(), prepare=prepare)

    assert outcomes(report) == {"alice": "enforced"}
    assert account_of(report, slow).error is not None
    assert account_of(report, slow).status == "not_reached"
    assert served.organization.attached(slow, "dora") == []


def test_first_sights_of_a_slow_account_are_kept(stage: Stage, end: Event) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("small"))
    stage.play("plan")
    stage.cancellation = Paced()
    stage.aws.before = lambda action, account_id, _: run_out(end) if (action, account_id) == ("inspect", HUGE) else None

    report = stage.play("plan", run_id="run-2")

    assert account_of(report, HUGE).unread_open_since == {"alice": NOW}
