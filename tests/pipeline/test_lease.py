"""The lease on writing, with a clock that the tests set and an archive in memory; nothing here waits.

The age of a file in a folder and in a bucket is tested in tests/aws/test_file_store.py.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from orchestrator.aws.file_store import FolderStore
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import ArchiveError
from orchestrator.domain.model import Mode
from orchestrator.domain.records import Release
from orchestrator.pipeline.lease import LEASE_FILE, LEASE_SECONDS, Lease, make_content
from tests.builders import NOW, make_request
from tests.pipeline.lease_world import ALICE, HOUR, RELEASE, World, may_write

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
