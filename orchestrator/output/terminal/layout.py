"""What the tables are made of: styles, headings, indented text, two columns; and lines without loose ends."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from orchestrator.output.terminal.ordering import Level
from orchestrator.output.terminal.text import plain

_COLOURS = {
    Level.FAILED: "bold red",
    Level.NEEDS_A_HAND: "bold yellow",
    Level.CHANGED: "bold green",
    Level.LEFT_ALONE: "cyan",
}
Cells = tuple[RenderableType, RenderableType]


def make_theme(console: Console) -> Theme:
    """Return the styles of the levels; with NO_COLOR none at all, where rich alone would still write bold."""
    return Theme({style_of(level): "none" if console.no_color else style for level, style in _COLOURS.items()})


def style_of(level: Level) -> str:
    """Return the name of the style of a level."""
    return f"orgmfa.{level.name.lower()}"


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


def indented(part: RenderableType, by: int = 2) -> Padding:
    """Return a part moved to the right."""
    return Padding(part, (0, 0, 0, by), expand=False)


def make_heading(level: Level, words: str, count: int) -> Text:
    """Return a heading with the number of what stands below it."""
    return Text(f"{words} ({count:,})", style_of(level))


def make_grid(first_width: int, rows: Iterable[Cells]) -> Padding:
    """Return rows of two columns, of which the first has this width."""
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(width=first_width, overflow="fold")
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*row)
    return indented(grid)


def explain(message: str, remedy: str, *, by: int) -> Iterator[RenderableType]:
    """Yield a message and a remedy, where there are any, each on lines of its own."""
    if message:
        yield indented(Text(plain(message)), by)
    if remedy:
        yield indented(Text(f"Remedy: {plain(remedy)}"), by)
