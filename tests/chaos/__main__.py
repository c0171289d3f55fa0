"""`python -m tests.chaos --runs 500 --seed 1`: plays the scenarios and prints a table of them.

Exit code 1 where an invariant did not hold. `--only` plays the scenarios whose name holds a text; a violation comes
back with the seed that is printed beside it: `--only NAME --play SEED`.
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from time import monotonic

from tests.chaos.playing import Played
from tests.chaos.plays import ALL, Planned, plan_plays, play_all


def make_table(played: Iterable[Played]) -> str:
    """Return the table: a row a scenario, in their order."""
    runs: dict[str, int] = defaultdict(int)
    violations: dict[str, int] = defaultdict(int)
    for one in played:
        runs[one.scenario] += one.runs
        violations[one.scenario] += len(one.violations)
    names = [scenario.name for scenario in ALL if scenario.name in runs]
    rows = [f"| {name} | {runs[name]} | {violations[name]} |" for name in names]
    total = f"| **all** | **{sum(runs.values())}** | **{sum(violations.values())}** |"
    return "\n".join(["| scenario | runs | violations |", "|---|--:|--:|", *rows, total])


def main() -> int:
    """Play, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="how many plays")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="the scenarios whose name holds this text")
    parser.add_argument("--play", default="", help="the one play with this seed, such as 1-7")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--verbose", action="store_true", help="a line for each play")
    given = parser.parse_args()
    plays = plan_plays(given.runs, given.seed, only=given.only)
    if given.play:
        plays = [Planned(number, given.play) for number in sorted({planned.number for planned in plays})]
    began, played = monotonic(), []
    for one in play_all(plays, given.jobs):
        played.append(one)
        if given.verbose:
            sys.stderr.write(f"{one.seconds:6.1f} s  {one.scenario} (seed {one.seed})\n")
        for violation in one.violations:
            sys.stderr.write(f"{one.scenario} (seed {one.seed}): {violation}\n")
    sys.stdout.write(f"{make_table(played)}\n\n{len(plays)} plays, seed {given.seed}, {monotonic() - began:.0f} s\n")
    return int(any(one.violations for one in played))


if __name__ == "__main__":
    sys.exit(main())
