"""What earlier runs recorded of a user, and whose it is now. Pure.

Records go by user ID, which IAM gives to no second user (IAM User Guide, 'IAM identifiers', unique identifiers): a name
may be somebody else's tomorrow. Those of earlier versions go by name alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from orchestrator.domain.model import IamUser


class Record(Protocol):
    """Anything recorded of a user."""

    @property
    def since(self) -> datetime:
        """Since when it holds."""


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Release:
    """A release of a user: when `orgmfa release` noted it, when it ends, name and ID that the user had."""

    since: datetime
    until: datetime
    user_name: str = ""
    user_id: str | None = None


def record_key(user_id: str | None, name: str) -> str:
    """Return the key of a record: the user ID; without one the name after a colon, which is in no ID."""
    return user_id or f":{name}"


def find_record(find: Callable[[str], R | None], user: IamUser) -> R | None:
    """Return the record of a user, or None: one by name alone counts only for a user who is older than it."""
    if (by_id := find(user.id)) is not None:
        return by_id
    by_name = find(record_key(None, user.name))
    return by_name if by_name is not None and user.created_at <= by_name.since else None
