"""Compiles what is in the zip, for a shorter cold start.

The Lambda's folder cannot be written to, so Python would compile every module anew at each start. Only a Python of the
Lambda's own minor version can compile for it. Bytecode is tied to its source by a hash, not by a time, which does not
survive the way into the Lambda: a source that somebody mends in the zip is what runs.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from orchestrator.domain.errors import StartError

LAMBDA_FOLDER = "/var/task"
"""Where the zip is unpacked in the Lambda, and so the paths in its tracebacks."""

_TIMEOUT_SECONDS = 10


def find_interpreter(python: str) -> str | None:
    """Return a CPython of this minor version on this machine, or None: the one that runs, else one on the PATH."""
    candidates = [sys.executable, shutil.which(f"python{python}")]
    return next((path for path in candidates if path and _cache_tag(path) == _wanted_tag(python)), None)


def compile_folder(folder: Path, interpreter: str) -> None:
    """Compile every module below a folder. Raises StartError where one cannot be compiled.

    A process of its own, in a fixed order, without hooks: the bytes depend on the sources and the Python alone.
    """
    isolated = [interpreter, "-I", "-S", "-B", "-m", "compileall", "-q", "-j", "1"]
    paths = ["-s", str(folder), "-p", LAMBDA_FOLDER, str(folder)]
    done = subprocess.run(  # noqa: S603 - an interpreter that has just told what it is, and no shell
        [*isolated, "--invalidation-mode", "checked-hash", *paths],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise StartError(f"{interpreter} cannot compile the packages of the Lambda: {done.stdout.strip()}")


def _wanted_tag(python: str) -> str:
    return f"cpython-{python.replace('.', '')}"


def _cache_tag(interpreter: str) -> str | None:
    """Return what an interpreter's bytecode is called by; None where it does not run, as a version manager's stub."""
    try:
        done = subprocess.run(  # noqa: S603 - ourselves, or what the PATH calls python3.x; and no shell
            [interpreter, "-I", "-S", "-c", "import sys; print(sys.implementation.cache_tag)"],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip()
