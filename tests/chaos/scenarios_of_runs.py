"""Scenarios of runs that something else than AWS starts, ends or crosses: the Lambda, its deadline, two at once."""

from dataclasses import replace
from datetime import timedelta
from random import Random

from orchestrator.aws import retries
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.model import Mode
from orchestrator.lambdas.run import lambda_handler
from orchestrator.wiring import utc_now
from tests.chaos import troubles
from tests.chaos.driving import FakeContext, Stage, take
from tests.chaos.evidence import BucketArchive, Evidence
from tests.chaos.happenings import crossed
from tests.chaos.invariants import Violation
from tests.chaos.invariants_of_ends import allowed_ends, check_end, way_of
from tests.chaos.scenarios import Scenario
from tests.chaos.wire import Slow
from tests.onboarding_events import batch, stack_set_event

SLOW = Slow(1.4)
"""An answer that comes in time for its call; eight of them take longer than a run in which they are made."""


def schedule(*, minutes_ago: int = 0) -> dict[str, str]:
    """Return the event of the schedule for the hour that has begun, or for so long before it."""
    hour = utc_now().replace(minute=0, second=0) - timedelta(minutes=minutes_ago)
    return {"trigger": "schedule", "scheduled_time": f"{hour:%Y-%m-%dT%H:%M:%SZ}"}


def invoke(stage: Stage, _: Random) -> list[Evidence]:
    """Have the Lambda make a scheduled run, with all the time it may have."""
    return [stage.invoke(schedule())]


def run_or_invoke(stage: Stage, rng: Random) -> list[Evidence]:
    """Make a run as the command line does, or as the Lambda does."""
    return invoke(stage, rng) if rng.random() < 0.5 else [stage.run()]


def use_bucket(stage: Stage) -> None:
    """Have the archive in a bucket instead of a folder."""
    stage.archive = BucketArchive()
    stage.configure()


def _deadline(stage: Stage, rng: Random) -> list[Evidence]:
    stage.server.troubles.append(troubles.slow_answers(2))
    return [stage.invoke(schedule(), remaining_seconds=60 + rng.uniform(0.05, 0.9))]


def _deadline_while_writes_wait(stage: Stage, rng: Random) -> list[Evidence]:
    """Have the deadline come while writes are throttled again and again, longer than the run has patience."""
    before, retries.MAX_WAIT_SECONDS = retries.MAX_WAIT_SECONDS, 1.5
    stage.undo.append(lambda: setattr(retries, "MAX_WAIT_SECONDS", before))
    stage.server.troubles.append(troubles.throttled_writes(9))
    return [stage.invoke(schedule(), remaining_seconds=60 + rng.uniform(0.5, 1.5))]


def _slow_account(stage: Stage, rng: Random) -> list[Evidence]:
    """Have one account alone be so slow that its inspection takes longer than the whole function has."""
    members = [place.id for place in list(stage.world.places.values())[1:] if place.is_entered and place.has_role]
    slow = rng.choice(members)
    stage.world.touched_places.add(slow)
    stage.server.troubles.append(lambda call, _: SLOW if call.account_id == slow and call.service == "iam" else None)
    return [stage.invoke(schedule(), remaining_seconds=68)]


def _run_again_after_all_others_were_enforced(stage: Stage) -> list[Violation]:
    """Return who was not enforced though another account was slow, and what a run after it violates."""
    left = [person for person in stage.world.people() if person.account_id not in stage.world.touched_places]
    found = [
        Violation(4, f"{person.account_id}/{person.name} waited for an account that was slow")
        for person in left
        if way_of(stage.world.user_state(person.account_id, person.name))
        not in allowed_ends(person, stage.world.user_state(person.account_id, person.name), stage.world)
    ]
    return [*found, *check_end(stage.run(), stage.world)]


def _same_event(stage: Stage, rng: Random) -> list[Evidence]:
    """Deliver an event again after its run."""
    event = schedule(minutes_ago=rng.randint(0, 60))
    first = stage.invoke(event)
    second = stage.invoke(event)
    runs = stage.server.book.run_ids(0)
    if second.code or len(runs) > 1 or second.until != second.since:
        second = replace(second, defect=f"the second delivery was no repetition: runs {runs}")
    return [first, replace(second, wants_digest=False)]


def _same_event_meanwhile(stage: Stage, rng: Random) -> list[Evidence]:
    """Deliver an event again while its run is under way, at the very moment of its first call included."""
    if rng.random() < 0.5:
        use_bucket(stage)
    event = schedule(minutes_ago=rng.randint(0, 60))
    first, others = crossed(
        stage.server,
        lambda: stage.invoke(event),
        second=lambda: take(lambda: lambda_handler(event, FakeContext(900))),
        call=rng.randint(1, 80),
    )
    runs = stage.server.book.run_ids(0)
    is_repetition = all((other.result or {}).get("repeated") for other in others)
    if len(runs) > 1 or not is_repetition:
        first = replace(first, defect=f"the second delivery was no repetition: runs {runs}")
    return [first]


def _onboarding(stage: Stage, rng: Random) -> list[Evidence]:
    """Tell of new accounts whose roles cannot be assumed yet."""
    places = [place for place in list(stage.world.places.values())[1:] if place.is_entered]
    for place in places:
        stage.server.troubles.append(troubles.role_denied(place.id, times=rng.randint(0, 6)))
    return [stage.invoke(batch(*(stack_set_event(place.id) for place in places)), wants_digest=False)]


def _two_at_once(stage: Stage, rng: Random) -> list[Evidence]:
    """Start a second run at a random call of the first."""
    if rng.random() < 0.5:
        use_bucket(stage)
    stage.server.troubles.append(troubles.slow_writes(0.2))  # else the first is over before the second writes
    call = rng.randint(1, 80)
    first, others = crossed(
        stage.server, stage.run, second=lambda: stage.carry_out(Mode.APPLY, Cancellation()), call=call
    )
    # Whose digest is whose cannot be told while both are under way.
    return [replace(evidence, wants_digest=False) for evidence in (first, *others)]


RUNS: tuple[Scenario, ...] = (
    Scenario(name="Lambda, nothing goes wrong", drive=invoke, is_mixable=False),
    Scenario(
        name="one account is slower than a Lambda has time",
        drive=_slow_account,
        finish=_run_again_after_all_others_were_enforced,
        is_mixable=False,
        with_cases=False,
    ),
    Scenario(name="Lambda deadline", drive=_deadline, is_mixable=False),
    Scenario(name="Lambda deadline while writes are throttled", drive=_deadline_while_writes_wait, is_mixable=False),
    Scenario(name="the same event after its run", drive=_same_event, is_mixable=False),
    Scenario(name="the same event during its run", drive=_same_event_meanwhile, is_mixable=False),
    Scenario(name="onboarding before the roles exist", drive=_onboarding, is_mixable=False),
    Scenario(name="two runs at once", drive=_two_at_once, is_mixable=False),
)
