"""Many users of one account enforced at once: never a write too many, none once cancelled, none lost from the books."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Barrier, Event
from typing import Any

import pytest

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.concurrency.pool import map_unordered
from orchestrator.domain.config import Config
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import AccountResult, Decision, LiveUser, Mode, Outcome, Problem, Stage, Status
from orchestrator.pipeline.apply import Progress, apply_account, as_not_reached, failed
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.inspection import inspect_account
from orchestrator.pipeline.precautions import WRITES_PER_LOOK
from tests.builders import make_request, make_user
from tests.fake_aws import FakeAws
from tests.fakes import CancelledWhen, fail, make_context

LONG = 30.0
USERS = 60
AT_ONCE = 4
"""As many as are at work in an account at first."""
NAMES = [f"user-{number:02}" for number in range(USERS)]
PROBLEM = Problem(Stage.APPLY, "defect", "broken", "report it")


@dataclass
class Office:
    """One account with many users without MFA, and the context of a run over it."""

    aws: FakeAws = field(default_factory=FakeAws)
    cancellation: Cancellation = field(default_factory=Cancellation)
    is_stopped: Callable[[], bool] = lambda: False
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.account = self.aws.add(*map(make_user, NAMES))

    def context(self, mode: Mode) -> RunContext:
        return make_context(
            self.aws,
            request=make_request(mode=mode),
            config=Config.model_validate({"limits": {"max_changes_per_account": None}}),
            stop_reason=lambda: "because" if self.is_stopped() else None,
            cancellation=self.cancellation,
        )

    def plan(self, mode: Mode = Mode.APPLY) -> AccountResult:
        return self.in_a_pool(lambda: inspect_account(self.account.account, self.context(mode)))

    def apply(self, plan: AccountResult, mode: Mode = Mode.APPLY) -> AccountResult:
        return self.in_a_pool(lambda: apply_account(plan, self.context(mode), self.progress))

    def in_a_pool(self, job: Callable[[], AccountResult]) -> AccountResult:
        """Return what a job returns on a thread of a pool with more threads than may be at work in one account."""
        (done,) = map_unordered(["job"], lambda _: job(), workers=20, cancellation=Cancellation())
        if done.error is not None:
            raise done.error
        assert done.result is not None
        return done.result

    def at_first(self, action: str, then: Callable[[], None]) -> None:
        """Have the first calls of an action wait for one another, and then something happen before any goes on."""
        together = Barrier(AT_ONCE, action=then)
        first = iter(range(AT_ONCE))

        def before(found: str, account_id: str, subject: str) -> None:
            if found == action and next(first, None) is not None:
                together.wait(LONG)

        self.aws.before = before


@pytest.fixture
def office() -> Office:
    return Office()


def outcomes(result: AccountResult) -> dict[str, str]:
    """Return what became of each user; a user who is there twice fails."""
    found = {decision.user.name: decision.outcome.value for decision in result.decisions}
    assert len(found) == len(result.decisions)
    return found


def written(office: Office) -> list[str]:
    """Return the users written to; one who was written to twice fails."""
    names = [name for _, _, name in office.aws.writes()]
    assert len(set(names)) == len(names)
    return names


# -- inspection


def test_users_are_looked_at_and_simulated_at_once_and_stay_in_their_order(office: Office) -> None:
    reached: list[str] = []
    office.at_first("simulate", lambda: reached.append("at once"))

    plan = office.plan()

    assert reached == ["at once"]
    assert [decision.user.name for decision in plan.decisions] == NAMES
    assert set(outcomes(plan).values()) == {"planned"}
    assert sorted(call[2] for call in office.aws.calls if call[0] == "simulate") == NAMES


def test_users_whom_the_report_does_not_tell_are_looked_at_at_once_and_once(office: Office) -> None:
    office.account.users = {name: make_user(name, has_mfa=None) for name in NAMES}
    reached: list[str] = []
    office.at_first("look", lambda: reached.append("at once"))

    plan = office.plan()

    assert reached == ["at once"]
    assert set(outcomes(plan).values()) == {"planned"}
    assert sorted(call[2] for call in office.aws.calls if call[0] == "look") == NAMES


def test_users_who_are_gone_or_have_enrolled_meanwhile_leave_the_others_in_order(office: Office) -> None:
    office.account.users = {name: make_user(name, has_mfa=None) for name in NAMES}
    office.account.gone = set(NAMES[::3])
    office.account.live = {name: LiveUser(has_mfa=True) for name in NAMES[1::3]}

    plan = office.plan()

    assert list(outcomes(plan)) == [name for name in NAMES if name not in office.account.gone]
    assert {name for name, outcome in outcomes(plan).items() if outcome == "planned"} == set(NAMES[2::3])


# -- apply


def test_each_planned_user_is_written_to_once_and_the_order_stays(office: Office) -> None:
    plan, reached = office.plan(), list[str]()
    office.at_first("attach", lambda: reached.append("at once"))

    result = office.apply(plan)

    assert reached == ["at once"]
    assert [decision.user.name for decision in result.decisions] == NAMES
    assert set(outcomes(result).values()) == {"enforced"}
    assert sorted(written(office)) == NAMES


def test_only_the_planned_are_written_to(office: Office) -> None:
    office.account.obstacles = dict.fromkeys(NAMES[::2], "a boundary")
    plan = office.plan()

    result = office.apply(plan)

    assert sorted(written(office)) == NAMES[1::2]
    assert outcomes(result) == {name: "held" if number % 2 == 0 else "enforced" for number, name in enumerate(NAMES)}


@pytest.mark.parametrize("action", ["look", "attach"])
def test_after_cancellation_nothing_more_is_written(office: Office, action: str) -> None:
    """Those already looked at are not written to either; a write under way is, and is in the books."""
    plan = office.plan()
    office.aws.calls.clear()
    office.at_first(action, office.cancellation.event.set)

    result = office.apply(plan)

    assert sum(call[0] == "look" for call in office.aws.calls) == AT_ONCE
    under_way = AT_ONCE if action == "attach" else 0
    assert len(written(office)) == under_way
    assert {name for name, outcome in outcomes(result).items() if outcome == "enforced"} == set(written(office))
    assert sum(outcome == "planned" for outcome in outcomes(result).values()) == USERS - under_way
    assert list(outcomes(result)) == NAMES
    assert result.status is Status.NOT_REACHED


@pytest.mark.parametrize("action", ["look", "attach"])
def test_after_the_stop_switch_nothing_more_is_written(office: Office, action: str) -> None:
    plan, stopped = office.plan(), Event()
    office.is_stopped = stopped.is_set
    office.at_first(action, stopped.set)

    result = office.apply(plan)

    under_way = AT_ONCE if action == "attach" else 0
    assert len(written(office)) == under_way
    held = [decision for decision in result.decisions if decision.outcome is Outcome.HELD]
    assert len(held) == USERS - under_way
    assert {decision.reason.code for decision in held if decision.reason} == {"stopped"}


def test_no_thread_writes_on_past_a_policy_that_has_changed(office: Office) -> None:
    plan, attached = office.plan(), list[str]()

    def before(action: str, account_id: str, subject: str) -> None:
        if action == "attach":
            attached.append(subject)
            if len(attached) == 23:
                office.account.version = "ANPAEXAMPLE v2"

    office.aws.before = before

    result = office.apply(plan)

    fates = outcomes(result)
    assert {fates[name] for name in attached[22:]} == {"failed"}
    assert len(attached) <= 23 + WRITES_PER_LOOK + AT_ONCE
    assert {fates[name] for name in NAMES if name not in attached} == {"held"}
    assert list(fates) == NAMES


def test_cancellation_and_stop_switch_are_asked_before_each_write(office: Office) -> None:
    plan, asked = office.plan(), list[str]()

    def note(what: str) -> Callable[[], Any]:
        return lambda: asked.append(what)

    def before(action: str, account_id: str, subject: str) -> None:
        if action == "attach":
            asked.append("write")

    office.aws.before = before
    watched = replace(
        office.context(Mode.APPLY), stop_reason=note("stop"), cancellation=CancelledWhen(note("cancellation"))
    )
    apply_account(plan, watched, office.progress)

    before_writes = [asked[index - 2 : index] for index, what in enumerate(asked) if what == "write"]
    assert before_writes == [["cancellation", "stop"]] * USERS


def test_unexpected_exception_fails_the_account_and_no_write_is_lost_from_the_books(office: Office) -> None:
    plan, first = office.plan(), iter([True])
    together = Barrier(AT_ONCE)
    begun = iter(range(AT_ONCE))

    def before(action: str, account_id: str, subject: str) -> None:
        if action == "attach":
            if next(begun, None) is not None:
                together.wait(LONG)
            if next(first, False):
                raise RuntimeError("a defect")

    office.aws.before = before

    with pytest.raises(RuntimeError, match="a defect"):
        office.apply(plan)

    result = failed(plan, office.progress, PROBLEM)
    enforced = {name for name, outcome in outcomes(result).items() if outcome == "enforced"}
    assert enforced == set(written(office))
    assert len(enforced) >= AT_ONCE - 1
    assert set(outcomes(result).values()) == {"enforced", "failed"}
    assert list(outcomes(result)) == NAMES


def test_what_is_written_is_known_while_the_account_is_still_under_way(office: Office) -> None:
    plan, seen = office.plan(), list[dict[str, str]]()

    def before(action: str, account_id: str, subject: str) -> None:
        if action == "attach" and len(office.progress.decisions) >= USERS - AT_ONCE - 1:
            seen.append(outcomes(as_not_reached(plan, office.progress, "interrupted")))

    office.aws.before = before

    office.apply(plan)

    assert all(list(snapshot) == NAMES for snapshot in seen)
    assert all(set(snapshot.values()) == {"enforced", "planned"} for snapshot in seen)
    assert seen


def test_decision_settled_while_the_books_are_read_is_neither_lost_nor_told_twice(office: Office) -> None:
    plan = office.plan()

    class Growing(list[Decision]):
        """Books to which another thread adds just after they were read."""

        def __iter__(self) -> Any:
            yield from list(super().__iter__())
            self.append(plan.decisions[len(self)])

    for summed_up in (
        as_not_reached(plan, Progress(Growing()), "interrupted"),
        failed(plan, Progress(Growing()), PROBLEM),
    ):
        assert list(outcomes(summed_up)) == NAMES


@pytest.mark.parametrize("ends", ["well", "halted"])
def test_users_gone_meanwhile_come_in_no_list(office: Office, ends: str) -> None:
    plan = office.plan()
    office.account.gone = set(NAMES[:AT_ONCE])
    if ends == "halted":
        looks = iter(range(2 * AT_ONCE))

        def before(action: str, account_id: str, subject: str) -> None:
            if action == "attach" and next(looks, None) is None:
                office.cancellation.event.set()

        office.aws.before = before

    result = office.apply(plan)

    assert list(outcomes(result)) == NAMES[AT_ONCE:]


def test_user_who_is_gone_is_in_no_list_also_where_the_work_on_the_account_never_ended(office: Office) -> None:
    plan = office.plan()
    office.progress.gone.add(NAMES[0])

    results = [as_not_reached(plan, office.progress, "deadline"), failed(plan, office.progress, PROBLEM)]

    assert [[decision.user.name for decision in result.decisions] for result in results] == [NAMES[1:], NAMES[1:]]


def test_release_is_made_at_once_and_stops_at_cancellation(office: Office) -> None:
    office.apply(office.plan())
    office.progress.decisions.clear()
    plan = office.plan(Mode.RELEASE)
    office.at_first("detach", office.cancellation.event.set)

    result = office.apply(plan, Mode.RELEASE)

    released = [name for name, outcome in outcomes(result).items() if outcome == "released"]
    assert len(released) == AT_ONCE
    assert sum(outcome == "planned" for outcome in outcomes(result).values()) == USERS - AT_ONCE


def test_one_user_who_cannot_be_written_to_is_that_user_s_failure_alone(office: Office) -> None:
    plan = office.plan()

    def before(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("attach", NAMES[7]):
            raise fail(NotFound, "NoSuchEntity")

    office.aws.before = before

    result = office.apply(plan)

    assert {name for name, outcome in outcomes(result).items() if outcome != "enforced"} == {NAMES[7]}
    assert outcomes(result)[NAMES[7]] == "failed"
