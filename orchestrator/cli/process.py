"""What a process needs to end properly: streams that may be closed, broken or full, and words for a defect.

No command fails in the middle of its work because of a standard stream. An unexpected exception is told in one line,
with the file that holds the traceback.
"""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TextIO

from orchestrator import __version__

_has_written: ContextVar[bool] = ContextVar("has_written", default=False)


class GuardedStream:
    """A standard stream for output that keeps its first error instead of raising it; what follows is dropped."""

    def __init__(self, stream: TextIO, error: OSError | None = None) -> None:
        self._stream = stream
        self.error = error

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

    A stream that was closed has failed from the beginning: nobody sees what is written to it.
    What standard output cannot encode is written as an escape, as standard error has it by itself. A width of 0 in
    COLUMNS, as some pseudo-terminals pass it on, counts as none.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if is_closed := getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for the process
        if mode == "w":
            stream = getattr(sys, name)
            stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, GuardedStream(stream, BrokenPipeError(errno.EPIPE, "closed") if is_closed else None))
    if not os.environ.get("COLUMNS", "80").strip("0 "):
        del os.environ["COLUMNS"]


def first_error(*streams: TextIO) -> OSError | None:
    """Return the first error of these standard streams, or None."""
    return next((one.error for one in streams if isinstance(one, GuardedStream) and one.error), None)


def note_writing() -> None:
    """Take note that the command writes to AWS from here on."""
    _has_written.set(True)


def explain_exception(error: BaseException) -> tuple[str, int]:
    """Return a line about an unexpected exception, and the exit code: 2 where nothing was written yet, else 1."""
    has_written = _has_written.get()
    what = " ".join(f"{type(error).__name__}: {error}".split())
    extent = "Some of it may have been written: run again." if has_written else "Nothing was written."
    line = f"unexpected {what}. {extent} This is a defect of orgmfa: please report it, with {_keep_traceback(error)}."
    return line, 1 if has_written else 2


def _keep_traceback(error: BaseException) -> str:
    """Write the traceback into a new file that only its owner can read, and return where it is, in words."""
    text = "".join([f"orgmfa {__version__}\n", *traceback.format_exception(error)])
    try:
        descriptor, path = tempfile.mkstemp(prefix="orgmfa-", suffix=".traceback.txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as refused:
        return f"what led to it; the traceback could not be kept ({refused.strerror})"
    return f"the traceback in {path}"
