"""The command `config`: the configuration in force and where each value comes from, without AWS."""

import json
import os
from datetime import timedelta
from operator import attrgetter
from pathlib import Path

import click
from pydantic import BaseModel

from orchestrator.domain.config import Config
from orchestrator.domain.config_file import find_config, find_sources, load_config, show_path

_PATHS = frozenset({"archive.location", "enforcement.stop"})
_COMMENT_COLUMN = 48

CONFIG_FILE = Path("config.yaml")


def read_config(path: Path | None, *, needs_switch: bool = True) -> Config:
    """Return the configuration. Raises ConfigError; for a stop switch that is no use, only with `needs_switch`."""
    return load_config(path, os.environ, fallback=CONFIG_FILE, tolerates_switch=not needs_switch)


def config_command(path: Path | None, *, checks: bool, output: str) -> int:
    """Print the configuration in force, or with `checks` only that it is valid. Raises ConfigError where it is not."""
    config = read_config(path)
    found = find_config(path, os.environ, fallback=CONFIG_FILE)
    if checks:
        click.echo(f"{found.absolute() if found else 'the defaults, with the environment'}: valid", err=True)
        return 0
    sources = find_sources(path, os.environ, fallback=CONFIG_FILE)
    values = {key: _plain(key, attrgetter(key)(config)) for key in sources}
    if output == "json":
        rows = {key: {"value": value, "source": sources[key]} for key, value in values.items()}
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(values, sources)))
    return 0


def _plain(key: str, value: object) -> object:
    """Return a value as JSON and YAML write it; a path as an absolute one."""
    match value:
        case timedelta():
            return _show_duration(value)
        case BaseModel():
            return value.model_dump(mode="json")
        case tuple():
            return [_plain("", one) for one in value]
        case str() if key in _PATHS and not value.startswith("ssm:"):
            return show_path(value)
    return value


def _show_duration(value: timedelta) -> str:
    """Return a duration in the largest unit that leaves no rest, as the configuration writes it."""
    for unit, size in (("d", timedelta(days=1)), ("h", timedelta(hours=1))):
        if not value % size:
            return f"{value // size}{unit}"
    return f"{value // timedelta(minutes=1)}m"


def _lines(values: dict[str, object], sources: dict[str, str]) -> list[str]:
    """Return the configuration as YAML, each value with a comment that says where it comes from."""
    lines, last = [], ""
    for key, value in values.items():
        section, _, name = key.partition(".")
        if name and section != last:
            lines.append(f"{section}:")
        last = section
        text = f"{'  ' if name else ''}{name or section}: {json.dumps(value, ensure_ascii=False)}"
        lines.append(f"{text:<{_COMMENT_COLUMN}}  # {sources[key]}")
    return lines
