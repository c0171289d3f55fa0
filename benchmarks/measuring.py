"""Runs a tool in a process of its own against a fresh endpoint, and measures both. Imports nothing heavy.

Linux counts the memory of a parent to its child until the child starts a program, so what runs here must stay small.
"""

import http.client
import json
import os
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from time import monotonic
from typing import Any

from benchmarks.organization import HUB_ACCOUNT_ID, Scenario

ROOT = Path(__file__).resolve().parent.parent
MOST_SECONDS = 3600.0
_HUB_SERVICE = "organizations:"
_WORKERS = "ORGMFA_CONCURRENCY_WORKERS"
_START_UP = "sts:GetCallerIdentity"


@dataclass(frozen=True, slots=True)
class Tool:
    """What is measured: its name in the tables, and its command."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Books:
    """What the endpoint saw: calls by account and `service:Action`, throttled calls, whom it holds enforced."""

    calls: Mapping[str, Mapping[str, int]]
    throttled: Mapping[str, int]
    last_call_at: Mapping[str, float]
    attached: Mapping[str, list[str]]

    def by_action(self) -> Counter[str]:
        """Return the calls by `service:Action`, over all accounts."""
        total: Counter[str] = Counter()
        for counts in self.calls.values():
            total.update(counts)
        return total

    def count_account_calls(self) -> int:
        """Return the calls made for accounts: all but those that start a run, list its accounts and read their OUs."""
        return sum(
            count
            for action, count in self.by_action().items()
            if action != _START_UP and not action.startswith(_HUB_SERVICE)
        )

    def others_finished_after(self, special: str) -> float:
        """Return when the last account but the one named was answered last, in seconds after the first call."""
        return max(at for account, at in self.last_call_at.items() if account not in {special, HUB_ACCOUNT_ID})


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one tool took for one scenario: seconds, CPU seconds (user and system), peak memory in MB (10^6 bytes)."""

    tool: str
    scenario: Scenario
    wall: float
    cpu: float
    peak_mb: float
    books: Books

    @property
    def calls(self) -> int:
        """All calls made, throttled ones too."""
        return self.books.by_action().total()


class ToolFailed(Exception):
    """A tool that ended otherwise than with exit code 0."""


@contextmanager
def certificates() -> Iterator[Path]:
    """Make certificates in a folder that is deleted in the end, and yield the folder."""
    with TemporaryDirectory(prefix="orgmfa-bench-") as name:
        subprocess.run([sys.executable, "-m", "benchmarks.certificates", name], cwd=ROOT, check=True)  # noqa: S603 - our own module
        yield Path(name)


@contextmanager
def serving(scenario: Scenario, folder: Path) -> Iterator[int]:
    """Serve a scenario with the certificates of the folder, and yield the port."""
    command = [sys.executable, "-m", "benchmarks.endpoint", scenario.to_json(), "endpoint.pem", "endpoint.key"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def read_books(port: int, folder: Path) -> Books:
    """Return the books of the endpoint at a port."""
    context = ssl.create_default_context(cafile=str(folder / "bundle.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
    connection.request("GET", "/books")
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return Books(**found)


def measure(tool: Tool, scenario: Scenario, folder: Path, *, may_fail: bool = False) -> Measurement:
    """Return what a tool takes for a scenario. Raises ToolFailed where it does not end well, unless it may fail."""
    with serving(scenario, folder) as port, TemporaryDirectory(prefix="orgmfa-bench-run-") as name:
        wall, usage = run_tool(tool, port, folder, place=Path(name), may_fail=may_fail)
        books = read_books(port, folder)
    return Measurement(
        tool=tool.name,
        scenario=scenario,
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * 1024 / 1e6,
        books=books,
    )


def run_tool(tool: Tool, port: int, folder: Path, *, place: Path, may_fail: bool) -> tuple[float, Any]:
    """Return the seconds that a tool took, and its use of the machine."""
    with (place / "stdout").open("wb") as stdout, (place / "stderr").open("wb") as stderr:
        began_at = monotonic()
        process = subprocess.Popen(  # noqa: S603 - the commands of `tools`
            tool.command,
            cwd=place,
            env=make_environment(port, folder),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        too_long = Timer(MOST_SECONDS, process.kill)
        too_long.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = monotonic() - began_at
        too_long.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not may_fail:
        said = (place / "stderr").read_text(errors="replace")[-2000:]
        raise ToolFailed(f"{tool.name} ended with {process.returncode}: {said}")
    return wall, usage


def make_environment(port: int, folder: Path) -> dict[str, str]:
    """Return the environment of a tool: the endpoint's, and nothing of the machine's own AWS settings.

    Of orgmfa's own, the number of accounts worked on at once is passed on.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == _WORKERS or not name.startswith(("AWS_", "ORGMFA_", "BOTO_"))
    }
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}",
        "AWS_CA_BUNDLE": str(folder / "bundle.pem"),
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEHUB000000",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
