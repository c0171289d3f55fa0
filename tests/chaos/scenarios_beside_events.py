"""Scenarios of runs of IAM events that cross other runs, are held back, or are killed."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from random import Random

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.model import Mode
from orchestrator.pipeline.lease import LEASE_FILE, TURN_FILE, make_content
from tests.aws_server import Call, error_for
from tests.chaos import troubles
from tests.chaos.batches import (
    GARBAGE,
    add_crowd,
    draw_batch,
    event_scenario,
    expect_enforced,
    expect_no_write,
    see_everybody,
    set_limit,
)
from tests.chaos.bus import (
    deliver,
    hand_over,
    look_at_daily_runs,
    meet,
    sign_in,
    undo,
)
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence, FolderArchive
from tests.chaos.happenings import Moment, at_call
from tests.chaos.people import PLAIN
from tests.chaos.scenarios import Scenario
from tests.chaos.scenarios_in_steps import run_in_steps
from tests.chaos.scenarios_of_releases import as_crossed, free_for_good
from tests.chaos.scenarios_of_runs import use_bucket
from tests.chaos.scenarios_of_switches import set_stop
from tests.chaos.wire import Disturbance, Instead
from tests.chaos.world import add_people


def _during_daily(stage: Stage, rng: Random) -> list[Evidence]:
    """Have a batch come at a random call of the daily run, also where its writes are throttled for a while."""
    see_everybody(stage)
    stage.server.troubles.append(rng.choice([troubles.slow_writes(0.1), troubles.throttled_writes(6)]))
    mails = draw_batch(stage, rng, most=8)
    daily, *events = meet(stage, stage.run, second=lambda: hand_over(stage, mails), call=rng.randint(1, 110))
    lost = "" if look_at_daily_runs(stage).latest == daily.run_id else "the daily run is not the latest"
    return [replace(daily, defect=daily.defect or lost), *events, deliver(stage, *mails)]


def _when_daily_comes(stage: Stage, rng: Random) -> list[Evidence]:
    """Have the daily run come at a random call of a run of events."""
    see_everybody(stage)
    stage.server.troubles.append(rng.choice([troubles.slow_writes(0.1), troubles.throttled_writes(6)]))
    mails = draw_batch(stage, rng, most=8)
    return meet(
        stage,
        lambda: hand_over(stage, mails),
        second=lambda: stage.carry_out(Mode.APPLY, Cancellation()),
        call=rng.randint(20, 70),
    )


def _during_release(stage: Stage, rng: Random) -> list[Evidence]:
    """Have events come during a release: of its own detaching, and of others; and again once it is over."""
    enforced = stage.run()
    place = next(
        place for place in stage.world.places.values() if place.is_entered and place.has_role and place.has_policy
    )
    fresh = list(add_people(stage.world, place, PLAIN, 3))
    stage.world.touched |= {(one.account_id, one.name) for one in fresh}  # the first run could not see them
    freed = [person for person in stage.world.people() if person.kind.wanted and person not in fresh]
    stage.server.troubles += [rng.choice([troubles.slow_writes(0.1), troubles.throttled_writes(6)])]
    mails = [undo(one) for one in freed] + [sign_in(rng, one) for one in fresh]
    made = meet(stage, lambda: stage.run(Mode.RELEASE), second=lambda: hand_over(stage, mails), call=rng.randint(1, 60))
    return as_crossed(stage, [enforced, *made, deliver(stage, *mails)])


def _during_steps(stage: Stage, rng: Random) -> list[Evidence]:
    """Have a batch come at a random call of a run in steps."""
    mails = draw_batch(stage, rng, most=8)
    stage.server.troubles.append(troubles.slow_writes(0.1))
    return meet(
        stage,
        lambda: run_in_steps(stage, hub=stage.make_hub()),
        second=lambda: hand_over(stage, mails),
        call=rng.randint(1, 160),
    )


def _two_at_once(stage: Stage, rng: Random) -> list[Evidence]:
    """Have a second batch come at a random call of the first, perhaps with the same users; then both once more."""
    see_everybody(stage)
    stage.server.troubles += [troubles.slow_looks(0.05), troubles.slow_writes(0.1)]
    one, two = draw_batch(stage, rng, most=6), draw_batch(stage, rng, most=6)
    made = meet(stage, lambda: hand_over(stage, one), second=lambda: hand_over(stage, two), call=rng.randint(1, 50))
    return [*made, expect_enforced(stage, deliver(stage, *one, *two))]


def _stopped(stage: Stage, rng: Random) -> list[Evidence]:
    see_everybody(stage)
    set_stop(stage, rng, rng.randint(1, 50))
    mails = draw_batch(stage, rng, most=8)
    return [deliver(stage, *mails), deliver(stage, *mails)]


def _lease_changes(stage: Stage, rng: Random) -> list[Evidence]:
    """Have another run take the lease at a random call, or the lease become one that cannot be understood."""
    see_everybody(stage)
    stage.configure(concurrency={"workers": rng.choice([1, 1, 3])})
    stage.undo.append(stage.configure)
    content = rng.choice([make_content("another", is_release=rng.random() < 0.5), *GARBAGE])
    batches = [draw_batch(stage, rng, most=8) for _ in range(2)]

    def act() -> None:
        stage.server.book.shut_at = len(stage.server.book.entries)
        stage.archive.put(LEASE_FILE, content)

    def undo_it() -> None:
        stage.server.book.shut_at = None
        stage.archive.put(LEASE_FILE, make_content("another", is_release=False, is_given_back=True))

    stage.undo.append(undo_it)
    moment = rng.choice([at_call(rng.randint(1, 60), act), *[_at_write(stage, rng.randint(1, 4), act)] * 2])
    if rng.random() < 0.2:
        act()
    else:
        stage.server.happenings.append(moment)
    return [deliver(stage, *batch) for batch in batches]


def _at_write(stage: Stage, count: int, act: Callable[[], None]) -> Callable[[Call], None]:
    """Do something at the so-manieth call in a session that may write: right before the first writes."""
    found, sessions = at_call(count, act), stage.server.book.sessions
    return lambda call: found(call) if call.access_key in sessions and sessions[call.access_key].can_write else None


def _killed(stage: Stage, rng: Random) -> list[Evidence]:
    """Have a run end at one of its writes as a process does that is killed: it does nothing more, the archive included.

    The next batch finds the turn taken, and later what the dead run was about to do.
    """
    see_everybody(stage)
    set_limit(stage, 50)
    crowd = add_crowd(stage, 8)
    archive, aside = stage.archive, stage.folder / "aside"
    assert isinstance(archive, FolderArchive)

    def refuse(call: Call, _: Random) -> Disturbance | None:
        return Instead(error_for(call, "AccessDenied", "the process is dead", 403))

    def die() -> None:
        shutil.copytree(archive.path, aside)
        stage.server.troubles.insert(0, refuse)

    stage.server.happenings.append(Moment(crowd[0].account_id, rng.choice([1, 3, 4]), die, action="AttachUserPolicy"))
    dead = deliver(stage, *(sign_in(rng, one) for one in crowd[:4]))
    if not aside.exists():
        return [replace(dead, defect=dead.defect or "the run never came to the write at which it was to be killed")]
    stage.server.calm()
    shutil.rmtree(archive.path)
    aside.rename(archive.path)
    dead = replace(dead, code=1, archived=None, was_killed=True, messages=(), defect="", daily=None)
    mails = [sign_in(rng, one) for one in crowd[4:]]
    waits = expect_no_write(stage, deliver(stage, *mails))
    archive.age(TURN_FILE)
    return [dead, waits, deliver(stage, *mails)]


BESIDE_EVENTS: tuple[Scenario, ...] = (
    event_scenario("during a daily run", _during_daily),
    event_scenario("when a daily run comes", _when_daily_comes),
    event_scenario("during a release", _during_release, finish=free_for_good),
    event_scenario("during a run in steps", _during_steps, arrange=lambda stage, _: use_bucket(stage)),
    event_scenario("two batches at once", _two_at_once),
    event_scenario("killed amid its writes", _killed),
    event_scenario("the lease is taken or broken", _lease_changes),
    event_scenario("under the stop switch", _stopped),
)
