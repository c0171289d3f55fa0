"""The sample organization that `larkspur.yaml` holds, its times as ages. Values only; defaults are the usual case."""

from collections.abc import Iterator
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

from orchestrator.domain.config import AccountId, Duration, parse_duration
from orchestrator.domain.config_file import load_yaml
from orchestrator.domain.model import Via


class _Sample(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SampleUser(_Sample):
    """An IAM user. `policies` and `groups` leave out EnforceMFA; `enforced` is how an earlier run enforced it.

    `keys_used_ago` has an entry for each active access key, None where it was never used. `is_bound`: a permissions
    boundary leaves out what enrolling needs. `is_guarded`: a policy of the user's own denies all else without MFA.
    `signed_in_ago` is None for who never signed in. IAM lists FIDO devices user by user, virtual ones for the account.
    """

    name: str
    mfa: Literal["virtual", "fido"] | None = None
    enrolled_ago: Duration = parse_duration("200d")
    created_ago: Duration = parse_duration("400d")
    path: str = "/"
    has_console_password: bool = True
    keys_used_ago: tuple[Duration | None, ...] = ()
    policies: int = 1
    groups: int = 1
    enforced: Via | None = None
    is_bound: bool = False
    is_guarded: bool = False
    signed_in_ago: Duration | None = parse_duration("1d")


class SampleAccount(_Sample):
    """An account. `root` is how its root user can sign in; the flags say what is wrong with it."""

    id: AccountId
    name: str
    alias: str | None = None
    root: Literal["with_mfa", "without_mfa", "impossible"] = "with_mfa"
    users: tuple[SampleUser, ...] = ()
    policies_per_user: int = 10
    groups_per_user: int = 10
    is_suspended: bool = False
    has_member_roles: bool = True
    has_drifted_policy: bool = False
    is_denied_by_scp: bool = False


class SampleUnit(_Sample):
    """An organizational unit, with the accounts and the units directly under it."""

    name: str
    accounts: tuple[SampleAccount, ...] = ()
    units: "tuple[SampleUnit, ...]" = ()

    def all_accounts(self) -> Iterator[SampleAccount]:
        """Yield the accounts under the unit, at any depth."""
        yield from self.accounts
        for unit in self.units:
            yield from unit.all_accounts()


class SampleOrganization(_Sample):
    """An organization: the management account, which is directly under the root, and the units."""

    management_account: SampleAccount
    units: tuple[SampleUnit, ...]

    def all_accounts(self) -> Iterator[SampleAccount]:
        """Yield every account of the organization, the management account first."""
        yield from SampleUnit(name="Root", accounts=(self.management_account,), units=self.units).all_accounts()

    def account_id(self, name: str) -> str:
        """Return the ID of the account of this name."""
        return next(account.id for account in self.all_accounts() if account.name == name)


LARKSPUR = SampleOrganization.model_validate(
    load_yaml(resources.files(__package__).joinpath("larkspur.yaml").read_text(encoding="utf-8"))
)
