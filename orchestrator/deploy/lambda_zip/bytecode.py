"""Compiles the modules in the zip to bytecode, for a shorter cold start.

The Lambda's folder is read-only, so without bytecode Python compiles every module at each cold start. Only the minor
version of Python that the Lambda runs can compile for it. Bytecode is checked against the hash of its source, since
times of files change on the way into the Lambda; so a source that is edited in the zip takes effect.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestrator.domain.errors import StartError

LAMBDA_FOLDER = "/var/task"
"""The folder of the unpacked zip in the Lambda, which tracebacks show."""

_PRINT_TAG = "import sys; print(sys.implementation.cache_tag)"
_TIMEOUT_SECONDS = 10


def find_interpreter(python: str) -> str | None:
    """Return a CPython of this minor version, or None: the running one, else one on the PATH.

    A file on the PATH may not run, such as a version manager's stub.
    """
    tag = f"cpython-{python.replace('.', '')}"
    for path in filter(None, (sys.executable, shutil.which(f"python{python}"))):
        with suppress(OSError, subprocess.TimeoutExpired):
            if _run(path, "-c", _PRINT_TAG, timeout=_TIMEOUT_SECONDS).stdout.strip() == tag:
                return path
    return None


def compile_folder(folder: Path, python: str, progress: Callable[[str], None]) -> str | None:
    """Compile every module below a folder, and return the interpreter, or None where this machine lacks the version.

    A separate process with a fixed order and no hooks: the bytes depend on sources and Python alone. Raises StartError
    where a module cannot be compiled.
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
