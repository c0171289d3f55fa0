"""One writing run at a time, for a folder and a bucket alike."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.file_store import BucketStore, FolderStore, Store
from orchestrator.domain.errors import ArchiveError, RunUnderWay
from orchestrator.pipeline.lease import LEASE_FILE, LEASE_TIME, Lease
from tests.builders import NOW

if TYPE_CHECKING:
    from tests.aws_server import AwsServer


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(str(tmp_path / "archive"))
    aws: AwsServer = request.getfixturevalue("aws")
    aws.client("s3").create_bucket(Bucket="acme-archive")
    return BucketStore("s3://acme-archive/orgmfa", make_clients(connections=8).s3)


def make_lease(
    store: Store,
    run_id: str = "run-1",
    *,
    now: Callable[[], datetime] = lambda: NOW,
    lost: Event | None = None,
    renew_seconds: float = 3600,
) -> Lease:
    return Lease(store, run_id, now=now, on_loss=(lost or Event()).set, renew_seconds=renew_seconds)


def holder(store: Store) -> str:
    run_id: str = json.loads(store.read(LEASE_FILE))["run_id"]
    return run_id


def test_second_run_is_refused_while_the_first_holds_the_lease(store: Store) -> None:
    with make_lease(store), pytest.raises(RunUnderWay, match="run-1 is under way"), make_lease(store, "run-2"):
        pass


def test_lease_is_given_back_at_the_end_also_of_a_run_that_failed(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), make_lease(store):
        raise ZeroDivisionError

    with make_lease(store, "run-2"):
        assert holder(store) == "run-2"


def test_lease_of_a_killed_run_is_taken_over_when_it_has_run_out(store: Store) -> None:
    make_lease(store).__enter__()

    with pytest.raises(RunUnderWay), make_lease(store, "run-2", now=lambda: NOW + LEASE_TIME - timedelta(seconds=1)):
        pass
    with make_lease(store, "run-3", now=lambda: NOW + LEASE_TIME):
        assert holder(store) == "run-3"


def test_renewed_lease_lasts_on(store: Store) -> None:
    moment = [NOW]
    lease = make_lease(store, now=lambda: moment[0])
    with lease:
        moment[0] += timedelta(minutes=15)
        assert lease.renew()
        moment[0] += timedelta(minutes=15)
        with pytest.raises(RunUnderWay), make_lease(store, "run-2", now=lambda: moment[0]):
            pass


def test_run_that_lost_its_lease_is_told_and_leaves_the_new_one_alone(store: Store) -> None:
    lost = Event()
    with make_lease(store, lost=lost, renew_seconds=0.05):
        make_lease(store, "run-2", now=lambda: NOW + timedelta(hours=1)).__enter__()
        assert lost.wait(timeout=30)

    assert holder(store) == "run-2"


def test_lease_is_renewed_by_itself(store: Store) -> None:
    moment, renewed = [NOW], Event()

    def now() -> datetime:
        moment[0] += timedelta(minutes=1)
        if moment[0] > NOW + timedelta(minutes=3):
            renewed.set()
        return moment[0]

    with make_lease(store, now=now, renew_seconds=0.01):
        assert renewed.wait(timeout=30)


def test_of_many_runs_at_once_one_gets_the_lease(store: Store) -> None:
    def take(number: int) -> bool:
        try:
            make_lease(store, f"run-{number}").__enter__()
        except RunUnderWay:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1


def test_of_many_runs_at_once_one_takes_an_old_lease_over(store: Store) -> None:
    make_lease(store, "killed").__enter__()

    def take(number: int) -> bool:
        try:
            make_lease(store, f"run-{number}", now=lambda: NOW + timedelta(hours=1)).__enter__()
        except RunUnderWay:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1


def test_foreign_file_in_the_place_of_the_lease_is_told(store: Store) -> None:
    store.write(LEASE_FILE, b"something else")

    with pytest.raises(ArchiveError, match="no lease of orgmfa"), make_lease(store):
        pass


# -- a run in steps


def join(store: Store, run_id: str = "run-1", *, keep: bool = True, now: Callable[[], datetime] = lambda: NOW) -> Lease:
    return Lease(store, run_id, now=now, on_loss=Event().set, join=True, keep=keep, renew_seconds=3600)


def first_step(store: Store) -> Lease:
    return Lease(store, "run-1", now=lambda: NOW, on_loss=Event().set, keep=True, renew_seconds=3600)


def is_held(store: Store) -> bool:
    return any(file.name == LEASE_FILE for file in store.list_files("locks/"))


def test_steps_of_a_run_hold_one_lease_until_the_last_gives_it_back(store: Store) -> None:
    with first_step(store):
        pass
    with join(store), join(store, now=lambda: NOW + timedelta(minutes=1)) as second:
        assert second.renew()
    with pytest.raises(RunUnderWay, match="run-1 is under way"), make_lease(store, "run-2"):
        pass

    with join(store, keep=False):
        assert is_held(store)

    assert not is_held(store)


def test_step_that_fails_gives_back_only_what_it_took_itself(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), first_step(store):
        raise ZeroDivisionError
    assert not is_held(store)

    with first_step(store):
        pass
    with pytest.raises(ZeroDivisionError), join(store):
        raise ZeroDivisionError
    assert is_held(store)


def test_first_step_tried_again_takes_its_own_lease(store: Store) -> None:
    with first_step(store):
        pass

    with first_step(store):
        assert holder(store) == "run-1"


@pytest.mark.parametrize("content", [b'{"run_id": "run-2", "until": "2026-03-02T12:10:00Z"}', None])
def test_step_whose_lease_is_gone_does_not_begin(store: Store, content: bytes | None) -> None:
    with first_step(store):
        pass
    store.delete(LEASE_FILE)
    if content is not None:
        store.write(LEASE_FILE, content)

    with pytest.raises((RunUnderWay, ArchiveError)), join(store):
        pass


def test_step_that_finds_another_run_in_its_place_is_told(store: Store) -> None:
    with first_step(store):
        pass
    with join(store) as step:
        store.write(LEASE_FILE, b'{"run_id": "run-2", "until": "2026-03-02T12:10:00Z"}')

        assert not step.renew()
