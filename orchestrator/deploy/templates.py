"""Reads the CloudFormation templates of stackset/: the names of their stacks and the parameters that they take."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from math import inf
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_pascal

from orchestrator.domain.bundled_files import read_shipped
from orchestrator.domain.policy_document import load_template

BOOTSTRAP, CENTRAL, STACK_SET, MANAGEMENT = "bootstrap", "central", "stackset", "management"
STACKS = (BOOTSTRAP, CENTRAL, STACK_SET)
"""The stacks of the security account, in the order of their creation."""
BUCKET_OUTPUT = "BucketName"
"""The output of the bootstrap stack that names the bucket."""
_FUNCTION = "AWS::Lambda::Function"


class Parameter(BaseModel):
    """A parameter as a template declares it; `default` is None where a value has to be given."""

    model_config = ConfigDict(coerce_numbers_to_str=True, frozen=True, alias_generator=to_pascal, validate_by_name=True)

    name: str
    type: str
    default: str | None = None
    description: str = ""
    allowed_pattern: str = ""
    allowed_values: tuple[str, ...] = ()
    min_value: float = -inf
    max_value: float = inf
    constraint_description: str = "is not allowed"

    def accepts(self, value: str) -> bool:
        """Return whether CloudFormation would accept a value."""
        parts = [part.strip() for part in value.split(",")] if self.type == "CommaDelimitedList" else [value]
        if self.allowed_values and not set(parts) <= set(self.allowed_values):
            return False
        if not all(re.search(self.allowed_pattern, part) for part in parts):
            return False
        if (self.min_value, self.max_value) == (-inf, inf):
            return True
        try:
            return self.min_value <= float(value) <= self.max_value
        except ValueError:
            return False


@dataclass(frozen=True)
class Template:
    """A template and its name in stackset/."""

    name: str
    text: str

    @property
    def stack_name(self) -> str:
        """The name of its stack."""
        return f"orgmfa-{self.name}"

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """Its parameters by name."""
        declared = self._document.get("Parameters", {})
        return {name: Parameter(name=name, **one) for name, one in declared.items()}

    @property
    def python(self) -> str:
        """The Python version of its functions, such as 3.13."""
        declared = self._document["Resources"].values()
        [runtime] = {one["Properties"]["Runtime"] for one in declared if one["Type"] == _FUNCTION}
        return str(runtime).removeprefix("python")

    @cached_property
    def _document(self) -> dict[str, Any]:
        return load_template(self.text)


@cache
def read_template(name: str) -> Template:
    """Return a template of stackset/. Raises StartError where it is missing."""
    return Template(name, read_shipped(f"stackset/{name}.yaml").decode())
