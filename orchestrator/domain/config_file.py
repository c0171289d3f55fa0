"""Reads the configuration: finds the file, applies the variables that override its keys, expands its paths.

Raises `ConfigError`, which names the file or variable, the key, and what to write instead.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from orchestrator.domain.config import Config, check_location, check_stop
from orchestrator.domain.environment import CONFIG_VARIABLE, STOP_VARIABLE, check_variables, variable_of
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.paths import expand_path, has_folder
from orchestrator.domain.stop_switch import UNUSABLE
from orchestrator.domain.strict_yaml import load_yaml

MAX_CONFIG_BYTES = 256 * 1024
_NULLS = frozenset({"null", "Null", "NULL"})  # not ~, which is a folder


def load_config(
    path: Path | None,
    environment: Mapping[str, str],
    *,
    fallback: Path | None = None,
    tolerates_switch: bool = False,
) -> Config:
    """Return the configuration of `path`, else of ORGMFA_CONFIG, else of `fallback` where it exists, else the defaults.

    A variable ORGMFA_<SECTION>_<KEY>, such as ORGMFA_ENFORCEMENT_MODE, wins over its key in the file. Paths are
    expanded. Raises ConfigError where a named file cannot be read, or where file or variable holds what cannot be used.
    With `tolerates_switch` a stop switch whose path cannot be used becomes one that always reads as stop.
    """
    found, document = _find_document(path, environment, fallback)
    source = str(found or "the environment")
    config = _validated(_overridden(document, environment), source=source, variables=environment)
    config = _with_archive(config, environment, source)
    if text := config.nudge.text:
        place = _place("nudge.text", environment, source)
        config = _replaced(config, "nudge.text", _expanded(text, environment, place))
    try:
        return _with_switch(config, environment, source, checks_folder=not tolerates_switch)
    except ConfigError as error:
        if not tolerates_switch:
            raise
        return _replaced(config, "enforcement.stop", f"{UNUSABLE}{error}")


def find_sources(path: Path | None, environment: Mapping[str, str], *, fallback: Path | None = None) -> dict[str, str]:
    """Return where each key of the configuration comes from: the variable, the file, or `default`.

    Keys are `section.key`, or the section where it is a list. Raises ConfigError where the file cannot be read.
    """
    found, document = _find_document(path, environment, fallback)
    sources: dict[str, str] = {}
    for section, field_info in Config.model_fields.items():
        written = document.get(section)
        for key in getattr(field_info.annotation, "model_fields", {}) or ("",):
            variable = variable_of(section, key)
            is_written = written is not None and (not key or key in written)
            is_given = key and environment.get(variable, "").strip()
            sources[f"{section}.{key}".rstrip(".")] = variable if is_given else str(found) if is_written else "default"
    return sources


def load_file(path: Path) -> Config:
    """Return the configuration of a file alone, with its paths as written, for another machine."""
    return parse_config(_read(path), source=str(path))


def find_config(path: Path | None, environment: Mapping[str, str], *, fallback: Path | None = None) -> Path | None:
    """Return the file of the configuration, or None for the defaults.

    Raises ConfigError for a bad ORGMFA_CONFIG, or an unknown variable that begins with ORGMFA_.
    """
    check_variables(environment)
    if path is not None:
        return path
    if named := environment.get(CONFIG_VARIABLE):
        return Path(_expanded(named, environment, CONFIG_VARIABLE))
    return fallback if fallback is not None and fallback.is_file() else None


def parse_config(text: str, *, source: str) -> Config:
    """Return the configuration that a YAML text holds; `source` names it in errors.

    Raises ConfigError for YAML that is broken, ambiguous or too large, for unknown keys and for values out of range.
    """
    return _validated(_parse(text, source=source), source=source)


def _find_document(
    path: Path | None, environment: Mapping[str, str], fallback: Path | None
) -> tuple[Path | None, dict[str, Any]]:
    found = find_config(path, environment, fallback=fallback)
    return found, _parse(_read(found), source=str(found)) if found else {}


def _with_archive(config: Config, environment: Mapping[str, str], source: str) -> Config:
    """Return the configuration with the folder of the archive expanded. Raises ConfigError where it cannot be."""
    location = config.archive.location
    if "://" in location:
        return config
    place = _place("archive.location", environment, source)
    return _replaced(config, "archive.location", _expanded(location, environment, place, check=check_location))


def _with_switch(config: Config, environment: Mapping[str, str], source: str, *, checks_folder: bool) -> Config:
    """Return the configuration with the file of the stop switch expanded. Raises ConfigError where it cannot be.

    A folder that does not exist is an error: a share may not be mounted. So is an empty variable: nobody can tell
    whether a switch was meant.
    """
    place, stop = _place("enforcement.stop", environment, source), config.enforcement.stop
    if not environment.get(STOP_VARIABLE, "given").strip():
        raise ConfigError(f"{STOP_VARIABLE} is empty: name a file or ssm:/name, write null for no switch, or unset it")
    if stop is None or stop.startswith("ssm:"):
        return config
    path = _expanded(stop, environment, place, check=check_stop)
    if checks_folder and not path.startswith("ssm:") and not has_folder(path):
        folder = Path(path).parent.absolute()
        message = f"{place}: {stop!r}: no folder {folder} is there: make it, mount what holds it, or correct the path"
        raise ConfigError(message)
    return _replaced(config, "enforcement.stop", path)


def _place(key: str, environment: Mapping[str, str], source: str) -> str:
    variable = variable_of(*key.split("."))
    return f"{variable if environment.get(variable) else source}: {key}"


def _expanded(
    text: str, environment: Mapping[str, str], place: str, *, check: Callable[[str], object] = lambda _: None
) -> str:
    try:
        path = expand_path(text, environment)
        check(path)
    except ValueError as error:
        raise ConfigError(f"{place}: {text!r}: {error}") from error
    return path


def _replaced(config: Config, key: str, value: str) -> Config:
    section, name = key.split(".")
    changed = getattr(config, section).model_copy(update={name: value})
    return config.model_copy(update={section: changed})


def _parse(text: str, *, source: str) -> dict[str, Any]:
    try:
        document = load_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        message = f"{source}: the configuration must be a mapping of sections, such as 'enforcement: {{mode: plan}}'"
        raise ConfigError(message)
    return document


def _validated(document: dict[str, Any], *, source: str, variables: Mapping[str, str] | None = None) -> Config:
    empty = {section for section in Config.model_fields if document.get(section, ...) is None}
    try:
        return Config.model_validate({key: value for key, value in document.items() if key not in empty})
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error, source, variables or {}))) from error


def _overridden(document: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return a document in which the variables of the environment replace its keys."""
    for section, field_info in Config.model_fields.items():
        keys = getattr(field_info.annotation, "model_fields", {})
        given = {key: environment.get(variable_of(section, key)) for key in keys}
        values = {key: _scalar(text) for key, text in given.items() if text and text.strip()}
        written = document.get(section) or {}
        if values and isinstance(written, dict):
            document = document | {section: written | values}
    return document


def _scalar(text: str) -> object:
    """Return the YAML value of a variable. A text is kept whole, with a `#` and what follows.

    Twelve digits are an account ID and stay a text.
    """
    if re.fullmatch(r"\d{12}", text):
        return text
    try:
        value = load_yaml(text)
    except ValueError:
        return text
    is_plain = isinstance(value, str) and text.strip()[0] not in "'\""
    return text.strip() if is_plain or (value is None and text.strip() not in _NULLS) else value


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_CONFIG_BYTES // 1024} KiB; this is no configuration of orgmfa")
        return content.decode()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the configuration is not UTF-8 text") from error


def _explain(error: ValidationError, source: str, variables: Mapping[str, str]) -> Iterator[str]:
    details = error.errors(include_url=False)
    for detail in details:
        depth = len(detail["loc"])
        if detail["type"] == "too_short" and any(
            len(other["loc"]) > depth and other["loc"][:depth] == detail["loc"] for other in details
        ):
            continue  # too short only because its invalid items do not count
        key = ".".join(str(part) for part in detail["loc"])
        variable = variable_of(*map(str, detail["loc"][:2])) if depth > 1 else ""
        place = variable if variables.get(variable) else source
        match detail["type"]:
            case "extra_forbidden":
                text = f"unknown key; known here: {', '.join(_known_keys(detail['loc'][:-1]))}"
            case "missing":
                text = "a value is needed here"
            case "value_error":
                text = str(detail["ctx"]["error"])
            case _:  # what was found could be a secret in the Slack section
                found = "" if detail["loc"][:1] == ("slack",) else f" (found {detail['input']!r})"
                text = f"{detail['msg']}{found}"
        yield ": ".join(filter(None, (place, key, text)))


def _known_keys(location: Sequence[str | int]) -> list[str]:
    """Return the keys of the section at a location of the configuration."""
    model: Any = Config
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            model = annotation if isinstance(annotation, type) else get_args(annotation)[0]
    return sorted(model.model_fields)
