"""A run with everything around it in memory, and what is read from its report."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.assessment import Rules
from orchestrator.domain.config import Config
from orchestrator.domain.model import Mode
from orchestrator.output.slack.channel import SlackChannel
from orchestrator.pipeline.context import Finished
from orchestrator.pipeline.run import run
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import AccountReport, RunReport, UserReport
from tests.builders import NOW, make_request
from tests.fake_aws import FakeAws
from tests.fakes import (
    FakeChannel,
    FakeEventBus,
    FakeObserver,
    FakePermit,
    FakeSecurityHub,
    FakeSlackClient,
    MemoryStore,
    make_context,
)


@dataclass
class Stage:
    """A run with everything around it; `play` carries it out."""

    aws: FakeAws = field(default_factory=FakeAws)
    store: MemoryStore = field(default_factory=MemoryStore)
    slack: FakeSlackClient = field(default_factory=FakeSlackClient)
    channels: tuple[FakeChannel, ...] = ()
    observer: FakeObserver = field(default_factory=FakeObserver)
    securityhub: FakeSecurityHub | None = None
    event_bus: FakeEventBus | None = None
    cancellation: Cancellation = field(default_factory=Cancellation)
    is_stopped: Callable[[], bool] = lambda: False
    ask: bool = True
    answers: bool = True
    asked: list[RunReport] = field(default_factory=list)
    permit: FakePermit = field(default_factory=FakePermit)

    def finish(self, mode: str = "apply", config: Config | None = None, **request: Any) -> Finished:
        config = config or Config()
        archive = RunArchive(self.store, config.archive.keep)
        context = make_context(
            self.aws,
            request=make_request(mode=Mode(mode), **request),
            config=config,
            rules=Rules(config, archive.released_until(NOW), "arn:aws:iam::999999999999:user/operator"),
            stop_reason=lambda: "because" if self.is_stopped() else None,
            cancellation=self.cancellation,
            archive=archive,
            notifiers=(SlackChannel(self.slack, config), *self.channels),
            observer=self.observer,
            confirm=self._confirm if self.ask else None,
            permit=self.permit,
            securityhub=self.securityhub,
            event_bus=self.event_bus,
        )
        return run(context)

    def play(self, mode: str = "apply", config: Config | None = None, **request: Any) -> RunReport:
        return self.finish(mode, config, **request).report

    def _confirm(self, report: RunReport) -> bool:
        self.asked.append(report)
        return self.answers


def account_of(report: RunReport, account_id: str = "000000000001") -> AccountReport:
    return next(account for account in report.accounts if account.id == account_id)


def user_of(report: RunReport, name: str = "alice") -> UserReport:
    (found,) = [user for account in report.accounts for user in account.users if user.name == name]
    return found


def outcomes(report: RunReport) -> dict[str, str]:
    return {user.name: user.outcome.value for account in report.accounts for user in account.users}
