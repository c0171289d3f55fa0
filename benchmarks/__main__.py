"""Measures the targets and prints a table for each: `python -m benchmarks [--quick] [--write FILE]`."""

import argparse
from pathlib import Path

from benchmarks.measuring import certificates
from benchmarks.tables import render_conditions, render_section, write_document
from benchmarks.targets import QUICK, Bench, Sizes, run_targets


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few accounts: to try the benchmark, not to quote")
    parser.add_argument("--write", type=Path, metavar="FILE", help="renew the tables of this document")
    given = parser.parse_args()
    command = "make bench" + (" ARGS=--quick" if given.quick else "")
    written = [render_conditions(command)]
    print(written[0], flush=True)
    with certificates() as folder:
        for section in run_targets(Bench(folder, QUICK if given.quick else Sizes())):
            written.append(render_section(section))
            print(f"\n{written[-1]}", flush=True)
    if given.write:
        write_document(given.write, written)


if __name__ == "__main__":
    main()
