"""The lease on writing between a run and a release, which takes precedence; nothing here waits."""

from datetime import timedelta

import pytest

from orchestrator.concurrency.cancellation import Cancellation, may_repeat
from orchestrator.domain.records import Release
from orchestrator.pipeline.lease import ACKNOWLEDGED, HANDOVER_SECONDS, LEASE_SECONDS
from tests.builders import NOW
from tests.pipeline.lease_world import ALICE, HOUR, RELEASE, World, may_write


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
