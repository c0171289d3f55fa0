"""A terminal or a pipe to write to: styles, lines that never break an ARN, what it cannot show, a progress bar."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Self

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text
from rich.theme import Theme

from orchestrator.domain.model import Mode
from orchestrator.domain.outcomes import Tone
from orchestrator.output.words import plain

_STYLES = {Tone.BAD: "bold red", Tone.WARN: "bold yellow", Tone.GOOD: "bold green", Tone.QUIET: "cyan"}
_CHANGED = {Mode.PLAN: "planned", Mode.APPLY: "enforced", Mode.RELEASE: "released"}


def make_theme(console: Console) -> Theme:
    """Return the styles of the tones; with NO_COLOR none at all, where rich alone would still write bold."""
    return Theme({style_of(tone): "none" if console.no_color else style for tone, style in _STYLES.items()})


def style_of(tone: Tone) -> str:
    """Return the name of the style of a tone."""
    return f"orgmfa.{tone}"


@contextmanager
def tidy(console: Console) -> Iterator[None]:
    """Off a terminal, leave no blanks at the ends of lines; write what the encoding lacks as escapes anywhere."""
    if console.is_terminal and not console.options.ascii_only:
        yield
        return
    with console.capture() as captured:
        yield
    lines = captured.get().splitlines(keepends=True)
    text = "".join(line if console.is_terminal else f"{line.rstrip()}\n" for line in lines)
    console.file.write(text.encode(console.encoding, "backslashreplace").decode(console.encoding))


def make_lines(text: str, width: int, *, by: int = 0, tone: Tone | None = None) -> Iterator[Text]:
    """Yield text from anywhere as lines of at most this width, moved to the right; an ARN stays whole, to be copied."""
    for line in _wrap(plain(text), max(1, width - by)):
        yield Text(" " * by + line, style_of(tone) if tone else "")


def print_lines(lines: Iterable[Text], console: Console) -> None:
    """Print lines as they are: what is too long for the terminal is broken by nobody."""
    for line in lines:
        console.print(line, soft_wrap=True)


def _wrap(text: str, width: int) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        for part in [word] if "arn:" in word else chop_cells(word, width) or [""]:
            if line and cell_len(line) + 1 + cell_len(part) > width:
                yield line
                line = part
            else:
                line = f"{line} {part}" if line else part
    yield line


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
