"""Which scenarios are played with which seeds, and the processes that play them, each with a fake AWS of its own."""

import multiprocessing
import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from subprocess import TimeoutExpired

from orchestrator.aws.clients import Clients, make_clients
from tests.chaos.mixtures import MIXTURES
from tests.chaos.playing import Played, play
from tests.chaos.scenarios import Scenario
from tests.chaos.scenarios_around import AROUND
from tests.chaos.scenarios_beside_events import BESIDE_EVENTS
from tests.chaos.scenarios_in_steps import IN_STEPS
from tests.chaos.scenarios_of_calls import CALLS
from tests.chaos.scenarios_of_commands import COMMANDS
from tests.chaos.scenarios_of_events import EVENTS
from tests.chaos.scenarios_of_guards import GUARDS
from tests.chaos.scenarios_of_people import PEOPLE
from tests.chaos.scenarios_of_policies import POLICIES
from tests.chaos.scenarios_of_releases import RELEASES
from tests.chaos.scenarios_of_runs import RUNS
from tests.chaos.scenarios_of_switches import SWITCHES
from tests.chaos.server import SECRET, ChaosServer
from tests.chaos.tempo import in_a_hurry

ALL: tuple[Scenario, ...] = (
    *CALLS,
    *PEOPLE,
    *AROUND,
    *SWITCHES,
    *GUARDS,
    *POLICIES,
    *RUNS,
    *IN_STEPS,
    *RELEASES,
    *EVENTS,
    *BESIDE_EVENTS,
    *COMMANDS,
    *MIXTURES,
)
LONG = 200
"""From so many runs on, the scenarios are played that take long."""

_stage: list[tuple[ChaosServer, Clients]] = []
_open = ExitStack()
"""What lasts as long as the process does."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One play to come: a scenario by its number, and a seed."""

    number: int
    seed: str


def plan_plays(runs: int, seed: int, *, only: str = "") -> list[Planned]:
    """Return so many plays: each scenario in turn, by its share, then mixtures for what is left."""
    chosen = [number for number, scenario in enumerate(ALL) if only in scenario.name]
    chosen = [number for number in chosen if runs >= LONG or only or not ALL[number].is_for_long]
    counts: dict[int, int] = defaultdict(int)
    plays: list[Planned] = []
    rng = Random(seed)  # noqa: S311 - a die, no secret
    while len(plays) < runs and chosen:
        turn = [number for number in chosen for _ in range(ALL[number].share)]
        rng.shuffle(turn)
        for number in turn[: runs - len(plays)]:
            plays.append(Planned(number, f"{seed}-{counts[number]}"))
            counts[number] += 1
        chosen = [number for number in chosen if counts[number] < (ALL[number].runs_at_most or runs)]
    return plays


def open_stage() -> None:
    """Start this process's fake AWS, with an environment that leads to nothing else."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "ORGMFA_", "BOTO_", "HTTP_", "HTTPS_"))]:
        del os.environ[name]
    server = _open.enter_context(ChaosServer())
    os.environ.update(
        AWS_ACCESS_KEY_ID="AKIAEXAMPLEHUB000000",
        AWS_SECRET_ACCESS_KEY=f"{SECRET}-of-the-hub",
        AWS_DEFAULT_REGION="eu-central-1",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_ENDPOINT_URL=server.url,
    )
    _open.enter_context(in_a_hurry())
    _stage.append((server, make_clients(connections=8)))


def play_one(planned: Planned) -> Played:
    """Play one scenario on the stage of this process."""
    server, clients = _stage[0]
    scenario = ALL[planned.number]
    try:
        return play(scenario, planned.seed, server, clients)
    except TimeoutExpired as error:
        text = f"the program did not end within {error.timeout:.0f} s"
        return Played(scenario.name, planned.seed, 1, (text,), error.timeout)


def play_all(plays: list[Planned], jobs: int) -> Iterator[Played]:
    """Yield what came of the plays, as they end; each of the processes has a fake AWS of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=open_stage) as pool:
        yield from pool.map(play_one, plays)
