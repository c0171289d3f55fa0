"""The command line as a process of its own, as it ships: with its real waits, its signals and its exit codes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from time import monotonic

from pydantic import ValidationError

from orchestrator.domain.model import Mode
from orchestrator.reports.report import RunReport
from tests.chaos.driving import UNUSABLE, Stage
from tests.chaos.evidence import Evidence, archived_report, archived_texts
from tests.chaos.tempo import READ_TIMEOUT_IN_SERVICE

TIMEOUT_SECONDS = 300
MOST_SECONDS_AFTER_SIGNAL = 30
"""How long the program may take to end once it was told to; it is part of what the command line promises."""
_LIMITED = (
    "import resource, runpy, sys; limit = int(sys.argv.pop(1)); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); "
    "runpy.run_module('orchestrator', run_name='__main__', alter_sys=True)"
)
"""Starts the program where no file may grow beyond a limit: writing more fails, as on a full disk."""


@dataclass
class Command:
    """One start of `orgmfa`; the process can be signalled while it runs."""

    stage: Stage
    arguments: tuple[str, ...] = ("apply", "--yes", "--output", "json")
    environment: dict[str, str] = field(default_factory=dict)
    most_bytes: int | None = None
    signalled: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    """When each signal was sent, on the monotonic clock in seconds."""
    process: subprocess.Popen[str] | None = None

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal, where it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.signalled.append(number)
            self.moments.append(monotonic())
            self.process.send_signal(number)

    def run(self, *, signal_after: float | None = None, number: signal.Signals = signal.SIGINT) -> Evidence:
        """Let the process run to its end and return what it left; on demand signal it after so many seconds."""
        stage = self.stage
        since, messages = len(stage.server.book.entries), len(stage.slack.messages) if stage.slack else 0
        with self._started() as process:
            timer = Timer(signal_after or 0.0, self.send, (number,))
            if signal_after is not None:
                timer.start()
            stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
            timer.cancel()
        ended_at = monotonic()
        report, defect = _read(stdout), "" if "Traceback" not in stderr or self.signalled else stderr
        run_id = report.run_id if report else max(stage.server.book.run_ids(since), default="")
        stage.server.book.end(run_id)
        archived = archived_report(stage.archive, run_id)
        # A signal that comes while the report is being printed ends that: it is archived by then.
        is_killed = bool(self.signalled) and (
            process.returncode not in {0, 1, 2} or (report is None and archived is not None)
        )
        if report is None and stdout and not is_killed:
            defect = f"standard output is no report: {stdout[:500]!r}"
        has_begun = len(stage.server.book.entries) > since
        if report is None and process.returncode != UNUSABLE and not is_killed and (has_begun or not self.signalled):
            defect = f"exit code {process.returncode} without a report: {stderr[-1500:]}"
        if self.moments and ended_at - self.moments[0] > MOST_SECONDS_AFTER_SIGNAL:
            defect = f"ended {ended_at - self.moments[0]:.0f} s after the signal"
        digests = stage.slack.messages[messages:] if stage.slack else []
        words = [text for message in digests for text in (message.text, *message.texts)]
        return Evidence(
            kind="command",
            mode=Mode(self.arguments[0]),
            run_id=run_id,
            since=since,
            until=len(stage.server.book.entries),
            code=process.returncode,
            report=report,
            ends=stage.world.states(),
            archived=archived,
            wants_digest=stage.slack is not None and self.arguments[0] == "apply",
            messages=tuple(digests),
            said="\n".join([stdout, stderr, archived_texts(stage.archive), *words]),
            secret_texts=stage.slack.secret_texts if stage.slack else (),
            was_halted=bool(self.signalled),
            was_killed=is_killed,
            defect=defect,
        )

    @contextmanager
    def _started(self) -> Iterator[subprocess.Popen[str]]:
        start = ["-m", "orchestrator"] if self.most_bytes is None else ["-c", _LIMITED, str(self.most_bytes)]
        environment = {**os.environ, **self.stage.environment, "PYTHONPATH": str(Path.cwd()), **self.environment}
        server = self.stage.server
        patience_before, server.timeout_seconds = server.timeout_seconds, READ_TIMEOUT_IN_SERVICE
        self.process = subprocess.Popen(
            [sys.executable, *start, *self.arguments],
            cwd=self.stage.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield self.process
        finally:
            self.process.kill()
            self.process.communicate()
            server.timeout_seconds = patience_before


def _read(stdout: str) -> RunReport | None:
    try:
        return RunReport.model_validate_json(stdout)
    except ValidationError:
        return None
