"""Measures the targets and prints a table for each: `python -m benchmarks --help` lists the options."""

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks.measuring import certificates
from benchmarks.tables import render_conditions, render_section, write_document
from benchmarks.targets import QUICK, Bench, Sizes, run_targets

TARGETS = (1, 2, 3, 4, 5)


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few accounts: to try the benchmark, not to quote")
    parser.add_argument("--spare-naive", action="store_true", help="try the naive tools on 500 accounts, not on more")
    parser.add_argument("--only", type=int, choices=TARGETS, nargs="+", default=TARGETS, help="these targets alone")
    parser.add_argument("--write", type=Path, metavar="FILE", help="renew the tables of this document")
    given = parser.parse_args()
    written = [render_conditions(_command(given))]
    print(written[0], flush=True)
    with certificates() as folder:
        for section in run_targets(Bench(folder, _sizes(given)), frozenset(given.only)):
            written.append(render_section(section))
            print(f"\n{written[-1]}", flush=True)
    if given.write:
        write_document(given.write, written)


def _sizes(given: argparse.Namespace) -> Sizes:
    sizes = QUICK if given.quick else Sizes()
    return replace(sizes, most_naive=500) if given.spare_naive else sizes


def _command(given: argparse.Namespace) -> str:
    """Return the command that measures the same again."""
    quick = [f"--{name}" for name in ("quick", "spare-naive") if getattr(given, name.replace("-", "_"))]
    only = ["--only", *map(str, given.only)] if given.only != TARGETS else []
    arguments = " ".join([*quick, *only])
    return f'make bench ARGS="{arguments}"' if arguments else "make bench"


if __name__ == "__main__":
    main()
