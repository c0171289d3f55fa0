"""Standard streams that can be closed, broken or full: no command fails in the middle of its work because of them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast


class GuardedStream:
    """A standard stream for output that keeps its first error instead of raising it; what follows is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> object:
        """Return all else from the stream itself."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, and return its length."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            self.error = self.error or error
            nowhere = os.open(os.devnull, os.O_WRONLY)  # all that follows, and what is buffered, goes there
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def guard_streams() -> None:
    """Put guarded streams in the place of standard output and error, and open what the caller has closed as empty.

    A width of 0 in COLUMNS, as some pseudo-terminals pass it on, counts as none.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for the process
    sys.stdout = cast("TextIO", GuardedStream(sys.stdout))
    sys.stderr = cast("TextIO", GuardedStream(sys.stderr))
    if not os.environ.get("COLUMNS", "80").strip("0 "):
        del os.environ["COLUMNS"]


def output_error() -> OSError | None:
    """Return the first error of standard output, or None."""
    return sys.stdout.error if isinstance(sys.stdout, GuardedStream) else None
