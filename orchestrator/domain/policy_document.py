"""Renders the EnforceMFA policy from `member_role/template.yaml`, its only copy, and compares policy documents.

Nothing here calls AWS. The document has no account ID, so its text is the same in all accounts of a partition. Every
text that it has had is known by the SHA-256 of its normalised form, and stays listed for good: an account may have it
still. Who changes the text adds its digests to KNOWN_TEXTS, which a test asks for, and says of the text that was
current whether it can lock out.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import yaml

from orchestrator.domain.bundled_files import read_shipped
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import PolicyState

PARTITIONS = ("aws", "aws-us-gov", "aws-cn", "aws-eusc")
"""The partitions that orgmfa is made for; `aws.partitions` reads from botocore what is particular to each."""

# `${Name}` is replaced, `${!Name}` stays as `${Name}` (CloudFormation, Fn::Sub).
_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


@dataclass(frozen=True, slots=True)
class KnownText:
    """A text: the partition it is for, and whether a user under it may be unable to sign in, so to enrol."""

    partition: str
    can_lock_out: bool = False


# By text, the newest last: for `access_keys` deny and allow in each partition.
KNOWN_TEXTS = {
    # Spares no action of the sign-in service. Where console authorization is on, `deny` denies sign-in itself. `allow`
    # does so where AWS says that MFA is false, and whether it says so is not documented.
    "8c66933507632137abea66fcfa89f797874c89f3e1205fd5776f7222a3f60207": KnownText("aws", can_lock_out=True),
    "b5c7ca6116dc02a6c37dbc7ed8ad4c11472ae98f9002c0f4d97a29595b028e41": KnownText("aws", can_lock_out=True),
    "6e9ba5bd26be2b8049d5f569875e9028ec10746fa68568f5d622a43d97b70136": KnownText("aws-us-gov", can_lock_out=True),
    "551c212281d3f911b9ebee2afcc33bd9bd64175310b34e65633d5d747e9842ab": KnownText("aws-us-gov", can_lock_out=True),
    "cc2195dade6cf1e8f6858d3214b41204116856d44cbd4fb2e13ae586df0bab7c": KnownText("aws-cn", can_lock_out=True),
    "082e12bf879e4575b0f3af06b4d02abcf6a0f9a6661336e2e9ed1b13f33ff675": KnownText("aws-cn", can_lock_out=True),
    # Current.
    "1ca86d434f5655206df04803c71d48bd11bd535e5fcdec6bedad8d5e30fbcb77": KnownText("aws"),
    "f4e7593fd8bdeebc8e0c49a94b197b7f8f7e98a90d26132a3e765981698b7a68": KnownText("aws"),
    "0afa702d23889c553fc622ccb4df034386ef5fb3a5939bf4746abfbc26898e4d": KnownText("aws-us-gov"),
    "17732e880a290ec3946eef2176e32fdd8dfb36bc32a0528542394da11310d34e": KnownText("aws-us-gov"),
    "0fd01f94ae17b242903d21f5c2a436ad0905427f46f4b473b9f52309b6e45a2f": KnownText("aws-cn"),
    "f88c3e5e6a52a84e018e8b5be9e10b53b82e467399015f0580729d45a51df442": KnownText("aws-cn"),
    "87ecafdec72acdeb3e998f05d1a200bef1d6c65e9b51b23b4ca63f811658c9e9": KnownText("aws-eusc"),
    "70f740c951b92efd25705235d78436a431313c948a74bc9ca98971f2683cae49": KnownText("aws-eusc"),
}


def render_enforcement_policy(*, partition: str, access_keys: str) -> dict[str, Any]:
    """Return a new EnforceMFA document for one of PARTITIONS, keys deny or allow; ConfigError for others."""
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
    """Return whether two policy documents are equal once normalised; what cannot be read, or in two ways, is not."""
    try:
        return normalised(a) == normalised(b)
    except ValueError:
        return False


def digest_of(document: object) -> str:
    """Return the digest of a policy as IAM returns it; empty for what cannot be read, or has a key twice."""
    try:
        return sha256(normalised(document).encode()).hexdigest() if isinstance(document, str) else ""
    except ValueError:
        return ""


def judge_text(document: object, *, partition: str, ours: str) -> tuple[PolicyState, bool]:
    """Return the state of a policy by its text (its tag says nothing), and whether it can lock out."""
    digest = digest_of(document)
    if digest == ours:
        return PolicyState.OURS, False
    known = KNOWN_TEXTS.get(digest)
    if known is None or known.partition != partition:
        return PolicyState.DRIFTED, False
    return PolicyState.OUTDATED, known.can_lock_out


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
    by_text = {_text(statement): statement for statement in map(_statement, read_statements(parsed))}
    # Without a Version a document is of 2008-10-17, which knows no variables (IAM user guide, Version).
    canonical = {"Version": "2008-10-17", **parsed, "Statement": [by_text[text] for text in sorted(by_text)]}
    return _text({key: value for key, value in canonical.items() if key != "Id"})


def read_document(document: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """Return a policy document as a mapping, from a mapping, from JSON or from URL-encoded JSON.

    Raises ValueError for what is no JSON object, or has a key twice: IAM may choose otherwise than Python which counts.
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


def read_statements(document: Mapping[str, Any] | str) -> list[Any]:
    """Return the statements of a policy document. Raises ValueError as `read_document` does."""
    written = read_document(document).get("Statement", [])
    return written if isinstance(written, list) else [written]


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        raise ValueError("a policy document has a key twice in one object")
    return read


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader of libyaml where PyYAML has it: far faster, which shortens a cold start."""


class _TemplateLoader(_SafeLoader):  # type: ignore[misc]  # either is a SafeLoader
    """YAML loader for CloudFormation's short tags: `!Sub text` becomes `{"Fn::Sub": "text"}`."""


def _short_tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, object]:
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
    """Return the parsed template of the member accounts, which callers must not change. Raises StartError."""
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
    if not isinstance(statement, Mapping):
        raise ValueError("a statement is a JSON object")  # noqa: TRY004, callers catch one error for all
    canonical: dict[str, object] = {}
    for element, value in statement.items():
        match element:
            case "Sid":
                continue
            case "Action" | "NotAction":
                canonical[element] = sorted({_lowered(action) for action in _strings(value)})
            case "Resource" | "NotResource":
                canonical[element] = sorted(set(_strings(value)))
            case "Condition":
                canonical[element] = _conditions(value)
            case _:
                canonical[element] = value
    return canonical


def _conditions(conditions: object) -> dict[str, object]:
    """Return the Condition as lists of pairs: keys that differ only in case must not replace each other."""
    if not isinstance(conditions, Mapping) or not all(isinstance(keys, Mapping) for keys in conditions.values()):
        raise ValueError("a Condition maps operators to keys, and keys to values")
    return {
        operator: sorted([_lowered(key), sorted(set(_strings(values)))] for key, values in keys.items())
        for operator, keys in conditions.items()
    }


def _lowered(text: str) -> str:
    """Return a text in lower case, unless it is not ASCII: a Kelvin sign would become a k."""
    return text.lower() if text.isascii() else text


def _strings(value: object) -> list[str]:
    """Return a value or list of values as a list of strings; `false` becomes `"false"`."""
    values = value if isinstance(value, list) else [value]
    return [one if isinstance(one, str) else json.dumps(one) for one in values]


def _text(canonical: object) -> str:
    return json.dumps(canonical, sort_keys=True, separators=(",", ":"))
