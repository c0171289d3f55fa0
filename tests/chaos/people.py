"""The cast: kinds of users, what a run without faults makes of each, and what no run may ever do to them."""

from dataclasses import dataclass
from typing import Literal

Way = Literal["user", "group"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of user, as an account holds it before the first run.

    `wanted` is the way in which a run enforces MFA on the user, None where nobody may; `is_case` says that the user
    needs a hand, so that every run ends with exit code 1.
    """

    name: str
    wanted: Way | None = None
    is_case: bool = False
    password: bool = True
    device: Literal["virtual", "fido"] | None = None
    keys: int = 0
    key_used_days_ago: int | None = None
    policies: int = 0
    groups: int = 0
    created_days_ago: int = 400
    is_released: bool = False
    cannot_enrol: bool = False
    enforced: Way | None = None


PLAIN = Kind(name="plain", wanted="user")
OLD_KEY = Kind(name="old-key", wanted="user", keys=1, key_used_days_ago=300)
CROWDED = Kind(name="crowded", wanted="group", policies=10)

TARGETS = (PLAIN, PLAIN, PLAIN, OLD_KEY, CROWDED)
"""Whom a run enforces; plain users are the most."""

FIDO = Kind(name="fido", device="fido")
VIRTUAL = Kind(name="virtual", device="virtual")

OWN = Kind(name="caller")
"""The user whose credentials the program has; there is one of it, in the management account."""

LEFT_ALONE = (
    VIRTUAL,
    FIDO,
    Kind(name="robot", password=False, keys=1, key_used_days_ago=1),
    Kind(name="exempt"),
    Kind(name="protected"),
    Kind(name="fresh", created_days_ago=1),
    Kind(name="released", is_released=True),
    Kind(name="enforced", enforced="user"),
    Kind(name="joined", policies=10, enforced="group"),
)
"""Whom a run never writes to, and says nothing about."""

CASES = (
    Kind(name="full", is_case=True, policies=10, groups=10),
    Kind(name="busy-key", is_case=True, keys=1, key_used_days_ago=1),
    Kind(name="captive", is_case=True, cannot_enrol=True),
)
"""Whom a run never writes to, and has a person look at."""

EXEMPTION, PROTECTED = "exempt-*", "protected-*"
"""The globs of the configuration; users are called `<kind>-<number>`, but for the caller."""
