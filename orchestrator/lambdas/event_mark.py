"""Mark of a scheduled event in the archive, `events/<key>`: it names the run that was started for the event.

It counts once the scheduled run that it names has left its report; before that only while it is young, by the store's
times: two minutes, since the run writes it anew all along, or half a day where the run goes on in steps and has
left its manifest. Any other mark is passed over, whoever wrote it: a run that was killed, or somebody who wants no run.
"""

import re
from datetime import timedelta
from threading import Event, Thread
from types import TracebackType
from typing import Protocol, Self

import structlog

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import ArchiveError, ConfigError, StartError
from orchestrator.lambdas.events import MAX_AHEAD, ScheduledEvent
from orchestrator.pipeline.distributed.state import MANIFEST, RunState
from orchestrator.reports.archive import RunArchive, Store, name_event

MARK_TIME = timedelta(minutes=2)
STEPS_TIME = timedelta(hours=12)
"""How long an execution of the state machine may last (TimeoutSeconds in stackset/central.yaml)."""
RENEW_SECONDS = 30.0
POLL_SECONDS = 2.0
MAX_BYTES = 65
_RUN_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")

log = structlog.get_logger(__name__)


class MarkStore(Store, Protocol):
    """The files of the archive, with what marks need besides; all raise ArchiveError where they fail."""

    def replace(self, name: str, expected: bytes, content: bytes) -> bool:
        """Write a file in place of one with the expected content, and return whether it had that content."""
        ...

    def age(self, name: str) -> timedelta:
        """Return how long ago a file was written, by the store's clock."""
        ...


class EventMark:
    """The mark of one event for one run, kept alive while it is entered; a run that could not start removes it."""

    def __init__(
        self,
        store: MarkStore,
        archive: RunArchive,
        event: ScheduledEvent,
        *,
        run_id: str,
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        """Take the store, and the run; the run of an execution has the same ID in each try."""
        self._store = store
        self._archive = archive
        self._event = event
        self._name = name_event(event.key)
        self._content = run_id.encode()
        self._renew_seconds = renew_seconds
        self._ended = Event()
        self._renewer = Thread(target=self._renew_until_the_end, name="event-mark", daemon=True)

    def claim(self, cancellation: Cancellation) -> bool:
        """Return whether the event is this run's, after waiting for one that is under way.

        Raises StartError where that takes longer than this run has time, ArchiveError where the archive fails.
        """
        while not self._store.create(self._name, self._content):
            found, age = self._store.read_start(self._name, MAX_BYTES), self._store.age(self._name)
            if found == self._content:
                return True
            if _RUN_ID.fullmatch(found) and self._counts(found.decode(), age):
                return False
            if age >= MARK_TIME:
                log.warning("event_mark_passed_over", mark=self._name)
                self._store.delete(self._name)
            elif cancellation.reason is None:
                cancellation.event.wait(POLL_SECONDS)
            else:
                raise StartError(
                    f"another delivery of this event keeps {self._store.address(self._name)}: nothing was done"
                )
        return True

    def __enter__(self) -> Self:
        """Keep the mark alive."""
        self._renewer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the mark to the report, or to its end; remove it where the run could not start."""
        self._ended.set()
        self._renewer.join(timeout=self._renew_seconds)
        if isinstance(error, ConfigError | StartError) and self.renew():
            self._store.delete(self._name)

    def renew(self) -> bool:
        """Write the mark anew, and return whether it is still ours."""
        return self._store.replace(self._name, self._content, self._content)

    def _counts(self, run_id: str, age: timedelta) -> bool:
        if self._archive.is_reported(run_id, since=self._event.time - MAX_AHEAD):
            return True
        return age < STEPS_TIME and RunState(self._store, run_id).has(MANIFEST)

    def _renew_until_the_end(self) -> None:
        while not self._ended.wait(self._renew_seconds):
            try:
                is_ours = self.renew()
            except ArchiveError as failure:  # tried again before the mark ends
                log.warning("event_mark_not_renewed", message=str(failure))
                continue
            if not is_ours:
                log.error("event_mark_lost")
                return
