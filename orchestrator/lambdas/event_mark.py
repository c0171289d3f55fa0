"""Mark of a scheduled event in the archive, `events/<key>`: it names the run that was started for the event.

It counts once the scheduled run that it names has left its report; before that only while it is young, by the store's
times: two minutes, since the run writes it anew all along, or half a day where the run goes on in steps and has
left its manifest. Any other mark is passed over, whoever wrote it: a run that was killed, or somebody who wants no run.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread

import structlog

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import ArchiveError, ConfigError, StartError
from orchestrator.lambdas.events import MAX_AHEAD, ScheduledEvent
from orchestrator.pipeline.distributed.state import MANIFEST, RunState
from orchestrator.pipeline.lease import LeaseStore
from orchestrator.reports.archive import RunArchive, name_event

MARK_TIME = timedelta(minutes=2)
STEPS_TIME = timedelta(hours=12)
"""How long an execution of the state machine may last (TimeoutSeconds in stackset/central.yaml)."""
MAX_MARK_BYTES = 1024
RENEW_SECONDS = 30.0
POLL_SECONDS = 2.0
_RUN_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMark:
    """The mark of one event for one run; the run of an execution has the same ID in each try."""

    store: LeaseStore
    archive: RunArchive
    event: ScheduledEvent
    run_id: str
    renew_seconds: float = RENEW_SECONDS

    @property
    def name(self) -> str:
        """The name of the file."""
        return name_event(self.event.key)

    def claim(self, cancellation: Cancellation) -> bool:
        """Return whether the event is this run's, once no other is at it. Raises StartError, ArchiveError."""
        while not self.store.create(self.name, self.run_id.encode()):
            found, seconds = self.store.read_aged(self.name)
            age = timedelta(seconds=seconds)
            if found == self.run_id.encode():
                return True
            if _RUN_ID.fullmatch(found) and self._counts(found.decode(), age):
                return False
            if age >= MARK_TIME:
                if self.store.replace(self.name, found, self.run_id.encode()):
                    log.warning("event_mark_passed_over", mark=self.name)
                    return True
                if len(found) > MAX_MARK_BYTES:  # none of ours, and perhaps too large to be compared
                    self.store.delete(self.name)
                    continue
            if cancellation.reason is not None:
                raise StartError(
                    f"another delivery of this event keeps {self.store.address(self.name)}: nothing was done"
                )
            cancellation.event.wait(POLL_SECONDS)
        return True

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Write the mark anew until the run is over, and leave it there; where the run could not start, remove it."""
        ended = Event()
        renewer = Thread(target=self._renew_until, args=(ended,), name="event-mark", daemon=True)
        renewer.start()
        try:
            yield
        except (ConfigError, StartError):
            ended.set()
            if self.renew():
                self.store.delete(self.name)
            raise
        finally:
            ended.set()
            renewer.join(timeout=self.renew_seconds)

    def renew(self) -> bool:
        """Write the mark anew, and return whether it is still ours."""
        return self.store.replace(self.name, self.run_id.encode(), self.run_id.encode())

    def _counts(self, run_id: str, age: timedelta) -> bool:
        if self.archive.is_reported(run_id, since=self.event.time - MAX_AHEAD):
            return True
        return age < STEPS_TIME and RunState(self.store, run_id).has(MANIFEST)

    def _renew_until(self, ended: Event) -> None:
        while not ended.wait(self.renew_seconds):
            try:
                if not self.renew():
                    log.error("event_mark_lost", mark=self.name)
                    return
            except ArchiveError as failure:  # tried again before the mark ends
                log.warning("event_mark_not_renewed", message=str(failure))
