"""A progress bar on the terminal while a run is going on; nothing anywhere else."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from orchestrator.domain.model import Mode

_CHANGED = {Mode.PLAN: "planned", Mode.APPLY: "enforced", Mode.RELEASE: "released"}


@contextmanager
def paused(bar: Progress | None) -> Iterator[None]:
    """Context manager: keeps a bar off the screen; pauses may lie in one another."""
    if bar is None or not bar.live.is_started:
        yield
        return
    bar.stop()
    try:
        yield
    finally:
        bar.start()


class _AccountsColumn(TextColumn):
    """How many accounts are done, and of how many once all are listed."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text(f"{task.completed:,.0f} accounts, listing")
        return Text(f"{task.completed:,.0f}/{task.total:,.0f} accounts, {task.percentage:.0f} %")


class ProgressView:
    """How far a run has come: a line a phase, with accounts done, users changed, and failures.

    A context manager. It writes nothing where the console is no terminal, or where `wanted` is false.
    """

    def __init__(self, console: Console, mode: Mode | None = None, *, wanted: bool = True) -> None:
        """Take the console of standard error, and the mode of the run for the word of what is done to users."""
        self._changed = "changed" if mode is None else _CHANGED[mode]
        self._phases: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            _AccountsColumn(""),
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

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def paused(self) -> AbstractContextManager[None]:
        """Context manager: keeps the bar off the screen, so that a question can be asked there."""
        return paused(self._progress)

    def phase(self, name: str, total: int | None) -> None:
        """Begin a phase of so many accounts, or of a number not known yet; the phase before it stays in sight."""
        word = "planned" if name == "inspecting" else self._changed
        self._phases[name] = self._progress.add_task(name, total=total, changes=0, failures=0, word=word)

    def found(self, name: str, count: int) -> None:
        """Take note of how many accounts a phase is over, once that is known."""
        if name in self._phases:
            self._progress.update(self._phases[name], total=count)

    def done(self, name: str, *, changes: int, failed: bool) -> None:
        """Count one account as finished, with the number of users planned, enforced or released in it."""
        if name in self._phases:
            task = self._progress.tasks[self._phases[name]]
            changes, failures = task.fields["changes"] + changes, task.fields["failures"] + failed
            self._progress.update(task.id, advance=1, changes=changes, failures=failures)
