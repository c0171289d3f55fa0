"""The lease on writing of a run in steps, which all steps hold as one; nothing here waits."""

from orchestrator.pipeline.lease import ACKNOWLEDGED, LEASE_SECONDS
from tests.pipeline.lease_world import IN_STEPS, RELEASE, World, may_write


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
