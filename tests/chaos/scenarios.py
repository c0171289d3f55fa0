"""What a scenario is: what is arranged, which runs are made while it lasts, and what is judged once it is over."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import Violation
from tests.chaos.wire import Trouble

Arrange = Callable[[Stage, Random], None]
Drive = Callable[[Stage, Random], list[Evidence]]
Finish = Callable[[Stage], list[Violation]]


def one_run(stage: Stage, _: Random) -> list[Evidence]:
    """Make one run while things go wrong."""
    return [stage.run()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row of the table. `with_cases`: the world needs a hand anyway; None: as the dice fall."""

    name: str
    arrange: Arrange = lambda *_: None
    drive: Drive = one_run
    finish: Finish | None = None
    """What is made and judged once nothing goes wrong any more; None: an apply run, and who is enforced after it."""
    with_cases: bool | None = None
    is_mixable: bool = True
    """Whether what is arranged can be arranged beside something else."""
    places: int = 4
    """How many member accounts there are."""
    share: int = 1
    """How often the scenario is played, against one that is played once."""
    runs_at_most: int | None = None
    is_for_long: bool = False
    """Whether the scenario is left to `make chaos`."""


def from_wire(make: Callable[[Random], Trouble]) -> Arrange:
    """Have something go wrong on the way to AWS."""

    def arrange(stage: Stage, rng: Random) -> None:
        stage.server.troubles.append(make(rng))

    return arrange
