"""In-memory stand-ins for what a run needs from outside. Each fits its protocol by shape and keeps its own books."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation, CancelReason
from orchestrator.domain.assessment import Rules
from orchestrator.domain.config import Config
from orchestrator.domain.errors import AwsError, DeliveryError, DigestError
from orchestrator.domain.model import Imported, Product, Refused, StoredFile
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.ports import Releases
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import RunReport
from tests.builders import NOW, ORGANIZATION, make_request
from tests.fake_aws import FakeAws


@dataclass
class MemoryStore:
    """A store in memory; `broken` names the operations that fail."""

    files: dict[str, bytes] = field(default_factory=dict)
    broken: dict[str, Exception] = field(default_factory=dict)
    written_at: datetime = NOW
    expires: bool = False

    def address(self, name: str) -> str:
        return f"memory:{name}"

    def read(self, name: str) -> bytes:
        self._break("read")
        return self.files[name]

    def read_start(self, name: str, size: int) -> bytes:
        self._break("read")
        return self.files[name][:size]

    def write(self, name: str, content: bytes) -> None:
        self._break("write")
        self.files[name] = content

    def create(self, name: str, content: bytes) -> bool:
        self._break("create")
        return name not in self.files and self.files.setdefault(name, content) is content

    def list_files(self, prefix: str) -> Iterator[StoredFile]:
        self._break("list")
        for name in sorted(self.files):
            if name.startswith(prefix):
                yield StoredFile(name, self.written_at)

    def delete(self, name: str) -> None:
        self._break("delete")
        self.files.pop(name, None)

    def _break(self, operation: str) -> None:
        if operation in self.broken:
            raise self.broken[operation]


@dataclass
class FakeSlackClient:
    """Keeps the messages, the replies below them and what is attached to them, or refuses either."""

    refuses: bool = False
    refuses_files: bool = False
    messages: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    has_thread: bool = False
    replies: list[str] = field(default_factory=list)

    def reply(self, text: str, blocks: Sequence[dict[str, Any]], otherwise: Sequence[dict[str, Any]]) -> None:
        if self.refuses_files:
            raise DigestError("Slack refused the thread: channel_not_found")
        self.replies.append(str(blocks))

    def send(self, text: str, blocks: Sequence[dict[str, Any]]) -> None:
        if self.refuses:
            raise DigestError("Slack refused the digest: channel_not_found")
        self.messages.append(text)

    def attach(self, filename: str, content: bytes, comment: str) -> None:
        if self.refuses_files:
            raise DigestError("Slack refused the page: missing_scope")
        self.files[filename] = content


@dataclass
class FakeChannel:
    """Keeps the reports that it is told of, and the page of the last one."""

    reports: list[RunReport] = field(default_factory=list)
    page: bytes = b""

    def notify(self, report: RunReport, *, render_page: Callable[[], Iterable[str]]) -> None:
        self.reports.append(report)
        self.page = "".join(render_page()).encode()


@dataclass
class FakeMessenger:
    """Keeps the messages to people; `people` are e-mail addresses by member ID, `refuses` whom it writes to no more."""

    people: dict[str, str] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    sent: list[tuple[str, str]] = field(default_factory=list)
    killed_after: int | None = None
    """How many messages are sent before the process ends."""
    is_down: bool = False
    asked: list[str] = field(default_factory=list)

    def find(self, address: str) -> tuple[str, str]:
        self.asked.append(address)
        if address in self.people:
            return self.people[address], self.people[address]
        if "@" not in address:
            raise DeliveryError("users_not_found")
        return address, address

    def send(self, recipient: str, subject: str, text: str) -> None:
        if recipient in self.refuses or self.is_down:
            raise DeliveryError("refused", is_general=self.is_down)
        if self.killed_after is not None and len(self.sent) >= self.killed_after:
            raise KeyboardInterrupt
        self.sent.append((recipient, text))


@dataclass
class FakeSecurityHub:
    """Keeps the findings by their ID, refuses some, or fails as a whole."""

    product: Product = field(default_factory=lambda: Product("999999999999", "eu-central-1", "aws"))
    findings: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    refused: tuple[Refused, ...] = ()
    error: AwsError | None = None

    def import_findings(self, findings: Sequence[Mapping[str, Any]], cancellation: Cancellation) -> Imported:
        if self.error is not None:
            raise self.error
        if cancellation.reason:
            return Imported(0, ())
        self.findings |= {finding["Id"].rpartition("/")[2]: finding for finding in findings}
        return Imported(len(findings), self.refused)


@dataclass
class FakeEventBus:
    """Keeps the details of its events, or refuses each."""

    name: str = "security"
    events: list[dict[str, Any]] = field(default_factory=list)
    error: AwsError | None = None

    def put(self, detail_type: str, detail: str) -> None:
        assert detail_type == "Run Finished"
        if self.error is not None:
            raise self.error
        self.events.append(json.loads(detail))


@dataclass
class FakeObserver:
    """Counts what a progress bar would show."""

    phases: list[tuple[str, int | None]] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)
    accounts_done: int = 0
    changes: int = 0
    failures: int = 0

    def phase(self, name: str, total: int | None) -> None:
        self.phases.append((name, total))

    def found(self, name: str, count: int) -> None:
        assert name in dict(self.phases), "a phase that has begun"
        self.known[name] = count

    def done(self, name: str, *, changes: int, failed: bool) -> None:
        assert name in dict(self.phases), "a phase that has begun"
        self.accounts_done += 1
        self.changes += changes
        self.failures += failed


def make_context(aws: FakeAws, **changes: Any) -> RunContext:
    """Return the context of a run over an organization in memory, with nobody to ask."""
    values: dict[str, Any] = {
        "request": make_request(),
        "config": Config(),
        "organization": ORGANIZATION,
        "rules": Rules(changes.get("config", Config()), {}, "arn:aws:iam::999999999999:user/operator"),
        "now": lambda: NOW,
        "cancellation": Cancellation(),
        "stop_reason": lambda: None,
        "confirm": None,
        "permit": FakePermit(),
        "directory": aws,
        "sessions": aws,
        "iam": aws,
        "policies": aws,
        "simulator": aws,
        "archive": RunArchive(MemoryStore(), timedelta(days=400)),
        "notifiers": (),
        "observer": FakeObserver(),
        "counter": Retrier(Cancellation()),
    }
    context = RunContext(**(values | changes))
    if isinstance(context.permit, FakePermit):
        context.permit.cancellation = context.cancellation
    return context


@dataclass
class FakePermit:
    """Gives the permission to write, or says why not; `released` are the releases in force at each write."""

    refusal: str | None = None
    released: Releases = field(default_factory=dict)
    may_write: bool = True
    cancellation: Cancellation = field(default_factory=Cancellation)
    asked: list[float] = field(default_factory=list)
    closed: list[bool] = field(default_factory=list)
    """Whether each was kept for a later step."""

    def acquire(self, seconds: float) -> str | None:
        self.asked.append(seconds)
        return self.refusal

    @contextmanager
    def hold(self) -> Iterator[Releases | None]:
        yield self.released if self.may_write and not self.cancellation.reason else None

    def close(self, *, keep: bool = False) -> None:
        self.closed.append(keep)


class CancelledWhen(Cancellation):
    """Cancels itself as soon as a condition holds and somebody asks."""

    def __init__(self, holds: Callable[[], bool]) -> None:
        super().__init__()
        self._holds = holds

    @property
    def reason(self) -> CancelReason | None:
        if self._holds():
            self.event.set()
        return super().reason


def fail(kind: type[AwsError], code: str = "Injected", operation: str = "") -> AwsError:
    """Return an AWS error to raise from `FakeAws.before`."""
    return kind("injected", code=code, operation=operation)
