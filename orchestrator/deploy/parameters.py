"""Chooses the value of each stack parameter: the given one, else what deploy knows, else the present one. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from orchestrator.deploy.templates import Parameter, Template
from orchestrator.domain.config import Config
from orchestrator.domain.errors import ConfigError

_GIVEN = re.compile(r"(?:(?P<stack>[a-z]+)\.)?(?P<name>[A-Za-z0-9]+)=(?P<value>.*)", re.DOTALL)

# Stacks and functions must agree on these, so the configuration alone decides.
_FROM_CONFIGURATION = {
    "RoleName": "member_role.name",
    "ReleaseRoleName": "member_role.release_name",
    "RolePath": "member_role.path",
    "PolicyName": "policy.name",
    "GroupName": "policy.group",
    "PolicyPath": "policy.path",
    "AccessKeys": "policy.access_keys",
    "AllowPolicyManagement": "policy.managed_by",
    "EventBusName": "events.bus",
    "IamEventsScope": "enforcement.users",
}
_FROM_DEPLOY = frozenset(
    {
        "CodeBucket",
        "CodeKey",
        "EventsTemplateUrl",
        "IamEventBusArn",
        "OrganizationId",
        "SecurityAccountId",
        "TemplateUrl",
    }
)

GivenValues = Mapping[str, Mapping[str, str]]
"""The values of `--parameter`, by the name of the template and of the parameter."""


@dataclass(frozen=True, slots=True)
class Known:
    """Values that deploy finds: `always` set at each deployment, `at_first` only where a stack has no value yet."""

    always: Mapping[str, str]
    at_first: Mapping[str, str]


def parse_given(texts: Iterable[str], templates: Sequence[Template], config: Config) -> GivenValues:
    """Return the values of `--parameter`; a plain name means every stack that has such a parameter.

    Raises ConfigError for an unknown name, a value that the template refuses, and one that is not the caller's to give.
    """
    by_name = {template.name: template for template in templates}
    plain: dict[str, dict[str, str]] = {name: {} for name in by_name}
    named: dict[str, dict[str, str]] = {name: {} for name in by_name}
    for text in texts:
        match = _GIVEN.fullmatch(text)
        if match is None:
            message = f"--parameter {text!r}: write Name=Value, or {'|'.join(by_name)}.Name=Value"
            raise ConfigError(message)
        stack, name, value = match["stack"], match["name"], match["value"]
        owners = [one for one in templates if name in one.parameters and stack in {None, one.name}]
        if not owners:
            raise ConfigError(_explain_unknown(text, stack, by_name))
        for template in owners:
            _check_value(name, value, template)
            (plain if stack is None else named)[template.name][name] = value
    given = {name: plain[name] | named[name] for name in by_name}
    _check_ownership(given, config)
    return given


def configured_values(config: Config) -> dict[str, str]:
    """Return the parameter values that the configuration decides."""
    values: dict[str, str] = {name: attrgetter(key)(config) or "" for name, key in _FROM_CONFIGURATION.items()}
    return values | {"AllowPolicyManagement": str(config.policy.managed_by == "orchestrator").lower()}


def choose_values(
    template: Template, *, given: Mapping[str, str], known: Known, current: Mapping[str, str] | None
) -> dict[str, str | None]:
    """Return the values of a stack's parameters: None keeps the present one, those left out have the default.

    `current` are the parameters of an existing stack, whose values are kept, or None where the stack is new. Raises
    ConfigError where today's template refuses a value that would be kept.
    """
    wanted = {**known.at_first, **dict.fromkeys(current or {}), **known.always, **given}
    values = {name: wanted[name] for name in template.parameters if name in wanted}
    for name, value in values.items():
        if value is None and current is not None:
            _check_value(name, current[name], template)
    return values


def _check_value(name: str, value: str, template: Template) -> None:
    """Raise ConfigError for a value that CloudFormation would refuse, before anything is made."""
    parameter = template.parameters[name]
    if not parameter.accepts(value):
        raise ConfigError(f"--parameter {name}: {parameter.constraint_description}, not {value!r}")


def find_missing(template: Template, chosen: Collection[str]) -> tuple[Parameter, ...]:
    """Return the parameters of a stack that have no default, and neither a chosen value nor one that deploy finds."""
    have = _FROM_DEPLOY.union(chosen)
    return tuple(one for name, one in template.parameters.items() if one.default is None and name not in have)


def list_differences(
    template: Template, values: Mapping[str, str | None], current: Mapping[str, str] | None
) -> tuple[tuple[str, str, str], ...]:
    """Return the parameters whose value changes (in a new stack: is not the default): name, before, after."""
    defaults = {name: parameter.default or "" for name, parameter in template.parameters.items()}
    before = defaults | dict(current or {})
    return tuple(
        (name, before[name], value) for name, value in values.items() if value is not None and value != before[name]
    )


def _check_ownership(given: GivenValues, config: Config) -> None:
    """Raise ConfigError for a value that deploy finds by itself, or that contradicts the configuration."""
    configured = configured_values(config)
    for name, value in ((name, value) for values in given.values() for name, value in values.items()):
        if name in _FROM_DEPLOY:
            raise ConfigError(f"--parameter {name}: deploy finds this value by itself")
        if value != configured.get(name, value):
            message = (
                f"--parameter {name}: {_FROM_CONFIGURATION[name]} of the configuration decides, so that both agree;"
                f" it makes this {configured[name]!r}"
            )
            raise ConfigError(message)


def _explain_unknown(text: str, stack: str | None, templates: Mapping[str, Template]) -> str:
    if stack is not None and stack not in templates:
        return f"--parameter {text!r}: there is no stack {stack!r}; there are {', '.join(templates)}"
    asked = list(templates.values()) if stack is None else [templates[stack]]
    names = sorted({name for one in asked for name in one.parameters} - _FROM_DEPLOY)
    which = "no stack has" if stack is None else f"the stack {stack} does not have"
    return f"--parameter {text!r}: {which} a parameter of this name; known: {', '.join(names)}"
