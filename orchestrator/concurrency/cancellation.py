"""Cancellation of a run, because it was interrupted or its deadline is near."""

from threading import Event, Lock
from time import monotonic
from typing import Literal, Self

CancelReason = Literal["interrupted", "deadline"]


class OutOfTime(Exception):
    """Ends a piece of work whose own time is over."""


class Cancellation:
    """Tells all threads of a run to start no more work. Setting `event` cancels the run and ends all waiting."""

    def __init__(self, deadline: float | None = None) -> None:
        """Take the deadline, in seconds of the monotonic clock, after which no work may start."""
        self.event = Event()
        self._deadline = deadline
        self._is_late = False
        self._lock = Lock()

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return a cancellation with a deadline this many seconds from now."""
        return cls(monotonic() + seconds)

    def half(self) -> "Cancellation | None":
        """Return one for a single piece of work, due at half of the time that is left; None where there is no end."""
        return None if self._deadline is None else Cancellation((monotonic() + self._deadline) / 2)

    @property
    def reason(self) -> CancelReason | None:
        """Why no more work may start, or None while the run may go on.

        The first thread that sees the deadline pass sets the event, which ends all waiting and retries.
        """
        with self._lock:
            if self.event.is_set():
                return "deadline" if self._is_late else "interrupted"
            if self._deadline is None or monotonic() < self._deadline:
                return None
            self._is_late = True
            self.event.set()
            return "deadline"
