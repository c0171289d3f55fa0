"""The made-up organization that every tool works on: how many accounts, which users, who has MFA. Calls nothing.

Each account has the same users by name; three of ten have no MFA device, all have a console password. One account may
be large. Nothing is random, so what a run must end in is known beforehand.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

HUB_ACCOUNT_ID = "999999999999"
"""The account that the tools run in. It is not in the listing: botocove leaves the caller's own account out."""
ROLE_NAME = "orgmfa-member"
POLICY_NAME = "EnforceMFA"
PAGE_OF_ACCOUNTS = 20
"""ListAccounts gives at most 20 accounts a page (AWS Organizations API Reference)."""
_FIRST_ACCOUNT_ID = 100_000_000_001


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the endpoint serves: the organization, and how it behaves.

    `large_users` is the number of users of one account, 0: none is large. `throttled_share` is the share of calls
    answered with Throttling in every account, `throttled_account_share` the one in one account. `is_enforced`: all
    users without MFA have the policy from the start.
    """

    accounts: int
    users: int = 20
    large_users: int = 0
    latency_ms: float = 30.0
    throttled_share: float = 0.0
    throttled_account_share: float = 0.0
    is_enforced: bool = False
    seed: int = 1

    def to_json(self) -> str:
        """Return the scenario as the endpoint takes it on its command line."""
        return json.dumps(asdict(self))

    @property
    def special_account_id(self) -> str:
        """The account that is large, or throttled more than the others: one in the middle of the listing."""
        return account_id(self.accounts // 2)

    def account_ids(self) -> Iterator[str]:
        """Yield the accounts in the order of the listing."""
        return map(account_id, range(self.accounts))

    def count_users(self, account: str) -> int:
        """Return how many users an account has."""
        return self.large_users if self.large_users and account == self.special_account_id else self.users

    def users_without_mfa(self, account: str) -> list[str]:
        """Return the names of the users of an account who have no MFA device, sorted."""
        return [user_name(index) for index in range(self.count_users(account)) if not has_mfa(index)]

    def count_users_without_mfa(self) -> int:
        """Return how many users of the organization have no MFA device."""
        return sum(len(self.users_without_mfa(account)) for account in self.account_ids())


def account_id(index: int) -> str:
    """Return the ID of the account at this place of the listing."""
    return str(_FIRST_ACCOUNT_ID + index * 7)


def user_name(index: int) -> str:
    """Return the name of a user; it needs no escaping in a URL or in XML."""
    return f"user-{index:04d}"


def has_mfa(index: int) -> bool:
    """Return whether a user has an MFA device."""
    return index % 10 >= 3


def has_virtual_device(index: int) -> bool:
    """Return whether a user's device is a virtual one; the other devices are security keys."""
    return has_mfa(index) and index % 10 != 9


def policy_arn(account: str) -> str:
    """Return the ARN of EnforceMFA in an account."""
    return f"arn:aws:iam::{account}:policy/{POLICY_NAME}"
