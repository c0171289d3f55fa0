"""Random mixtures: several things go wrong in one run, at lower rates, so that there is something left to go wrong."""

from random import Random

from orchestrator.concurrency.cancellation import Cancellation
from tests.chaos import troubles
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence
from tests.chaos.happenings import at_call
from tests.chaos.scenarios import Arrange, Scenario, from_wire
from tests.chaos.scenarios_around import AROUND
from tests.chaos.scenarios_of_calls import CALLS
from tests.chaos.scenarios_of_commands import run_command
from tests.chaos.scenarios_of_people import PEOPLE
from tests.chaos.scenarios_of_runs import schedule

_WIRE: tuple[Arrange, ...] = (
    from_wire(lambda rng: troubles.throttling(rng.uniform(0.01, 0.3))),
    from_wire(lambda rng: troubles.server_errors(rng.uniform(0.01, 0.1))),
    from_wire(lambda rng: troubles.resets(rng.uniform(0.01, 0.1), after=False)),
    from_wire(lambda rng: troubles.resets(rng.uniform(0.01, 0.1), after=True)),
    from_wire(lambda rng: troubles.cut_answers(rng.uniform(0.01, 0.1))),
    from_wire(lambda rng: troubles.nonsense(rng.uniform(0.005, 0.03))),
    from_wire(lambda rng: troubles.guest_network(rng.uniform(0.005, 0.03))),
    from_wire(lambda rng: troubles.skewed_clock(rng.uniform(0.005, 0.03))),
    from_wire(lambda rng: troubles.lost_writes(rng.choice([1, 2]))),
    from_wire(lambda _: troubles.slow_answers(1)),
)
_OTHERS: tuple[Arrange, ...] = tuple(scenario.arrange for scenario in (*CALLS, *PEOPLE, *AROUND) if scenario.is_mixable)


def _mix(stage: Stage, rng: Random) -> None:
    for arrange in (*rng.sample(_WIRE, k=rng.randint(1, 3)), *rng.sample(_OTHERS, k=rng.randint(1, 3))):
        arrange(stage, rng)


def _run_somehow(stage: Stage, rng: Random) -> list[Evidence]:
    """Run as the command line or the Lambda does, perhaps told to end."""
    submit_all = rng.random()
    if submit_all < 0.5:
        return [stage.run()]
    if submit_all < 0.7:
        cancellation = Cancellation()
        stage.server.happenings.append(at_call(rng.randint(1, 150), cancellation.event.set))
        return [stage.run(cancellation=cancellation)]
    seconds = rng.choice([900.0, 60 + rng.uniform(0.2, 2.0)])
    return [stage.invoke(schedule(), remaining_seconds=seconds)]


MIXTURES: tuple[Scenario, ...] = (
    Scenario(name="mixture", arrange=_mix, drive=_run_somehow, share=20),
    Scenario(name="mixture, by the command line", arrange=_mix, drive=run_command, share=2),
)
