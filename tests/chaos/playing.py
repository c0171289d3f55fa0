"""One play of one scenario: a world is built, things go wrong, then nothing does, and the books are compared."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic

from orchestrator.aws.clients import Clients
from orchestrator.domain.model import Mode
from tests.chaos.book import Book
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence, FolderArchive
from tests.chaos.invariants import Violation, check_accounts
from tests.chaos.invariants_of_ends import check_end
from tests.chaos.invariants_of_events import check_event_limits, check_events
from tests.chaos.invariants_of_policies import check_policy_changes
from tests.chaos.invariants_of_releases import check_freed, check_releases
from tests.chaos.invariants_of_switches import check_lease, check_limits, check_stop
from tests.chaos.invariants_of_telling import check_telling
from tests.chaos.invariants_of_writes import check_truth, check_writes
from tests.chaos.scenarios import Scenario
from tests.chaos.server import ChaosServer
from tests.chaos.world import World, build_world
from tests.fake_slack import FakeSlack


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one play."""

    scenario: str
    seed: str
    runs: int
    violations: tuple[str, ...]
    seconds: float


def play(scenario: Scenario, seed: str, server: ChaosServer, clients: Clients | None = None) -> Played:
    """Play a scenario once and return what it violated."""
    began, rng = monotonic(), Random(f"{scenario.name}|{seed}")  # noqa: S311 - a die, no secret
    with_cases = rng.random() < 0.4 if scenario.with_cases is None else scenario.with_cases
    world = build_world(server, f"world|{scenario.name}|{seed}", with_cases=with_cases, places=scenario.places)
    server.begin(world, f"{scenario.name}|{seed}")
    with tempfile.TemporaryDirectory(prefix="orgmfa-chaos-") as folder, FakeSlack() as slack:
        stage = Stage(server, world, Path(folder), FolderArchive(Path(folder) / "runs"), slack, clients)
        stage.configure()
        scenario.arrange(stage, rng)
        disturbed = scenario.drive(stage, rng)
        found = [violation for evidence in disturbed for violation in judge(evidence, server.book, world)]
        found += check_event_limits(disturbed, server.book, world)
        stage.recover()
        found += (scenario.finish or _run_again)(stage)
        events = frozenset(evidence.run_id for evidence in disturbed if evidence.named is not None)
        found += check_lease(server.book, events)
        found += [violation for evidence in disturbed for violation in check_freed(evidence, server.book)]
    return Played(scenario.name, seed, len(disturbed), tuple(map(str, found)), monotonic() - began)


def _run_again(stage: Stage) -> list[Violation]:
    """Make one more run, with nothing going wrong, and return what it and the end state violate."""
    again = stage.run()
    return [*judge(again, stage.server.book, stage.world), *check_end(again, stage.world)]


def judge(evidence: Evidence, book: Book, world: World) -> Iterator[Violation]:
    """Yield what one run violates of the invariants that hold after every run."""
    yield from check_accounts(evidence, book, world)
    yield from check_telling(evidence, world)
    if evidence.mode is Mode.RELEASE:
        yield from check_releases(evidence, book)
        return
    yield from check_events(evidence, book, world)
    yield from check_writes(evidence, book, world)
    yield from check_policy_changes(evidence, book, world)
    yield from check_limits(evidence, book, world)
    yield from check_stop(evidence, book, world)
    yield from check_truth(evidence, book)
