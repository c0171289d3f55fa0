"""Folder and bucket as one store: whole files, where they stand, who may read them, and their age."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.backends import get_backend

from orchestrator.aws.clients import make_clients
from orchestrator.aws.file_store import BucketStore, FolderStore, Store, make_store
from orchestrator.domain.errors import ArchiveError, FileTooLarge
from tests.aws.places import Place, make_place, no_s3
from tests.aws_server import MANAGEMENT, AwsServer


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
