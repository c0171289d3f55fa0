"""A progress bar on the terminal while a run is going on; nothing anywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from orchestrator.model import Mode

_CHANGED = {Mode.PLAN: "planned", Mode.APPLY: "enforced", Mode.RELEASE: "released"}


class ProgressView:
    """How far a run has come: a line a phase, with accounts done, users changed, and failures.

    A context manager. It writes nothing where the console is no terminal, or where `wanted` is false.
    """

    def __init__(self, console: Console, mode: Mode | None = None, *, wanted: bool = True) -> None:
        """Take the console of standard error, and the mode of the run for the word of what is done to users."""
        self._changed = "changed" if mode is None else _CHANGED[mode]
        self._task: TaskID | None = None
        self._total: int | None = None
        self._done, self._changes, self._failures = 0, 0, 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[accounts]}"),
            TextColumn("{task.fields[changes]:,} {task.fields[word]}"),
            TextColumn("{task.fields[failures]:,} failed"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            # What goes to standard output is data: it must not come out on the console of the bar.
            redirect_stdout=False,
            disable=not (wanted and console.is_interactive),
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep the bar off the screen, so that a question can be asked there."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def phase(self, name: str, total: int | None) -> None:
        """Begin a phase of so many accounts, or of a number not known yet; the phase before it stays in sight."""
        word = "planned" if name == "inspecting" else self._changed
        self._done, self._changes, self._failures = 0, 0, 0
        self._total = total
        self._task = self._progress.add_task(name, total=total, word=word, **self._fields())

    def found(self, count: int) -> None:
        """Take note of how many accounts of this phase are known so far."""
        self._total = count
        self._show()

    def done(self, *, changes: int, failed: bool) -> None:
        """Count one account as finished, with the number of users planned, enforced or released in it."""
        self._done += 1
        self._changes += changes
        self._failures += failed
        self._show()

    def _show(self) -> None:
        if self._task is not None:
            self._progress.update(self._task, total=self._total, completed=self._done, **self._fields())

    def _fields(self) -> dict[str, Any]:
        of = "" if self._total is None else f"/{self._total:,}"
        accounts = f"{self._done:,}{of} accounts"
        return {"accounts": accounts, "changes": self._changes, "failures": self._failures}
