"""File stores in a folder and in an S3 bucket: read, write, create, replace, list and delete files by name.

A file is written whole or not at all: in a folder under a temporary name and then renamed, in S3 by one PutObject. All
methods raise ArchiveError where they fail. Nothing here knows of runs or reports.
"""

import fcntl
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, BinaryIO

from orchestrator.aws.errors import require, translated
from orchestrator.domain.errors import AlreadyExists, ArchiveError, AwsError, FileTooLarge, LocalFault, NotFound
from orchestrator.domain.model import StoredFile
from orchestrator.domain.remedies import select_remedy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TEMPORARY_SUFFIX = ".partial"
MAX_FILE_BYTES = 128 * 1024 * 1024
"""Fifty times the packed report of 10,000 accounts with 20 users each. Who can write the archive can write any size."""


class _Store(ABC):
    """What both stores share: addresses, reading, and errors that say what failed and where. Names use `/`."""

    def __init__(self, location: str) -> None:
        """Take the folder or `s3://bucket/prefix` that holds the files."""
        self.location = location.rstrip("/") or "/"

    def address(self, name: str) -> str:
        """Return the path or S3 URL of a file, for messages and links."""
        return f"{self.location}/{name}"

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises ArchiveError, FileTooLarge for one that is larger than any of ours."""
        content = self.read_start(name, MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise FileTooLarge(f"the archive: {self.address(name)} is larger than any file that orgmfa writes")
        return content

    @abstractmethod
    def read_start(self, name: str, size: int) -> bytes:
        """Return the first bytes of a file; all of a shorter one. Raises ArchiveError where it is missing."""

    @contextmanager
    def _explained(self, verb: str, name: str) -> Iterator[None]:
        try:
            with translated():
                yield
        except AwsError as error:
            remedy = f". {select_remedy(error)}" if isinstance(error, LocalFault) else ""
            message = f"the archive: cannot {verb} {self.address(name)}: {error} ({error.code}){remedy}"
            raise ArchiveError(message) from error
        except (OSError, ValueError) as error:
            cause = error.__cause__ or error.__context__ or error
            message = f"the archive: cannot {verb} {self.address(name)}: {cause}"
            raise ArchiveError(message) from error


class FolderStore(_Store):
    """File store in a folder, which is created at the first write. What it makes is for its own user alone."""

    expires = False

    def read_start(self, name: str, size: int) -> bytes:
        """Return the first bytes of a file; all of a shorter one. Raises ArchiveError where it is missing."""
        with self._explained("read", name), Path(self.location, name).open("rb") as file:
            return file.read(size)

    def write(self, name: str, content: bytes) -> None:
        """Write a file; an older one of this name is overwritten."""
        with self._explained("write", name), self._finished(name, content) as (temporary, path):
            temporary.replace(path)

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless it exists, by a hard link that one of several callers can make; return whether we did."""
        with self._explained("write", name), self._finished(name, content) as (temporary, path):
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            return True

    def replace(self, name: str, expected: bytes, content: bytes) -> bool:
        """Overwrite a file if it has the expected content, and return whether it had; under a lock of the system."""
        with self._explained("write", name):
            path = self._made(name)
            guard = path.with_name(f"{path.name}.guard{TEMPORARY_SUFFIX}")
            with _open_private(guard) as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                if not path.exists():
                    return False
                with path.open("rb") as file:
                    if file.read(len(expected) + 1) != expected:
                        return False
                self.write(name, content)
                return True

    def read_aged(self, name: str) -> tuple[bytes, float]:
        """Return content and age in seconds: the time of writing is compared with that of a file written right now.

        One that is dated ahead, as anybody can date a file in a folder, is as old as it is ahead.
        """
        with self._explained("read", name), self._finished(name, b"") as (now, path), path.open("rb") as file:
            age = now.stat().st_mtime - os.fstat(file.fileno()).st_mtime
            return file.read(MAX_FILE_BYTES), abs(age)

    def list_files(self, prefix: str) -> Iterator[StoredFile]:
        """Yield the files under a prefix, a name that ends in `/`, without temporary ones."""
        with self._explained("list", prefix):
            for path in sorted(Path(self.location, prefix).rglob("*")):
                try:
                    found = path.stat()
                except FileNotFoundError:  # deleted meanwhile by another run
                    continue
                if S_ISREG(found.st_mode) and not path.name.endswith(TEMPORARY_SUFFIX):
                    written_at = datetime.fromtimestamp(found.st_mtime, UTC)
                    yield StoredFile(path.relative_to(self.location).as_posix(), written_at)

    def delete(self, name: str) -> None:
        """Delete a file; a missing one is no error."""
        with self._explained("delete", name):
            Path(self.location, name).unlink(missing_ok=True)

    def _made(self, name: str) -> Path:
        """Return the path of a file, in a folder that exists."""
        path = Path(self.location, name)
        for folder in reversed(path.parents):  # `parents=True` would make all but the last public
            folder.mkdir(mode=0o700, exist_ok=True)
        return path

    @contextmanager
    def _finished(self, name: str, content: bytes) -> Iterator[tuple[Path, Path]]:
        """Write a temporary file, and yield its path and that of the file it is for; in the end it is deleted."""
        path = self._made(name)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
        try:
            with _open_private(temporary) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield temporary, path
        finally:
            temporary.unlink(missing_ok=True)


def _open_private(path: Path) -> BinaryIO:
    """Return a file to write to, made where it is missing, which nobody else may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


class BucketStore(_Store):
    """File store in an S3 bucket."""

    expires = True

    def __init__(self, location: str, client: "S3Client") -> None:
        super().__init__(location)
        self._client = client
        self._bucket, _, self._prefix = self.location.removeprefix("s3://").partition("/")

    def read_start(self, name: str, size: int) -> bytes:
        """Return the first bytes of a file, by a range request, after which the connection can be reused."""
        with self._explained("read", name):
            try:
                with translated():
                    found = self._client.get_object(**self._at(name), Range=f"bytes=0-{size - 1}")
                    return found["Body"].read()
            except AwsError as error:
                if error.code == "InvalidRange":  # the file is empty
                    return b""
                raise

    def write(self, name: str, content: bytes) -> None:
        """Write a file by one PutObject; an older one of this name is overwritten."""
        with self._explained("write", name):
            # With `text/html` a browser shows a page instead of saving it.
            kind = "text/html; charset=utf-8" if name.endswith(".html") else "application/octet-stream"
            self._put(name, content, ContentType=kind)

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless it exists, and return whether this call wrote it; the content of each must be unique."""
        with self._explained("write", name):
            return self._put_if(name, content, IfNoneMatch="*")

    def replace(self, name: str, expected: bytes, content: bytes) -> bool:
        """Overwrite a file if it has the expected content, and return whether it had."""
        with self._explained("write", name):
            try:
                with translated():
                    found = self._client.get_object(**self._at(name))
                    if found["Body"].read(len(expected) + 1) != expected:
                        return False
                return self._put_if(name, content, IfMatch=found["ETag"])
            except NotFound as error:
                if error.code != "NoSuchKey":
                    raise
                return False

    def read_aged(self, name: str) -> tuple[bytes, float]:
        """Return content and age in seconds: `Date` less `Last-Modified` of one answer of S3, both in whole seconds."""
        with self._explained("read", name):
            found = self._client.get_object(**self._at(name))
            content = found["Body"].read(MAX_FILE_BYTES)
            now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"].get("date", ""))
            return content, abs((now - found["LastModified"]).total_seconds())

    def list_files(self, prefix: str) -> Iterator[StoredFile]:
        """Yield the files under a prefix, a name that ends in `/`."""
        with self._explained("list", prefix):
            listing = self._client.get_paginator("list_objects_v2")
            for page in listing.paginate(Bucket=self._bucket, Prefix=self._key(prefix)):
                require(page.get("IsTruncated"), "IsTruncated", "ListObjectsV2")  # the page of a proxy is no empty list
                for entry in page.get("Contents", ()):
                    yield StoredFile(entry["Key"].removeprefix(self._key("")), entry["LastModified"])

    def delete(self, name: str) -> None:
        """Delete a file; a missing one is no error."""
        with self._explained("delete", name):
            self._client.delete_object(**self._at(name))

    def _put_if(self, name: str, content: bytes, **condition: str) -> bool:
        """Write a file on a condition, and return whether this call wrote it (S3 User Guide, 'conditional writes').

        A file with this very content counts as written by a first try of this call whose answer was lost.
        """
        try:
            with translated():
                self._put(name, content, **condition)
        except AlreadyExists:
            return self.read(name) == content
        return True

    def _put(self, name: str, content: bytes, **parameters: str) -> None:
        answer = self._client.put_object(**self._at(name) | parameters, Body=content)
        require(answer.get("ETag"), "ETag", "PutObject")  # S3 tells it of each object; the page of a proxy does not

    def _at(self, name: str) -> Any:  # noqa: ANN401 - parameters of the API
        return {"Bucket": self._bucket, "Key": self._key(name)}

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name


Store = FolderStore | BucketStore


def make_store(location: str, s3: "Callable[[], S3Client]") -> Store:
    """Return the store at a folder or an `s3://` location; `s3` returns the client of a bucket."""
    return BucketStore(location, s3()) if location.startswith("s3://") else FolderStore(location)
