"""Permission to write for a run of IAM events, which never holds the lease: it writes only while nobody else has it.

Such runs take turns by a short lock of their own, `locks/events`, which no other run looks at.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import structlog

from orchestrator.concurrency.cancellation import repeated_while
from orchestrator.domain.errors import ArchiveError, RunUnderWay
from orchestrator.pipeline.lease import REPEAT_SECONDS
from orchestrator.pipeline.lease_file import LEASE_FILE, LeaseStore, make_content, parse_holder
from orchestrator.pipeline.ports import Releases

TURN_FILE = "locks/events"
TURN_SECONDS = 150.0
"""How long a turn lasts at most: longer than the function of stackset/central.yaml may run."""

log = structlog.get_logger(__name__)


class EventPermit:
    """Looks at the lease and at the releases in force before each write."""

    def __init__(self, store: LeaseStore, run_id: str, *, read_releases: Callable[[], Releases]) -> None:
        """Take the store of the lease, and what returns the releases in force."""
        self._store, self._run_id, self._read_releases = store, run_id, read_releases

    def acquire(self, _seconds: float = 0.0) -> str | None:
        """Return why nothing may be written now, or None; never waits. Raises ArchiveError."""
        self._store.create(LEASE_FILE, make_content(self._run_id, is_release=False, is_given_back=True))
        return self._refusal()

    def _refusal(self) -> str | None:
        content, age = self._store.read_aged(LEASE_FILE)
        holder = parse_holder(content)
        if holder is None:
            return f"{LEASE_FILE} of the archive is no lease of orgmfa"
        return f"run {holder.run_id} holds the lease on writing" if holder.has_it(age) else None

    @contextmanager
    def hold(self) -> Iterator[Releases | None]:
        """Context manager for one write. Yields the releases in force, or None where nothing may be written.

        No other run waits for this one: a write that is tried again needs another look, which must show the same.
        """
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
    mine, given_back = (make_content(run_id, is_release=False, is_given_back=is_over) for is_over in (False, True))
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
