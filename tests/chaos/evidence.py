"""What one run of the program left behind: its exit code, its report, and everything that it put out."""

import gzip
import os
import traceback
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from moto.backends import get_backend

from orchestrator.domain.model import Mode
from orchestrator.reports.report import RunReport
from tests.aws_server import MANAGEMENT
from tests.chaos.book import UserState
from tests.chaos.daily_runs import DailyRuns
from tests.fake_slack import Message

Kind = Literal["run", "lambda", "command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One run as seen from outside; `since` and `until` are its span in the books.

    `code` is the exit code, of a Lambda invocation 0 for a result, 1 for RunFailed, 2 for an invocation that could not
    start. `was_halted`: a signal or a deadline told the run to end; `was_killed`: it ended at once, as it was told to.
    `ends`: how everybody stood when it was over. `defect` is an error that nobody foresaw.
    """

    kind: Kind
    code: int
    mode: Mode = Mode.APPLY
    run_id: str = ""
    since: int = 0
    until: int | None = None
    report: RunReport | None = None
    archived: RunReport | None = None
    asked: frozenset[str] | None = None
    """The accounts that were asked for by ID, which need no listing; None: all."""
    named: frozenset[tuple[str, str]] | None = None
    """The users whom the IAM events of a batch rightly name, by account and name; None: this is no run of events."""
    guarded: frozenset[tuple[str, str]] = frozenset()
    """The users whom a guard of others keeps, by account and name: a run leaves them alone."""
    came_back: int = 0
    """How many messages of the batch are to come again."""
    daily: tuple[DailyRuns, DailyRuns] | None = None
    """What the archive told of daily runs before and after a run of events; None: another run was under way too."""
    wants_digest: bool = False
    messages: tuple[Message, ...] = ()
    said: str = ""
    secret_texts: tuple[str, ...] = ()
    ends: dict[tuple[str, str], UserState] = field(default_factory=dict)
    was_halted: bool = False
    was_killed: bool = False
    defect: str = ""

    @property
    def best_report(self) -> RunReport | None:
        """The report as the run gave it, else as it stands in the archive."""
        return self.report or self.archived


class Archive(Protocol):
    """Where the runs of a scenario are archived, read without the program's help."""

    @property
    def location(self) -> str:
        """What `archive.location` is set to."""
        ...

    def files(self) -> dict[str, bytes]:
        """Return all files by name."""
        ...

    def put(self, name: str, content: bytes) -> None:
        """Write a file."""
        ...

    def age(self, name: str) -> None:
        """Have a file be an hour older."""
        ...


@dataclass(frozen=True, slots=True)
class FolderArchive:
    """An archive in a folder."""

    path: Path

    @property
    def location(self) -> str:
        """The folder."""
        return str(self.path)

    def files(self) -> dict[str, bytes]:
        """Return all files by name."""
        if not self.path.is_dir():
            return {}
        found = (path for path in self.path.rglob("*") if path.is_file())
        return {path.relative_to(self.path).as_posix(): path.read_bytes() for path in found}

    def put(self, name: str, content: bytes) -> None:
        """Write a file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def age(self, name: str) -> None:
        """Have a file be an hour older."""
        found = (self.path / name).stat()
        os.utime(self.path / name, (found.st_atime, found.st_mtime - 3600))


@dataclass(frozen=True, slots=True)
class BucketArchive:
    """An archive in a bucket of the fake."""

    bucket: str = "chaos-archive"

    def __post_init__(self) -> None:
        self._backend.create_bucket(self.bucket, "us-east-1")

    @property
    def location(self) -> str:
        """The bucket and the prefix."""
        return f"s3://{self.bucket}/orgmfa"

    def files(self) -> dict[str, bytes]:
        """Return all files by name."""
        keys = self._backend.buckets[self.bucket].keys
        return {name.removeprefix("orgmfa/"): key.value for name, key in keys.items()}

    def put(self, name: str, content: bytes) -> None:
        """Write a file."""
        self._backend.put_object(self.bucket, f"orgmfa/{name}", content)

    def age(self, name: str) -> None:
        """Have a file be an hour older."""
        self._backend.buckets[self.bucket].keys[f"orgmfa/{name}"].last_modified -= timedelta(hours=1)

    @property
    def _backend(self) -> Any:
        return get_backend("s3")[MANAGEMENT]["aws"]


def archived_report(archive: Archive, run_id: str) -> RunReport | None:
    """Return a run from the archive, if it stands there."""
    files = archive.files()
    found = [content for name, content in files.items() if run_id and name.endswith(f"/{run_id}.json.gz")]
    return RunReport.model_validate_json(gzip.decompress(found[0])) if found else None


def archived_run_ids(archive: Archive) -> set[str]:
    """Return the runs in the archive."""
    names = (name for name in archive.files() if name.startswith("runs/") and name.endswith(".json.gz"))
    return {name.rpartition("/")[2].removesuffix(".json.gz") for name in names}


def archived_texts(archive: Archive) -> str:
    """Return all that stands in the archive, as one text."""
    contents = (gzip.decompress(body) if name.endswith(".gz") else body for name, body in archive.files().items())
    return "\n".join(content.decode("utf-8", "replace") for content in contents)


def told(error: BaseException | None) -> str:
    """Return an error as Python would print it, its causes included."""
    return "" if error is None else "".join(traceback.format_exception(error))
