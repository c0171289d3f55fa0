"""Cancellation of a run; and what must not be repeated any more, such as a throttled write after the lease is lost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from threading import Event, Lock
from time import monotonic
from typing import Literal, Self

CancelReason = Literal["interrupted", "deadline", "lease_lost"]

_may_repeat: ContextVar[Callable[[], bool]] = ContextVar("may_repeat", default=lambda: True)


class OutOfTime(Exception):
    """Ends a piece of work whose own time is over."""


class Cancellation:
    """Tells all threads of a run to start no more work. Setting `event` cancels the run and ends all waiting."""

    def __init__(self, deadline: float | None = None) -> None:
        """Take the deadline, in seconds of the monotonic clock, after which no work may start."""
        self.event = Event()
        self._deadline = deadline
        self._reason: CancelReason = "interrupted"
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
        """Why no more work may start, or None; whoever first sees the deadline pass ends all waiting and retries."""
        with self._lock:
            if self.event.is_set():
                return self._reason
            if self._deadline is None or monotonic() < self._deadline:
                return None
            self._reason = "deadline"
            self.event.set()
            return self._reason

    @property
    def seconds_left(self) -> float:
        """How long until the deadline; without one, for ever."""
        return inf if self._deadline is None else self._deadline - monotonic()

    def end(self, reason: CancelReason) -> None:
        """Cancel the run for this reason, unless it is cancelled already."""
        with self._lock:
            if not self.event.is_set():
                self._reason = reason
                self.event.set()


@contextmanager
def repeated_while(holds: Callable[[], bool]) -> Iterator[None]:
    """Context manager: calls to AWS made inside are tried again only while the condition holds."""
    token = _may_repeat.set(holds)
    try:
        yield
    finally:
        _may_repeat.reset(token)


def may_repeat() -> bool:
    """Return whether a call may be tried again here."""
    return _may_repeat.get()()
