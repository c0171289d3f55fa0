"""What can go wrong with one call on its way to AWS and back, and the dice that decide it, the same for each seed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from threading import Lock

from tests.aws_server import Answer, Call


@dataclass(frozen=True, slots=True)
class Served:
    """What AWS itself answers."""

    status: str
    headers: list[tuple[str, str]]
    content: bytes


@dataclass(frozen=True, slots=True)
class Instead:
    """AWS never sees the call: this answer stands in its place."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset: before AWS sees the call, or after it took effect."""

    after: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """AWS works, and only this share of its answer arrives; `is_noticed` where the length was told."""

    share: float
    is_noticed: bool


@dataclass(frozen=True, slots=True)
class Slow:
    """AWS works, and answers late; where the caller has given up by then, its answer is lost."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Spoiled:
    """AWS works, and this arrives in the place of its answer."""

    answer: Answer


Disturbance = Instead | Reset | Cut | Slow | Spoiled


class Dice:
    """Throws for each call by what the call is, never by when it comes: threads cannot change what is thrown."""

    _IDENTITY = ("RoleArn", "UserName", "PolicyArn", "GroupName", "NextToken", "Marker", "VersionId", "SecretId")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._seen: Counter[str] = Counter()
        self._lock = Lock()

    def throw(self, call: Call) -> Random:
        """Return the chance of this call; the same call again has another one."""
        names = "|".join(call.parameters.get(key, "") for key in self._IDENTITY)
        identity = f"{call.service}|{call.action}|{call.account_id}|{names}"
        with self._lock:
            self._seen[identity] += 1
            count = self._seen[identity]
        return Random(f"{self._seed}|{identity}|{count}")  # noqa: S311 - a die, no secret


Trouble = Callable[[Call, Random], Disturbance | None]
"""Returns what goes wrong with a call, if anything does."""
