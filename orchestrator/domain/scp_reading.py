"""Reads an SCP that `domain.scp` rendered, as it is attached: whom it spares, and how it differs from a new one. Pure.

One that was changed by hand so that it cannot be understood is a ValueError, and never taken for an exemption.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from orchestrator.domain.policy_document import normalised, read_document
from orchestrator.domain.scp import SID

_NAME, _ARN = ("StringNotLike", "aws:username"), ("ArnNotLike", "aws:principalarn")
_HERE, _ELSEWHERE = ("StringEquals", "aws:principalaccount"), ("StringNotEquals", "aws:principalaccount")
_BEGIN = ("DateGreaterThanEquals", "aws:currenttime")
_OF_USERS = {_NAME, _ARN, _HERE, _ELSEWHERE, _BEGIN}
"""Conditions that say whom a statement denies; the others are those of EnforceMFA, and that it is about users."""
_OTHERS = {
    ("BoolIfExists", "aws:multifactorauthpresent"),
    ("Bool", "aws:multifactorauthpresent"),
    ("BoolIfExists", "aws:viaawsservice"),
    ("ArnLike", "aws:principalarn"),
}
_OTHER_ACCOUNTS = "all other accounts"


@dataclass(frozen=True, slots=True)
class _Copy:
    """A deny of everything but enrolling: the values of its conditions by operator and key."""

    values: Mapping[tuple[str, str], list[str]]

    def denies(self, name: str, account_id: str, at: datetime) -> bool:
        """Return whether it denies a user without MFA at a moment."""
        arns = (f":{account_id}:user/{name}", f":{account_id}:user/*/{name}")
        is_spared = any(fnmatchcase(name, glob) for glob in self.get(_NAME)) or any(
            arn.endswith(arns) for arn in self.get(_ARN)
        )
        is_here = account_id in self.values.get(_HERE, [account_id]) and account_id not in self.get(_ELSEWHERE)
        return is_here and not is_spared and all(at >= begin for begin in self.begins)

    def get(self, condition: tuple[str, str]) -> list[str]:
        """Return the values of a condition; none where it has none."""
        return self.values.get(condition, [])

    @property
    def begins(self) -> list[datetime]:
        """From when on it denies; empty: from the beginning."""
        moments = map(datetime.fromisoformat, self.get(_BEGIN))
        return [moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments]


@dataclass(frozen=True, slots=True)
class ReadScp:
    """An SCP of ours as it was read; `plain` are its statements without the conditions that say whom they deny."""

    copies: tuple[_Copy, ...]
    plain: frozenset[str]

    def spares(self, name: str, account_id: str, at: datetime) -> bool:
        """Return whether it lets a user without MFA pass at a moment."""
        return not any(copy.denies(name, account_id, at) for copy in self.copies)


def is_ours(document: str) -> bool:
    """Return whether a policy is one that `orgmfa policy --scp` printed. Raises ValueError where it cannot be read."""
    written = read_document(document).get("Statement", [])
    statements = written if isinstance(written, list) else [written]
    return any(isinstance(one, dict) and one.get("Sid") == SID for one in statements)


def read_scp(document: str) -> ReadScp:
    """Return an SCP of ours as it was read. Raises ValueError for one that cannot be understood."""
    statements = json.loads(normalised(document))["Statement"]
    copies = tuple(_Copy(_read_conditions(one)) for one in statements if "notaction" in map(str.lower, one))
    for copy in copies:
        if unknown := sorted(copy.values.keys() - _OF_USERS - _OTHERS):
            raise ValueError(f"it has a condition that orgmfa does not write: {unknown[0][0]} of {unknown[0][1]}")
        _ = copy.begins
    if not copies:
        raise ValueError("it has no statement that denies everything but enrolling")
    return ReadScp(copies, frozenset(map(_without_users, statements)))


def list_differences(there: ReadScp, wanted: ReadScp, now: datetime) -> list[str]:
    """Return what an SCP says otherwise than the one that the configuration would print now, a sentence each.

    A glob is tried as if it were a name: whoever spares the glob itself spares whom it matches.
    """
    copies = (*there.copies, *wanted.copies)
    moments = sorted({now, *(begin for copy in copies for begin in copy.begins if begin > now)})
    accounts = [*sorted({account_id for copy in copies for account_id in _accounts(copy)}), _OTHER_ACCOUNTS]
    differing: dict[tuple[str, bool], list[tuple[datetime, str]]] = {}
    for name in sorted({name for copy in copies for name in _names(copy)}):
        for moment in moments:
            for account_id in accounts:
                is_exempt = wanted.spares(name, account_id, moment)
                if there.spares(name, account_id, moment) is not is_exempt:
                    differing.setdefault((name, is_exempt), []).append((moment, account_id))
    found = [_tell(*case, places, everywhere=len(accounts), now=now) for case, places in differing.items()]
    return found if there.plain == wanted.plain else [*found, "its denies are not those that this version prints"]


def _tell(name: str, is_exempt: bool, places: list[tuple[datetime, str]], *, everywhere: int, now: datetime) -> str:  # noqa: FBT001 - part of a key
    first = places[0][0]
    where = [account_id for moment, account_id in places if moment == first]
    told = "" if len(where) == everywhere else f" in {', '.join(where)}"
    begins = "" if first == now else f" from {first:%Y-%m-%d} on"
    ends = "whom the configuration exempts" if is_exempt else "whom the configuration does not exempt"
    return f"it {'blocks' if is_exempt else 'spares'} {name}{told}{begins}, {ends}"


def _read_conditions(statement: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    conditions = statement.get("Condition", {})
    return {(operator, key): values for operator, keys in conditions.items() for key, values in keys}


def _without_users(statement: Mapping[str, Any]) -> str:
    kept = {case: values for case, values in _read_conditions(statement).items() if case not in _OF_USERS}
    return json.dumps({**statement, "Condition": sorted(map(list, kept.items()))}, sort_keys=True)


def _accounts(copy: _Copy) -> Iterator[str]:
    yield from (*copy.get(_HERE), *copy.get(_ELSEWHERE), *(arn.split(":")[4] for arn in copy.get(_ARN)))


def _names(copy: _Copy) -> Iterator[str]:
    yield from (*copy.get(_NAME), *(arn.rpartition("/")[2] for arn in copy.get(_ARN)))
