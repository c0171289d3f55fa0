"""Which value each parameter of a stack gets: what was given, else what deploy knows, else what it has. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.deploy.templates import Parameter, Template
from orchestrator.domain.cloudformation import ParameterValue
from orchestrator.domain.config import Config
from orchestrator.domain.errors import ConfigError

_GIVEN = re.compile(r"(?:(?P<stack>[a-z]+)\.)?(?P<name>[A-Za-z0-9]+)=(?P<value>.*)", re.DOTALL)

# The two have to say the same, so the configuration says it once.
_FROM_CONFIGURATION = {
    "RoleName": "member_role.name",
    "ReleaseRoleName": "member_role.release_name",
    "RolePath": "member_role.path",
    "PolicyName": "policy.name",
    "GroupName": "policy.group",
    "PolicyPath": "policy.path",
    "AccessKeys": "policy.access_keys",
    "AllowPolicyManagement": "policy.managed_by",
}
_FROM_DEPLOY = frozenset({"CodeBucket", "CodeKey", "OrganizationId", "SecurityAccountId", "TemplateUrl"})

GivenValues = Mapping[str, Mapping[str, str]]
"""The values that were given on the command line, by the name of a stack's template and of the parameter."""


@dataclass(frozen=True, slots=True)
class Known:
    """What deploy knows by itself.

    `always` are values that a stack gets at each deployment, `at_first` those that it gets where it has none yet.
    """

    always: Mapping[str, str]
    at_first: Mapping[str, str]

    def with_values(self, **values: str) -> "Known":
        """Return what is known now that these values are."""
        return Known({**self.always, **values}, self.at_first)


def parse_given(texts: Iterable[str], templates: Sequence[Template], config: Config) -> GivenValues:
    """Return the values of `--parameter`; a plain name means every stack that has such a parameter.

    Raises ConfigError for a name that no stack has, a value that the template refuses, and one that is not the
    caller's to give.
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
            _check_value(template.parameters[name], value)
            (plain if stack is None else named)[template.name][name] = value
    given = {name: plain[name] | named[name] for name in by_name}
    _check_ownership(given, config)
    return given


def configured_values(config: Config) -> dict[str, str]:
    """Return the values of the parameters that stand in the configuration."""
    return {
        "RoleName": config.member_role.name,
        "ReleaseRoleName": config.member_role.release_name,
        "RolePath": config.member_role.path,
        "PolicyName": config.policy.name,
        "GroupName": config.policy.group,
        "PolicyPath": config.policy.path,
        "AccessKeys": config.policy.access_keys,
        "AllowPolicyManagement": str(config.policy.managed_by == "orchestrator").lower(),
    }


def choose_values(
    template: Template, *, given: Mapping[str, str], known: Known, current: Mapping[str, str] | None
) -> tuple[ParameterValue, ...]:
    """Return the values of a stack's parameters; those left out have the template's default.

    `current` are the values of the stack as it stands, which are kept, or None where it is to be created. Raises
    ConfigError where one to be kept is refused by the template of today.
    """
    wanted = {**(known.at_first if current is None else {}), **known.always, **given}
    values: list[ParameterValue] = []
    for name in template.parameters:
        if name in wanted:
            values.append(ParameterValue(name, wanted[name]))
        elif current is not None and name in current:
            _check_value(template.parameters[name], current[name])
            values.append(ParameterValue(name, None))
        elif current is not None and name in known.at_first:
            values.append(ParameterValue(name, known.at_first[name]))
    return tuple(values)


def find_missing(
    template: Template, *, given: Mapping[str, str], known: Known, current: Mapping[str, str] | None
) -> tuple[Parameter, ...]:
    """Return the parameters of a stack that somebody has to give: without a default, and known from nowhere."""
    chosen = choose_values(template, given=given, known=known, current=current)
    have = {one.name for one in chosen} | _FROM_DEPLOY
    return tuple(one for name, one in template.parameters.items() if one.default is None and name not in have)


def effective_value(
    name: str, template: Template, *, given: Mapping[str, str], current: Mapping[str, str] | None
) -> str:
    """Return the value that a parameter will have, where it is given, kept or the default."""
    return given.get(name) or (current or {}).get(name) or template.parameters[name].default or ""


def list_differences(
    template: Template, values: Sequence[ParameterValue], current: Mapping[str, str] | None
) -> tuple[tuple[str, str, str], ...]:
    """Return the parameters whose value is not what it was (of a new stack: not the default): name, before, after."""
    defaults = {name: parameter.default or "" for name, parameter in template.parameters.items()}
    before = defaults | dict(current or {})
    return tuple(
        (one.name, before[one.name], one.value)
        for one in values
        if one.value is not None and one.value != before[one.name]
    )


def _check_value(parameter: Parameter, value: str) -> None:
    """Raise ConfigError for a value that CloudFormation would refuse, before anything is made."""
    parts = [part.strip() for part in value.split(",")] if parameter.is_list else [value]
    if parameter.allowed and not set(parts) <= set(parameter.allowed):
        _refuse(parameter, value)
    if parameter.pattern and not all(re.search(parameter.pattern, part) for part in parts):
        _refuse(parameter, value)
    if parameter.least is not None or parameter.most is not None:
        _check_number(parameter, value)


def _check_number(parameter: Parameter, value: str) -> None:
    try:
        number = float(value)
    except ValueError:
        _refuse(parameter, value)
        return
    too_small = parameter.least is not None and number < parameter.least
    if too_small or (parameter.most is not None and number > parameter.most):
        _refuse(parameter, value)


def _refuse(parameter: Parameter, value: str) -> None:
    raise ConfigError(f"--parameter {parameter.name}: {parameter.constraint}, not {value!r}")


def _check_ownership(given: GivenValues, config: Config) -> None:
    """Raise ConfigError for a value that deploy finds by itself, or that the configuration says otherwise."""
    configured = configured_values(config)
    for values in given.values():
        for name, value in values.items():
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
    which = "no stack" if stack is None else f"the stack {stack}"
    has = "has" if stack is None else "does not have"
    return f"--parameter {text!r}: {which} {has} a parameter of this name; known: {', '.join(names)}"
