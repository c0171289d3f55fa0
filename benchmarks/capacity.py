"""What one function finishes, when to switch to Scale=distributed, and what a daily run costs, by what was measured.

    .venv/bin/python -m benchmarks.capacity [--measured docs/benchmarks.md] [--write docs/capacity.md]

Measures nothing: accounts, wall and CPU seconds are those of orgmfa in the tables that `make bench` wrote. The formulas
stand in docs/capacity.md.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from benchmarks.tables import render_table, write_document

COMMAND = ".venv/bin/python -m benchmarks.capacity --write docs/capacity.md"
MEASURED = Path("docs/benchmarks.md")
MEMORY_SIZES = (512, 1024, 1769, 3538)
WHOLE_PROCESSOR_MB = 1769
"""AWS Lambda developer guide, Configure memory: one vCPU."""
DEFAULT_MB = 1769
TIMEOUT_SECONDS = 900
RESERVE_SECONDS = 60
"""How long before its end a function starts no more accounts."""
MARGIN = 2
"""For a slower processor than the one measured, calls that take longer, and calls that AWS throttles."""

ORGANIZATIONS = (100, 1_000, 10_000, 50_000)
BATCH_SIZE = 200
"""The default of stackset/central.yaml."""
ASSUME_ROLE_RATE = 600
"""Calls a second of STS in one account; not confirmed by AWS's documentation."""

# US dollars in us-east-1 without the free tier, by copies of AWS's price pages as of November 2026.
GB_SECOND = 0.0000133334  # AWS Lambda, arm64, first tier
REQUEST = 0.20 / 1_000_000  # AWS Lambda
TRANSITION = 0.025 / 1_000  # AWS Step Functions, standard workflows
PUT = 0.005 / 1_000  # Amazon S3 Standard: PUT, LIST
GET = 0.0004 / 1_000  # Amazon S3 Standard: GET

# What a run that applies asks of S3, lists counted as writes: lock, event, earlier reports, page and report; for a
# batch its accounts, plan and results, and the lock. tests/lambdas/test_step_refusals.py
# compares it with what is asked.
FIXED_PUTS, FIXED_GETS = 40, 100
BATCH_PUTS, BATCH_GETS = 6, 10
STEPS = 3
"""Select, gate and merge, each counted with all the time that a function has."""
FIXED_TRANSITIONS = 10
"""Every state of a run once, and its end."""
BATCH_TRANSITIONS = 4
"""In each of two maps the one state of a batch and its end; the price page does not say whether the end counts."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run over so many accounts took, in seconds."""

    accounts: int
    wall: float
    cpu: float

    def seconds_per_account(self, memory_mb: int) -> float:
        """Return what an account takes in a function of this size."""
        share = min(memory_mb / WHOLE_PROCESSOR_MB, 1)
        return MARGIN * max(self.cpu / share, self.wall) / self.accounts

    def capacity(self, memory_mb: int) -> int:
        """Return how many accounts a function of this size finishes."""
        return int((TIMEOUT_SECONDS - RESERVE_SECONDS) / self.seconds_per_account(memory_mb))


@dataclass(frozen=True, slots=True)
class Cost:
    """What a daily run of an organization takes and costs, in US dollars; `batches` is None for one function."""

    accounts: int
    batches: int | None
    gb_seconds: float
    function: float
    states: float
    storage: float

    @property
    def day(self) -> float:
        """The sum."""
        return self.function + self.states + self.storage


def read_measured(text: str, title: str) -> Measured:
    """Return what orgmfa took in the largest section of docs/benchmarks.md whose heading begins so."""
    sections = re.findall(rf"^### {re.escape(title)}.*?(?=^### |\Z)", text, re.MULTILINE | re.DOTALL)
    rows = [
        Measured(int(accounts.replace(",", "")), float(wall), float(cpu))
        for section in sections
        for accounts, wall, cpu in re.findall(
            r"^\| orgmfa \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \|", section, re.MULTILINE
        )
    ]
    assert rows, f"no row of orgmfa under a heading that begins with {title!r}: run make bench ARGS='--write FILE'"
    return max(rows, key=lambda row: row.accounts)


def cost_of_one_function(steady: Measured, accounts: int) -> Cost | None:
    """Return what a run in one function costs, or None where it does not finish."""
    if accounts > steady.capacity(DEFAULT_MB):
        return None
    gb_seconds = accounts * steady.seconds_per_account(DEFAULT_MB) * DEFAULT_MB / 1024
    storage = FIXED_PUTS * PUT + FIXED_GETS * GET
    return Cost(accounts, None, gb_seconds, gb_seconds * GB_SECOND + REQUEST, 0, storage)


def cost_of_batches(steady: Measured, accounts: int) -> Cost:
    """Return what a distributed run costs."""
    batches = ceil(accounts / BATCH_SIZE)
    seconds = accounts * steady.seconds_per_account(DEFAULT_MB) + STEPS * TIMEOUT_SECONDS
    gb_seconds = seconds * DEFAULT_MB / 1024
    requests = STEPS + 2 * batches
    storage = (FIXED_PUTS + batches * BATCH_PUTS) * PUT + (FIXED_GETS + batches * BATCH_GETS) * GET
    states = (FIXED_TRANSITIONS + batches * BATCH_TRANSITIONS) * TRANSITION
    return Cost(accounts, batches, gb_seconds, gb_seconds * GB_SECOND + requests * REQUEST, states, storage)


def render(first: Measured, steady: Measured) -> str:
    """Return the tables as Markdown."""
    return "\n\n".join(
        [
            f"Reckoned by `{COMMAND}` with a margin of {MARGIN}, from:",
            f"- {_describe('first run', first)};\n- {_describe('steady state', steady)}.",
            "Accounts that one function finishes in 15 minutes:",
            render_table(
                ("memory, MB", "share of a processor", "first run", "daily run with nothing to write"),
                _capacity_rows(first, steady),
            ),
            _advise(first, steady),
            f"A daily run with nothing to write; arm64, {DEFAULT_MB:,} MB, us-east-1, US dollars, no free tier:",
            render_table(
                ("accounts", "Scale", "GB-seconds", "Lambda", "Step Functions", "S3", "a day", "30 days"),
                _cost_rows(steady),
            ),
        ]
    )


def _describe(name: str, measured: Measured) -> str:
    cpu, wall = (1000 * seconds / measured.accounts for seconds in (measured.cpu, measured.wall))
    return f"{name} of {measured.accounts:,} accounts, {cpu:.1f} ms of CPU and {wall:.1f} ms of wall time an account"


def _capacity_rows(first: Measured, steady: Measured) -> Iterator[tuple[str, ...]]:
    for memory in MEMORY_SIZES:
        share = min(memory / WHOLE_PROCESSOR_MB, 1)
        yield f"{memory:,}", f"{share:.2f}", f"{first.capacity(memory):,}", f"{steady.capacity(memory):,}"


def _advise(first: Measured, steady: Measured) -> str:
    """Return when to switch, and what to give to the parameters."""
    rate = MARGIN / min(one.seconds_per_account(DEFAULT_MB) for one in (first, steady))
    switch = steady.capacity(DEFAULT_MB) // 2
    batch = min(switch, first.capacity(DEFAULT_MB) // 2)
    at_once = max(1, int(ASSUME_ROLE_RATE / rate))
    return (
        f"So with the default of {DEFAULT_MB:,} MB switch before there are {switch:,} accounts. `BatchSize` may be up "
        f"to {batch:,}. A batch assumes up to {rate:.0f} roles a second, so {at_once} batches at once come to the "
        f"{ASSUME_ROLE_RATE} of STS."
    )


def _cost_rows(steady: Measured) -> Iterator[tuple[str, ...]]:
    for accounts in ORGANIZATIONS:
        alone = cost_of_one_function(steady, accounts)
        for cost in [
            *([alone] if alone else []),
            *([cost_of_batches(steady, accounts)] if accounts > BATCH_SIZE else []),
        ]:
            scale = "lambda" if cost.batches is None else f"distributed, {cost.batches:,} batches"
            money = (f"{one:.4f}" for one in (cost.function, cost.states, cost.storage, cost.day))
            yield f"{accounts:,}", scale, f"{cost.gb_seconds:,.0f}", *money, f"{30 * cost.day:.2f}"


def main() -> None:
    """Print the tables, and write them where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--measured", type=Path, metavar="FILE", default=MEASURED, help="what make bench wrote")
    parser.add_argument("--write", type=Path, metavar="FILE", help="renew the tables of this document")
    given = parser.parse_args()
    measured = given.measured.read_text("utf-8")
    tables = render(read_measured(measured, "1. First run"), read_measured(measured, "2. Steady state"))
    print(tables)
    if given.write:
        write_document(given.write, [tables])


if __name__ == "__main__":
    main()
