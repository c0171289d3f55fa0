"""The mark of a scheduled event, in a folder and in a bucket alike: who passes it over, and who waits how long."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from threading import enumerate as enumerate_threads
from typing import TYPE_CHECKING, Any

import pytest
from moto.backends import get_backend

from orchestrator.aws.clients import make_clients
from orchestrator.aws.file_store import BucketStore, FolderStore, Store
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import ArchiveError, ConfigError, RunUnderWay, StartError
from orchestrator.domain.model import Trigger
from orchestrator.lambdas.event_mark import MARK_TIME, RENEW_SECONDS, STEPS_TIME, EventMark
from orchestrator.lambdas.events import MAX_AHEAD, EventBridgeRule, EventBridgeSchedule
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.build import build_report
from tests.aws_server import MANAGEMENT
from tests.builders import make_request

pytestmark = pytest.mark.thorough

if TYPE_CHECKING:
    from tests.aws_server import AwsServer

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NAME = "events/schedule-2026-03-02T12_00_00Z"
FIRST, SECOND = "20260302T120001Z-aaaaaaaa", "20260302T120002Z-bbbbbbbb"
EVENT = EventBridgeSchedule.model_validate({"trigger": "schedule", "scheduled_time": NOON.isoformat()})
SECOND_OF_TIME = timedelta(seconds=1)


class Waiting(Event):
    """Waits for nothing: each wait is the next thing that happens meanwhile."""

    def __init__(self, happenings: list[Callable[[], object]]) -> None:
        super().__init__()
        self.left = happenings

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout
        assert self.left, "waits for longer than it should"
        self.left.pop(0)()
        return False


@dataclass(frozen=True)
class Marks:
    """The marks of one archive, and how a test reaches behind it."""

    store: Store
    age: Callable[[timedelta], object]

    def mark(self, run_id: str = SECOND, renew_seconds: float = 3600) -> EventMark:
        return EventMark(
            store=self.store, archive=self.archive, event=EVENT, run_id=run_id, renew_seconds=renew_seconds
        )

    def claim(self, run_id: str = SECOND, *meanwhile: Callable[[], object]) -> bool:
        """Claim the event; what happens meanwhile happens one thing at each wait, and all of it."""
        cancellation = Cancellation()
        cancellation.event = waiting = Waiting(list(meanwhile))
        claimed = self.mark(run_id).claim(cancellation)
        assert waiting.left == []
        return claimed

    @property
    def archive(self) -> RunArchive:
        return RunArchive(self.store, timedelta(days=400))

    def report(self, run_id: str = FIRST, started_at: datetime = NOON, trigger: Trigger = Trigger.SCHEDULE) -> None:
        request = make_request(run_id=run_id, started_at=started_at, trigger=trigger)
        made = build_report(request, "o-exampleorg1", (), errors=(), is_complete=True, finished_at=started_at)
        self.archive.save(made)

    def owner(self) -> bytes:
        return self.store.read(NAME)


@pytest.fixture(params=["folder", "s3"])
def marks(request: pytest.FixtureRequest, tmp_path: Path) -> Marks:
    if request.param == "folder":

        def set_age(age: timedelta) -> None:
            new = tmp_path / "new"
            new.touch()
            written = new.stat().st_mtime - age.total_seconds()
            os.utime(tmp_path / "archive" / NAME, (written, written))

        return Marks(FolderStore(str(tmp_path / "archive")), set_age)
    aws: AwsServer = request.getfixturevalue("aws")
    aws.client("s3").create_bucket(Bucket="acme-archive")

    def set_last_modified(age: timedelta) -> None:
        backend: Any = get_backend("s3")[MANAGEMENT]["aws"]
        key = backend.buckets["acme-archive"].keys[f"orgmfa/{NAME}"]
        key.last_modified = datetime.now(UTC).replace(tzinfo=None) - age

    return Marks(BucketStore("s3://acme-archive/orgmfa", make_clients(connections=8).s3), set_last_modified)


def nothing() -> None:
    pass


def test_first_delivery_claims_the_event_by_a_mark_that_names_its_run(marks: Marks) -> None:
    assert marks.claim(FIRST)

    assert marks.owner() == FIRST.encode()


def test_same_run_claims_its_event_again(marks: Marks) -> None:
    assert marks.claim(FIRST)
    assert marks.claim(FIRST)


def test_event_whose_run_has_left_its_report_is_repeated(marks: Marks) -> None:
    marks.claim(FIRST)
    marks.report()

    assert not marks.claim()
    marks.age(timedelta(days=2))
    assert not marks.claim()


def test_second_delivery_waits_for_the_report_of_the_first(marks: Marks) -> None:
    marks.claim(FIRST)

    assert not marks.claim(SECOND, nothing, lambda: marks.age(MARK_TIME / 2), marks.report)

    assert marks.owner() == FIRST.encode()


def test_second_delivery_takes_the_event_over_when_the_mark_of_the_first_has_ended(marks: Marks) -> None:
    marks.claim(FIRST)
    marks.age(MARK_TIME - 15 * SECOND_OF_TIME)

    assert marks.claim(SECOND, nothing, lambda: marks.age(MARK_TIME + SECOND_OF_TIME))

    assert marks.owner() == SECOND.encode()


def test_mark_that_its_run_keeps_alive_never_ends(marks: Marks) -> None:
    first = marks.mark(FIRST)
    assert first.claim(Cancellation())
    marks.age(MARK_TIME - SECOND_OF_TIME)
    assert first.renew()

    assert marks.store.read_aged(NAME)[1] < MARK_TIME.total_seconds() / 2
    assert marks.owner() == FIRST.encode()
    assert timedelta(seconds=RENEW_SECONDS) * 3 < MARK_TIME


def test_mark_is_kept_alive_by_a_thread_until_the_run_is_over(tmp_path: Path) -> None:
    """Also after a renewal that failed."""
    renewed, failures = Event(), [ArchiveError("no answer")]

    class Renewed(FolderStore):
        def replace(self, name: str, expected: bytes, content: bytes) -> bool:
            if failures:
                raise failures.pop()
            renewed.set()
            return super().replace(name, expected, content)

    marks = Marks(Renewed(str(tmp_path)), lambda _: None)
    first = marks.mark(FIRST, renew_seconds=0.01)
    assert first.claim(Cancellation())
    with first.kept_alive():
        assert renewed.wait(60)
        (renewer,) = [thread for thread in enumerate_threads() if thread.name == "event-mark"]

    renewer.join(60)
    assert not renewer.is_alive()


def test_run_that_has_lost_its_mark_leaves_it_to_the_other(marks: Marks) -> None:
    first = marks.mark(FIRST)
    assert first.claim(Cancellation())
    marks.age(MARK_TIME + SECOND_OF_TIME)
    assert marks.claim(SECOND)

    assert not first.renew()
    with pytest.raises(StartError), first.kept_alive():
        raise StartError("no organization")

    assert marks.owner() == SECOND.encode()


@pytest.mark.parametrize("error", [ConfigError("x"), StartError("x"), RunUnderWay("x")])
def test_event_whose_run_could_not_start_is_free_at_once(marks: Marks, error: Exception) -> None:
    first = marks.mark(FIRST)
    assert first.claim(Cancellation())
    with pytest.raises(type(error)), first.kept_alive():
        raise error

    assert marks.claim()


def test_event_whose_run_broke_off_is_free_when_its_mark_has_ended(marks: Marks) -> None:
    first = marks.mark(FIRST)
    assert first.claim(Cancellation())
    with pytest.raises(ArchiveError), first.kept_alive():
        raise ArchiveError("the report cannot be written")

    assert marks.claim(SECOND, lambda: marks.age(MARK_TIME + SECOND_OF_TIME))


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\xff", b"../x", b"0" * 64, b"1" * 65, FIRST.encode() + b"\n", b"0a1b2c3d4e5f6a7b"]
)
def test_mark_that_names_no_run_is_passed_over(marks: Marks, content: bytes) -> None:
    marks.store.write(NAME, content)

    assert marks.claim(SECOND, lambda: marks.age(MARK_TIME + SECOND_OF_TIME))
    assert marks.owner() == SECOND.encode()


@pytest.mark.parametrize("manifest", [FIRST, SECOND])
def test_mark_that_is_dated_ahead_is_passed_over(tmp_path: Path, manifest: str) -> None:
    store = FolderStore(str(tmp_path))
    store.write(NAME, FIRST.encode())
    store.write(f"work/{manifest}/outline.json", b"{}")
    ahead = (datetime.now(UTC) + timedelta(days=400)).timestamp()
    os.utime(tmp_path / NAME, (ahead, ahead))

    assert Marks(store, lambda _: None).claim()


@pytest.mark.parametrize(
    ("started_at", "trigger"),
    [
        (NOON - timedelta(days=1), Trigger.SCHEDULE),
        (NOON - MAX_AHEAD - SECOND_OF_TIME, Trigger.SCHEDULE),
        (NOON, Trigger.ON_DEMAND),
        (NOON, Trigger.ONBOARDING),
        (NOON, Trigger.CLI),
    ],
)
def test_mark_that_names_a_run_which_was_not_started_for_the_event_is_passed_over(
    marks: Marks, started_at: datetime, trigger: Trigger
) -> None:
    marks.report(FIRST, started_at, trigger)
    marks.claim(FIRST)
    marks.age(MARK_TIME + SECOND_OF_TIME)

    assert marks.claim()


@pytest.mark.parametrize("trigger", [Trigger.SCHEDULE, Trigger.MAP])
def test_run_of_the_schedule_may_begin_as_early_as_its_event_may_come(marks: Marks, trigger: Trigger) -> None:
    marks.report(FIRST, NOON - MAX_AHEAD, trigger)
    marks.claim(FIRST)

    assert not marks.claim()


def test_broken_report_is_none(marks: Marks) -> None:
    marks.store.write(f"runs/2026/03/02/{FIRST}.json.gz", b"")
    marks.claim(FIRST)
    marks.age(MARK_TIME + SECOND_OF_TIME)

    assert marks.claim()


@pytest.mark.parametrize(
    ("age", "manifest", "is_repeated"),
    [
        (MARK_TIME, FIRST, True),
        (STEPS_TIME - timedelta(minutes=1), FIRST, True),
        (STEPS_TIME + SECOND_OF_TIME, FIRST, False),
        (MARK_TIME + SECOND_OF_TIME, SECOND, False),
        (timedelta(days=400), FIRST, False),
    ],
)
def test_mark_of_a_run_in_steps_counts_for_half_a_day_from_its_manifest_on(
    marks: Marks, age: timedelta, manifest: str, *, is_repeated: bool
) -> None:
    marks.store.write(f"work/{manifest}/outline.json", b"{}")
    marks.claim(FIRST)
    marks.age(age)

    assert marks.claim() is not is_repeated


def test_delivery_without_time_to_wait_fails_and_names_the_mark(marks: Marks) -> None:
    marks.claim(FIRST)

    with pytest.raises(StartError, match=rf"another delivery of this event keeps .*{NAME}: nothing was done"):
        marks.mark().claim(Cancellation.after(0))

    assert marks.owner() == FIRST.encode()


@pytest.mark.parametrize("key", ["../../outside", "a/b", "2026-03-02T12:00:00+01:00", "é"])
def test_mark_never_leaves_the_folder_of_marks(marks: Marks, key: str) -> None:
    event = EventBridgeRule.model_validate(
        {
            "id": key,
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": MANAGEMENT,
            "time": NOON.isoformat(),
        }
    )
    assert EventMark(store=marks.store, archive=marks.archive, event=event, run_id=FIRST).claim(Cancellation())

    (name,) = [file.name for file in marks.store.list_files("")]
    assert name.startswith("events/rule-")
    assert name.count("/") == 1


def test_one_of_many_deliveries_claims_an_event(tmp_path: Path) -> None:
    marks = Marks(FolderStore(str(tmp_path / "archive")), lambda _: None)
    late = Cancellation.after(0)

    def claim(number: int) -> bool:
        try:
            return marks.mark(f"{NOON:%Y%m%dT%H%M%SZ}-{number:08}").claim(late)
        except StartError:
            return False

    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(claim, range(16)))

    assert claims.count(True) == 1
