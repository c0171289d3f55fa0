"""What the steps of one run leave for each other, as files of the archive; the last step clears them away.

    work/<run id>/outline.json             what select found: the request, the listing, the sizes of the batches
    work/<run id>/history.json.gz          what is known of earlier runs, the same for all steps
    work/<run id>/batches.json             the batches to plan, as the state machine reads them
    work/<run id>/batches/<number>.json.gz the accounts of one batch, each with its own past
    work/<run id>/plans/<number>.json.gz   the plans of one batch
    work/<run id>/verdict.json             what the gate said
    work/<run id>/apply.json               the batches to apply, as the state machine reads them
    work/<run id>/applied/<number>.json.gz what became of the plans of one batch

Plans and what became of them are written once: a step that is carried out twice leaves what it left first, so what the
gate has counted is what is applied.
"""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

from orchestrator.domain.errors import ArchiveError
from orchestrator.domain.model import Account, AccountResult, Problem, Reason, RunRequest
from orchestrator.pipeline.results import RESULTS
from orchestrator.reports.archive import WORK, Store
from orchestrator.reports.bounded import unpack
from orchestrator.reports.compressed import JsonCodec
from orchestrator.reports.history import History
from orchestrator.reports.report import UtcTime
from orchestrator.reports.stored_run import PastAccount

Stack = Literal["plans", "applied"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunManifest:
    """What the other steps must know of the run; `max_changes` replaces the limits where it is given.

    `sizes` are the numbers of accounts in the batches.
    """

    request: RunRequest
    sizes: tuple[int, ...]
    is_complete: bool
    problems: tuple[Problem, ...]
    max_changes: int | Literal["none"] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """An account of a batch, with what earlier runs knew of it."""

    account: Account
    before: PastAccount | None
    open_since: dict[str, UtcTime]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a batch took: tries of calls, those throttled, and why it ended early if it did."""

    calls: int
    throttles: int
    ended: str | None


@dataclass(frozen=True, slots=True)
class BatchOutput:
    """What a step did with one batch."""

    effort: Usage
    results: Iterable[AccountResult]


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the gate said: why nothing may be written, or None."""

    hold: Reason | None


_OUTLINE: JsonCodec[RunManifest] = JsonCodec(RunManifest)
_HISTORY: JsonCodec[History] = JsonCodec(History)
_ENTRY: JsonCodec[Entry] = JsonCodec(Entry)
_EFFORT: JsonCodec[Usage] = JsonCodec(Usage)
_VERDICT: JsonCodec[GateDecision] = JsonCodec(GateDecision)


class RunState:
    """The work room of one run. Every method raises ArchiveError where the archive fails or holds something else."""

    def __init__(self, store: Store, run_id: str) -> None:
        """Take the store of the archive, and the run."""
        self._store = store
        self._run_id = run_id
        self._folder = f"{WORK}{run_id}/"

    def outline(self) -> RunManifest:
        """Return what select found."""
        return self._read("outline.json", _OUTLINE)

    def put_outline(self, outline: RunManifest) -> None:
        """Keep what select found."""
        self._write("outline.json", _OUTLINE.dump(outline))

    def history(self) -> History:
        """Return what is known of earlier runs."""
        return self._read("history.json.gz", _HISTORY)

    def put_history(self, history: History) -> None:
        """Keep what is known of earlier runs."""
        self._write("history.json.gz", _HISTORY.dump(history))

    def batch(self, number: int) -> list[Entry]:
        """Return the accounts of a batch."""
        name = f"batches/{number:05}.json.gz"
        return [self._load(name, line, _ENTRY) for line in self._content(name).splitlines()]

    def put_batch(self, number: int, entries: Iterable[Entry]) -> None:
        """Keep the accounts of a batch."""
        self._write(f"batches/{number:05}.json.gz", b"\n".join(map(_ENTRY.dump, entries)))

    def put_items(self, name: str, numbers: Iterable[int]) -> None:
        """Keep batches as a JSON array that a Distributed Map reads."""
        items = [{"run_id": self._run_id, "batch": number} for number in numbers]
        self._write(name, json.dumps(items).encode())

    def put_output(self, stack: Stack, number: int, part: BatchOutput) -> None:
        """Keep what became of a batch, unless that was kept already."""
        content = b"\n".join([_EFFORT.dump(part.effort), *map(RESULTS.dump, part.results)])
        self._store.create(f"{self._folder}{stack}/{number:05}.json.gz", gzip.compress(content, mtime=0))

    def kept(self, stack: Stack) -> frozenset[int]:
        """Return the batches of which something was kept; the others did not come back."""
        prefix = f"{self._folder}{stack}/"
        names = (file.name.removeprefix(prefix) for file in self._store.list_files(prefix))
        return frozenset(int(name.partition(".")[0]) for name in names)

    def part(self, stack: Stack, number: int) -> BatchOutput:
        """Return what became of a batch."""
        name = f"{stack}/{number:05}.json.gz"
        effort, *results = self._content(name).splitlines()
        return BatchOutput(self._load(name, effort, _EFFORT), [self._load(name, line, RESULTS) for line in results])

    def verdict(self) -> GateDecision | None:
        """Return what the gate said, or None where it did not come to say anything."""
        names = {file.name for file in self._store.list_files(self._folder)}
        return self._read("verdict.json", _VERDICT) if f"{self._folder}verdict.json" in names else None

    def put_verdict(self, verdict: GateDecision) -> None:
        """Keep what the gate says."""
        self._write("verdict.json", _VERDICT.dump(verdict))

    def place(self, name: str) -> tuple[str, str]:
        """Return the bucket and key of a file, for the state machine."""
        bucket, _, key = self._store.address(f"{self._folder}{name}").removeprefix("s3://").partition("/")
        return bucket, key

    def clear(self) -> None:
        """Remove everything."""
        for file in list(self._store.list_files(self._folder)):
            self._store.delete(file.name)

    def _write(self, name: str, content: bytes) -> None:
        is_packed = name.endswith(".gz")
        self._store.write(self._folder + name, gzip.compress(content, mtime=0) if is_packed else content)

    def _read(self, name: str, packer: JsonCodec[T]) -> T:
        return self._load(name, self._content(name), packer)

    def _content(self, name: str) -> bytes:
        content = self._store.read(self._folder + name)
        try:
            return unpack(content) if name.endswith(".gz") else content
        except ValueError as error:
            raise self._broken(name) from error

    def _load(self, name: str, text: bytes, packer: JsonCodec[T]) -> T:
        try:
            return packer.load(text)
        except ValueError as error:
            raise self._broken(name) from error

    def _broken(self, name: str) -> ArchiveError:
        return ArchiveError(
            f"the archive: {self._store.address(self._folder + name)} is broken, or not of this version"
        )
