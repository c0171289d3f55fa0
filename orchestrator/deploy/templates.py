"""Reads the templates of stackset/: what their stacks are called, and the parameters that they take.

What a template's functions stand for is not needed here, so it is not read.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import yaml

from orchestrator.domain.bundled_files import read_shipped

BOOTSTRAP, CENTRAL, STACK_SET, MANAGEMENT = "bootstrap", "central", "stackset", "management"
STACKS = (BOOTSTRAP, CENTRAL, STACK_SET)
"""The stacks of the security account, in the order in which they are made."""
MEMBER_TEMPLATE = "member_role/template.yaml"
_FUNCTION = "AWS::Lambda::Function"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as a template declares it; `default` is None where it has to be given."""

    name: str
    default: str | None
    description: str
    is_list: bool
    pattern: str | None
    allowed: tuple[str, ...]
    least: float | None
    most: float | None
    constraint: str


@dataclass(frozen=True)
class Template:
    """A template, by its name in stackset/."""

    name: str
    text: str

    @property
    def stack_name(self) -> str:
        """What its stack is called."""
        return f"orgmfa-{self.name}"

    @property
    def sha256(self) -> str:
        """The hash of its text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """Its parameters by name."""
        return {name: _read_parameter(name, declared) for name, declared in self._read.get("Parameters", {}).items()}

    @property
    def python(self) -> str:
        """The Python of its functions, such as 3.13."""
        declared = self._read["Resources"].values()
        [runtime] = {one["Properties"]["Runtime"] for one in declared if one["Type"] == _FUNCTION}
        return str(runtime).removeprefix("python")

    @cached_property
    def _read(self) -> dict[str, Any]:
        read: dict[str, Any] = yaml.load(self.text, _Loader)  # noqa: S506 - a SafeLoader, and our own file
        return read


@cache
def read_template(name: str) -> Template:
    """Return a template of stackset/. Raises StartError where it is missing."""
    return Template(name, read_shipped(f"stackset/{name}.yaml").decode())


class _Loader(yaml.SafeLoader):
    """Takes every function for None."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def _read_parameter(name: str, declared: Mapping[str, Any]) -> Parameter:
    default = declared.get("Default")
    return Parameter(
        name=name,
        default=None if default is None else str(default),
        description=declared.get("Description", ""),
        is_list=declared["Type"] == "CommaDelimitedList",
        pattern=declared.get("AllowedPattern"),
        allowed=tuple(map(str, declared.get("AllowedValues", ()))),
        least=declared.get("MinValue"),
        most=declared.get("MaxValue"),
        constraint=declared.get("ConstraintDescription", "is not allowed"),
    )
