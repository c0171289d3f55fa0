"""The configuration: config.yaml and the environment, read here and nowhere else.

Every key is optional and an unknown one is an error. What cannot be used raises `ConfigError`, which names the file,
the key and what to write instead.
"""

import json
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Mode
from orchestrator.domain.paths import expand_path, has_folder
from orchestrator.domain.stop_switch import SWITCH_WORDS, UNUSABLE

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_CONFIG_BYTES = 256 * 1024
CONFIG_VARIABLE = "ORGMFA_CONFIG"
STOP_VARIABLE = "ORGMFA_ENFORCEMENT_STOP"
WEBHOOK_VARIABLE = "ORGMFA_SLACK_WEBHOOK_URL"
STACK_SET_VARIABLE = "ORGMFA_STACKSET_NAME"
BATCH_SIZE_VARIABLE = "ORGMFA_BATCH_SIZE"
DEFAULT_BATCH_SIZE = "200"
BOT_TOKEN_VARIABLE = "ORGMFA_SLACK_BOT_TOKEN"  # noqa: S105 - the name of a variable, not a secret

# What PyYAML's constructors raise for values such as 0x_, 2026-02-30 or !!int x, and for keys that are no scalars.
_SAFE_LOADER_STUMBLES = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)

_DURATION = re.compile(r"(?P<count>\d{1,5})(?P<unit>[dhm])")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_FILE = re.compile(r"[\w./~$](.*[^\s/])?")
_NULLS = frozenset({"null", "Null", "NULL"})  # not ~, which is a folder
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def parse_duration(text: object) -> timedelta:
    """Return the duration that a text such as `90d`, `12h` or `30m` means.

    Raises ValueError for anything else.
    """
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        message = f"{text!r} is not a duration: write a whole number and d, h or m, such as 90d, 12h or 30m"
        raise ValueError(message)
    return timedelta(**{_UNITS[match["unit"]]: int(match["count"])})


def _refuse_number(value: object) -> object:
    """Refuse an unquoted account ID: YAML reads 011111111111 as an octal number, another account."""
    if isinstance(value, int):
        message = 'an account ID must stand in quotes: "111122223333"'
        raise ValueError(message)  # noqa: TRY004 - pydantic reports ValueError alone
    return value


def _refuse_truth(value: object) -> object:
    """Refuse true and false where a number is meant: pydantic takes them for 1 and 0."""
    if isinstance(value, bool):
        message = "a number is expected, not true or false"
        raise ValueError(message)  # noqa: TRY004 - pydantic reports ValueError alone
    return value


def _only_iso_date(value: object) -> object:
    """Refuse what pydantic would take for seconds since 1970."""
    if value is None or isinstance(value, date) or (isinstance(value, str) and _ISO_DATE.fullmatch(value)):
        return value
    message = f"{value!r} is not a date: write YYYY-MM-DD"
    raise ValueError(message)


def _is_glob(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[")


def _plan_or_apply(value: object) -> object:
    if value not in (Mode.PLAN, Mode.APPLY):
        hint = "; releasing is the command orgmfa release" if value == Mode.RELEASE else ""
        message = f"Input should be 'plan' or 'apply'{hint} (found {value!r})"
        raise ValueError(message)
    return value


def _known_stop(value: str | None) -> str | None:
    if value is None or value.startswith("ssm:/"):
        return value
    if _SCHEME.match(value) or not value.isprintable() or " #" in value or not _FILE.fullmatch(value):
        message = f"{value!r} is no switch: write ssm:/name for a parameter, or a path for a file"
        raise ValueError(message)
    if value.lower() in SWITCH_WORDS:
        message = f"{value!r} is what a switch holds, and here its name is expected: a path (./{value}), or ssm:/name"
        raise ValueError(message)
    return value


def _known_location(value: str) -> str:
    if "://" in value and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^?#]*)?", value):
        message = f"{value!r} is neither a folder nor s3://bucket/prefix"
        raise ValueError(message)
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
AccountId = Annotated[str, BeforeValidator(_refuse_number), StringConstraints(pattern=r"^[0-9]{12}$")]
AccountIdOrAll = Annotated[str, BeforeValidator(_refuse_number), StringConstraints(pattern=r"^([0-9]{12}|\*)$")]
OuId = Annotated[str, StringConstraints(pattern=r"^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32})$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+=,.@-]{1,128}$")]
RoleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$")]
IamPath = Annotated[str, StringConstraints(pattern=r"^/([\x21-\x7e]{0,510}/)?$")]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=128)]
MaxChanges = Annotated[StrictInt, Field(ge=0)] | None


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OrganizationConfig(_Section):
    """Which accounts of the organization a run enters."""

    id: Annotated[str, StringConstraints(pattern=r"^o-[a-z0-9]{10,32}$")] | None = None
    include_ous: tuple[OuId, ...] = ()
    exclude_ous: tuple[OuId, ...] = ()
    exclude_accounts: tuple[AccountId, ...] = ()
    include_management_account: StrictBool = True


class MemberRoleConfig(_Section):
    """The cross-account roles that the StackSet put into every account."""

    name: RoleName = "orgmfa-member"
    release_name: RoleName = "orgmfa-release"
    path: IamPath = "/"


class EnforcementConfig(_Section):
    """Whom a run enforces, and whether the Lambda writes at all."""

    mode: Annotated[Literal[Mode.PLAN, Mode.APPLY], BeforeValidator(_plan_or_apply)] = Mode.PLAN
    users: Literal["console", "all"] = "console"
    grace_period: Duration = timedelta()
    notice: Duration = timedelta()
    check_enrolment: StrictBool = True
    stop: Annotated[str, StringConstraints(min_length=1), AfterValidator(_known_stop)] | None = None


class PolicyConfig(_Section):
    """The EnforceMFA policy and group, and who owns them."""

    name: Name = "EnforceMFA"
    group: Name = "EnforceMFA"
    path: IamPath = "/"
    managed_by: Literal["stackset", "orchestrator"] = "stackset"
    access_keys: Literal["deny", "allow"] = "deny"


class Exemption(_Section):
    """Users to be left alone: a glob on the user name, in named accounts or `*`, for a reason, up to a date.

    `until` is the last day in UTC on which the exemption counts.
    """

    user: Pattern
    accounts: Annotated[tuple[AccountIdOrAll, ...], Field(min_length=1)] = ("*",)
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    until: Annotated[date, BeforeValidator(_only_iso_date)] | None = None

    @model_validator(mode="after")
    def _wide_needs_end(self) -> Self:
        if self.until is None and (_is_glob(self.user) or "*" in self.accounts):
            message = (
                "an exemption for a pattern or for every account needs an end: "
                "add until: YYYY-MM-DD, or name one user and the account IDs"
            )
            raise ValueError(message)
        return self


class LimitsConfig(_Section):
    """How much one run may change; None: no limit."""

    max_changes_per_account: MaxChanges = 100
    max_changes_per_run: MaxChanges = 100
    max_share_per_account: Annotated[float, BeforeValidator(_refuse_truth), Field(ge=0, le=1)] = 1.0
    hold_keys_used_within: Duration = timedelta(days=90)

    def with_max_changes(self, max_changes: int | None) -> Self:
        """Return these limits with both counts replaced, as `--max-changes` and an event ask for one run."""
        return self.model_copy(update={"max_changes_per_account": max_changes, "max_changes_per_run": max_changes})


class ConcurrencyConfig(_Section):
    """How many accounts are worked on at once."""

    workers: Annotated[StrictInt, Field(ge=1, le=256)] = 80


class SlackConfig(_Section):
    """Where the digest goes and what it shows."""

    channel: str | None = None
    secret: str | None = None
    when: Literal["always", "findings"] = "always"
    mention: Annotated[str, StringConstraints(pattern=r"^(here|channel|[USW][A-Z0-9]{5,20})$")] | None = None
    users: Literal["names", "counts"] = "names"
    attach: StrictBool = False

    @model_validator(mode="after")
    def _page_has_names(self) -> Self:
        if self.attach and self.users == "counts":
            message = "slack.attach sends the page of the run, which names users: set attach: false, or users: names"
            raise ValueError(message)
        return self


class ArchiveConfig(_Section):
    """Where reports are kept: a folder, or s3://bucket/prefix."""

    location: Annotated[str, StringConstraints(min_length=1), AfterValidator(_known_location)] = "./orgmfa-runs"
    keep: Duration = timedelta(days=400)
    link: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None


class SecurityHubConfig(_Section):
    """Whether findings go to Security Hub too."""

    enabled: StrictBool = False


class Config(_Section):
    """Every setting of the program, with its default."""

    organization: OrganizationConfig = OrganizationConfig()
    member_role: MemberRoleConfig = MemberRoleConfig()
    enforcement: EnforcementConfig = EnforcementConfig()
    policy: PolicyConfig = PolicyConfig()
    exemptions: tuple[Exemption, ...] = ()
    protected_users: tuple[Pattern, ...] = ()
    limits: LimitsConfig = LimitsConfig()
    concurrency: ConcurrencyConfig = ConcurrencyConfig()
    slack: SlackConfig = SlackConfig()
    archive: ArchiveConfig = ArchiveConfig()
    securityhub: SecurityHubConfig = SecurityHubConfig()


@dataclass(frozen=True, slots=True)
class SlackCredentials:
    """What may speak to Slack: a webhook, or a bot token for `slack.channel`. Never printed or logged."""

    webhook_url: str | None = field(default=None, repr=False)
    bot_token: str | None = field(default=None, repr=False)


def load_config(
    path: Path | None,
    environment: Mapping[str, str],
    *,
    fallback: Path | None = None,
    tolerates_switch: bool = False,
) -> Config:
    """Return the configuration of `path`, else of ORGMFA_CONFIG, else of `fallback` where it exists, else the defaults.

    A variable ORGMFA_<SECTION>_<KEY>, such as ORGMFA_ENFORCEMENT_MODE, wins over its key in the file: a stack sets what
    it knows better, the operator's file says the rest. Paths are expanded. Raises ConfigError where a file that was
    named cannot be read, or where file or variable says what the program cannot use. With `tolerates_switch` a stop
    switch whose path cannot be used becomes one that always reads as stop.
    """
    found = find_config(path, environment, fallback=fallback)
    document = _parse_yaml(_read(found), source=str(found)) if found else {}
    source = str(found or "the environment")
    config = _validated(_overridden(document, environment), source=source, variables=environment)
    config = _with_archive(config, environment, source)
    try:
        return _with_switch(config, environment, source, checks_folder=not tolerates_switch)
    except ConfigError as error:
        if not tolerates_switch:
            raise
        return _replaced(config, "enforcement.stop", f"{UNUSABLE}{error}")


def load_file(path: Path) -> Config:
    """Return the configuration of a file alone, its paths as written: another machine will read them."""
    return parse_config(_read(path), source=str(path))


def find_config(path: Path | None, environment: Mapping[str, str], *, fallback: Path | None = None) -> Path | None:
    """Return which file the configuration is read from, or None where there is none and the defaults hold.

    Raises ConfigError where ORGMFA_CONFIG is a path that cannot be expanded.
    """
    if path is not None:
        return path
    if named := environment.get(CONFIG_VARIABLE):
        return Path(_expanded(named, environment, CONFIG_VARIABLE))
    return fallback if fallback is not None and fallback.is_file() else None


def parse_config(text: str, *, source: str) -> Config:
    """Return the configuration that a YAML text holds; `source` names it in errors.

    Raises ConfigError for YAML that is broken, ambiguous or too large, for unknown keys and for values out of range.
    """
    return _validated(_parse_yaml(text, source=source), source=source)


def _with_archive(config: Config, environment: Mapping[str, str], source: str) -> Config:
    """Return the configuration with the folder of the archive expanded. Raises ConfigError where it cannot be."""
    location = config.archive.location
    if "://" in location:
        return config
    place = _place("archive.location", environment, source)
    return _replaced(config, "archive.location", _expanded(location, environment, place, check=_known_location))


def _with_switch(config: Config, environment: Mapping[str, str], source: str, *, checks_folder: bool) -> Config:
    """Return the configuration with the file of the stop switch expanded.

    Raises ConfigError where that cannot be done, and for a folder that is not there: a share that is not mounted.
    An empty variable is an error too: no stack passes one, and nobody can tell whether a switch was meant.
    """
    place, stop = _place("enforcement.stop", environment, source), config.enforcement.stop
    if not environment.get(STOP_VARIABLE, "given").strip():
        raise ConfigError(f"{STOP_VARIABLE} is empty: name a file or ssm:/name, write null for no switch, or unset it")
    if stop is None or stop.startswith("ssm:"):
        return config
    path = _expanded(stop, environment, place, check=_known_stop)
    if checks_folder and not path.startswith("ssm:") and not has_folder(path):
        folder = Path(path).parent.absolute()
        message = f"{place}: {stop!r}: no folder {folder} is there: make it, mount what holds it, or correct the path"
        raise ConfigError(message)
    return _replaced(config, "enforcement.stop", path)


def _place(key: str, environment: Mapping[str, str], source: str) -> str:
    variable = _variable(*key.split("."))
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


def _parse_yaml(text: str, *, source: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader, made stricter
    except RecursionError as error:
        message = f"{source}: nested too deeply; this is no configuration of orgmfa"
        raise ConfigError(message) from error
    except yaml.YAMLError as error:
        message = f"{source}: not usable YAML: {_first_words(error)}"
        raise ConfigError(message) from error
    except _SAFE_LOADER_STUMBLES as error:
        message = f"{source}: a value cannot be read as the kind it looks like, or a key is no text: put it in quotes"
        raise ConfigError(message) from error
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
    """Return a document with the keys that variables of the environment give in the place of its own."""
    for section, field_info in Config.model_fields.items():
        keys = getattr(field_info.annotation, "model_fields", {})
        given = {key: environment.get(_variable(section, key)) for key in keys}
        values = {key: _scalar(text) for key, text in given.items() if text and text.strip()}
        written = document.get(section) or {}
        if values and isinstance(written, dict):
            document = document | {section: written | values}
    return document


def _variable(section: str, key: str) -> str:
    return f"ORGMFA_{section}_{key}".upper()


def _scalar(text: str) -> object:
    """Return what a text means in YAML, except for what YAML would take from it: of a text, what follows a `#`.

    Digits alone can be an account ID and stay a text.
    """
    if re.fullmatch(r"\d{12}", text):
        return text
    try:
        value = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader, made stricter
    except (yaml.YAMLError, RecursionError, *_SAFE_LOADER_STUMBLES):
        return text
    is_plain = isinstance(value, str) and text.strip()[0] not in "'\""
    return text.strip() if is_plain or (value is None and text.strip() not in _NULLS) else value


def slack_credentials(environment: Mapping[str, str]) -> SlackCredentials | None:
    """Return the Slack credentials of the environment, or None where it has none."""
    webhook_url = environment.get(WEBHOOK_VARIABLE) or None
    bot_token = environment.get(BOT_TOKEN_VARIABLE) or None
    if webhook_url is None and bot_token is None:
        return None
    return SlackCredentials(webhook_url=webhook_url, bot_token=bot_token)


def stack_set_name(environment: Mapping[str, str]) -> str:
    """Return the name of our StackSet, whose events tell of new accounts."""
    return environment.get(STACK_SET_VARIABLE) or "orgmfa"


def batch_size(environment: Mapping[str, str]) -> int:
    """Return how many accounts a batch of a run in steps has. Raises ConfigError where it is no whole number from 1."""
    text = environment.get(BATCH_SIZE_VARIABLE) or DEFAULT_BATCH_SIZE
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise ConfigError(f"{BATCH_SIZE_VARIABLE} is {text!r}: a whole number from 1 to 9999 is expected")
    return int(text)


def parse_slack_secret(text: str, *, name: str) -> SlackCredentials:
    """Return the Slack credentials that a secret holds: a webhook URL, or JSON with `bot_token`.

    Raises ConfigError where it is neither; the message never repeats the secret.
    """
    text = text.strip()
    if text.startswith(("https://", "http://")):
        return SlackCredentials(webhook_url=text)
    try:
        token = json.loads(text)["bot_token"]
    except (ValueError, KeyError, TypeError):
        token = None
    if not isinstance(token, str) or not token:
        message = f'slack.secret: the secret {name} holds neither a webhook URL nor {{"bot_token": "..."}}'
        raise ConfigError(message)
    return SlackCredentials(bot_token=token)


class _PlainLoader(yaml.SafeLoader):
    """YAML without anchors, aliases and repeated keys: each hides from the reader what a file says."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
            raise yaml.composer.ComposerError(None, None, "aliases are not accepted", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) or key in seen:
                problem = f"the key {key!r} is {'given twice' if key in seen else 'not a text'}"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


# A date stays a text, so that one which does not exist is told with its key.
_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            message = f"{path}: larger than {MAX_CONFIG_BYTES // 1024} KiB; this is no configuration of orgmfa"
            raise ConfigError(message)
        return content.decode()
    except OSError as error:
        message = f"{path}: cannot read the configuration: {error.strerror}"
        raise ConfigError(message) from error
    except UnicodeDecodeError as error:
        message = f"{path}: the configuration is not UTF-8 text"
        raise ConfigError(message) from error


def _explain(error: ValidationError, source: str, variables: Mapping[str, str]) -> Iterator[str]:
    details = error.errors(include_url=False)
    for detail in details:
        if detail["type"] == "too_short" and any(_is_inside(other["loc"], detail["loc"]) for other in details):
            continue  # too short only because what is wrong in it does not count
        key = ".".join(str(part) for part in detail["loc"])
        variable = _variable(*map(str, detail["loc"][:2])) if len(detail["loc"]) > 1 else ""
        place = variable if variables.get(variable) else source
        match detail["type"]:
            case "extra_forbidden":
                text = f"unknown key; known here: {', '.join(_known_keys(detail['loc'][:-1]))}"
            case "missing":
                text = "a value is needed here"
            case "value_error":
                text = str(detail["ctx"]["error"])
            case _:
                text = f"{detail['msg']}{_found(detail)}"
        yield f"{place}: {key}: {text}"


def _is_inside(location: Sequence[str | int], other: Sequence[str | int]) -> bool:
    """Return whether a location lies within the value at another."""
    return len(location) > len(other) and location[: len(other)] == other


def _found(detail: "ErrorDetails") -> str:
    """Return the value that was found, for an error; nothing of the Slack section, where a secret could stand."""
    return "" if detail["loc"][:1] == ("slack",) else f" (found {detail['input']!r})"


def _known_keys(location: Sequence[str | int]) -> list[str]:
    """Return the keys of the section at a location of the configuration."""
    model: Any = Config
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            model = annotation if isinstance(annotation, type) else Exemption
    return sorted(model.model_fields)


def _first_words(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem
