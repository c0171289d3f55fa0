"""Lease on writing: only the run that holds it may write. It is the file `locks/run` of the archive.

A lease is made by a write that succeeds only where there is none, renewed by one that succeeds only where it is still
ours, and taken over when it has expired: a run that was killed holds it for twenty minutes. Plans take none.

A run in steps has one lease for all of them: the first step takes and keeps it, the others join it, the last gives it
back.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event, Thread
from types import TracebackType
from typing import Protocol, Self

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.domain.errors import ArchiveError, RunUnderWay
from orchestrator.reports.archive import Store
from orchestrator.reports.report import UtcTime

LEASE_FILE = "locks/run"
LEASE_TIME = timedelta(minutes=20)
RENEW_SECONDS = 300.0

log = structlog.get_logger(__name__)


class LeaseStore(Store, Protocol):
    """The files of the archive, with a write that compares first; all raise ArchiveError where they fail."""

    def replace(self, name: str, expected: bytes, content: bytes) -> bool:
        """Write a file in place of one with the expected content, and return whether it had that content."""
        ...


class _Record(BaseModel):
    """Who holds the lease, and until when."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    until: UtcTime


class Lease:
    """The lease of one run, held while it is entered and renewed by a thread of its own."""

    def __init__(
        self,
        store: LeaseStore,
        run_id: str,
        *,
        now: Callable[[], datetime],
        on_loss: Callable[[], None],
        join: bool = False,
        keep: bool = False,
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        """Take the store; `on_loss` is called when another run has taken the lease over, and must end this one.

        `join`: an earlier step of the run has taken the lease. `keep`: a later step needs it, unless this one fails.
        """
        self._store = store
        self._run_id = run_id
        self._now = now
        self._on_loss = on_loss
        self._join = join
        self._keep = keep
        self._renew_seconds = renew_seconds
        self._content = b""
        self._ended = Event()
        self._renewer = Thread(target=self._renew_until_the_end, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Take or join the lease. Raises RunUnderWay where another run has it, ArchiveError where the archive fails."""
        if self._join:
            self._join_existing()
        else:
            self._take()
        self._renewer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lease back, if it is still ours; one that cannot be given back expires."""
        self._ended.set()
        self._renewer.join(timeout=self._renew_seconds)
        if self._keep and (self._join or error is None):
            return
        try:
            if self._store.read(LEASE_FILE) == self._content:
                self._store.delete(LEASE_FILE)
        except ArchiveError as failure:
            log.warning("lease_not_given_back", message=str(failure))

    def renew(self) -> bool:
        """Renew the lease now, and return whether it is still ours."""
        content = self._make_content()
        if not self._store.replace(LEASE_FILE, self._content, content):
            try:
                content = self._store.read(LEASE_FILE)
                holder = _read(content)
            except ArchiveError:  # removed, or made something else
                return False
            if holder.run_id != self._run_id:
                return False  # else another step of this run has just renewed it
        self._content = content
        return True

    def _join_existing(self) -> None:
        self._content = self._store.read(LEASE_FILE)
        holder = _read(self._content)
        if holder.run_id != self._run_id or not self.renew():
            raise RunUnderWay(
                f"the lease on writing is no longer that of run {self._run_id}: it writes nothing more. Run again when "
                "the other run is over"
            )

    def _take(self) -> None:
        self._content = self._make_content()
        if self._store.create(LEASE_FILE, self._content):
            return
        found = self._store.read(LEASE_FILE)
        holder = _read(found)
        if self._now() < holder.until and holder.run_id != self._run_id:
            raise RunUnderWay(
                f"run {holder.run_id} is under way and holds the lease on writing until {holder.until:%H:%M:%S} UTC at "
                "the latest, also where it was killed: wait for it, then run again"
            )
        if not self._store.replace(LEASE_FILE, found, self._content):
            raise RunUnderWay("another run took the lease over at this very moment: wait for it, then run again")
        log.warning("lease_taken_over", from_run_id=holder.run_id)

    def _renew_until_the_end(self) -> None:
        while not self._ended.wait(self._renew_seconds):
            try:
                is_ours = self.renew()
            except ArchiveError as failure:  # tried again before the lease runs out
                log.warning("lease_not_renewed", message=str(failure))
                continue
            if not is_ours:
                log.error("lease_lost")
                self._on_loss()
                return

    def _make_content(self) -> bytes:
        record = _Record(run_id=self._run_id, until=self._now() + LEASE_TIME)
        return record.model_dump_json().encode()


def _read(content: bytes) -> _Record:
    try:
        return _Record.model_validate_json(content)
    except ValidationError as error:
        message = f"the archive: {LEASE_FILE} is no lease of orgmfa: remove it when no run is under way"
        raise ArchiveError(message) from error
