"""Decides what IAM would decide about one request, for the kinds of policy that this repository holds.

Follows the IAM user guide: Policy evaluation logic, and the JSON policy elements. What it does not know (an
element, an operator, a default for a variable) is an error, never a guess.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Document = Mapping[str, Any]

_ELEMENTS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


class Decision(StrEnum):
    """What becomes of a request."""

    ALLOW = "allow"
    IMPLICIT_DENY = "implicit deny"
    EXPLICIT_DENY = "explicit deny"


@dataclass(frozen=True, slots=True)
class Request:
    """One call: its action, the ARN it is about (`*` where the action knows no resources), its keys.

    A condition key that is not in `context` is absent, which is not the same as false. One that is a tuple has several
    values, which only an operator for sets of values can judge.
    """

    action: str
    resource: str
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)

    def value_of(self, key: str) -> str | None:
        """Return the value of a condition key or None where it is absent; its name has no case."""
        found = self.values_of(key)
        if len(found) > 1:
            raise ValueError(f"{key} has several values: only ForAllValues is read for it")
        return found[0] if found else None

    def values_of(self, key: str) -> tuple[str, ...]:
        """Return the values of a condition key, none where it is absent."""
        found = {name.lower(): value for name, value in self.context.items()}.get(key.lower(), ())
        return (found,) if isinstance(found, str) else found


def decide(request: Request, policies: Sequence[Document], *, limits: Sequence[Sequence[Document]] = ()) -> Decision:
    """Return what IAM decides: a deny anywhere wins, then every level must allow, else it is denied.

    `policies` are those of the principal, or the trust policy of the role to be assumed. Each of `limits` is
    a level that grants nothing but must allow: the service control policies of one level, a session policy.
    """
    levels = (policies, *limits)
    if any(_says("Deny", document, request) for level in levels for document in level):
        return Decision.EXPLICIT_DENY
    if all(any(_says("Allow", document, request) for document in level) for level in levels):
        return Decision.ALLOW
    return Decision.IMPLICIT_DENY


def _says(effect: str, document: Document, request: Request) -> bool:
    """Return whether a statement with this effect applies to the request."""
    if document.get("Version") != "2012-10-17":
        raise ValueError("documents of 2008-10-17 know no variables, and are not read here")
    return any(
        statement["Effect"] == effect and _applies(statement, request) for statement in _listed(document["Statement"])
    )


def _applies(statement: Document, request: Request) -> bool:
    """Return whether a statement applies: every element of it must match."""
    if unknown := statement.keys() - _ELEMENTS:
        raise ValueError(f"unknown elements: {', '.join(sorted(unknown))}")
    if not statement.keys() & {"Resource", "NotResource", "Principal"}:
        raise ValueError("a statement has a Resource, or, in a trust policy, a Principal")
    return (
        _principal_matches(statement, request)
        and _element_matches(
            statement, "Action", lambda pattern: _like(pattern.lower(), request.action.lower(), request)
        )
        and _element_matches(statement, "Resource", lambda pattern: _arn_like(pattern, request.resource, request))
        and all(
            _condition_holds(operator, key, _listed(expected), request=request)
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def _principal_matches(statement: Document, request: Request) -> bool:
    """Return whether the caller is of the account that the Principal names by its root, or anybody is let in."""
    if statement.get("Principal", "*") == "*":
        return True
    if statement["Principal"].keys() != {"AWS"}:
        raise ValueError("only an account is read here as Principal")
    caller = (request.value_of("aws:PrincipalArn") or "").split(":")
    trusted = [str(arn).split(":") for arn in _listed(statement["Principal"]["AWS"])]
    if any(arn[5:] != ["root"] for arn in trusted):
        raise ValueError("only an account is read here as Principal")
    return any(arn[1:5] == caller[1:5] for arn in trusted)


def _element_matches(statement: Document, element: str, matches: Callable[[str], bool]) -> bool:
    """Return whether an element, or its Not form, covers the request; a statement may have neither."""
    if f"Not{element}" in statement:
        return not any(matches(pattern) for pattern in _listed(statement[f"Not{element}"]))
    return element not in statement or any(matches(pattern) for pattern in _listed(statement[element]))


def _condition_holds(operator: str, key: str, expected: Iterable[object], *, request: Request) -> bool:
    """Return whether one key fulfils one operator with any of the values expected.

    Absent keys (IAM user guide, Condition operators): an operator that says Not holds, so does one with
    IfExists, any other does not. ForAllValues holds where every value does, so where there is none.
    """
    values = [str(one).lower() if isinstance(one, bool) else str(one) for one in expected]
    if operator == "Null":
        return (not request.values_of(key)) is (values == ["true"])
    if operator == "ForAllValues:StringEquals":
        return all(any(_equal(value, one, request) for value in values) for one in request.values_of(key))
    actual = request.value_of(key)
    name = operator.removesuffix("IfExists")
    negated = "Not" in name
    test = _TESTS.get(name.replace("Not", ""))
    if test is None:
        raise ValueError(f"unknown operator: {operator}")
    if actual is None:
        return negated or operator.endswith("IfExists")
    return negated is not any(test(value, actual, request) for value in values)


def _equal(expected: str, actual: str, request: Request) -> bool:
    """Return whether two strings are equal, variables replaced; wildcards are plain characters."""
    return _matches(expected, actual, request=request, wild=False)


def _like(pattern: str, actual: str, request: Request) -> bool:
    """Return whether a string matches a pattern of `*` and `?`, variables replaced."""
    return _matches(pattern, actual, request=request, wild=True)


def _matches(pattern: str, actual: str, *, request: Request, wild: bool) -> bool:
    """Return whether a string matches a pattern.

    The value of a variable is plain text, its wildcards included; a pattern with an absent variable matches
    nothing (IAM user guide, Variables and tags).
    """
    expression = ""
    # Every second part is the name of a variable.
    for index, part in enumerate(_VARIABLE.split(pattern)):
        value = _variable(part, request) if index % 2 else part
        if value is None:
            return False
        escaped = re.escape(value)
        if wild and not index % 2:
            escaped = escaped.replace(r"\*", ".*").replace(r"\?", ".")
        expression += escaped
    return re.fullmatch(expression, actual, re.DOTALL) is not None


def _arn_like(pattern: str, actual: str, request: Request) -> bool:
    """Return whether an ARN matches a pattern, each of the six parts by itself; ArnEquals does as ArnLike."""
    if "*" in (pattern, actual):
        return pattern == "*"
    wanted, given = pattern.split(":", 5), actual.split(":", 5)
    if len(wanted) != len(given):
        raise ValueError(f"not an ARN of six parts: {pattern} or {actual}")
    return all(_like(want, have, request) for want, have in zip(wanted, given, strict=True))


def _variable(name: str, request: Request) -> str | None:
    """Return what a variable stands for; None where its key is absent."""
    if re.fullmatch(r"[\w:/-]+", name) is None:
        raise ValueError(f"a variable with a default, or an escape, is not read here: {name}")
    return request.value_of(name)


def _listed(value: object) -> list[Any]:
    """Return one value, or a list of values, as a list."""
    return value if isinstance(value, list) else [value]


_TESTS: Mapping[str, Callable[[str, str, Request], bool]] = {
    "StringEquals": _equal,
    "StringLike": _like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda expected, actual, _: expected.lower() == actual.lower(),
    "DateGreaterThanEquals": lambda expected, actual, _: (
        datetime.fromisoformat(actual) >= datetime.fromisoformat(expected)
    ),
}
