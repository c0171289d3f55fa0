"""CPU affinity: all threads of a run are bound to one core.

Python runs one thread at a time. On several cores the interpreter lock moves from core to core, and its data from
cache to cache, which takes more CPU (`python -m benchmarks.spread` measures it, DECISIONS 36). One core is enough:
what threads do without the lock, mostly TLS, takes microseconds. Other programs disturb only briefly, since the
system moves threads that are not bound away from a busy core. Only Linux tells the core of a thread and binds to it.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_ABOUT_THIS_THREAD = Path("/proc/thread-self/stat")
_PROCESSOR = 39
"""Number of the field that holds the core, counted from 1. Source: proc_pid_stat(5)."""


def one_core() -> Callable[[], None]:
    """Return a function that binds the thread that calls it to the core on which the present thread runs now.

    It does nothing where the system cannot tell or bind cores, or where Python runs several threads at a time.
    """
    core = _find_core()

    def bind() -> None:
        if core is not None:
            with suppress(OSError):  # the process may no longer use this core
                os.sched_setaffinity(0, {core})

    return bind


def _find_core() -> int | None:
    """Return the core that the calling thread runs on, or None where threads are not bound."""
    has_one_at_a_time: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not has_one_at_a_time or not hasattr(os, "sched_setaffinity"):
        return None
    try:
        after_name = _ABOUT_THIS_THREAD.read_text().rpartition(")")[2].split()  # the name, field 2, may hold anything
        return int(after_name[_PROCESSOR - 3])
    except (OSError, ValueError, IndexError):
        return None
