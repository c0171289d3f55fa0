"""`python -m tests.chaos.mutations`: breaks the program on purpose, one line at a time, and has the matrix find it.

Each mutation is made in a temporary copy of the checkout, never in the checkout itself. It counts as caught where the
plays of its scenario violate the invariant that it is aimed at. Prints a table; exit code 1 where one went unseen.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.mutants import MUTATIONS
from tests.chaos.mutation import Mutation
from tests.chaos.table import put_between_marks

ROOT = Path(__file__).parents[2]
PARTS = ("orchestrator", "member_role", "stackset", "requirements", "tests")
BEGIN, END = "<!-- mutations: begin -->", "<!-- mutations: end -->"
SEED = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one mutation; `seen` is a violation of the invariant it was aimed at, empty where there was none."""

    mutation: Mutation
    seen: str
    output: str


def mutate(mutation: Mutation, folder: Path) -> None:
    """Copy the checkout into a folder and break it. Raises ValueError where the text to break is not there once."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / mutation.path
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.before) != 1:
        message = f"{mutation.name}: {mutation.path} holds {mutation.before!r} {text.count(mutation.before)} times"
        raise ValueError(message)
    path.write_text(text.replace(mutation.before, mutation.after), encoding="utf-8")


def try_out(mutation: Mutation) -> Verdict:
    """Play a mutation's scenario with the broken program."""
    with tempfile.TemporaryDirectory(prefix="orgmfa-mutant-") as name:
        folder = Path(name)
        mutate(mutation, folder)
        plays = ["--only", mutation.scenario, "--runs", str(mutation.runs), "--seed", str(SEED), "--jobs", "1"]
        done = subprocess.run(
            [sys.executable, "-m", "tests.chaos", *plays],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": name, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [line for line in done.stderr.splitlines() if f"invariant {mutation.invariant}:" in line]
    return Verdict(mutation, lines[0] if lines and done.returncode == 1 else "", done.stdout + done.stderr)


def make_table(verdicts: Iterable[Verdict]) -> str:
    """Return the table: a row a mutation."""
    rows = [
        f"| {mutation.guards} | {mutation.name} (`{mutation.path}`) | {mutation.scenario} | "
        f"{'yes' if verdict.seen else '**no**'} |"
        for verdict in verdicts
        for mutation in [verdict.mutation]
    ]
    return "\n".join(["| guards | what was broken | scenario | caught |", "|---|---|---|---|", *rows])


def main() -> int:
    """Try the mutations out and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.mutations", description=__doc__)
    parser.add_argument("--only", default="", help="the mutations whose name holds this text")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    given = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if given.only in mutation.name]
    verdicts = []
    with ThreadPoolExecutor(given.jobs) as pool:
        for verdict in pool.map(try_out, chosen):
            verdicts.append(verdict)
            sys.stderr.write(f"{verdict.mutation.name}: {verdict.seen or f'NOT CAUGHT: {verdict.output[-2000:]}'}\n")
            sys.stderr.flush()
    table = make_table(verdicts)
    sys.stdout.write(f"{table}\n")
    if given.write:
        text = given.write.read_text(encoding="utf-8")
        given.write.write_text(put_between_marks(text, table, begin=BEGIN, end=END), encoding="utf-8")
    return int(not verdicts or not all(verdict.seen for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
