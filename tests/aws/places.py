"""A folder or a bucket as a store, and how a test breaks it or looks past it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.file_store import Store, make_store
from tests.aws_server import Answer, AwsServer, Call

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ["folder", "s3"]


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
