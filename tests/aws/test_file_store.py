"""Folder and bucket as one store: whole files or none, one creator, and refusals that say what and where."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import boto3
import pytest
from botocore.config import Config as ClientConfig
from moto.backends import get_backend

from orchestrator.aws.clients import make_clients
from orchestrator.aws.file_store import BucketStore, FolderStore, Store, make_store
from orchestrator.domain.errors import ArchiveError, FileTooLarge
from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call

KINDS = ["folder", "s3"]
CALLERS = 16


@dataclass(frozen=True)
class Place:
    """A store, and how a test breaks it or looks past it."""

    store: Store
    location: str
    files: Callable[[], list[str]]
    block: Callable[[str], None]


def make_place(kind: str, request: pytest.FixtureRequest, prefix: str = "orgmfa") -> Place:
    if kind == "folder":
        folder: Path = request.getfixturevalue("tmp_path") / prefix

        def stand_in_the_way(name: str) -> None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            (path / "occupied").touch()

        return Place(
            make_store(str(folder), no_s3),
            str(folder),
            lambda: sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()),
            stand_in_the_way,
        )
    aws: AwsServer = request.getfixturevalue("aws")
    aws.client("s3").create_bucket(Bucket="reports")
    location = f"s3://reports/{prefix}".rstrip("/")

    def keys() -> list[str]:
        found = aws.client("s3").list_objects_v2(Bucket="reports").get("Contents", [])
        return [entry["Key"].removeprefix(f"{prefix}/") for entry in found]

    return Place(
        make_store(location, lambda: make_clients(connections=4).s3),
        location,
        keys,
        lambda name: aws.faults.append(s3_error("AccessDenied", 403)),
    )


def no_s3() -> Any:
    raise AssertionError("a folder needs no client")


def s3_error(code: str, status: int) -> Callable[[Call], Answer | None]:
    answer = Answer(status, f"<Error><Code>{code}</Code><Message>refused for the test</Message></Error>")
    return lambda call: answer if call.service == "s3" else None


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> Place:
    return make_place(request.param, request)


def test_file_is_read_as_it_was_written(place: Place) -> None:
    place.store.write("runs/2026/03/02/a.json.gz", b"\x1f\x8b\x00one")

    assert place.store.read("runs/2026/03/02/a.json.gz") == b"\x1f\x8b\x00one"
    assert place.files() == ["runs/2026/03/02/a.json.gz"]


@pytest.mark.parametrize(
    ("content", "size", "start"),
    [(b"0123456789", 4, b"0123"), (b"0123456789", 10, b"0123456789"), (b"0123", 100, b"0123"), (b"", 4, b"")],
)
def test_start_of_a_file_is_read_alone(place: Place, content: bytes, size: int, start: bytes) -> None:
    place.store.write("a", content)

    assert place.store.read_start("a", size) == start


def test_file_larger_than_any_of_ours_is_not_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.aws.file_store.MAX_FILE_BYTES", 300_000)
    place.store.write("runs/fits", b"x" * 300_000)
    place.store.write("runs/large", b"x" * 300_001)

    assert len(place.store.read("runs/fits")) == 300_000
    with pytest.raises(FileTooLarge, match="runs/large is larger than any file that orgmfa writes"):
        place.store.read("runs/large")
    assert not place.store.replace("runs/large", b"x" * 300_000, b"y")


def test_later_write_takes_the_place_of_an_earlier_one(place: Place) -> None:
    place.store.write("a", b"a long first text")
    place.store.write("a", b"short")

    assert place.store.read("a") == b"short"
    assert place.files() == ["a"]


def test_address_is_where_the_file_stands(place: Place) -> None:
    assert place.store.address("runs/a") == f"{place.location}/runs/a"


def test_files_are_listed_under_their_prefix_with_the_time_they_were_written(place: Place) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    for name in ("runs/2026/b", "runs/2026/a", "runs-of-others/c", "events/d", "runs.txt"):
        place.store.write(name, b"x")

    found = list(place.store.list_files("runs/"))

    assert [file.name for file in found] == ["runs/2026/a", "runs/2026/b"]
    assert all(before <= file.written_at <= datetime.now(UTC) + timedelta(seconds=2) for file in found)
    assert all(file.written_at.tzinfo for file in found)


def test_place_where_nothing_is_yet_lists_nothing(place: Place) -> None:
    assert list(place.store.list_files("runs/")) == []


def test_deleted_file_is_gone_and_a_missing_one_is_no_error(place: Place) -> None:
    place.store.write("a", b"x")
    place.store.write("b", b"x")

    place.store.delete("a")
    place.store.delete("a")

    assert place.files() == ["b"]


def test_file_is_created_once_and_keeps_its_first_content(place: Place) -> None:
    assert place.store.create("events/a", b"first") is True
    assert place.store.create("events/a", b"second") is False
    assert place.store.create("events/b", b"other") is True

    assert place.store.read("events/a") == b"first"
    assert place.files() == ["events/a", "events/b"]


def test_one_of_many_callers_creates_a_file(request: pytest.FixtureRequest) -> None:
    place = make_place("folder", request)
    at_once = Barrier(CALLERS)

    def create(number: int) -> bool:
        at_once.wait(timeout=60)
        return place.store.create("events/a", str(number).encode())

    with ThreadPoolExecutor(CALLERS) as pool:
        made = list(pool.map(create, range(CALLERS)))

    assert made.count(True) == 1
    assert place.store.read("events/a") == str(made.index(True)).encode()
    assert place.files() == ["events/a"]


def test_bucket_is_asked_to_refuse_a_second_creation(request: pytest.FixtureRequest) -> None:
    """One PutObject with a condition; that S3 holds it against threads is S3's: moto looks, then writes."""
    place = make_place("s3", request)
    aws: AwsServer = request.getfixturevalue("aws")
    aws.forget_calls()

    made = [place.store.create("events/a", str(number).encode()) for number in range(CALLERS)]

    assert made == [True, *[False] * (CALLERS - 1)]
    assert aws.actions().count("PUT /reports/orgmfa/events/a") == CALLERS


def test_creation_whose_answer_was_lost_still_counts(request: pytest.FixtureRequest) -> None:
    place = make_place("s3", request)
    aws: AwsServer = request.getfixturevalue("aws")
    lost: list[Call] = []

    def lose_first(call: Call) -> Answer | None:
        if not call.action.startswith("PUT") or lost:
            return None
        lost.append(call)
        return Answer(500, "<Error><Code>InternalError</Code></Error>")

    aws.after.append(lose_first)

    assert place.store.create("events/a", b"a mark of our own") is True
    assert place.store.create("events/a", b"a mark of somebody else") is False


def test_file_is_replaced_only_while_it_holds_what_is_expected(place: Place) -> None:
    place.store.write("lease", b"first")

    assert place.store.replace("lease", b"another", b"second") is False
    assert place.store.read("lease") == b"first"
    assert place.store.replace("lease", b"first", b"second") is True
    assert place.store.read("lease") == b"second"
    assert [file.name for file in place.store.list_files("")] == ["lease"]


def test_missing_file_is_not_replaced(place: Place) -> None:
    assert place.store.replace("lease", b"", b"second") is False
    assert list(place.store.list_files("")) == []


def test_one_of_many_callers_replaces_a_file(request: pytest.FixtureRequest) -> None:
    place = make_place("folder", request)
    place.store.write("lease", b"old")
    at_once = Barrier(CALLERS)

    def take(number: int) -> bool:
        at_once.wait(timeout=60)
        return place.store.replace("lease", b"old", str(number).encode())

    with ThreadPoolExecutor(CALLERS) as pool:
        taken = list(pool.map(take, range(CALLERS)))

    assert taken.count(True) == 1
    assert place.store.read("lease") == str(taken.index(True)).encode()


@pytest.mark.parametrize(("written_meanwhile", "is_ours"), [(b"somebody else's", False), (b"ours", True)])
def test_file_that_was_written_between_look_and_write_is_not_replaced(
    request: pytest.FixtureRequest, written_meanwhile: bytes, is_ours: bool
) -> None:
    """The writer can be oneself: a first try whose answer was lost."""
    place = make_place("s3", request)
    aws: AwsServer = request.getfixturevalue("aws")
    place.store.write("lease", b"old")
    other = aws.client("s3")

    def write_first(call: Call) -> Answer | None:
        if call.action.startswith("PUT"):
            aws.faults.clear()
            other.put_object(Bucket="reports", Key="orgmfa/lease", Body=written_meanwhile)
        return None

    aws.faults.append(write_first)

    assert place.store.replace("lease", b"old", b"ours") is is_ours
    assert place.store.read("lease") == written_meanwhile


OPERATIONS: dict[str, Callable[[Store], object]] = {
    "read": lambda store: store.read("runs/a"),
    "read start": lambda store: store.read_start("runs/a", 8),
    "write": lambda store: store.write("runs/a", b"new"),
    "create": lambda store: store.create("runs/a/b", b"new"),
    "replace": lambda store: store.replace("runs/a", b"old", b"new"),
    "read aged": lambda store: store.read_aged("runs/a/b"),
    "list": lambda store: list(store.list_files("runs/")),
    "delete": lambda store: store.delete("runs/a"),
}


@pytest.mark.parametrize(
    ("kind", "operation", "told"),
    [
        ("folder", "read", "cannot read {}/runs/a: "),
        ("folder", "read start", "cannot read {}/runs/a: "),
        ("folder", "write", "cannot write {}/runs/a: "),
        ("folder", "replace", "cannot write {}/runs/a: "),
        ("folder", "delete", "cannot delete {}/runs/a: "),
        ("s3", "read", "cannot read {}/runs/a: "),
        ("s3", "read start", "cannot read {}/runs/a: refused for the test (AccessDenied)"),
        ("s3", "write", "cannot write {}/runs/a: "),
        ("s3", "create", "cannot write {}/runs/a/b: refused for the test (AccessDenied)"),
        ("s3", "replace", "cannot write {}/runs/a: refused for the test (AccessDenied)"),
        ("folder", "read aged", "cannot read {}/runs/a/b: "),
        ("s3", "read aged", "cannot read {}/runs/a/b: "),
        ("s3", "list", "cannot list {}/runs/: refused for the test (AccessDenied)"),
        ("s3", "delete", "cannot delete {}/runs/a: refused for the test (AccessDenied)"),
    ],
)
def test_what_fails_says_what_and_where(request: pytest.FixtureRequest, kind: str, operation: str, told: str) -> None:
    place = make_place(kind, request)
    place.block("runs/a")

    with pytest.raises(ArchiveError) as caught:
        OPERATIONS[operation](place.store)

    assert str(caught.value).startswith(f"the archive: {told.format(place.location)}")


@pytest.mark.parametrize("operation", ["write", "create"])
def test_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path, operation: str) -> None:
    (tmp_path / "orgmfa").write_text("not a folder", encoding="utf-8")

    with pytest.raises(ArchiveError, match="cannot write"):
        OPERATIONS[operation](make_store(str(tmp_path / "orgmfa"), no_s3))


def test_missing_file_is_told_with_its_address(place: Place) -> None:
    with pytest.raises(ArchiveError) as caught:
        place.store.read("runs/a")

    assert f"cannot read {place.location}/runs/a: " in str(caught.value)


@pytest.mark.parametrize(
    "operation",
    [
        *OPERATIONS,
    ],
)
def test_missing_bucket_is_told(aws: AwsServer, operation: str) -> None:
    store = make_store("s3://nobody-made-this", lambda: make_clients(connections=1).s3)

    with pytest.raises(ArchiveError, match="NoSuchBucket"):
        OPERATIONS[operation](store)


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_bucket_that_cannot_be_reached_is_told(operation: str) -> None:
    client = boto3.client("s3", config=ClientConfig(retries={"total_max_attempts": 1}))

    with pytest.raises(ArchiveError, match=r"Could not connect|Connection refused"):
        OPERATIONS[operation](BucketStore("s3://reports", client))


def test_failed_write_leaves_nothing_behind(request: pytest.FixtureRequest) -> None:
    place = make_place("folder", request)
    place.block("runs/a")

    with pytest.raises(ArchiveError):
        place.store.write("runs/a", b"new")

    assert place.files() == ["runs/a/occupied"]


def test_failed_write_leaves_the_older_file_whole(request: pytest.FixtureRequest) -> None:
    place = make_place("s3", request)
    place.store.write("runs/a", b"old")
    place.block("runs/a")
    with pytest.raises(ArchiveError):
        place.store.write("runs/a", b"new")
    request.getfixturevalue("aws").faults.clear()

    assert place.store.read("runs/a") == b"old"
    assert place.files() == ["runs/a"]


@pytest.mark.parametrize("method", ["write", "create"])
def test_content_that_cannot_be_written_leaves_nothing_behind(place: Place, method: str) -> None:
    unwritable: Any = 7

    with pytest.raises((ArchiveError, TypeError)):
        getattr(place.store, method)("runs/a", unwritable)

    assert place.files() == []


def test_file_in_the_making_is_not_listed(tmp_path: Path) -> None:
    store = make_store(str(tmp_path), no_s3)
    store.write("runs/a", b"x")
    (tmp_path / "runs" / "b.0a1b2c3d.partial").write_bytes(b"half")

    assert [file.name for file in store.list_files("runs/")] == ["runs/a"]


def test_bucket_without_a_prefix_holds_the_names_as_they_are(request: pytest.FixtureRequest) -> None:
    place = make_place("s3", request, prefix="")

    place.store.write("runs/a", b"x")

    assert place.store.create("runs/a", b"") is False
    assert [file.name for file in place.store.list_files("runs/")] == ["runs/a"]
    assert place.files() == ["runs/a"]


def test_long_list_is_read_to_its_end(request: pytest.FixtureRequest) -> None:
    place = make_place("s3", request)
    client = make_clients(connections=1).s3  # its own: that of the other tests must not get such short pages
    for number in range(5):
        place.store.write(f"runs/{number}", b"x")
    client.meta.events.register("before-parameter-build.s3.ListObjectsV2", lambda params, **_: params.update(MaxKeys=2))

    names = [file.name for file in BucketStore(place.location, client).list_files("runs/")]

    assert names == [f"runs/{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("location", "kind", "address"),
    [
        ("./runs", FolderStore, "./runs/a"),
        ("/var/runs/", FolderStore, "/var/runs/a"),
        ("s3-runs", FolderStore, "s3-runs/a"),
        ("s3://reports", BucketStore, "s3://reports/a"),
        ("s3://reports/", BucketStore, "s3://reports/a"),
        ("s3://reports/2026/runs/", BucketStore, "s3://reports/2026/runs/a"),
    ],
)
def test_location_says_which_store_it_is(location: str, kind: type[Store], address: str) -> None:
    client: Any = object()

    store = make_store(location, lambda: client)

    assert type(store) is kind
    assert store.address("a") == address


# -- who else of the machine may read a folder


def modes_under(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o777 for path in sorted(folder.rglob("*"))}


@pytest.fixture
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_open_umask")
def test_folders_and_files_that_are_made_are_for_their_user_alone(tmp_path: Path) -> None:
    store = make_store(str(tmp_path / "made" / "on the way"), no_s3)

    store.write("runs/2026/a.json", b"a")
    store.create("events/b", b"b")
    store.create("locks/run", b"c")
    store.replace("locks/run", b"c", b"d")

    found = modes_under(tmp_path)
    assert {"made", "made/on the way", "made/on the way/runs/2026"} <= set(found)
    assert {
        name: mode for name, mode in found.items() if mode != (0o700 if (tmp_path / name).is_dir() else 0o600)
    } == {}


@pytest.mark.usefixtures("_open_umask")
def test_folder_that_was_there_is_left_as_it_is_and_an_open_file_is_closed(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir(mode=0o755)
    (tmp_path / "runs" / "a.json").touch(mode=0o644)
    store = make_store(str(tmp_path), no_s3)

    store.write("runs/a.json", b"a")

    assert modes_under(tmp_path) == {"runs": 0o755, "runs/a.json": 0o600}


# -- the age of a file


def test_age_of_a_file_is_told_by_the_clock_of_the_store(
    place: Place,
) -> None:
    place.store.write("locks/run", b"lease")
    content, fresh = place.store.read_aged("locks/run")
    if isinstance(place.store, BucketStore):
        keys: Any = get_backend("s3")[MANAGEMENT]["aws"].buckets["reports"].keys
        keys["orgmfa/locks/run"].last_modified -= timedelta(hours=1)
    else:
        path = Path(place.location, "locks/run")
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 3600))

    _, old = place.store.read_aged("locks/run")

    assert content == b"lease"
    assert 0 <= fresh < 60
    assert 3600 <= old < 3660
    assert place.files() == ["locks/run"]


def test_file_that_is_dated_ahead_is_not_fresh(tmp_path: Path) -> None:
    store = FolderStore(str(tmp_path))
    store.write("locks/run", b"lease")
    os.utime(tmp_path / "locks/run", (4e9, 4e9))

    assert store.read_aged("locks/run")[1] > 3600


def test_age_of_a_file_that_is_missing_is_an_error(place: Place) -> None:
    with pytest.raises(ArchiveError):
        place.store.read_aged("locks/run")


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_answer_of_s3_without_a_date_is_an_error(aws: AwsServer, date: str | None) -> None:
    aws.client("s3").create_bucket(Bucket="reports")
    client = make_clients(connections=1).s3
    store = BucketStore("s3://reports/orgmfa", client)
    store.write("locks/run", b"lease")

    def without_date(parsed: dict[str, Any], **_: object) -> None:
        headers = parsed["ResponseMetadata"]["HTTPHeaders"]
        headers.pop("date")
        headers.update({"date": date} if date else {})

    client.meta.events.register("after-call.s3.GetObject", without_date)

    with pytest.raises(ArchiveError, match="cannot read"):
        store.read_aged("locks/run")
