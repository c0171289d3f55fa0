import re
from pathlib import Path

import pytest

from benchmarks.capacity import (
    BATCH_SIZE,
    DEFAULT_MB,
    TIMEOUT_SECONDS,
    Measured,
    cost_of_batches,
    cost_of_one_function,
    read_measured,
    render,
)
from tests.stackset.rendering import template

DOCS = Path(__file__).parents[1] / "docs"
# 1 s of CPU and 2 s of wall time for 100 accounts.
WAITING = Measured(100, wall=2.0, cpu=1.0)
# The other way round, as in a function that has little of a processor.
WORKING = Measured(100, wall=1.0, cpu=2.0)


MEASURED = """
### 1. First run, 20 accounts

|  | accounts | wall s | CPU s | peak MB |
| --- | --- | --- | --- | --- |
| orgmfa | 20 | 1.5 | 0.9 | 80 |
| no SDK | 20 | 0.6 | 0.3 | 51 |

### 1. First run, 2,000 accounts

| orgmfa | 2,000 | 60.5 | 55.1 | 116 |

### 2. Steady state, 500 accounts

| orgmfa | 500 | 9.1 | 7.6 | 90 |
| no SDK | 500 | 3.6 | 0.6 | 51 |
"""


def test_what_was_measured_is_read_from_the_largest_table() -> None:
    assert read_measured(MEASURED, "1. First run") == Measured(2_000, wall=60.5, cpu=55.1)
    assert read_measured(MEASURED, "2. Steady state") == Measured(500, wall=9.1, cpu=7.6)
    with pytest.raises(AssertionError, match="make bench"):
        read_measured("", "2. Steady state")


@pytest.mark.parametrize(
    ("measured", "memory", "seconds"),
    [
        (WAITING, 1769, 0.04),
        (WORKING, 1769, 0.04),
        # A second processor is of no use, a fraction of one is.
        (WORKING, 3538, 0.04),
        (WORKING, 884.5, 0.08),
        (WAITING, 884.5, 0.04),
    ],
)
def test_an_account_takes_the_longer_of_waiting_and_working(measured: Measured, memory: int, seconds: float) -> None:
    assert measured.seconds_per_account(memory) == pytest.approx(seconds)


def test_a_function_finishes_what_fits_before_its_last_minute() -> None:
    assert WORKING.capacity(1769) == 21_000


def test_what_one_function_does_not_finish_has_no_price() -> None:
    cost = cost_of_one_function(WORKING, 21_000)

    assert cost is not None
    assert cost.gb_seconds == pytest.approx(840 * 1769 / 1024)
    assert cost.day == pytest.approx(cost.function + cost.storage)
    assert cost_of_one_function(WORKING, 21_001) is None


def test_batches_cost_states_and_files_too() -> None:
    some, more = cost_of_batches(WORKING, 1_000), cost_of_batches(WORKING, 1_001)

    assert (some.batches, more.batches) == (5, 6)
    assert some.gb_seconds == pytest.approx((1_000 * 0.04 + 3 * 900) * 1769 / 1024)
    assert more.states - some.states == pytest.approx(4 * 0.025 / 1_000)
    assert more.storage > some.storage > 0


def test_the_defaults_are_those_of_the_stack() -> None:
    declared = template("central")["Parameters"]

    assert [declared[name]["Default"] for name in ("BatchSize", "MemorySize", "Timeout")] == [
        BATCH_SIZE,
        DEFAULT_MB,
        TIMEOUT_SECONDS,
    ]


def test_the_tables_show_both_ways_where_both_are_possible() -> None:
    text = render(WORKING, WAITING)

    assert "| 1,769 | 1.00 | 21,000 | 21,000 |" in text
    assert re.findall(r"^\| ([\d,]+) \| lambda", text, re.MULTILINE) == ["100", "1,000", "10,000"]
    assert re.findall(r"^\| ([\d,]+) \| distributed", text, re.MULTILINE) == ["1,000", "10,000", "50,000"]


def test_the_document_says_what_follows_from_the_benchmarks() -> None:
    measured = (DOCS / "benchmarks.md").read_text("utf-8")

    tables = render(read_measured(measured, "1. First run"), read_measured(measured, "2. Steady state"))

    assert tables in (DOCS / "capacity.md").read_text("utf-8")
