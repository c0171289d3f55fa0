"""Block Kit within Slack's limits: blocks, and tables as blocks or, where Slack refuses those, as sections. Pure.

Text comes in as mrkdwn, cells as plain text.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.output.slack.mrkdwn import literal, raw, size
from orchestrator.output.words import count

BUDGET = 10_000
"""Characters over all blocks. Slack refuses about 12,000 (`msg_blocks_too_long`) without documenting what it counts;
messages with 11,300 characters of text have been refused (slackapi/bolt-js #2509, #2867)."""
MAX_SECTION = 3_000
MAX_ROWS = 99
"""Of a table, beside its head."""
MAX_CELL = 300
MAX_TITLE = 1_000
"""Kept free for the head, the title, and the count of what is left out with its link."""
NOTHING = "-"
"""What an empty cell shows: Slack takes none."""

Blocks = tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain text, their titles first, and what one is called; `total` counts those never made too."""

    title: str
    noun: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    total: int


def header(text: str) -> dict[str, Any]:
    """Return a header block; Slack takes no mrkdwn there, and nothing foreign belongs into it."""
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": False}}


def section(text: str) -> dict[str, Any]:
    """Return a section."""
    return {"type": "section", "text": _mrkdwn(text)}


def context(text: str) -> dict[str, Any]:
    """Return a context block: small print."""
    return {"type": "context", "elements": [_mrkdwn(text)]}


def _mrkdwn(text: str) -> dict[str, Any]:
    """Return mrkdwn; verbatim, so that Slack makes no links, channels or mentions of its own out of plain text."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def sections(lines: Iterable[str], make: Callable[[str], dict[str, Any]] = section) -> Blocks:
    """Return lines in as few sections, or other blocks, as take them; empty lines are left out."""
    texts: list[str] = []
    for line in filter(None, lines):
        if texts and size(texts[-1]) + size(line) + 2 <= MAX_SECTION:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
    return tuple(map(make, texts))


def size_of_blocks(blocks: Sequence[dict[str, Any]]) -> int:
    """Return how much of the budget these blocks use up, counted as JSON: the most that Slack can count."""
    return len(json.dumps(blocks, ensure_ascii=False).encode("utf-16-le")) // 2


def paragraphs(texts: Sequence[str], more: str) -> dict[str, Any]:
    """Return as many texts as one section holds, and at the end how many are left out."""
    fitting = fit(texts, lambda text: size(text) + 4, MAX_SECTION - 100)
    hidden = len(texts) - fitting
    return section("\n\n".join([*texts[:fitting], *([f"and {count(hidden, more)}"] if hidden else [])]))


def as_table(table: Table, first: int, room: int) -> tuple[Blocks, int]:
    """Return the rows from `first` on as a table of at most 100 rows, and the number of the row after the last."""
    rows = [tuple(raw(cell, MAX_CELL) or NOTHING for cell in row) for row in table.rows[first : first + MAX_ROWS]]
    last = first + fit(rows, lambda row: sum(map(size, row)), room - MAX_TITLE)
    cells = [[{"type": "raw_text", "text": cell} for cell in row] for row in (table.head, *rows[: last - first])]
    settings = [{"is_wrapped": name != "ID"} for name in table.head]
    block = {"type": "table", "rows": cells, "column_settings": settings}
    return (section(_title(table, first, last)), block), last


def as_sections(table: Table, first: int, last: int, *, room: int) -> tuple[Blocks, int]:
    """Return the rows from `first` to `last` as text, and the number of the row after the last that fits."""
    lines = [_line(table, row) for row in table.rows[first:last]]
    last = first + fit(lines, lambda line: size(line) + 2, room - MAX_TITLE)
    return sections([_title(table, first, last), *lines[: last - first]]), last


def fit(items: Sequence[Any], cost: Callable[[Any], int], room: int) -> int:
    """Return how many of the first items there is room for; one at least."""
    for index, item in enumerate(items):
        room -= cost(item)
        if room < 0:
            return max(1, index)
    return len(items)


def _title(table: Table, first: int, last: int) -> str:
    is_whole = last - first == table.total
    return f"*{table.title}*" if is_whole else f"*{table.title}*: {first + 1:,} to {last:,} of {table.total:,}"


def _line(table: Table, row: tuple[str, ...]) -> str:
    cells = zip(table.head[1:], row[1:], strict=True)
    said = "; ".join(f"{name}: {literal(cell, MAX_CELL)}" for name, cell in cells if cell)
    return f"• *{literal(row[0], MAX_CELL) or NOTHING}* {said}".rstrip()
