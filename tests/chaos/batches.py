"""What the scenarios of IAM events share: batches that the dice draw, what is expected of them, and crowds of users."""

from dataclasses import replace
from random import Random
from typing import Any

from tests.chaos.bus import Mail, enrolled, from_elsewhere, policy_changed, sign_in, undo
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence
from tests.chaos.invariants_of_ends import allowed_ends, way_of
from tests.chaos.people import PLAIN
from tests.chaos.scenarios import Drive, Scenario
from tests.chaos.world import Person, add_people

GARBAGE = (b"", b"{", b"null", b'{"runs": 5}', b'{"runs": [{"run_id": "x"}]}')
"""Files that cannot be understood."""


def see_everybody(stage: Stage) -> None:
    """Make the daily run of yesterday."""
    stage.configure(limits={"max_changes_per_run": 0})
    stage.run()
    stage.configure()


def draw_batch(stage: Stage, rng: Random, most: int = 4) -> list[Mail]:
    """Return events about some people, those whom no run enters upon included, and others that name nobody."""
    named = {stage.world.pick(rng), *rng.sample(list(stage.world.people()), k=rng.randint(2, most))}
    mails = [
        rng.choice([sign_in(rng, one), undo(one)]) for one in sorted(named, key=lambda one: (one.account_id, one.name))
    ]
    stranger = stage.world.pick(rng, "plain")
    others = [enrolled(stranger), policy_changed(stranger.account_id), from_elsewhere(stranger)]
    return [*mails, *rng.sample(others, k=rng.randint(0, 2))]


def expect_enforced(stage: Stage, evidence: Evidence) -> Evidence:
    """Return what a run left, as a defect where nothing went wrong and it left out somebody whom its batch names."""
    left = [
        f"{person.account_id}/{person.name}"
        for person in stage.world.people()
        if (person.account_id, person.name) in (evidence.named or ())
        and (state := evidence.ends[person.account_id, person.name]).exists
        and way_of(state) not in allowed_ends(person, state, stage.world)
    ]
    return replace(evidence, defect=evidence.defect or (f"named, and not dealt with: {left}" if left else ""))


def expect_no_write(stage: Stage, evidence: Evidence, who: Person | None = None) -> Evidence:
    """Return what a run left, as a defect where it wrote to somebody, or to anybody."""
    writes = [
        entry for entry in stage.server.book.writes(evidence.run_id) if who is None or entry.user_name == who.name
    ]
    return replace(evidence, defect=evidence.defect or (f"must not write: {writes[0]}" if writes else ""))


def targets(stage: Stage) -> list[Person]:
    """Return whom a run without faults enforces."""
    return [
        person
        for place in stage.world.places.values()
        for person in place.people
        if person.kind.wanted and place.is_entered and place.has_role and place.has_policy
    ]


def add_crowd(stage: Stage, count: int) -> list[Person]:
    """Add many users to the account of somebody who would be enforced, and return them."""
    place = stage.world.places[targets(stage)[-1].account_id]
    return list(add_people(stage.world, place, PLAIN, count))


def set_limit(stage: Stage, most: int) -> None:
    """Set the limit of a run until the faults are over."""
    stage.configure(limits={"max_changes_per_run": most})
    stage.undo.append(stage.configure)


def event_scenario(name: str, drive: Drive, **changes: Any) -> Scenario:
    """Return a scenario of IAM events, in a small organization."""
    return Scenario(name=f"IAM events, {name}", drive=drive, places=3, is_mixable=False, **changes)
