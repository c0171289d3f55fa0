"""What fails says what and where, and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as ClientConfig

from orchestrator.aws.clients import make_clients
from orchestrator.aws.file_store import BucketStore, Store, make_store
from orchestrator.domain.errors import ArchiveError
from tests.aws.places import Place, make_place, no_s3
from tests.aws_server import AwsServer

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
