"""`orgmfa` in the process of the tests: for what a call prints, does and returns, whatever process it runs in.

What a process has of its own is given to it: arguments, folder, environment, streams without a terminal, log context.
What belongs to the process itself - signals, a terminal, how it ends - is tested with a process.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from contextvars import copy_context
from io import BytesIO, TextIOWrapper
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType

import pytest

from orchestrator.cli.main import run


def run_here(*arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> CompletedProcess[str]:
    """Return what `orgmfa` with these arguments ended in; the environment is added to that of the test."""
    stdout, stderr = _make_stream(), _make_stream()
    with (
        chdir(folder),
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(stdout),
        redirect_stderr(stderr),
        Path(os.devnull).open(encoding="utf-8") as nothing,
    ):
        patch.setitem(sys.modules, "__main__", ModuleType("__main__"))  # click looks there for the name of the program
        patch.setattr(sys, "argv", ["orgmfa", *arguments])
        patch.setattr(sys, "stdin", nothing)
        for name, value in {"COLUMNS": "80", **(environment or {})}.items():
            patch.setenv(name, value)
        code = copy_context().run(_run)
    return CompletedProcess(["orgmfa", *arguments], code, _read(stdout), _read(stderr))


def _run() -> int:
    try:
        return run()
    except SystemExit as end:  # click ends the process itself after a completion
        return int(end.code or 0)


def _make_stream() -> TextIOWrapper:
    """Return a stream that takes bytes too, as those of a process do."""
    return TextIOWrapper(BytesIO(), encoding="utf-8", write_through=True)


def _read(stream: TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()
