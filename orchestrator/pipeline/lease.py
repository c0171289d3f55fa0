"""Permission to write: the lease on writing, which one run holds at a time, and what runs of IAM events go by.

The lease is the file `locks/run` of the archive. It is taken right before the first write, lasts two minutes and is
renewed. Its age is told by the store: no clock of a machine counts, nor one that stood still while a laptop slept. One
past its end is lost. Every change of the file is a write that succeeds only in place of the content that was read.

`release` takes it over from a run: that one finishes its writes under way, acknowledges, waits, and takes it again. The
processes of a run in steps share one lease; none of them can acknowledge for the others.

A run of IAM events never holds the lease: it writes only while nobody else has it. Such runs take turns by a short lock
of their own, `locks/events`, which no other run looks at.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from math import inf
from threading import Event, Lock, Thread
from time import monotonic, time
from typing import Protocol
from uuid import uuid4

import structlog
from pydantic import Field, ValidationError

from orchestrator.concurrency.cancellation import Cancellation, repeated_while
from orchestrator.domain.errors import ArchiveError, RunUnderWay
from orchestrator.domain.model import Mode, RunRequest, Trigger
from orchestrator.pipeline.ports import Releases
from orchestrator.reports.report import Frozen, UtcTime
from orchestrator.reports.run_files import Store

LEASE_FILE = "locks/run"
ACKNOWLEDGED = "locks/acknowledged"  # holds the ID of the release that a run last gave way to
TURN_FILE = "locks/events"
LEASE_SECONDS = 120.0
RENEW_SECONDS = 30.0
FRESH_SECONDS = 5.0  # how long one reading of the lease, and of the releases in force, counts for all threads
REPEAT_SECONDS = 15.0  # how old the last reading may be for a write to be tried again: less than a release waits
HANDOVER_SECONDS = 30.0  # how long a release waits for a run to finish its writes under way
ERROR_SECONDS = 10.0  # how long taking the lease is tried where the archive fails
POLL_SECONDS = 1.0
TURN_SECONDS = 150.0  # how long a turn lasts at most: longer than the function of stackset/central.yaml may run

Moment = tuple[float, float]  # seconds of the monotonic clock, which can stand still in sleep, and of the wall clock

log = structlog.get_logger(__name__)


class LeaseStore(Store, Protocol):
    """The files of the archive, with a write that compares first; all raise ArchiveError where they fail."""

    def read_aged(self, name: str) -> tuple[bytes, float]:
        """Return the content of a file, and its age in seconds by the clock of the store, never below 0."""

    def replace(self, name: str, expected: bytes, content: bytes) -> bool:
        """Write a file in place of one with the expected content, and return whether it had that content."""


class Holder(Frozen):
    """Who holds the lease. `until` is for people and earlier versions: the age of the file alone decides."""

    run_id: str
    until: UtcTime
    is_release: bool = False
    is_given_back: bool = False
    token: str = Field(default_factory=lambda: uuid4().hex)  # so that no two writes are the same

    def has_it(self, age_seconds: float) -> bool:
        """Return whether this run still has the lease when the file is so old."""
        return not self.is_given_back and age_seconds < LEASE_SECONDS


def make_content(run_id: str, *, is_release: bool = False, is_given_back: bool = False) -> bytes:
    """Return the content of the file for this run, unlike any other."""
    until = datetime.now(UTC) + (timedelta() if is_given_back else timedelta(seconds=LEASE_SECONDS))
    holder = Holder(run_id=run_id, until=until, is_release=is_release, is_given_back=is_given_back)
    return holder.model_dump_json().encode()


def parse_holder(content: bytes) -> Holder | None:
    """Return who holds the lease, or None where the file does not tell."""
    try:
        return Holder.model_validate_json(content)
    except ValidationError:
        return None


class Lease:
    """The lease of one run, or of one step of it. Where it is lost for good, the run is cancelled."""

    def __init__(
        self,
        store: LeaseStore,
        request: RunRequest,
        cancellation: Cancellation,
        *,
        read_releases: Callable[[], Releases],
        clock: Callable[[], Moment] = lambda: (monotonic(), time()),
        pause: Callable[[float], object] | None = None,
        keep_every: float = FRESH_SECONDS,
    ) -> None:
        """Take the store, and what returns the releases in force; `pause` and `keep_every` are for tests."""
        self._store, self._run_id, self._cancellation = store, request.run_id, cancellation
        self._is_release, self._is_shared = request.mode is Mode.RELEASE, request.trigger is Trigger.MAP
        self._read_releases, self._clock, self._keep_every = read_releases, clock, keep_every
        self._releases: Releases = {}
        self._is_ours, self._read_at, self._seconds_left = False, clock(), inf
        self._gave_way_to = self._acknowledged = ""
        self._writing = 0
        self._count, self._lock, self._closed = Lock(), Lock(), Event()
        self._pause = pause or self._closed.wait
        self._keeper = Thread(target=self._keep, name="lease", daemon=True)

    def acquire(self, seconds: float) -> str | None:
        """Take or join the lease within this time, and return None, or why it could not be had."""
        began = self._clock()
        while True:
            try:
                why = self._take()
            except ArchiveError as error:
                why, seconds = str(error), min(seconds, ERROR_SECONDS)
            if why is None:
                self._keeper.start()
                return None
            if self._cancellation.reason or self._seconds_since(began) >= seconds:
                log.warning("lease_not_taken", message=why)
                return why
            self._pause(POLL_SECONDS)

    @contextmanager
    def hold(self) -> Iterator[Releases | None]:
        """Yield the releases in force for one write, once no release has the lease; None: nothing may be written."""
        with self._lock:
            self._confirm_or_wait()
            may_write = self._cancellation.reason is None and not self._closed.is_set()
            with self._count:
                self._writing += may_write
        try:
            with repeated_while(lambda: self._is_ours and self._seconds_since(self._read_at) < REPEAT_SECONDS):
                yield self._releases if may_write else None
        finally:
            with self._count:
                self._writing -= may_write

    def close(self, *, keep: bool = False) -> None:
        """End the renewal; give the lease back unless a later step needs it. One that cannot be given back runs out."""
        self._closed.set()
        if self._keeper.ident is not None:
            self._keeper.join(timeout=FRESH_SECONDS)
        if keep:
            return
        try:
            content = self._store.read(LEASE_FILE)
            holder = parse_holder(content)
            if holder is not None and holder.run_id == self._run_id:
                self._store.replace(LEASE_FILE, content, self._make_content(is_given_back=True))
        except ArchiveError as error:
            log.warning("lease_not_given_back", message=str(error))

    def _take(self) -> str | None:
        """Try once to take or join the lease, and return None, or why not. Raises ArchiveError."""
        if not self._store.create(LEASE_FILE, self._make_content()):
            content, age = self._store.read_aged(LEASE_FILE)
            holder = parse_holder(content)
            if holder is None and not self._is_release:
                raise ArchiveError(
                    f"the archive: {LEASE_FILE} is no lease of orgmfa: remove it when no run is under way"
                )
            if holder is None or holder.run_id != self._run_id or not holder.has_it(age):
                is_writing = holder is None or not (holder.is_release or holder.is_given_back)
                if holder and holder.has_it(age) and not (self._is_release and is_writing):
                    return f"run {holder.run_id} holds the lease on writing"
                if not self._replace(content):
                    return "another run took the lease on writing at this very moment"
                if self._is_release and is_writing:
                    self._await_writers(LEASE_SECONDS + HANDOVER_SECONDS - age)
        return None if self._confirm() else "another run took the lease on writing at this very moment"

    def _await_writers(self, seconds: float) -> None:
        """Wait until the run whose lease was taken over says that it is writing nothing any more."""
        began, seconds = self._clock(), min(seconds, HANDOVER_SECONDS)
        log.warning("lease_taken_over", seconds=round(seconds))
        while self._seconds_since(began) < seconds and not self._cancellation.reason:
            with suppress(ArchiveError):  # there is none yet
                if self._store.read(ACKNOWLEDGED) == self._run_id.encode():
                    return
            self._pause(POLL_SECONDS)

    def _keep(self) -> None:
        while not self._closed.wait(self._keep_every):
            with self._lock:
                self._confirm_or_wait()

    def _confirm_or_wait(self) -> None:
        """Return when the lease is ours by a reading that still counts, or when the run is cancelled."""
        if self._is_ours and self._seconds_since(self._read_at) < FRESH_SECONDS:
            return
        while not (self._cancellation.reason or self._closed.is_set() or self._confirm()):
            if self._seconds_since(self._read_at) >= self._seconds_left:
                self._lose("it could not be read until its end")
            self._acknowledge()
            self._pause(POLL_SECONDS)

    def _confirm(self) -> bool:
        """Read lease and releases, renew the lease where it is time, and return whether it is ours."""
        began, left = self._clock(), None
        try:
            content, age = self._store.read_aged(LEASE_FILE)
            if (left := self._keep_or_lose(content, age, began)) is not None:
                self._releases = {} if self._is_release else self._read_releases()
        except ArchiveError as error:
            log.warning("lease_not_read", message=str(error))
            left = None
        if left is not None and self._seconds_since(began) >= left:
            self._lose("the machine stood still until its end")
            left = None
        if left is not None:
            self._read_at, self._seconds_left = began, left
        # Until now the last reading counted: a write that AWS throttled at this moment was tried again.
        self._is_ours = left is not None
        return self._is_ours

    def _keep_or_lose(self, content: bytes, age: float, began: Moment) -> float | None:
        """Return for how many seconds the lease is ours, renewed or taken back where needed; None: it is not."""
        holder = parse_holder(content)
        has_it = holder is not None and holder.has_it(age)
        if holder is not None and holder.run_id == self._run_id and has_it:
            return LEASE_SECONDS - age if age < RENEW_SECONDS or self._replace(content) else None
        was_in_time = self._seconds_since(self._read_at) < self._seconds_left
        if holder is None or not holder.is_release or holder.run_id == self._run_id or not was_in_time:
            self._lose("it ran out, or another run has it")
        elif has_it:
            self._gave_way_to, self._read_at, self._seconds_left = holder.run_id, began, LEASE_SECONDS
        elif self._replace(content):
            return LEASE_SECONDS
        return None

    def _replace(self, content: bytes) -> bool:
        return self._store.replace(LEASE_FILE, content, self._make_content())

    def _acknowledge(self) -> None:
        """Tell the release that has the lease now, if one has it and we write nothing any more."""
        with self._count:
            is_quiet = not self._writing and not self._is_shared
        if is_quiet and self._gave_way_to != self._acknowledged:
            with suppress(ArchiveError):
                self._store.write(ACKNOWLEDGED, self._gave_way_to.encode())
                self._acknowledged = self._gave_way_to

    def _lose(self, why: str) -> None:
        log.error("lease_lost", message=why)
        self._cancellation.end("lease_lost")

    def _seconds_since(self, moment: Moment) -> float:
        """Return the seconds since a moment, by the clock that says more: one may have stood still or been set back."""
        return max(now - then for now, then in zip(self._clock(), moment, strict=True))

    def _make_content(self, *, is_given_back: bool = False) -> bytes:
        return make_content(self._run_id, is_release=self._is_release, is_given_back=is_given_back)


class EventPermit:
    """Looks at the lease and at the releases in force before each write."""

    def __init__(self, store: LeaseStore, run_id: str, *, read_releases: Callable[[], Releases]) -> None:
        self._store, self._run_id, self._read_releases = store, run_id, read_releases

    def acquire(self, _seconds: float = 0.0) -> str | None:
        """Return why nothing may be written now, or None; never waits. Raises ArchiveError."""
        self._store.create(LEASE_FILE, make_content(self._run_id, is_given_back=True))
        return self._refusal()

    def _refusal(self) -> str | None:
        content, age = self._store.read_aged(LEASE_FILE)
        holder = parse_holder(content)
        if holder is None:
            return f"{LEASE_FILE} of the archive is no lease of orgmfa"
        return f"run {holder.run_id} holds the lease on writing" if holder.has_it(age) else None

    @contextmanager
    def hold(self) -> Iterator[Releases | None]:
        """Yield the releases in force for one write; None: nothing may be written."""
        # No other run waits for this one: a write that is tried again needs another look, which must show the same.
        began, released = monotonic(), self._look()
        with repeated_while(lambda: monotonic() - began < REPEAT_SECONDS and self._look() == released):
            yield released

    def _look(self) -> Releases | None:
        try:
            return self._read_releases() if self._refusal() is None else None
        except ArchiveError as error:
            log.warning("lease_not_read", message=str(error))
            return None

    def close(self, *, keep: bool = False) -> None:
        """Do nothing: there is nothing to give back."""


@contextmanager
def event_turn(store: LeaseStore, run_id: str) -> Iterator[None]:
    """Context manager: the turn of one event run. Raises RunUnderWay where another one has it, ArchiveError."""
    mine, given_back = make_content(run_id), make_content(run_id, is_given_back=True)
    if not store.create(TURN_FILE, mine):
        content, age = store.read_aged(TURN_FILE)
        holder = parse_holder(content)
        is_free = holder is not None and holder.is_given_back
        if not (is_free or age >= TURN_SECONDS) or not store.replace(TURN_FILE, content, mine):
            raise RunUnderWay("another run of IAM events is under way")
    try:
        yield
    finally:
        store.replace(TURN_FILE, mine, given_back)
