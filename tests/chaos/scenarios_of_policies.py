"""Scenarios in which the program owns policy and group: missing, unfinished or old ones, and something goes wrong."""

from collections.abc import Callable
from random import Random
from typing import Any

from orchestrator.concurrency.cancellation import Cancellation
from tests.chaos import happenings as people_at_work
from tests.chaos import moto_iam, troubles
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence
from tests.chaos.happenings import at_call, draw_moment
from tests.chaos.scenarios import Scenario
from tests.chaos.world import Place, backend

_TROUBLES: tuple[Callable[[Random], Any], ...] = (
    lambda rng: troubles.throttling(rng.uniform(0.05, 0.3)),
    lambda rng: troubles.server_errors(rng.uniform(0.02, 0.1)),
    lambda rng: troubles.resets(rng.uniform(0.02, 0.15), after=False),
    lambda rng: troubles.resets(rng.uniform(0.02, 0.15), after=True),
    lambda rng: troubles.cut_answers(rng.uniform(0.02, 0.1)),
    lambda rng: troubles.lost_writes(rng.choice([1, 2])),
)
_OTHERS = (moto_iam.replace_policy_text, moto_iam.delete_policy, moto_iam.widen_group)


def _make_owned(stage: Stage, rng: Random) -> None:
    """Have the program own policy and group, and leave it something to do in most accounts."""
    stage.configure(policy={"managed_by": "orchestrator"})
    for place in stage.world.places.values():
        if place.is_entered and place.has_role and place.has_policy:
            _unmake(place, rng)


def _unmake(place: Place, rng: Random) -> None:
    """Take away what an account has of policy and group, as far as that frees nobody who is enforced already."""
    iam, ways = backend(place.id), {person.kind.enforced for person in place.people}
    submit_all = rng.random()
    if submit_all < 0.3:
        moto_iam.age_policy(iam, versions=rng.choice([2, 5]))
    elif submit_all < 0.7 and ways == {None}:
        moto_iam.delete_policy(iam)
    if "group" not in ways and rng.random() < 0.6:
        rng.choice([moto_iam.delete_group, moto_iam.empty_group])(iam)


def _calls_fail(stage: Stage, rng: Random) -> None:
    _make_owned(stage, rng)
    stage.server.troubles.append(rng.choice(_TROUBLES)(rng))


def _halted(stage: Stage, rng: Random) -> list[Evidence]:
    cancellation = Cancellation()
    stage.server.happenings.append(at_call(rng.randint(40, 150), cancellation.event.set))
    return [stage.run(cancellation=cancellation)]


def _changed_meanwhile(stage: Stage, rng: Random) -> None:
    _make_owned(stage, rng)
    account_id = stage.world.pick(rng, "plain").account_id
    act = people_at_work.change_account(stage.world, account_id, rng.choice(_OTHERS))
    stage.server.happenings.append(draw_moment(rng, account_id, act))


POLICIES: tuple[Scenario, ...] = (
    Scenario(name="policy and group of our own, calls fail", arrange=_calls_fail, is_mixable=False, share=2),
    Scenario(name="policy and group of our own, told to end", arrange=_make_owned, drive=_halted, is_mixable=False),
    Scenario(name="policy and group of our own, changed by others", arrange=_changed_meanwhile, is_mixable=False),
)
