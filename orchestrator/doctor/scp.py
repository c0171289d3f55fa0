"""Which calls a service control policy (SCP) may deny, and whether it guards EnforceMFA. Pure.

Of the calls of a run only denies without a condition count: the text of a condition does not tell whether it spares the
roles. Of the calls that IAM events take, those count too whose condition is on the Region. What a policy does not allow
is not judged either. So an SCP that is not reported can still deny a call.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from orchestrator.domain.policy_document import read_statements

_REWRITES = ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicy")
"""Each is enough to have EnforceMFA grant anything to those who have it."""
_REGION, _PRINCIPAL = "aws:requestedregion", "aws:principalarn"


@dataclass(frozen=True, slots=True)
class RegionalCall:
    """A call that a role makes in a Region, on a resource."""

    action: str
    region: str
    principal_arn: str
    resource: str


_SPARES = frozenset({"ArnNotEquals", "ArnNotLike", "StringNotEquals", "StringNotLike"})


def is_guard(document: str, policy_arn: str) -> bool:
    """Return whether a policy keeps all but named principals from rewriting EnforceMFA anywhere. Raises ValueError."""
    everywhere = _in_any_account(policy_arn)
    anybody = everywhere.rpartition(":")[0] + ":role/anybody"
    denies = [
        one
        for one in _denies(document)
        if "NotResource" not in one and _matches(everywhere, one.get("Resource")) and _spares_few(one, anybody)
    ]
    return all(any(_names(deny, action) for deny in denies) for action in _REWRITES)


def _spares_few(deny: Mapping[str, Any], anybody: str) -> bool:
    """Return whether a deny holds but for principals that it names, and for any role that it does not."""
    condition = deny.get("Condition") or {}
    spared = [(key.lower(), value) for keys in condition.values() for key, value in keys.items()]
    return _SPARES.issuperset(condition) and not any(
        key != _PRINCIPAL or _matches(anybody, value) for key, value in spared
    )


def list_denied(document: str, actions: Iterable[str], resources: Sequence[str]) -> tuple[str, ...]:
    """Return the actions that a policy may deny on any of the resources. Raises ValueError for what is no policy."""
    denies = [one for one in _denies(document) if not one.get("Condition")]
    return tuple(action for action in actions if any(_covers(deny, action, resources) for deny in denies))


def list_denied_calls(document: str, calls: Iterable[RegionalCall]) -> tuple[str, ...]:
    """Return the calls that a policy may deny, such as `events:PutRule in us-east-1`. Raises ValueError."""
    denies = list(_denies(document))
    return tuple(
        f"{call.action} in {call.region}"
        for call in calls
        if any(_covers(deny, call.action, [call.resource]) and _may_hold(deny, call) for deny in denies)
    )


def _may_hold(deny: Mapping[str, Any], call: RegionalCall) -> bool:
    """Return whether a condition may be true of a call: of other keys than Region and caller, each is taken to be."""
    told = {_REGION: call.region, _PRINCIPAL: call.principal_arn}
    tests = [
        (name, key.lower(), value)
        for name, keys in (deny.get("Condition") or {}).items()
        for key, value in keys.items()
    ]
    if not any(key == _REGION for _, key, _ in tests) and any(key not in told for _, key, _ in tests):
        return False
    return all(
        any(fnmatchcase(told[key], _in_any_account(one)) for one in _listed(value)) is not ("Not" in name)
        for name, key, value in tests
        if key in told and name != "Null"
    )


def _denies(document: str) -> Iterator[Mapping[str, Any]]:
    return (statement for statement in read_statements(document) if statement.get("Effect") == "Deny")


def _names(deny: Mapping[str, Any], action: str) -> bool:
    key = "NotAction" if "NotAction" in deny else "Action"
    is_listed = _matches(action.lower(), [pattern.lower() for pattern in _listed(deny.get(key))])
    return is_listed is (key == "Action")


def _covers(deny: Mapping[str, Any], action: str, resources: Iterable[str]) -> bool:
    """Return whether a deny may be about an action on any of the resources, in one account or another."""
    named = ["*"] if "NotResource" in deny else _listed(deny.get("Resource", "*"))
    patterns = [_in_any_account(pattern) for pattern in named]
    return _names(deny, action) and any(_matches(resource, patterns) for resource in resources)


def _matches(text: str, patterns: object) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in _listed(patterns))


def _in_any_account(pattern: str) -> str:
    """Return an ARN pattern with any account in place of the one that it names."""
    fields = pattern.split(":", 5)
    return ":".join([*fields[:4], "*", fields[5]]) if len(fields) == 6 else pattern  # noqa: PLR2004 - the fields of an ARN


def _listed(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
