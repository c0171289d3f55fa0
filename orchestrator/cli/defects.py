"""Tells of an unexpected exception of a command: one line, with the file that holds the traceback."""

import os
import tempfile
import traceback
from contextvars import ContextVar

from orchestrator import __version__

_has_written: ContextVar[bool] = ContextVar("has_written", default=False)


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
