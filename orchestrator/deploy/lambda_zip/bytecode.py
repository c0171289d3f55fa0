"""Compiles what is in the zip, for a shorter cold start.

The Lambda's folder cannot be written to, so Python would compile every module anew at each start. Only a Python of the
Lambda's own minor version can compile for it. Bytecode is tied to its source by a hash, not by a time, which does not
survive the way into the Lambda: a source that somebody mends in the zip is what runs.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestrator.domain.errors import StartError

LAMBDA_FOLDER = "/var/task"
"""Where the zip is unpacked in the Lambda, and so the paths in its tracebacks."""

_PRINT_TAG = "import sys; print(sys.implementation.cache_tag)"
_TIMEOUT_SECONDS = 10


def find_interpreter(python: str) -> str | None:
    """Return a CPython of this minor version on this machine, or None: the one that runs, else one on the PATH.

    What is on the PATH may not run, as a version manager's stub.
    """
    tag = f"cpython-{python.replace('.', '')}"
    for path in filter(None, (sys.executable, shutil.which(f"python{python}"))):
        with suppress(OSError, subprocess.TimeoutExpired):
            if _run(path, "-c", _PRINT_TAG, timeout=_TIMEOUT_SECONDS).stdout.strip() == tag:
                return path
    return None


def compile_folder(folder: Path, python: str, progress: Callable[[str], None]) -> str | None:
    """Compile every module below a folder where this machine has the Python for it, and return that.

    A process of its own, in a fixed order, without hooks: the bytes depend on the sources and the Python alone. Raises
    StartError where a module cannot be compiled.
    """
    interpreter = find_interpreter(python)
    if interpreter is None:
        progress(f"no python{python} here to compile with: the Lambda will do it itself, at each cold start")
        return None
    progress(f"compiling with {interpreter}")
    paths = ("-s", str(folder), "-p", LAMBDA_FOLDER, str(folder))
    done = _run(interpreter, "-B", "-m", "compileall", "-q", "-j1", "--invalidation-mode=checked-hash", *paths)
    if done.returncode:
        raise StartError(f"{interpreter} cannot compile the packages of the Lambda: {done.stdout.strip()}")
    return interpreter


def _run(interpreter: str, *arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - ourselves, or what the PATH calls python3.x; and no shell
        [interpreter, "-I", "-S", *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )
