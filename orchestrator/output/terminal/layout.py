"""How text stands in a terminal: styles, lines that never break an ARN, what a terminal or a pipe cannot show."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from orchestrator.domain.outcomes import Tone
from orchestrator.output.words import plain

_STYLES = {Tone.BAD: "bold red", Tone.WARN: "bold yellow", Tone.GOOD: "bold green", Tone.QUIET: "cyan"}


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
    """Yield text from anywhere as lines of at most this width, moved to the right by so many columns.

    Only an ARN is left whole however long, so that it can be copied.
    """
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
