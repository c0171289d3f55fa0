"""The measurements as tables in Markdown, and their place in docs/benchmarks.md. Measures nothing."""

import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.targets import Section

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def render_section(section: Section) -> str:
    """Return a target as two tables: what was measured, and what is wanted."""
    measured = [
        (
            name,
            f"{one.scenario.accounts:,}",
            f"{one.wall:.1f}",
            f"{one.cpu:.1f}",
            f"{one.peak_mb:.0f}",
            f"{one.calls:,}",
            f"{1000 * one.cpu / one.calls:.2f}",
        )
        for name, one in section.rows
    ]
    wanted = [(claim.wanted, claim.measured, "yes" if claim.is_met else "no") for claim in section.claims]
    columns = ("", "accounts", "wall s", "CPU s", "peak MB", "calls", "CPU ms a call")
    return "\n\n".join(
        [
            f"### {section.title}",
            render_table(columns, measured),
            render_table(("wanted", "measured", "met"), wanted),
        ]
    )


def render_conditions(command: str) -> str:
    """Return when, on what machine and by which command was measured."""
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `{command}`, on {os.cpu_count()} cores of {platform.machine()}, "
        f"{platform.system()}, Python {platform.python_version()}."
    )


def write_document(path: Path, sections: Iterable[str]) -> None:
    """Put the sections between the marks of a document, in the place of what stood there."""
    text = path.read_text(encoding="utf-8")
    inside = "\n\n".join([BEGIN, *sections, END])
    replaced, count = re.subn(f"{BEGIN}.*{END}", lambda _: inside, text, flags=re.DOTALL)
    assert count == 1, f"{path} must hold {BEGIN} and {END} once"
    path.write_text(replaced, encoding="utf-8")


def render_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
