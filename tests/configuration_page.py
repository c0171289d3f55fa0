"""The table of docs/configuration.md: keys and defaults from the models, words from config.yaml.

`python -m tests.configuration_page` renews the table in the document.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from orchestrator.domain.config import Config

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "configuration.md"
BEGIN, END = "<!-- table of keys: begin -->\n", "<!-- table of keys: end -->\n"


def render_table() -> str:
    """Return the table: a row a key, with its default and what it does."""
    words = read_words()
    rows = [f"| `{key}` | {show(value)} | {words[key]} |" for key, value in defaults().items()]
    return "\n".join(["| key | default | what it does |", "|---|---|---|", *rows, ""])


def defaults() -> dict[str, Any]:
    """Return the default of each key, `section.key`; of a section that is a list, that of the list."""
    found: dict[str, Any] = {}
    for section, value in Config():
        if isinstance(value, BaseModel):
            found |= {f"{section}.{key}": each for key, each in value}
        else:
            found[section] = value
    return found


def read_words() -> dict[str, str]:
    """Return what config.yaml says of each key in the comment beside it."""
    section, words = "", {}
    for line in (ROOT / "config.yaml").read_text(encoding="utf-8").splitlines():
        if (match := re.match(r"(\w+):$", line)) is not None:
            section = match[1]
        elif (match := re.match(r"( *)(\w+):.*?  # (.+)$", line)) is not None:
            words[f"{section}.{match[2]}" if match[1] else match[2]] = match[3].replace("|", r"\|")
    return words


def show(value: object) -> str:
    """Return a default as it is written in config.yaml."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case timedelta():
            return f"{value.days}d"
        case tuple():
            return str(list(value))
        case _:
            return str(value)


def place_table(text: str) -> str:
    """Return the text of the document with the table in its place."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}{render_table()}{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(place_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
