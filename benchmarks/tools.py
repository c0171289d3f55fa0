"""The tools that are compared, by name. orgmfa runs as it ships; the naive ones from an environment of their own."""

import sys
from pathlib import Path

from benchmarks.measuring import ROOT, Tool

_NAIVE_PYTHON = str(ROOT / ".cache/bench/bin/python")

ORGMFA = Tool(
    "orgmfa",
    (
        str(Path(sys.executable).with_name("orgmfa")),
        "apply",
        "--yes",
        "--output",
        "json",
        "--max-changes",
        "none",
        "--max-changes-per-account",
        "none",
    ),
)
NO_SDK = Tool("no SDK", (sys.executable, "-m", "benchmarks.no_sdk"))
NAIVE = tuple(
    Tool(name, (_NAIVE_PYTHON, "-m", f"benchmarks.{module}"))
    for name, module in (
        ("thread pool", "thread_pool"),
        ("botocove", "with_botocove"),
        ("runacross", "with_runacross"),
    )
)
