"""An archive in memory and a machine, with clocks that the tests of the lease set: nothing waits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import ArchiveError
from orchestrator.domain.model import Mode, Trigger
from orchestrator.domain.records import Release
from orchestrator.pipeline.lease import LEASE_FILE, Lease, parse_holder
from tests.builders import make_request
from tests.fakes import MemoryStore

ALICE = ("000000000001", "alice")
HOUR = 3600.0
RELEASE: dict[str, Any] = {"mode": Mode.RELEASE}
IN_STEPS: dict[str, Any] = {"trigger": Trigger.MAP}


@dataclass
class World(MemoryStore):
    """An archive with a clock of its own, and a machine whose clocks may differ from it."""

    time: float = 0.0
    """Seconds by the clock of the store."""
    asleep: float = 0.0
    """Seconds that the monotonic clock of the machine has missed."""
    set_back: float = 0.0
    """Seconds by which the wall clock of the machine was set back."""
    ages: dict[str, float] = field(default_factory=dict)
    releases: dict[tuple[str, str], Release] = field(default_factory=dict)
    during_pause: list[Callable[[], None]] = field(default_factory=list)
    """What others do at each of the next pauses of a run."""
    while_reading: Callable[[], None] = lambda: None
    reads: int = 0

    def write(self, name: str, content: bytes) -> None:
        super().write(name, content)
        self.ages[name] = self.time

    def create(self, name: str, content: bytes) -> bool:
        is_made = super().create(name, content)
        if is_made:
            self.ages[name] = self.time
        return is_made

    def replace(self, name: str, expected: bytes, content: bytes) -> bool:
        self._break("replace")
        if self.files.get(name) != expected:
            return False
        self.write(name, content)
        return True

    def read(self, name: str) -> bytes:
        if name not in self.files:
            raise ArchiveError("there is none")
        return super().read(name)

    def read_aged(self, name: str) -> tuple[bytes, float]:
        self.reads += 1
        return self.read(name), self.time - self.ages[name]

    def clock(self) -> tuple[float, float]:
        return self.time - self.asleep, 1e9 + self.time - self.set_back

    def sleep(self, seconds: float) -> None:
        """Have the machine sleep: the store goes on, the monotonic clock stands still."""
        self.time += seconds
        self.asleep += seconds

    def pause(self, seconds: float) -> None:
        self.time += seconds
        if self.during_pause:
            self.during_pause.pop(0)()

    def read_releases(self) -> Mapping[tuple[str, str], Release]:
        self._break("releases")
        self.while_reading()
        return dict(self.releases)

    def lease(self, run_id: str = "run-1", cancellation: Cancellation | None = None, **request: Any) -> Lease:
        return Lease(
            self,
            make_request(run_id=run_id, **{"mode": Mode.APPLY} | request),
            cancellation or Cancellation(),
            read_releases=self.read_releases,
            clock=self.clock,
            pause=self.pause,
            keep_every=HOUR,
        )

    def taken(self, run_id: str = "run-1", cancellation: Cancellation | None = None, **request: Any) -> Lease:
        lease = self.lease(run_id, cancellation, **request)
        assert lease.acquire(0) is None
        return lease

    @property
    def holder(self) -> str | None:
        """Who holds the lease now."""
        found = parse_holder(self.files[LEASE_FILE])
        return found.run_id if found and found.has_it(self.time - self.ages[LEASE_FILE]) else None


def may_write(lease: Lease) -> bool:
    with lease.hold() as released:
        return released is not None
