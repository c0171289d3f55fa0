"""What a mutation is: a way in which the program is broken on purpose."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A text of the program, another in its place, and which invariant a scenario must then find violated."""

    name: str
    guards: str
    path: str
    before: str
    after: str
    scenario: str
    invariant: int
    runs: int = 3
