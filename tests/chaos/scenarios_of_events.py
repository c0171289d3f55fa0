"""Scenarios of runs of IAM events: how their batches come, and what fails meanwhile.

Each begins with the daily run of yesterday, which saw everybody and was held by its limit; after it the next is made.
"""

import shutil
from dataclasses import replace
from functools import partial
from random import Random

from orchestrator.reports.archive import LEDGER
from tests.chaos import happenings, troubles
from tests.chaos.batches import (
    GARBAGE,
    add_crowd,
    draw_batch,
    event_scenario,
    expect_enforced,
    expect_no_write,
    see_everybody,
    set_limit,
    targets,
)
from tests.chaos.bus import (
    ELSEWHERE,
    Mail,
    deliver,
    enrolled,
    forged,
    sign_in,
    undo,
)
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence, FolderArchive
from tests.chaos.happenings import at_call, draw_moment
from tests.chaos.invariants_of_ends import way_of
from tests.chaos.people import PLAIN
from tests.chaos.scenarios import Scenario
from tests.chaos.world import Person, backend, policy_arn


def _twice(stage: Stage, rng: Random) -> list[Evidence]:
    see_everybody(stage)
    mails = draw_batch(stage, rng)
    first = deliver(stage, *mails, *mails[:1])
    return [expect_enforced(stage, first), expect_no_write(stage, deliver(stage, *mails))]


def _out_of_order(stage: Stage, rng: Random) -> list[Evidence]:
    """Have people change, and the events of all that come late, in any order."""
    see_everybody(stage)
    mails: list[Mail] = []
    for _ in range(4):
        person = stage.world.pick(rng, "plain", "old-key", "crowded")
        change = rng.choice(
            [happenings.enrol(stage.world, person, "virtual"), happenings.delete_user(stage.world, person)]
        )
        if rng.random() < 0.5:
            change()
        mails += [sign_in(rng, person), sign_in(rng, person), enrolled(person), undo(person)]
    rng.shuffle(mails)
    return [expect_enforced(stage, deliver(stage, *mails[start::3])) for start in range(3)]


def _gone(stage: Stage, rng: Random) -> list[Evidence]:
    """Name users who are not there any more, who never were, and one who is deleted in mid-run."""
    see_everybody(stage)
    gone, going, there = (stage.world.pick(rng, "plain") for _ in range(3))
    happenings.delete_user(stage.world, gone)()
    act = happenings.delete_user(stage.world, going)
    stage.server.happenings.append(draw_moment(rng, going.account_id, act))
    ghost = Person(there.account_id, PLAIN, "ghost")
    mails = [sign_in(rng, one) for one in (gone, going, there, ghost)]
    return [expect_enforced(stage, deliver(stage, *mails, undo(ghost))), deliver(stage, *mails)]


def _flood(stage: Stage, rng: Random) -> list[Evidence]:
    """Have one account make more users than its share, beside others who are named once each."""
    see_everybody(stage)
    most = rng.choice([6, 50])
    set_limit(stage, most)
    flood = add_crowd(stage, 9)
    others = [one for one in targets(stage) if one.account_id != flood[0].account_id][:2]
    halves = zip((flood[:5], flood[5:]), others, strict=True)
    made = [deliver(stage, *(sign_in(rng, one) for one in half), undo(other)) for half, other in halves]
    left = [other for other in others if way_of(made[-1].ends[other.account_id, other.name]) is None]
    defect = f"the flood held off users of another account: {left}" if left and most > 6 else ""
    return [made[0], replace(made[1], defect=made[1].defect or defect)]


def _calls_fail(stage: Stage, rng: Random) -> list[Evidence]:
    """Have calls fail, and the batch come again as long as it comes back."""
    see_everybody(stage)
    kinds = (
        troubles.throttling(rng.uniform(0.05, 0.5)),
        troubles.server_errors(rng.uniform(0.05, 0.3)),
        troubles.resets(rng.uniform(0.05, 0.3), after=False),
        troubles.resets(rng.uniform(0.05, 0.3), after=True),
        troubles.cut_answers(rng.uniform(0.02, 0.2)),
        troubles.nonsense(rng.uniform(0.02, 0.2)),
        troubles.guest_network(rng.uniform(0.02, 0.2)),
        troubles.skewed_clock(rng.uniform(0.02, 0.2)),
        troubles.lost_writes(rng.choice([1, 2, 99])),
    )
    stage.server.troubles.append(rng.choice(kinds))
    mails = draw_batch(stage, rng, most=8)
    made = [deliver(stage, *mails)]
    while made[-1].came_back and len(made) < 3:
        made.append(deliver(stage, *mails))
    return made


def _archive_fails(stage: Stage, rng: Random) -> list[Evidence]:
    """Have the folder of runs of events become impossible to write at a random call: nobody is enforced unnoted."""
    see_everybody(stage)
    assert isinstance(stage.archive, FolderArchive)
    folder = stage.archive.path / "event-runs"

    def act() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.write_text("in the way", encoding="utf-8")

    stage.server.happenings.append(at_call(rng.randint(1, 50), act))
    stage.undo.append(lambda: folder.unlink() if folder.is_file() else None)
    return [deliver(stage, *draw_batch(stage, rng, most=8))]


def _ledger_broken(stage: Stage, rng: Random) -> list[Evidence]:
    """Have the ledger be one that cannot be understood, from the start or after a first batch."""
    see_everybody(stage)
    first = [deliver(stage, *draw_batch(stage, rng))] if rng.random() < 0.5 else []
    stage.archive.put(LEDGER, rng.choice(GARBAGE))
    stage.server.book.shut_at = len(stage.server.book.entries)
    stage.undo.append(lambda: setattr(stage.server.book, "shut_at", None))
    return [*first, deliver(stage, *map(undo, targets(stage)), *draw_batch(stage, rng, most=8))]


def _forged(stage: Stage, rng: Random) -> list[Evidence]:
    """Have forged messages come beside true ones."""
    see_everybody(stage)
    first, *others = targets(stage)
    mails = [sign_in(rng, first)]
    for one in others:
        elsewhere = [account_id for account_id in (*stage.world.places, ELSEWHERE) if account_id != one.account_id]
        mails += [forged(rng, one, rng.choice(elsewhere)) for _ in range(2)]
    rng.shuffle(mails)
    return [expect_enforced(stage, deliver(stage, *mails))]


def _undone(stage: Stage, rng: Random) -> list[Evidence]:
    """Have somebody take EnforceMFA from a user twice: the second time it is left to the daily run."""
    see_everybody(stage)
    person, other = stage.world.pick(rng, "plain"), stage.world.pick(rng, "old-key", "crowded", "plain")
    made = [deliver(stage, sign_in(rng, person))]
    for expect in (expect_enforced, partial(expect_no_write, who=person)):
        backend(person.account_id).detach_user_policy(policy_arn(person.account_id), person.name)
        made.append(expect(stage, deliver(stage, undo(person), sign_in(rng, other))))
    return made


EVENTS: tuple[Scenario, ...] = (
    event_scenario("twice", _twice),
    event_scenario("out of order", _out_of_order),
    event_scenario("for users who are gone", _gone),
    event_scenario("a flood of one account", _flood),
    event_scenario("calls fail", _calls_fail),
    event_scenario("their archive fails", _archive_fails),
    event_scenario("the ledger is broken", _ledger_broken),
    event_scenario("forged", _forged),
    event_scenario("undone again", _undone),
)
