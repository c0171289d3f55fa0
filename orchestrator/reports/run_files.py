"""The files of runs in the archive: lists and reads them. A broken one is logged and skipped."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

from orchestrator.domain.errors import BrokenRun, ConfigError, FileTooLarge
from orchestrator.domain.model import StoredFile
from orchestrator.reports.history import StoredRun, read_past
from orchestrator.reports.report import RunReport
from orchestrator.reports.report_json import read_head, read_report, unpack_lines, without_accounts

RUNS = "runs/"
HEAD_BYTES = 64 * 1024
"""Size of the first read of a file: all that comes before the accounts, unless very much has changed or failed."""

_RUN_FILE = re.compile(r"runs/\d{4}/\d{2}/\d{2}/(?P<run_id>[\w.-]+)\.json\.gz")

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Store(Protocol):
    """The files of the archive by name; all raise ArchiveError where they fail."""

    expires: bool
    """Whether what is old goes by itself: a bucket has a lifecycle rule for that."""

    def address(self, name: str) -> str:
        """Return the path or address of a file."""

    def read(self, name: str) -> bytes:
        """Return the content of a file."""

    def read_start(self, name: str, size: int) -> bytes:
        """Return the first bytes of a file; all of a shorter one."""

    def list_files(self, prefix: str) -> Iterable[StoredFile]:
        """Return the files under a prefix."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless it exists, and return whether this call made it."""

    def delete(self, name: str) -> None:
        """Delete a file."""


@dataclass(frozen=True, slots=True)
class ArchivedRun:
    """A run in the archive, by the name of its file."""

    run_id: str
    name: str
    finished_at: datetime


class Runs:
    """The runs in the archive at one location."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list_runs(self) -> list[ArchivedRun]:
        """Return the runs in the archive, the newest finished first; other files are ignored."""
        matches = ((_RUN_FILE.fullmatch(file.name), file) for file in self._store.list_files(RUNS))
        runs = (ArchivedRun(match["run_id"], file.name, file.written_at) for match, file in matches if match)
        return sorted(runs, key=lambda run: (run.finished_at, run.run_id), reverse=True)

    def read(self, run: ArchivedRun) -> RunReport:
        """Return the report of a run. Raises BrokenRun, or ArchiveError where it cannot be read at all."""
        return self._read(run, read_report)

    def readable(self, runs: Iterable[ArchivedRun]) -> Iterator[RunReport]:
        """Yield the reports of these runs, one at a time; a broken one is logged and skipped. Raises ArchiveError."""
        return (report for _, report in _unbroken(runs, self.read))

    def with_heads(self, runs: Iterable[ArchivedRun]) -> Iterator[tuple[ArchivedRun, RunReport]]:
        """Yield these runs, each with its report without the accounts. Raises ArchiveError."""

        def read(run: ArchivedRun) -> RunReport:
            head = read_head(self._store.read_start(run.name, HEAD_BYTES))
            return head or without_accounts(self.read(run))

        return _unbroken(runs, read)

    def past(self, run: ArchivedRun) -> StoredRun | None:
        """Return a run as far as a later one needs it; None where it is broken. Raises ArchiveError."""
        return next((past for _, past in _unbroken([run], lambda run: self._read(run, read_past))), None)

    def _read(self, run: ArchivedRun, parse: Callable[[Iterable[bytes]], T]) -> T:
        try:
            return parse(unpack_lines(self._store.read(run.name)))
        except (ValueError, FileTooLarge) as error:
            raise BrokenRun(f"the archive: {self._store.address(run.name)} is broken or no run of orgmfa") from error


def read_file(path: Path) -> RunReport | None:
    """Return the report in a file that a run or the archive wrote; None for no such file. Raises ConfigError."""
    try:
        if not path.is_file():
            return None
        content = path.read_bytes()
        if path.suffix == ".gz":
            return read_report(unpack_lines(content))
        return RunReport.model_validate_json(content)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no report of orgmfa: give the JSON that a run wrote") from error


def _unbroken(runs: Iterable[ArchivedRun], read: Callable[[ArchivedRun], T]) -> Iterator[tuple[ArchivedRun, T]]:
    for run in runs:
        try:
            yield run, read(run)
        except BrokenRun as error:
            log.warning("archived_run_unreadable", name=run.name, message=str(error))
