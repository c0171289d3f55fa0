"""The lease on writing, with a clock that the tests set and an archive in memory; nothing here waits.

The age of a file in a folder and in a bucket is tested in tests/aws/test_file_store.py.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from orchestrator.aws.file_store import FolderStore
from orchestrator.concurrency.cancellation import Cancellation, may_repeat
from orchestrator.domain.errors import ArchiveError
from orchestrator.domain.model import Mode, Trigger
from orchestrator.domain.records import Release
from orchestrator.pipeline.lease import (
    ACKNOWLEDGED,
    HANDOVER_SECONDS,
    LEASE_FILE,
    LEASE_SECONDS,
    Lease,
    make_content,
    parse_holder,
)
from tests.builders import NOW, make_request
from tests.fakes import MemoryStore

ALICE = ("000000000001", "alice")
HOUR = 3600.0


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


@pytest.fixture
def world() -> World:
    return World()


def may_write(lease: Lease) -> bool:
    with lease.hold() as released:
        return released is not None


RELEASE: dict[str, Any] = {"mode": Mode.RELEASE}
IN_STEPS: dict[str, Any] = {"trigger": Trigger.MAP}


# -- one run at a time


def test_second_run_is_refused_while_the_first_holds_the_lease(world: World) -> None:
    world.taken()

    assert world.lease("run-2").acquire(0) == "run run-1 holds the lease on writing"
    assert world.holder == "run-1"


def test_second_run_waits_as_long_as_it_may(world: World) -> None:
    first = world.taken()
    world.during_pause = [lambda: None, first.close]

    assert world.lease("run-2").acquire(60) is None
    assert (world.holder, world.time) == ("run-2", 2)
    assert world.lease("run-3").acquire(60) is not None
    assert world.time == 62


def test_cancelled_run_waits_no_longer(world: World) -> None:
    world.taken()
    cancellation = Cancellation()
    world.during_pause = [cancellation.event.set]

    assert world.lease("run-2", cancellation).acquire(HOUR) is not None
    assert world.time == 1


def test_lease_of_a_killed_run_is_free_two_minutes_after_its_last_renewal(world: World) -> None:
    world.taken()

    world.time = LEASE_SECONDS - 1
    assert world.lease("run-2").acquire(0) is not None
    world.time = LEASE_SECONDS
    assert world.lease("run-2").acquire(0) is None


def test_lease_that_is_renewed_lasts_on_and_is_given_back(world: World) -> None:
    lease = world.taken()
    for _ in range(100):
        world.time += 29
        assert may_write(lease)

    assert world.lease("run-2").acquire(0) is not None
    lease.close()
    assert world.holder is None
    assert world.lease("run-2").acquire(0) is None


def test_lease_is_kept_by_a_thread_that_ends_with_it(world: World) -> None:
    renewed = Event()

    class Watched(World):
        def replace(self, name: str, expected: bytes, content: bytes) -> bool:
            renewed.set()
            return super().replace(name, expected, content)

    watched = Watched()
    lease = Lease(watched, make_request(), Cancellation(), read_releases=dict, clock=watched.clock, keep_every=0.01)
    assert lease.acquire(0) is None
    watched.time = 31

    assert renewed.wait(30)
    lease.close()
    assert not lease._keeper.is_alive()


def test_giving_back_leaves_the_lease_of_another_run_alone(world: World) -> None:
    lease = world.taken()
    world.time = HOUR
    world.taken("run-2")

    lease.close()

    assert world.holder == "run-2"


@pytest.mark.parametrize("is_old", [False, True])
def test_of_many_runs_at_once_one_gets_the_lease(tmp_path: Any, is_old: bool) -> None:
    store = FolderStore(str(tmp_path))
    if is_old:
        store.write(LEASE_FILE, make_content("killed", is_release=False, is_given_back=True))

    def take(number: int) -> bool:
        request = make_request(run_id=f"run-{number}", mode=Mode.APPLY)
        lease = Lease(store, request, Cancellation(), read_releases=dict, pause=lambda _: None, keep_every=HOUR)
        return lease.acquire(0) is None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1


@pytest.mark.parametrize("content", [b"something else", b"{}", b"", b'{"run_id": 7}', b"\xff"])
def test_file_that_is_no_lease_lets_no_run_write_however_old_it_is(world: World, content: bytes) -> None:
    world.write(LEASE_FILE, content)
    world.time = 1e6

    assert "no lease of orgmfa" in (world.lease().acquire(HOUR) or "")
    assert world.files[LEASE_FILE] == content
    assert world.lease("release-1", **RELEASE).acquire(0) is None, "a release is the way out"


def test_lease_of_an_earlier_version_counts_by_its_age(world: World) -> None:
    world.write(LEASE_FILE, b'{"run_id": "old", "until": "2999-01-01T00:00:00Z"}')

    assert world.lease().acquire(0) is not None
    world.time = LEASE_SECONDS
    assert world.lease().acquire(0) is None


@pytest.mark.parametrize("operation", ["create", "replace"])
def test_archive_that_fails_gives_no_lease_and_costs_seconds_alone(world: World, operation: str) -> None:
    world.write(LEASE_FILE, make_content("killed", is_release=False, is_given_back=True))
    world.broken[operation] = ArchiveError("the archive: read-only")

    assert world.lease().acquire(HOUR) == "the archive: read-only"
    assert world.time < 15


# -- before each write


def test_one_reading_counts_five_seconds_for_all(world: World) -> None:
    lease = world.taken()
    read = world.reads

    for _ in range(10):
        world.time += 0.4
        assert may_write(lease)
    assert world.reads == read
    world.time += 1.5
    assert may_write(lease)
    assert world.reads == read + 1


def test_releases_are_read_along_with_the_lease(world: World) -> None:
    lease = world.taken()
    world.releases[ALICE] = Release(NOW, NOW)

    world.time += 5
    with lease.hold() as released:
        assert released == {ALICE: Release(NOW, NOW)}


@pytest.mark.parametrize("seconds", [LEASE_SECONDS, HOUR])
@pytest.mark.parametrize("taken_by", [None, "run-2", "given back"])
def test_machine_that_slept_through_its_lease_writes_nothing_more(
    world: World, seconds: float, taken_by: str | None
) -> None:
    """The lease is lost, whoever has it now; the monotonic clock says that no time has passed."""
    cancellation = Cancellation()
    lease = world.taken(cancellation=cancellation)
    world.sleep(seconds)
    if taken_by:
        other = world.taken("run-2")
        if taken_by == "given back":
            other.close()

    assert not may_write(lease)
    assert cancellation.reason == "lease_lost"
    assert world.holder in {None, "run-2"}, "it is not renewed either"


def test_machine_that_slept_through_a_release_writes_nothing_more(world: World) -> None:
    cancellation = Cancellation()
    lease = world.taken(cancellation=cancellation)
    world.sleep(HOUR)
    world.taken("release-1", **RELEASE).close()

    assert not may_write(lease)


def test_wall_clock_that_is_set_back_lengthens_nothing(world: World) -> None:
    lease = world.taken()
    read = world.reads
    world.time += 6
    world.set_back = HOUR

    assert may_write(lease)
    assert world.reads == read + 1


def test_machine_that_falls_asleep_while_it_reads_the_lease_writes_nothing(world: World) -> None:
    cancellation = Cancellation()
    lease = world.taken(cancellation=cancellation)
    world.time += 6
    world.while_reading = lambda: world.sleep(HOUR)

    assert not may_write(lease)
    assert cancellation.reason == "lease_lost"


@pytest.mark.parametrize("broken", ["read", "releases", "replace"])
def test_archive_that_fails_for_a_while_holds_writes_up_and_for_two_minutes_ends_them(
    world: World, broken: str
) -> None:
    cancellation = Cancellation()
    lease = world.taken(cancellation=cancellation)
    world.time += 31
    world.broken[broken] = ArchiveError("no answer")
    world.during_pause = [lambda: None, world.broken.clear]

    assert may_write(lease)
    assert world.time == 33

    world.time += 31
    world.broken[broken] = ArchiveError("no answer")
    assert not may_write(lease)
    assert cancellation.reason == "lease_lost"
    assert world.time <= 33 + LEASE_SECONDS + 1


def test_file_that_is_gone_is_no_lease_of_ours(world: World) -> None:
    lease = world.taken()
    world.delete(LEASE_FILE)
    world.time += 5

    assert not may_write(lease)


# -- release takes precedence


def test_release_waits_until_the_run_has_finished_its_writes_under_way(world: World) -> None:
    run, release = world.taken(), world.lease("release-1", **RELEASE)
    writing = run.hold()
    writing.__enter__()

    def notice() -> None:  # what the thread of the lease does
        assert not run._confirm()
        run._acknowledge()

    def finish() -> None:
        assert ACKNOWLEDGED not in world.files, "a write is under way"
        writing.__exit__(None, None, None)
        notice()

    world.during_pause = [notice, finish]

    assert release.acquire(HOUR) is None
    assert world.files[ACKNOWLEDGED] == b"release-1"
    assert world.time < HANDOVER_SECONDS
    assert world.holder == "release-1"


def test_release_waits_half_a_minute_for_a_run_that_says_nothing(world: World) -> None:
    world.taken()

    assert world.lease("release-1", **RELEASE).acquire(0) is None
    assert (world.holder, world.time) == ("release-1", HANDOVER_SECONDS)


@pytest.mark.parametrize(("age", "waited"), [(LEASE_SECONDS, 30), (LEASE_SECONDS + 20, 10), (LEASE_SECONDS + 30, 0)])
def test_release_waits_for_a_run_that_only_just_lost_its_lease(world: World, age: float, waited: float) -> None:
    world.taken()
    world.time = age

    assert world.lease("release-1", **RELEASE).acquire(0) is None
    assert world.time == age + waited


def test_release_waits_for_nobody_where_the_lease_was_given_back(world: World) -> None:
    world.taken().close()

    assert world.lease("release-1", **RELEASE).acquire(0) is None
    assert world.time == 0


def test_release_waits_for_another_release(world: World) -> None:
    first = world.taken("release-1", **RELEASE)
    world.during_pause = [lambda: None, lambda: None, first.close]

    assert world.lease("release-2", **RELEASE).acquire(HOUR) is None
    assert (world.holder, world.time) == ("release-2", 3)


def test_run_does_not_take_the_lease_of_a_release(world: World) -> None:
    world.taken("release-1", **RELEASE)

    assert world.lease().acquire(0) is not None


def test_run_goes_on_once_the_release_has_given_the_lease_back_and_knows_whom_it_freed(world: World) -> None:
    run = world.taken()
    release = world.taken("release-1", **RELEASE)
    world.releases[ALICE] = Release(NOW, NOW + timedelta(days=7))
    world.during_pause = [lambda: None, lambda: None, release.close]

    with run.hold() as released:
        assert released == world.releases
    assert (world.holder, world.time) == ("run-1", HANDOVER_SECONDS + 3)
    assert world.files[ACKNOWLEDGED] == b"release-1"


def test_run_goes_on_when_the_release_was_killed(world: World) -> None:
    run = world.taken()
    world.taken("release-1", **RELEASE)

    assert may_write(run)
    assert world.holder == "run-1"


def test_run_whose_time_ends_while_the_release_has_the_lease_writes_nothing_more(world: World) -> None:
    cancellation = Cancellation()
    run = world.taken(cancellation=cancellation)
    world.taken("release-1", **RELEASE)
    world.during_pause = [lambda: None, cancellation.event.set]

    assert not may_write(run)
    assert world.holder == "release-1"


def test_run_that_finds_another_run_after_the_release_writes_nothing_more(world: World) -> None:
    cancellation = Cancellation()
    run = world.taken(cancellation=cancellation)
    release = world.taken("release-1", **RELEASE)

    def hand_over() -> None:
        release.close()
        world.taken("run-2")

    world.during_pause = [hand_over]

    assert not may_write(run)
    assert cancellation.reason == "lease_lost"
    assert world.holder == "run-2"


def test_write_is_not_tried_again_once_the_lease_was_taken_over_or_could_not_be_read(world: World) -> None:
    run = world.taken()
    with run.hold():
        assert may_repeat()
        world.time += 14
        assert may_repeat()
        world.time += 1
        assert not may_repeat()
    with run.hold():
        world.taken("release-1", **RELEASE)
        assert not run._confirm()
        assert not may_repeat()
    assert may_repeat(), "it holds for the write alone"


def test_write_is_tried_again_while_the_lease_is_read_once_more(world: World) -> None:
    run, meanwhile = world.taken(), list[bool]()
    world.while_reading = lambda: meanwhile.append(may_repeat())

    with run.hold():
        assert run._confirm()

    assert meanwhile == [True]


# -- a run in steps


def test_steps_of_a_run_hold_one_lease_until_the_last_gives_it_back(world: World) -> None:
    gate = world.taken(**IN_STEPS)
    gate.close(keep=True)
    first, second = world.taken(**IN_STEPS), world.taken(**IN_STEPS)
    world.time += 31
    assert may_write(first)
    assert may_write(second)
    first.close(keep=True)
    assert world.lease("run-2").acquire(0) is not None

    world.lease(**IN_STEPS).close()

    assert world.holder is None


def test_renewal_lost_to_another_step_of_the_run_is_none_lost(world: World) -> None:
    step, other = world.taken(**IN_STEPS), world.taken(**IN_STEPS)
    world.time += 31
    read_aged = world.read_aged

    def interrupted(name: str) -> tuple[bytes, float]:
        found = read_aged(name)
        world.read_aged = read_aged  # type: ignore[method-assign]
        assert may_write(other)
        return found

    world.read_aged = interrupted  # type: ignore[method-assign]

    assert may_write(step)
    assert world.holder == "run-1"


def test_step_takes_the_lease_again_where_it_ran_out_and_nobody_has_it(world: World) -> None:
    world.taken(**IN_STEPS).close(keep=True)
    world.time = LEASE_SECONDS

    assert world.lease(**IN_STEPS).acquire(0) is None
    assert world.holder == "run-1"


def test_step_whose_lease_another_run_has_taken_does_not_write(world: World) -> None:
    world.taken(**IN_STEPS).close(keep=True)
    world.time = LEASE_SECONDS
    world.taken("run-2")

    assert world.lease(**IN_STEPS).acquire(0) == "run run-2 holds the lease on writing"


def test_step_does_not_acknowledge_for_its_siblings(world: World) -> None:
    step = world.taken(**IN_STEPS)

    assert world.lease("release-1", **RELEASE).acquire(0) is None
    world.during_pause = [step._cancellation.event.set]
    assert not may_write(step)

    assert ACKNOWLEDGED not in world.files
