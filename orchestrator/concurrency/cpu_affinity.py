"""The core that the threads of a run share.

Python runs one thread at a time. On several cores the interpreter is handed from one to another, and what it works on
goes from cache to cache with it: a quarter more CPU for a run (DECISIONS 36). Nothing is lost on one core: what threads
do without the interpreter, TLS above all, takes microseconds. Other programs are not in the way for long, as the
system moves what is not bound to a core away from a busy one. Linux alone tells a thread's core and binds it.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_ABOUT_THIS_THREAD = Path("/proc/thread-self/stat")
_PROCESSOR = 39
"""The place of the core among the fields, counted from 1. Source: proc_pid_stat(5)."""


def one_core() -> Callable[[], None]:
    """Return what a thread calls to run, for as long as it lives, on the core that the calling thread runs on now.

    It does nothing where no core can be told or bound to, or where Python runs several threads at a time.
    """
    core = _find_core()

    def bind() -> None:
        if core is not None:
            with suppress(OSError):  # a core that the process has been taken off meanwhile
                os.sched_setaffinity(0, {core})

    return bind


def _find_core() -> int | None:
    """Return the core that the calling thread runs on, or None where threads are not to be bound to it."""
    has_one_at_a_time: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not has_one_at_a_time or not hasattr(os, "sched_setaffinity"):
        return None
    try:
        after_name = _ABOUT_THIS_THREAD.read_text().rpartition(")")[2].split()  # the name, field 2, may hold anything
        return int(after_name[_PROCESSOR - 3])
    except (OSError, ValueError, IndexError):
        return None
