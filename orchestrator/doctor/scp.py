"""Which calls of a run a service control policy (SCP) may deny, and whether it guards EnforceMFA. Pure.

Only denies without a condition count: the text of a condition does not tell whether it spares the roles. What a policy
does not allow is not judged either. So an SCP that is not reported can still deny a call.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from orchestrator.domain.policy_document import read_document

_REWRITES = ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicy")
"""Each is enough to have EnforceMFA grant anything to those who have it."""
_SPARES = frozenset({"ArnNotEquals", "ArnNotLike", "StringNotEquals", "StringNotLike"})


def is_guard(document: str, policy_arn: str) -> bool:
    """Return whether a policy denies rewriting EnforceMFA to all but principals that it names; which, is not judged.

    Raises ValueError as `list_denied` does.
    """
    denies = [one for one in _denies(read_document(document)) if _spares_principals_alone(one.get("Condition") or {})]
    return all(any(_covers(deny, action, [policy_arn]) for deny in denies) for action in _REWRITES)


def _spares_principals_alone(condition: Mapping[str, Mapping[str, object]]) -> bool:
    keys = {key.lower() for keys in condition.values() for key in keys}
    return _SPARES.issuperset(condition) and keys <= {"aws:principalarn"}


def list_denied(document: str, actions: Iterable[str], resources: Sequence[str]) -> tuple[str, ...]:
    """Return the actions that a policy may deny on any of the resources.

    Raises ValueError for what is not a policy document, or can be read in two ways.
    """
    denies = [one for one in _denies(read_document(document)) if not one.get("Condition")]
    return tuple(action for action in actions if any(_covers(deny, action, resources) for deny in denies))


def _denies(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    written = document.get("Statement", [])
    for statement in written if isinstance(written, list) else [written]:
        if statement.get("Effect") == "Deny":
            yield statement


def _covers(deny: Mapping[str, Any], action: str, resources: Sequence[str]) -> bool:
    name = action.lower()
    if "NotAction" in deny:
        names_it = not any(fnmatchcase(name, pattern.lower()) for pattern in _listed(deny["NotAction"]))
    else:
        names_it = any(fnmatchcase(name, pattern.lower()) for pattern in _listed(deny.get("Action")))
    if not names_it or "NotResource" in deny:
        return names_it
    patterns = [_in_any_account(pattern) for pattern in _listed(deny.get("Resource", "*"))]
    return any(fnmatchcase(resource, pattern) for resource in resources for pattern in patterns)


def _in_any_account(pattern: str) -> str:
    """Return an ARN pattern with any account in place of the one that it names."""
    fields = pattern.split(":", 5)
    return ":".join([*fields[:4], "*", fields[5]]) if len(fields) == 6 else pattern  # noqa: PLR2004 - the fields of an ARN


def _listed(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
