"""Runs of the program inside this process, through the functions that the command line and the Lambda call."""

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from threading import enumerate as all_threads
from typing import Any

import structlog
import yaml

from orchestrator.aws.clients import Clients, make_clients
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config_file import parse_config
from orchestrator.domain.errors import OrgmfaError
from orchestrator.domain.model import Mode, RunRequest, Trigger
from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.run import lambda_handler
from orchestrator.lambdas.runtime import RunFailed
from orchestrator.logs import configure_logs
from orchestrator.pipeline.lease import LEASE_FILE
from orchestrator.reports.report import RunReport, exit_code
from orchestrator.wiring import Hub, build_context, make_run_id, run_once, utc_now
from tests.aws_server import MANAGEMENT
from tests.chaos.evidence import Archive, Evidence, archived_report, archived_run_ids, archived_texts, told
from tests.chaos.server import ChaosServer
from tests.chaos.world import World
from tests.fake_slack import FakeSlack

UNUSABLE = 2


class Silent:
    """Watches a run and says nothing."""

    def phase(self, name: str, total: int | None) -> None: ...
    def found(self, name: str, count: int) -> None: ...
    def done(self, name: str, *, changes: int, failed: bool) -> None: ...


@dataclass
class FakeContext:
    """The Lambda context of an invocation that may still last so long."""

    remaining_seconds: float
    invoked_function_arn: str = f"arn:aws:lambda:eu-central-1:{MANAGEMENT}:function:orgmfa"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.remaining_seconds * 1000)


@dataclass
class Stage:
    """Everything around the runs of one scenario: the fake AWS and its world, a folder, and perhaps a Slack."""

    server: ChaosServer
    world: World
    folder: Path
    archive: Archive
    slack: FakeSlack | None = None
    clients: Clients | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    undo: list[Callable[[], None]] = field(default_factory=list)
    """What ends the faults that the server knows nothing of."""

    def configure(self, **sections: Any) -> None:
        """Write the configuration that all runs of this scenario have."""
        self.settings = {"archive": {"location": self.archive.location}} | self.world.config(**sections)
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.settings), encoding="utf-8")
        self.archive.put("releases/earlier.json", self.world.releases().encode())

    def recover(self) -> None:
        """End all faults; the lease of a run that was killed runs out meanwhile."""
        self.server.calm()
        if self.slack:
            self.slack._failures.clear()
        for undo in self.undo:
            undo()
        if LEASE_FILE in self.archive.files():
            self.archive.age(LEASE_FILE)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the program that these runs have."""
        webhook = {"ORGMFA_SLACK_WEBHOOK_URL": self.slack.webhook_url} if self.slack else {}
        return {"ORGMFA_CONFIG": str(self.folder / "config.yaml"), **webhook}

    def run(self, mode: Mode = Mode.APPLY, *, cancellation: Cancellation | None = None) -> Evidence:
        """Carry out one run as `orgmfa apply --yes` does, and return what it left."""
        logs = io.StringIO()
        with logged(logs, as_json=False):
            evidence = self.carry_out(mode, cancellation or Cancellation())
        return replace(evidence, said=f"{evidence.said}\n{logs.getvalue()}")

    def carry_out(
        self, mode: Mode, cancellation: Cancellation, confirm: Callable[[RunReport], bool] | None = None
    ) -> Evidence:
        """Carry out one run; the log goes where it goes, since several runs can be under way."""
        since, messages, now = len(self.server.book.entries), self._count_messages(), utc_now()
        request = RunRequest(run_id=make_run_id(now), mode=mode, trigger=Trigger.CLI, started_at=now)
        outcome = take(lambda: self._run_once(request, cancellation, confirm))
        self.server.book.end(request.run_id)
        wait_for_threads()
        report: RunReport | None = outcome.result
        return Evidence(
            kind="run",
            mode=mode,
            run_id=request.run_id,
            since=since,
            until=len(self.server.book.entries),
            code=UNUSABLE if report is None else exit_code(report),
            report=report,
            was_halted=cancellation.reason is not None,
            defect=outcome.defect,
            **self._found(request.run_id, messages, outcome, report.model_dump_json() if report else ""),
        )

    def invoke(self, event: object, *, remaining_seconds: float = 900, wants_digest: bool = True) -> Evidence:
        """Invoke the Lambda once, cold, and return what it left."""
        return self.serve(lambda: lambda_handler(event, FakeContext(remaining_seconds)), wants_digest=wants_digest)

    def serve(self, call: Callable[[], Any], *, wants_digest: bool = True) -> Evidence:
        """Make a call, cold, that invokes the Lambda once or for each step of a run, and return what that left."""
        logs, since, before = io.StringIO(), len(self.server.book.entries), archived_run_ids(self.archive)
        messages = self._count_messages()
        invocation._warm.clear()
        with variables(self.environment), logged(logs, as_json=True):
            outcome = take(call)
            until, new = len(self.server.book.entries), archived_run_ids(self.archive) - before
            run_id = max(new or self.server.book.run_ids(since), default="")  # runs of IAM events may be among these
            self.server.book.end(run_id)
            wait_for_threads()
        found = self._found(run_id, messages, outcome, f"{json.dumps(outcome.result)}\n{logs.getvalue()}")
        found["wants_digest"] &= wants_digest
        return Evidence(
            kind="lambda",
            run_id=run_id,
            since=since,
            until=until,
            code=outcome.code,
            was_halted='"deadline"' in found["said"],
            defect=outcome.defect,
            **found,
        )

    def make_hub(self) -> Hub:
        """Return configuration and clients as a process keeps them between its runs."""
        config = parse_config(yaml.safe_dump(self.settings), source="config.yaml")
        return Hub(config, self.environment, self.clients or make_clients(connections=config.concurrency.workers))

    def _run_once(
        self, request: RunRequest, cancellation: Cancellation, confirm: Callable[[RunReport], bool] | None
    ) -> RunReport:
        context = build_context(
            self.make_hub(),
            request,
            cancellation=cancellation,
            observer=Silent(),
            confirm=confirm,
            send_digest=self.slack is not None,
        )
        return run_once(context).report

    def _count_messages(self) -> int:
        return len(self.slack.messages) if self.slack else 0

    def _found(self, run_id: str, messages: int, outcome: "Outcome", output: str) -> dict[str, Any]:
        """Return what a run left in archive and Slack, and all texts that it put out."""
        digests = self.slack.messages[messages:] if self.slack else []
        words = [text for message in digests for text in (message.text, *message.texts)]
        return {
            "ends": self.world.states(),
            "archived": archived_report(self.archive, run_id),
            "wants_digest": self.slack is not None,
            "messages": tuple(digests),
            "secret_texts": self.slack.secret_texts if self.slack else (),
            "said": "\n".join([told(outcome.error), output, archived_texts(self.archive), *words]),
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call into the program ended."""

    result: Any = None
    error: BaseException | None = None
    code: int = 0
    defect: str = ""


def take(call: Callable[[], Any]) -> Outcome:
    """Make a call into the program and return how it ended; only errors of the program's own tree are foreseen."""
    try:
        return Outcome(call())
    except OrgmfaError as error:
        return Outcome(error=error, code=1 if isinstance(error, RunFailed) else UNUSABLE)
    except Exception as error:  # noqa: BLE001 - whatever else comes out of the program is what we look for
        return Outcome(error=error, code=UNUSABLE, defect=told(error))


@contextmanager
def logged(stream: io.StringIO, *, as_json: bool) -> Iterator[None]:
    """Send the log of the program and its standard output into a text."""
    configure_logs(as_json=as_json, stream=stream)
    with redirect_stderr(stream), redirect_stdout(stream):  # the Lambda configures its log itself
        yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@contextmanager
def variables(values: dict[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def wait_for_threads() -> None:
    """Wait for work that the run has given up: in service the process ends, here it must not reach the next run."""
    threads: list[Thread] = [thread for thread in all_threads() if thread.name.startswith(("account", "listing"))]
    for thread in filter(Thread.is_alive, threads):  # another run can be about to start one
        thread.join(timeout=60)
