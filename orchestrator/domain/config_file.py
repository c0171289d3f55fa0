"""Reads the configuration: file, variables that win over it, paths. A ConfigError names place, key and remedy."""

import os
import pwd
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from orchestrator.domain.config import Config, check_location, check_stop
from orchestrator.domain.environment import CONFIG_VARIABLE, KEYS, STOP_VARIABLE, check_variables, variable_of
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.stop_switch import UNUSABLE

MAX_CONFIG_BYTES = 256 * 1024
# What PyYAML's constructors raise for values such as 0x_, 2026-02-30 or !!int x, and for keys that are no scalars.
_CONSTRUCTOR_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
_NULLS = frozenset({"null", "Null", "NULL"})  # not ~, which is a folder
# Keys whose null takes a guard away: of a blank value nobody can tell whether that was meant.
_NEVER_BLANK = frozenset({"stop", "max_changes_per_account", "max_changes_per_run", "until"})


def load_config(
    path: Path | None,
    environment: Mapping[str, str],
    *,
    fallback: Path | None = None,
    tolerates_switch: bool = False,
) -> Config:
    """Return the configuration of `path`, else of ORGMFA_CONFIG, else of `fallback` where it exists, else the defaults.

    Variables ORGMFA_<SECTION>_<KEY> win over it. Raises ConfigError for what cannot be read or used. With
    `tolerates_switch` a stop switch whose path cannot be used becomes one that always reads as stop.
    """
    found, document = _find_document(path, environment, fallback)
    source = str(found or "the environment")
    config = _validated(_overridden(document, environment), source=source, variables=environment)
    if "://" not in (location := config.archive.location):
        place = _place("archive.location", environment, source)
        config = _replaced(config, "archive.location", _expanded(location, environment, place, check=check_location))
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
    """Return where each `section.key`, or list, comes from: variable, file or `default`. Raises ConfigError."""
    found, document = _find_document(path, environment, fallback)
    sources: dict[str, str] = {}
    for section, keys in KEYS.items():
        written = document.get(section)
        for key in keys or ("",):
            variable = variable_of(section, key)
            is_written = written is not None and (not key or key in written)
            is_given = key and environment.get(variable, "").strip()
            sources[f"{section}.{key}".rstrip(".")] = variable if is_given else str(found) if is_written else "default"
    return sources


def load_file(path: Path) -> Config:
    """Return the configuration of a file alone, with its paths as written, for another machine."""
    return parse_config(_read(path), source=str(path))


def find_config(path: Path | None, environment: Mapping[str, str], *, fallback: Path | None = None) -> Path | None:
    """Return the file, or None for the defaults. Raises ConfigError for a bad or unknown ORGMFA_ variable."""
    check_variables(environment)
    if path is not None:
        return path
    if named := environment.get(CONFIG_VARIABLE):
        return Path(_expanded(named, environment, CONFIG_VARIABLE))
    return fallback if fallback is not None and fallback.is_file() else None


def parse_config(text: str, *, source: str) -> Config:
    """Return the configuration of a YAML text, or raise ConfigError; `source` names the text in errors."""
    return _validated(_parse(text, source=source), source=source)


def load_yaml(text: str) -> Any:  # noqa: ANN401 - whatever a document holds
    """Return the content of a YAML document; dates stay texts. Raises ValueError that names the place."""
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except RecursionError as error:
        raise ValueError("nested too deeply; this is no configuration of orgmfa") from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"not usable YAML: {place}{problem or str(error).splitlines()[0]}") from error
    except _CONSTRUCTOR_ERRORS as error:
        message = "a value cannot be read as the kind it looks like, or a key is no text: put it in quotes"
        raise ValueError(message) from error


def expand_path(text: str, environment: Mapping[str, str]) -> str:
    """Return a path with $NAME, ${NAME}, ~ and ~user replaced, $$ as $. Raises ValueError for one not set."""
    try:
        path = Template(text).substitute({name: value for name, value in environment.items() if value})
    except KeyError as error:
        raise ValueError(f"the variable {error.args[0]} is not set, or empty: set it, or write the path out") from error
    except ValueError as error:
        raise ValueError("a variable is written $NAME or ${NAME}, and a dollar sign $$") from error
    if not path.startswith("~"):
        return path
    start, slash, rest = path.partition("/")
    return f"{_home(start[1:], environment)}{slash}{rest}"


def show_path(text: str) -> str:
    """Return a path as an absolute one, and an address as it is."""
    return text if "://" in text else str(Path(text).absolute())


def has_folder(path: str) -> bool:
    """Return whether the folder of a file exists and can be read."""
    try:
        return Path(path).parent.is_dir()
    except OSError:
        return False


def _find_document(
    path: Path | None, environment: Mapping[str, str], fallback: Path | None
) -> tuple[Path | None, dict[str, Any]]:
    found = find_config(path, environment, fallback=fallback)
    return found, _parse(_read(found), source=str(found)) if found else {}


def _with_switch(config: Config, environment: Mapping[str, str], source: str, *, checks_folder: bool) -> Config:
    """Return the configuration with the file of the stop switch expanded. Raises ConfigError where it cannot be."""
    place, stop = _place("enforcement.stop", environment, source), config.enforcement.stop
    if not environment.get(STOP_VARIABLE, "given").strip():  # nobody can tell whether a switch was meant
        raise ConfigError(f"{STOP_VARIABLE} is empty: name a file or ssm:/name, write null for no switch, or unset it")
    if stop is None or stop.startswith("ssm:"):
        return config
    path = _expanded(stop, environment, place, check=check_stop)
    if checks_folder and not path.startswith("ssm:") and not has_folder(path):  # a share may not be mounted
        folder = Path(path).parent.absolute()
        message = f"{place}: {stop!r}: no folder {folder} is there: make it, mount what holds it, or correct the path"
        raise ConfigError(message)
    return _replaced(config, "enforcement.stop", path)


def _place(key: str, environment: Mapping[str, str], source: str) -> str:
    """Return a key after what set it: its variable, or the source."""
    variable = variable_of(*re.split(r"\.| \(", key)[:2]) if "." in key else ""
    origin = variable if environment.get(variable, "").strip() else source
    return f"{origin}: {key}" if key else origin


def _expanded(
    text: str, environment: Mapping[str, str], place: str, *, check: Callable[[str], object] = lambda _: None
) -> str:
    try:
        path = expand_path(text, environment)
        check(path)
    except ValueError as error:
        raise ConfigError(f"{place}: {text!r}: {error}") from error
    return path


def _home(user: str, environment: Mapping[str, str]) -> str:
    """Return the home folder of a user; of the caller for an empty name."""
    try:
        entry = pwd.getpwnam(user) if user else None
        home = entry.pw_dir if entry else environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        home = ""
    if not home.startswith("/"):
        raise ValueError(f"~{user}: no such user with a home folder is known here: write the path out")
    return home.rstrip("/")


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
    empty = {section for section in KEYS if document.get(section, ...) is None}
    try:
        return Config.model_validate({key: value for key, value in document.items() if key not in empty})
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error, source, variables or {}))) from error


def _overridden(document: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    for section, keys in KEYS.items():
        given = {key: environment.get(variable_of(section, key)) for key in keys}
        values = {key: _scalar(text) for key, text in given.items() if text and text.strip()}
        written = document.get(section) or {}
        if values and isinstance(written, dict):
            document = document | {section: written | values}
    return document


def _scalar(text: str) -> object:
    """Return the YAML value of a variable. A text is kept whole, with a `#` and what follows; so is an account ID."""
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
        parts = (f" (entry {part + 1})" if isinstance(part, int) else f".{part}" for part in detail["loc"])
        key = "".join(parts).removeprefix(".")  # entries are counted from 1, as everywhere
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
        yield f"{_place(key, variables, source)}: {text}"


def _known_keys(location: Sequence[str | int]) -> list[str]:
    model: Any = Config
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            model = annotation if isinstance(annotation, type) else get_args(annotation)[0]
    return sorted(model.model_fields)


class _StrictLoader(yaml.SafeLoader):
    """YAML loader that refuses aliases and repeated keys: both hide from a reader what a file says."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
            raise yaml.composer.ComposerError(None, None, "aliases are not accepted", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[object] = set()
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) or key in seen:
                problem = f"the key {key!r} is {'given twice' if key in seen else 'not a text'}"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if key in _NEVER_BLANK and value_node.value == "" and value_node.tag == "tag:yaml.org,2002:null":
                problem = f"the key {key!r} has no value: write null for none, or leave the key out"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


# A date stays a text, so that the error for one that does not exist names its key.
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
