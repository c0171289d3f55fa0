"""Whether a run must start nothing more, and why: it was interrupted, or its deadline is near."""

from threading import Event, Lock
from time import monotonic
from typing import Literal, Self

CancelReason = Literal["interrupted", "deadline"]


class Cancellation:
    """Tells all threads of a run to start nothing more. Setting `event` cancels the run and ends all waiting."""

    def __init__(self, deadline: float | None = None) -> None:
        """Take the moment, on the monotonic clock in seconds, after which nothing may be started."""
        self.event = Event()
        self._deadline = deadline
        self._is_late = False
        self._lock = Lock()

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return a cancellation that begins so many seconds from now."""
        return cls(monotonic() + seconds)

    @property
    def reason(self) -> CancelReason | None:
        """Why nothing more may be started, or None while the run may go on.

        Whoever sees first that the deadline has come sets the event: all waiting ends, nothing is tried again.
        """
        with self._lock:
            if self.event.is_set():
                return "deadline" if self._is_late else "interrupted"
            if self._deadline is None or monotonic() < self._deadline:
                return None
            self._is_late = True
            self.event.set()
            return "deadline"
