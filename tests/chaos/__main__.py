"""`python -m tests.chaos --runs 500 --seed 1`: plays the scenarios and prints a table of them.

Exit code 1 where an invariant did not hold; each violation comes with the command that plays it again. `--only` plays
the scenarios whose name holds a text, `--write FILE` puts the table into a document, between two marks.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from tests.chaos.playing import Played
from tests.chaos.plays import Planned, plan_plays, play_all
from tests.chaos.table import make_table, put_between_marks


def repeat_command(played: Played) -> str:
    """Return the command that plays a play again."""
    return f".venv/bin/python -m tests.chaos --only {shlex.quote(played.scenario)} --play {played.seed}"


def parse_arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="how many plays")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="the scenarios whose name holds this text")
    parser.add_argument("--play", default="", help="the one play with this seed, such as 1-7")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    parser.add_argument("--verbose", action="store_true", help="a line for each play")
    return parser.parse_args()


def say(played: Iterable[Played], *, verbose: bool) -> list[Played]:
    """Return all plays once they are over; violations are said as they come, on standard error."""
    done = []
    for one in played:
        done.append(one)
        if verbose:
            sys.stderr.write(f"{one.seconds:6.1f} s  {one.scenario} (seed {one.seed})\n")
        for violation in one.violations:
            sys.stderr.write(f"{one.scenario} (seed {one.seed}): {violation}\n")
        if one.violations:
            sys.stderr.write(f"    again: {repeat_command(one)}\n")
        sys.stderr.flush()
    return done


def main() -> int:
    """Play, print, and return the exit code."""
    given = parse_arguments()
    plays = plan_plays(given.runs, given.seed, only=given.only)
    if given.play:
        plays = [Planned(number, given.play) for number in sorted({planned.number for planned in plays})]
    began = monotonic()
    played = say(play_all(plays, given.jobs), verbose=given.verbose)
    asked = f"--runs {given.runs} --seed {given.seed}" + (f" --only {shlex.quote(given.only)}" if given.only else "")
    told = f"`python -m tests.chaos {asked}`, {datetime.now(UTC):%Y-%m-%d}: {len(plays)} plays"
    table = make_table(played)
    sys.stdout.write(f"{table}\n\n{told}, {monotonic() - began:.0f} s\n")
    if given.write:
        text = given.write.read_text(encoding="utf-8")
        given.write.write_text(put_between_marks(text, f"{told}.\n\n{table}"), encoding="utf-8")
    return int(not played or any(one.violations for one in played))


if __name__ == "__main__":
    sys.exit(main())
