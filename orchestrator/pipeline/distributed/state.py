"""State of a run that is carried out in steps, as files of the archive; the last step deletes them.

    work/<run id>/outline.json             the manifest: the request, the listing, the sizes of the batches
    work/<run id>/history.json.gz          the history of earlier runs, the same for all steps
    work/<run id>/batches.json             the batches to plan, as the state machine reads them
    work/<run id>/batches/<number>.json.gz the accounts of one batch, each with its own history
    work/<run id>/plans/<number>.json.gz   the plans of one batch
    work/<run id>/verdict.json             the decision of the gate
    work/<run id>/apply.json               the batches to apply, as the state machine reads them
    work/<run id>/applied/<number>.json.gz the results of applying one batch

Plans and results are written once: a step that is carried out twice keeps its first output, so what the gate has
counted is what is applied.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from orchestrator.domain.errors import ArchiveError
from orchestrator.domain.model import Account, AccountResult, Gate, Problem, RunRequest
from orchestrator.pipeline.results import RESULTS
from orchestrator.reports.archive import WORK
from orchestrator.reports.compressed import JsonCodec
from orchestrator.reports.history import History, PastAccount
from orchestrator.reports.report import FirstSight, ReleaseReport
from orchestrator.reports.report_json import unpack
from orchestrator.reports.run_files import Store

BatchStage = Literal["plans", "applied"]  # what is carried out batch by batch: the folders of the output
PLAN_ITEMS = "batches.json"
APPLY_ITEMS = "apply.json"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunManifest:
    """What the first step found: the sizes of the batches, releases whose notes are gone, the limit asked for."""

    request: RunRequest
    sizes: tuple[int, ...]
    is_complete: bool
    problems: tuple[Problem, ...]
    releases: tuple[ReleaseReport, ...]
    max_changes: int | Literal["none"] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """An account of a batch, with its history of earlier runs."""

    account: Account
    before: PastAccount | None
    sights: dict[str, FirstSight]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tries of calls of a batch, those throttled, and why it ended early if it did."""

    calls: int
    throttles: int
    ended: str | None


@dataclass(frozen=True, slots=True)
class GateDecision:
    """The decision of the gate: why nothing may be written, or None."""

    gate: Gate | None


@dataclass(frozen=True, slots=True)
class StateFile(Generic[T]):
    """A file of the state that holds one value."""

    name: str
    codec: JsonCodec[T]


MANIFEST = StateFile("outline.json", JsonCodec(RunManifest))
HISTORY = StateFile("history.json.gz", JsonCodec(History))
GATE_DECISION = StateFile("verdict.json", JsonCodec(GateDecision))

_ENTRY: JsonCodec[Entry] = JsonCodec(Entry)
_USAGE: JsonCodec[Usage] = JsonCodec(Usage)


class RunState:
    """The state of one run. Every method raises ArchiveError where the archive fails or holds something else."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._folder = f"{WORK}{run_id}/"

    def read(self, file: StateFile[T]) -> T:
        """Return the value of a file."""
        with self._intact(file.name):
            return file.codec.load(self._content(file.name))

    def write(self, file: StateFile[T], value: T) -> None:
        """Write the value of a file."""
        self._write(file.name, file.codec.dump(value))

    def has(self, file: StateFile[T]) -> bool:
        """Return whether a file has been written."""
        return any(one.name == self._folder + file.name for one in self._store.list_files(self._folder))

    def gate_decision(self) -> GateDecision | None:
        """Return the decision of the gate, or None where it never came to one."""
        return self.read(GATE_DECISION) if self.has(GATE_DECISION) else None

    def read_batch(self, number: int) -> list[Entry]:
        """Return the accounts of a batch."""
        name = _numbered("batches", number)
        with self._intact(name):
            return [_ENTRY.load(line) for line in self._content(name).splitlines()]

    def write_batch(self, number: int, entries: Iterable[Entry]) -> None:
        """Write the accounts of a batch."""
        self._write(_numbered("batches", number), b"\n".join(map(_ENTRY.dump, entries)))

    def write_items(self, name: str, numbers: Iterable[int]) -> None:
        """Write batches as the JSON array that a Distributed Map reads."""
        items = [{"run_id": self._run_id, "batch": number} for number in numbers]
        self._write(name, json.dumps(items).encode())

    def locate_items(self, name: str) -> dict[str, str]:
        """Return the bucket and the key of such an array, as the state machine takes them."""
        bucket, _, key = self._store.address(f"{self._folder}{name}").removeprefix("s3://").partition("/")
        return {"bucket": bucket, "batches": key}

    def write_output(self, stage: BatchStage, number: int, results: Iterable[AccountResult], *, usage: Usage) -> None:
        """Write the output of a stage for a batch, unless there is one already."""
        content = b"\n".join([_USAGE.dump(usage), *map(RESULTS.dump, results)])
        self._store.create(self._folder + _numbered(stage, number), gzip.compress(content, mtime=0))

    def read_outputs(self, stage: BatchStage) -> Iterator[tuple[int, Usage, list[AccountResult]]]:
        """Yield the outputs of a stage, by the number of the batch; batches without one were lost."""
        prefix = f"{self._folder}{stage}/"
        names = [file.name.removeprefix(prefix) for file in self._store.list_files(prefix)]
        with self._intact(stage):
            numbers = sorted(int(name.partition(".")[0]) for name in names)
        for number in numbers:
            yield number, *self.read_output(stage, number)

    def read_output(self, stage: BatchStage, number: int) -> tuple[Usage, list[AccountResult]]:
        """Return the output of a stage for a batch: what it used, and its results."""
        name = _numbered(stage, number)
        with self._intact(name):
            usage, *results = self._content(name).splitlines()
            return _USAGE.load(usage), [RESULTS.load(line) for line in results]

    def clear(self) -> None:
        """Delete all files."""
        for file in list(self._store.list_files(self._folder)):
            self._store.delete(file.name)

    def _write(self, name: str, content: bytes) -> None:
        self._store.write(self._folder + name, gzip.compress(content, mtime=0) if name.endswith(".gz") else content)

    def _content(self, name: str) -> bytes:
        content = self._store.read(self._folder + name)
        return unpack(content) if name.endswith(".gz") else content

    @contextmanager
    def _intact(self, name: str) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            address = self._store.address(self._folder + name)
            raise ArchiveError(f"the archive: {address} is broken, or not of this version") from error


def _numbered(folder: str, number: int) -> str:
    return f"{folder}/{number:05}.json.gz"
