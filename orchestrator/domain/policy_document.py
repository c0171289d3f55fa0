"""Renders the EnforceMFA policy from `member_role/template.yaml`, its only copy, and compares policy documents.

Nothing here calls AWS. The document has no account ID, so its text is the same in all accounts of a partition.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

import yaml

from orchestrator.domain.bundled_files import read_shipped
from orchestrator.domain.errors import ConfigError

PARTITIONS = ("aws", "aws-us-gov", "aws-cn", "aws-eusc")
"""The partitions that orgmfa is made for; `aws.partitions` reads from botocore what is particular to each."""

# `${Name}` is replaced, `${!Name}` stays as `${Name}` (CloudFormation, Fn::Sub).
_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


def render_enforcement_policy(*, partition: str, access_keys: str) -> dict[str, Any]:
    """Return a new EnforceMFA document, as the StackSet creates it in this partition.

    `partition` is one of PARTITIONS; `access_keys` is deny or allow, as `policy.access_keys`. Raises
    ConfigError for any other value, StartError where the template is missing.
    """
    for name, value, known in (
        ("partition", partition, PARTITIONS),
        ("policy.access_keys", access_keys, ("deny", "allow")),
    ):
        if value not in known:
            raise ConfigError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    template = read_template()
    resolver = TemplateResolver(
        values={"AWS::Partition": partition, "AccessKeys": access_keys}, conditions=template["Conditions"]
    )
    document: dict[str, Any] = resolver.resolve(
        template["Resources"]["EnforcementPolicy"]["Properties"]["PolicyDocument"]
    )
    return document


def is_same_policy(a: Mapping[str, Any] | str, b: Mapping[str, Any] | str) -> bool:
    """Return whether two policy documents are equal once normalised.

    A document that cannot be read, or can be read in two ways, equals none, not even itself.
    """
    try:
        return normalised(a) == normalised(b)
    except ValueError:
        return False


def normalised(document: Mapping[str, Any] | str) -> str:
    """Return a policy document as canonical text: the same for documents that differ only in spelling.

    Takes a mapping, JSON, or the URL-encoded JSON that IAM returns (API reference, GetPolicyVersion). These make no
    difference: Id and Sid, the order of keys, statements, actions, resources and values, one string in place of a list
    of one, repetition, the case of action names and condition keys, and `false` in place of `"false"` (IAM user guide,
    JSON policy elements). Raises ValueError for what is not a policy document.
    """
    parsed = read_document(document)
    if "Statement" not in parsed:
        raise ValueError("a policy document has a Statement")
    written = parsed["Statement"]
    statements = [_statement(one) for one in (written if isinstance(written, list) else [written])]
    by_text = {_text(statement): statement for statement in statements}
    # Without a Version a document is of 2008-10-17, which knows no variables (IAM user guide, Version).
    canonical = {"Version": "2008-10-17", **parsed, "Statement": [by_text[text] for text in sorted(by_text)]}
    return _text({key: value for key, value in canonical.items() if key != "Id"})


def read_document(document: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """Return a policy document as a mapping, from a mapping, from JSON or from URL-encoded JSON.

    Raises ValueError for what is no JSON object, and for a text in which an object has a key twice: which of the two
    counts is for its reader to choose, and IAM may choose otherwise than Python.
    """
    if not isinstance(document, str):
        return document
    text = document if document.lstrip().startswith("{") else unquote(document)
    try:
        parsed = json.loads(text, object_pairs_hook=_without_repeated_keys)
    except RecursionError:
        raise ValueError("a policy document is nested too deeply to be read") from None
    if not isinstance(parsed, dict):
        raise ValueError("a policy document is a JSON object")  # noqa: TRY004, callers catch one error for all
    return parsed


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict. Raises ValueError where it has a key twice."""
    read = dict(pairs)
    if len(read) < len(pairs):
        raise ValueError("a policy document has a key twice in one object")
    return read


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader of libyaml where PyYAML has it: far faster, which shortens a cold start."""


class _TemplateLoader(_SafeLoader):  # type: ignore[misc]  # either is a SafeLoader
    """YAML loader for CloudFormation's short tags: `!Sub text` becomes `{"Fn::Sub": "text"}`."""


def _short_tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, object]:
    """Return the long form of a node with a short tag."""
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    return {name: node.value}


_TemplateLoader.add_multi_constructor("!", _short_tag)


def load_template(text: str | bytes) -> dict[str, Any]:
    """Return a CloudFormation template of ours, parsed; intrinsic functions have their long form."""
    template: dict[str, Any] = yaml.load(text, _TemplateLoader)  # noqa: S506 - a SafeLoader: it makes only plain values
    return template


@cache
def read_template() -> dict[str, Any]:
    """Return the parsed template of the member accounts, which callers must not change."""
    return load_template(read_shipped("member_role/template.yaml"))


@dataclass(frozen=True, slots=True)
class TemplateResolver:
    """Resolves the intrinsic functions that the template uses, with these values of Ref and Sub."""

    values: Mapping[str, str]
    conditions: Mapping[str, object]

    def resolve(self, node: object) -> Any:  # noqa: ANN401, a template's value can be anything
        """Return the node with every intrinsic function in it replaced by its value."""
        value: object = node
        match node:
            case {"Ref": str(name)}:
                value = self.values[name]
            case {"Fn::Sub": str(text)}:
                value = _VARIABLE.sub(lambda found: f"${{{found[2]}}}" if found[1] else self.values[found[2]], text)
            case {"Fn::Equals": [one, other]}:
                value = self.resolve(one) == self.resolve(other)
            case {"Fn::If": [str(condition), yes, no]}:
                value = self.resolve(yes if self.resolve(self.conditions[condition]) else no)
            case dict():
                value = {key: self.resolve(child) for key, child in node.items()}
            case list():
                value = [self.resolve(child) for child in node]
        return value


def _statement(statement: object) -> dict[str, object]:
    """Return a statement in canonical form."""
    if not isinstance(statement, Mapping):
        raise ValueError("a statement is a JSON object")  # noqa: TRY004, callers catch one error for all
    canonical: dict[str, object] = {}
    for element, value in statement.items():
        match element:
            case "Sid":
                continue
            case "Action" | "NotAction":
                canonical[element] = sorted({action.lower() for action in _strings(value)})
            case "Resource" | "NotResource":
                canonical[element] = sorted(set(_strings(value)))
            case "Condition":
                canonical[element] = _conditions(value)
            case _:
                canonical[element] = value
    return canonical


def _conditions(conditions: object) -> dict[str, object]:
    """Return the Condition element in canonical form.

    The keys of an operator become pairs in a list: two that differ only in case must not replace each other.
    """
    if not isinstance(conditions, Mapping) or not all(isinstance(keys, Mapping) for keys in conditions.values()):
        raise ValueError("a Condition maps operators to keys, and keys to values")
    return {
        operator: sorted([key.lower(), sorted(set(_strings(values)))] for key, values in keys.items())
        for operator, keys in conditions.items()
    }


def _strings(value: object) -> list[str]:
    """Return a value or list of values as a list of strings; `false` becomes `"false"`."""
    values = value if isinstance(value, list) else [value]
    return [one if isinstance(one, str) else json.dumps(one) for one in values]


def _text(canonical: object) -> str:
    """Return JSON that is the same for equal values."""
    return json.dumps(canonical, sort_keys=True, separators=(",", ":"))
