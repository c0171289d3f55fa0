"""Runs in a row against an organization in memory, and what is read from their reports."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.assessment import Rules
from orchestrator.domain.config import Config
from orchestrator.domain.errors import ArchiveError, AssumeRoleDenied
from orchestrator.domain.model import MfaDevice, Mode, StoredFile
from orchestrator.domain.nudges import read_text
from orchestrator.output.slack.channel import SlackChannel
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.distributed.state import MANIFEST, RunState
from orchestrator.pipeline.distributed.steps import apply_batch, gate_plans, list_batches, merge, plan_batch
from orchestrator.pipeline.run import run
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import Changes, RunReport
from tests.builders import NOW, days_ago, make_request
from tests.fake_aws import FakeAws
from tests.fakes import FakeMessenger, FakeSlackClient, MemoryStore, fail, make_context
from tests.pipeline.stage import user_of

Engine = Literal["one", "steps"]
ENGINES: tuple[Engine, ...] = ("one", "steps")
PAYMENTS, SEARCH, LAB = "000000000001", "000000000002", "000000000003"
FIDO = MfaDevice("fido", days_ago(-1.5))


@dataclass
class DatedStore(MemoryStore):
    """A store that knows when each of its files was written; `denied` are an operation and a folder that it refuses."""

    dates: dict[str, datetime] = field(default_factory=dict)
    denied: tuple[str, str] | None = None

    def write(self, name: str, content: bytes) -> None:
        super().write(name, content)
        self.dates[name] = self.written_at

    def create(self, name: str, content: bytes) -> bool:
        self._deny("create", name)
        is_made = super().create(name, content)
        if is_made:
            self.dates[name] = self.written_at
        return is_made

    def list_files(self, prefix: str) -> Iterator[StoredFile]:
        self._deny("list", prefix)
        for file in super().list_files(prefix):
            yield replace(file, written_at=self.dates.get(file.name, NOW))

    def _deny(self, operation: str, name: str) -> None:
        if self.denied is not None and operation == self.denied[0] and name.startswith(self.denied[1]):
            raise ArchiveError(f"no access to {self.denied[1]}")


@dataclass
class Days:
    """An organization from day to day: `play` carries out a run on a day, `aws` changes in between."""

    aws: FakeAws = field(default_factory=FakeAws)
    store: DatedStore = field(default_factory=DatedStore)
    slack: FakeSlackClient = field(default_factory=FakeSlackClient)
    cancellation: Cancellation = field(default_factory=Cancellation)
    messenger: FakeMessenger = field(default_factory=FakeMessenger)
    answers: bool = True
    runs: int = 0
    engine: Engine = "one"

    def play(
        self,
        day: float,
        mode: str = "apply",
        config: Config | None = None,
        *,
        stop: bool | Callable[[], bool] = False,
        **request: Any,
    ) -> RunReport:
        """Carry out a run; in steps unless it releases, is narrowed or asks, which no run in steps does."""
        self.runs += 1
        now = self.store.written_at = NOW + timedelta(days=day)
        config = config or Config()
        self.aws.asked_at = now
        asked = make_request(mode=Mode(mode), run_id=f"run-{self.runs:02}", started_at=now, **request)
        is_stopped = stop if callable(stop) else lambda: stop

        def make() -> RunContext:
            """Return a context with nothing in it from another step."""
            archive = RunArchive(self.store, config.archive.keep)
            return make_context(
                self.aws,
                request=asked,
                config=config,
                rules=Rules(
                    config, archive.released_until(now), told=archive.told_at() if config.nudge.required else {}
                ),
                nudge_text=read_text(config.nudge),
                messenger=self.messenger,
                now=lambda: now,
                stop_reason=lambda: "because" if is_stopped() else None,
                cancellation=self.cancellation,
                archive=archive,
                notifiers=(SlackChannel(self.slack, config),),
                confirm=lambda _: self.answers,
            )

        if self.engine == "one" or asked.mode is Mode.RELEASE or asked.is_narrowed or not self.answers:
            return run(make()).report
        return run_in_steps(make, RunState(self.store, asked.run_id))

    def change(self, account_id: str, name: str, **changes: Any) -> None:
        """Have a user be otherwise from now on."""
        users = self.aws.accounts[account_id].users
        users[name] = replace(users[name], **changes)

    def refuse(self, *account_ids: str) -> None:
        """Have the role be refused in these accounts from now on, and in no other."""

        def before(action: str, account_id: str, subject: str) -> None:
            if action == "enter" and account_id in account_ids:
                raise fail(AssumeRoleDenied, "AccessDenied", "AssumeRole")

        self.aws.before = before

    def archived(self) -> RunReport:
        """Return the report of the last run as the archive has it."""
        return RunArchive(self.store, timedelta(days=400)).load(f"run-{self.runs:02}")


def run_in_steps(make: Callable[[], RunContext], state: RunState, *, batch_size: int = 1) -> RunReport:
    """Return the report of a run in steps, each with a context of its own, as the state machine carries it out."""
    list_batches(make(), state, batch_size=batch_size, max_changes=None)
    manifest = state.read(MANIFEST)
    for number in range(len(manifest.sizes)):
        plan_batch(number, make(), state)
    for number in gate_plans(manifest, make(), state):
        apply_batch(number, make(), state)
    return merge(manifest, make(), state).report


def told(report: RunReport) -> dict[str, list[str]]:
    """Return who changed, by kind of change; kinds without any are left out."""
    changes = changes_of(report)
    users = {
        kind: [user.name for user in getattr(changes, kind)]
        for kind in ("newly_without_mfa", "enrolled", "newly_enforced", "enforcement_undone")
    }
    accounts = {kind: [each.id for each in getattr(changes, kind)] for kind in ("new_accounts", "gone_accounts")}
    return {kind: names for kind, names in (users | accounts).items() if names}


def changes_of(report: RunReport) -> Changes:
    assert report.changes is not None
    return report.changes


def opened_on(report: RunReport, name: str = "alice") -> float:
    """Return on which day a user was first seen without MFA."""
    since = user_of(report, name).open_since
    assert since is not None
    return (since - NOW) / timedelta(days=1)
