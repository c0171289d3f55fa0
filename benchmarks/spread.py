"""Whether a run is better off on one core or on several: `python -m benchmarks.spread`.

A first run over 500 accounts as it ships, its threads on one core; the same with threads on any core; and two
processes at once, each with an endpoint of its own and half of the accounts, for what several processes could gain.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks.measuring import Measurement, Tool, certificates, measure
from benchmarks.organization import Scenario
from benchmarks.tools import ORGMFA

WHOLE = Scenario(accounts=500)
HALF = replace(WHOLE, accounts=250)
PROCESSES = 2
ON_ANY_CORE = Tool("orgmfa", (sys.executable, "-m", "benchmarks.spread", "--child", *ORGMFA.command[1:]))


def main() -> None:
    """Measure the three, and print a line for each."""
    with certificates() as folder, ThreadPoolExecutor(PROCESSES) as several:
        _show("threads on one core", [measure(ORGMFA, WHOLE, folder)])
        _show("threads on any core", [measure(ON_ANY_CORE, WHOLE, folder)])
        _show("two processes", list(several.map(lambda _: _measure_half(folder), range(PROCESSES))))


def _measure_half(folder: Path) -> Measurement:
    return measure(ORGMFA, HALF, folder)


def _show(name: str, measured: list[Measurement]) -> None:
    wall, cpu = max(one.wall for one in measured), sum(one.cpu for one in measured)
    print(f"{name}: {wall:.1f} s, {cpu:.1f} s of CPU, {sum(one.peak_mb for one in measured):.0f} MB", flush=True)


def run_on_any_core() -> None:
    """Run the command line, without its threads being bound."""
    from orchestrator.cli.main import main as run  # noqa: PLC0415 - as above
    from orchestrator.concurrency import pool  # noqa: PLC0415 - in the child alone

    vars(pool)["one_core"] = lambda: None
    sys.argv.remove("--child")
    run()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        run_on_any_core()
    else:
        main()
