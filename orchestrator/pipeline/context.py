"""Context shared by all parts of a run: the request, the rules, the ports, the cancellation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.assessment import Rules
from orchestrator.domain.config import Config
from orchestrator.domain.model import Organization, Placement, Problem, RunRequest, Stage
from orchestrator.pipeline import ports
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.history import History
from orchestrator.reports.report import RunReport

_RUN_AGAIN = {
    "interrupted": "The run was interrupted: run again.",
    "deadline": "The run came near its deadline: run again, give it more time, or use the distributed scale.",
    "slow": "Run over account {account} alone, so that it has all of the time: `orgmfa apply --account {account}`, or "
    "invoke the function with its ID in `accounts`.",
    "lease_lost": "Another run has the lease on writing, or this machine slept until it ran out: run again.",
    "lost": "A part of the run did not come back: the execution of the state machine tells why. Run again.",
}
"""The remedy for work that was not done, by the reason for which the run ended early."""


def cut_short(stage: Stage, reason: str | None, message: str, *, account_id: str = "") -> Problem:
    """Return the problem of work that was not done because the run, or the time of its account, ended early."""
    reason = reason or "interrupted"
    return Problem(stage, reason, message, _RUN_AGAIN[reason].format(account=account_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """Dependencies and settings shared by all account workers of a run."""

    request: RunRequest
    config: Config
    organization: Organization
    rules: Rules
    history: History = field(default_factory=History)
    now: Callable[[], datetime]
    cancellation: Cancellation
    stop_reason: Callable[[], str | None]
    confirm: Callable[[RunReport], bool] | None  # asks a person whether a plan may be carried out; None: nobody
    permit: ports.Permit
    directory: ports.Directory
    find_places: Callable[[], ports.Places] = lambda: lambda _: Placement()
    sessions: ports.Sessions
    iam: ports.Iam
    policies: ports.Policies
    simulator: ports.Simulator
    archive: RunArchive
    securityhub: ports.SecurityHub | None = None
    messenger: ports.Messenger | None = None
    nudge_text: str = ""
    expects_onboarding: bool = False
    notifiers: Sequence[ports.Notifier]
    event_bus: ports.EventBus | None = None
    observer: ports.Observer
    counter: ports.Counter


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished run: its report, where that is archived, the calls to AWS with all retries, and those throttled."""

    report: RunReport
    address: str | None
    was_declined: bool = False
    api_calls: int = 0
    api_throttles: int = 0
