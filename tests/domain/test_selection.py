from typing import Any

import pytest

from orchestrator.domain.config import Config
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Account, AccountState
from orchestrator.domain.selection import is_in_ous, resolve_targets, skip_account
from tests.builders import ORGANIZATION, make_account

PROD, TEAM, SANDBOX = "ou-root-production", "ou-root-teampayments", "ou-root-sandboxes"


@pytest.mark.parametrize(
    ("account", "config", "code"),
    [
        (make_account(), {}, None),
        (make_account(state=AccountState.SUSPENDED), {}, "suspended"),
        (make_account(state=AccountState.PENDING_ACTIVATION), {}, "pending_activation"),
        (make_account(state=AccountState.PENDING_CLOSURE), {}, "pending_closure"),
        (make_account(state=AccountState.CLOSED), {}, "closed"),
        (make_account(), {"exclude_accounts": ["111122223333"]}, "excluded_account"),
        (make_account("999999999999"), {}, None),
        (make_account("999999999999"), {"include_management_account": False}, "excluded_management_account"),
        (make_account(), {"include_management_account": False}, None),
        (make_account(ou_ids=frozenset({PROD, TEAM})), {"include_ous": [PROD]}, None),
        (make_account(ou_ids=frozenset({SANDBOX})), {"include_ous": [PROD]}, "not_in_included_ou"),
        (make_account(ou_ids=frozenset({PROD, TEAM})), {"include_ous": [PROD], "exclude_ous": [TEAM]}, "excluded_ou"),
        (make_account(ou_ids=frozenset()), {"exclude_ous": [TEAM]}, None),
        (make_account(state=AccountState.SUSPENDED), {"exclude_accounts": ["111122223333"]}, "suspended"),
        (make_account(state=None), {}, "unknown_state"),
        (make_account(state=None), {"exclude_accounts": ["111122223333"]}, "excluded_account"),
    ],
)
def test_account_is_skipped_for_its_state_or_by_configuration(
    account: Account, config: dict[str, Any], code: str | None
) -> None:
    problem = skip_account(account, ORGANIZATION, Config.model_validate({"organization": config}))

    assert (problem and problem.code) == code


def test_naming_no_ou_means_every_account() -> None:
    assert is_in_ous(make_account(ou_ids=None), [])
    assert not is_in_ous(make_account(ou_ids=None), [PROD])
    assert is_in_ous(make_account(ou_ids=frozenset({TEAM, PROD})), [PROD])


ACCOUNTS = [
    make_account("111111111111", name="payments"),
    make_account("222222222222", name="Payments"),
    make_account("333333333333", name="search"),
    make_account("444444444444", name="search"),
    make_account("555555555555", name="acme-billing"),
]
ALIASES = {"333333333333": "acme-search", "111111111111": "acme-billing", "444444444444": "acme-orders"}


@pytest.mark.parametrize(
    ("target", "account_id"),
    [
        ("111111111111", "111111111111"),
        ("payments", "111111111111"),
        ("Payments", "222222222222"),
        ("acme-search", "333333333333"),
        ("acme-orders", "444444444444"),
    ],
)
def test_target_is_matched_exactly_by_id_name_or_alias(target: str, account_id: str) -> None:
    assert resolve_targets([target], ACCOUNTS, ALIASES) == {account_id}


@pytest.mark.parametrize(
    ("target", "near"),
    [
        ("paymets", "'Payments', 'payments'"),
        ("PAYMENTS", "'Payments', 'payments'"),
        ("acme-serach", "'acme-search'"),
        ("acme_orders", "'acme-orders'"),
    ],
)
def test_mistyped_target_gets_the_nearest_names_and_aliases(target: str, near: str) -> None:
    with pytest.raises(ConfigError, match="matches no account; near it: ") as caught:
        resolve_targets([target], ACCOUNTS, ALIASES)

    assert str(caught.value).partition("near it: ")[2].startswith(near)


@pytest.mark.parametrize("target", ["", "x", "something else", "999999999999"])
def test_target_that_is_near_no_account_gets_no_names(target: str) -> None:
    with pytest.raises(ConfigError, match="matches no account: give"):
        resolve_targets([target], ACCOUNTS, ALIASES)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("PAYMENTS", "matches no account"),
        ("pay", "matches no account"),
        ("999999999999", "matches no account"),
        ("search", "matches 2 accounts (333333333333, 444444444444)"),
        ("acme-billing", "matches 2 accounts (111111111111, 555555555555)"),
    ],
)
def test_target_that_matches_none_or_two_is_refused(target: str, words: str) -> None:
    with pytest.raises(ConfigError, match="--account") as caught:
        resolve_targets(["payments", target], ACCOUNTS, ALIASES)

    assert words in str(caught.value)
