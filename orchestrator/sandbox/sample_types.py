"""The classes of a sample organization: accounts, units, users, keys. Values only, no calls.

Times are given as ages, so that a sample is the same on every day. Defaults are the ordinary case.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from orchestrator.domain.model import Via


class Mfa(StrEnum):
    """The MFA device of a user. IAM lists FIDO devices user by user only, virtual ones for the whole account."""

    MISSING = "missing"
    VIRTUAL = "virtual"
    FIDO = "fido"


class RootSignIn(StrEnum):
    """How the root user of an account can sign in."""

    WITH_MFA = "with_mfa"
    WITHOUT_MFA = "without_mfa"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class SampleKey:
    """An active access key; `used_ago` is None for one that was never used."""

    used_ago: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleUser:
    """An IAM user. `policies` and `groups` leave out EnforceMFA; `enforced` is how an earlier run enforced it."""

    name: str
    mfa: Mfa = Mfa.MISSING
    enrolled_ago: timedelta = timedelta(days=200)
    created_ago: timedelta = timedelta(days=400)
    path: str = "/"
    has_console_password: bool = True
    keys: tuple[SampleKey, ...] = ()
    policies: int = 1
    groups: int = 1
    enforced: Via | None = None
    is_bound: bool = False
    """Whether a permissions boundary leaves out what enrolling needs."""
    is_guarded: bool = False
    """Whether a policy of the user's own denies everything but enrolling without MFA."""
    signed_in_ago: timedelta | None = timedelta(days=1)
    """When the user last signed in; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleAccount:
    """An account. The flags say what is wrong with it."""

    id: str
    name: str
    alias: str | None = None
    root: RootSignIn = RootSignIn.WITH_MFA
    users: tuple[SampleUser, ...] = ()
    policies_per_user: int = 10
    groups_per_user: int = 10
    is_suspended: bool = False
    has_member_roles: bool = True
    has_drifted_policy: bool = False
    is_denied_by_scp: bool = False


@dataclass(frozen=True, slots=True)
class SampleUnit:
    """An organizational unit, with the accounts and the units directly under it."""

    name: str
    accounts: tuple[SampleAccount, ...] = ()
    units: "tuple[SampleUnit, ...]" = ()

    def all_accounts(self) -> Iterator[SampleAccount]:
        """Yield the accounts under the unit, at any depth."""
        yield from self.accounts
        for unit in self.units:
            yield from unit.all_accounts()


@dataclass(frozen=True, slots=True)
class SampleOrganization:
    """An organization: the management account, which is directly under the root, and the units."""

    management_account: SampleAccount
    units: tuple[SampleUnit, ...]

    def all_accounts(self) -> Iterator[SampleAccount]:
        """Yield every account of the organization, the management account first."""
        yield self.management_account
        for unit in self.units:
            yield from unit.all_accounts()
