"""Scenarios of `orgmfa release`: what an undisturbed run enforced is taken off again while things go wrong."""

from random import Random

from orchestrator.domain.model import Mode
from tests.chaos import troubles
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import Violation
from tests.chaos.invariants_of_releases import check_released
from tests.chaos.scenarios import Scenario


def _release(stage: Stage, rng: Random) -> list[Evidence]:
    enforced = stage.run()
    kinds = (
        troubles.throttling(0.4),
        troubles.resets(0.25, after=True),
        troubles.resets(0.25, after=False),
        troubles.cut_answers(0.2),
        troubles.server_errors(0.3),
    )
    stage.server.troubles.append(rng.choice(kinds))
    return [enforced, stage.run(Mode.RELEASE)]


def _release_again(stage: Stage) -> list[Violation]:
    again = stage.run(Mode.RELEASE)
    after = stage.run()
    return list(check_released(again, after, stage.server.book, stage.world))


RELEASES: tuple[Scenario, ...] = (
    Scenario(name="release while calls fail", drive=_release, finish=_release_again, with_cases=False),
)
