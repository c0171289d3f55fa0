"""Renders member_role/template.yaml as CloudFormation would, for the tests beside this file.

Reads with cfn-lint's parser and resolves by itself, so that it can disagree with the program's own reader.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

from cfnlint.decode import decode

FOLDER = Path(__file__).parents[2] / "member_role"
TEMPLATE_PATH = FOLDER / "template.yaml"

# o-a1b2c3d4e5
# |-- security 999988887777   orgmfa runs here
# |-- member   111122223333   the template is deployed here
# `-- sibling  444455556666   another member account
ORGANIZATION = "o-a1b2c3d4e5"
SECURITY = "999988887777"
MEMBER = "111122223333"
SIBLING = "444455556666"

REQUIRED = {"OrganizationId": ORGANIZATION, "SecurityAccountId": SECURITY}
PSEUDO = {"AWS::AccountId": MEMBER, "AWS::Partition": "aws"}


@cache
def template() -> dict[str, Any]:
    """Return the template with its short tags in long form."""
    read, problems = decode(str(TEMPLATE_PATH))
    assert not problems
    assert isinstance(read, dict)
    return read


def resources(**parameters: str) -> dict[str, Any]:
    """Return the resources that exist under these parameters, by logical ID, everything resolved.

    Parameters not named have their defaults; `Partition` stands for the pseudo parameter.
    """
    pseudo = PSEUDO | {f"AWS::{name}": parameters.pop(name) for name in ["Partition"] if name in parameters}
    resolver = Resolver(REQUIRED | parameters, pseudo)
    return {
        name: resolver.resolve(resource["Properties"])
        for name, resource in template()["Resources"].items()
        if "Condition" not in resource or resolver.holds(resource["Condition"])
    }


def permissions_of(role: str, **parameters: str) -> list[dict[str, Any]]:
    """Return the policy documents of a role, by its logical ID: those in the role, and those that name it."""
    deployed = resources(**parameters)
    elsewhere = [one for one in deployed.values() if resolved_name(role) in one.get("Roles", ())]
    return [policy["PolicyDocument"] for policy in [*deployed[role]["Policies"], *elsewhere]]


def resolved_name(logical_id: str) -> str:
    """Return what stands for `!Ref` of a resource, whose real value is known at deployment alone."""
    return f"(the ARN or name of {logical_id})"


def enforcement_document(**parameters: str) -> dict[str, Any]:
    """Return the EnforceMFA document."""
    document: dict[str, Any] = resources(**parameters)["EnforcementPolicy"]["PolicyDocument"]
    return document


def earlier_text(access_keys: str, partition: str = "aws") -> str:
    """Return the EnforceMFA text of commit d7b532f, which spares no action of the sign-in service."""
    text = (Path(__file__).parent / "earlier_texts" / f"1-{access_keys}.json").read_text("utf-8")
    return text.replace("arn:aws:", f"arn:{partition}:")


class Resolver:
    """Resolves intrinsic functions with these values."""

    def __init__(self, parameters: dict[str, str], pseudo: dict[str, str]) -> None:
        self.values: dict[str, Any] = dict(pseudo)
        for name, declared in template()["Parameters"].items():
            value = parameters.get(name, declared.get("Default"))
            assert value is not None, f"the parameter {name} has no default"
            is_list = declared["Type"] == "CommaDelimitedList"
            self.values[name] = [one.strip() for one in value.split(",")] if is_list else value
        assert not parameters.keys() - template()["Parameters"].keys()

    def holds(self, condition: str) -> bool:
        """Return whether a condition of the template is true."""
        return bool(self.resolve(template()["Conditions"][condition]))

    def resolve(self, node: Any) -> Any:
        """Return the node with its functions replaced by their values."""
        if isinstance(node, list):
            return [self.resolve(one) for one in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(name, argument)] = node.items()
            function = getattr(self, f"resolve_{name.replace('Fn::', '').lower()}", None)
            if function is not None:
                return function(argument)
            assert not name.startswith("Fn::"), f"{name} is not known here"
        return {key: self.resolve(value) for key, value in node.items()}

    def resolve_ref(self, name: str) -> Any:
        """Return the value of a parameter, or the name of a resource."""
        return self.values.get(name, resolved_name(name))

    def resolve_sub(self, text: str) -> str:
        """Return the text with its variables replaced; `${!x}` stays as `${x}`."""
        return re.sub(
            r"\$\{(!?)([^}]+)\}",
            lambda found: f"${{{found[2]}}}" if found[1] else str(self.values[found[2]]),
            text,
        )

    def resolve_if(self, argument: list[Any]) -> Any:
        """Return the one of two values that the condition chooses."""
        condition, yes, no = argument
        return self.resolve(yes if self.holds(condition) else no)

    def resolve_equals(self, pair: list[Any]) -> bool:
        """Return whether both values are the same."""
        return bool(self.resolve(pair[0]) == self.resolve(pair[1]))

    def resolve_not(self, argument: list[Any]) -> bool:
        """Return the opposite."""
        return not self.resolve(argument[0])

    def resolve_join(self, argument: list[Any]) -> str:
        """Return the values in one string."""
        return str(argument[0]).join(self.resolve(argument[1]))
