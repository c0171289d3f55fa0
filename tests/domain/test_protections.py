from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.config import Config, matches
from orchestrator.domain.protections import check_protections
from tests.builders import NOW, make_config

PAYMENTS, SEARCH, GONE = "111122223333", "444455556666", "777788889999"
FOUND = {PAYMENTS: ["alice", "break-glass"], SEARCH: ["alice", "bob"]}


def remarks(config: Config, found: Mapping[str, Sequence[str] | None] = FOUND, *, names: bool = True) -> list[str]:
    return [remark.text for remark in check_protections(config, found.items(), NOW, names=names)]


def exempt(user: str, *accounts: str, days: int = 1) -> dict[str, Any]:
    return {
        "user": user,
        "accounts": accounts or ("*",),
        "reason": "r",
        "until": NOW.date() + timedelta(days=days),
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"protected_users": ["break-glass"]}, []),
        ({"protected_users": ["BREAK-*", "?ob"], "exemptions": [exempt("alice", SEARCH)]}, []),
        ({"protected_users": ["breakglass"]}, ["entry 1 of protected_users (breakglass) matches no user"]),
        (
            {"protected_users": [{"user": "bob", "accounts": [PAYMENTS]}]},
            ["entry 1 of protected_users (bob) matches no user"],
        ),
        (
            {"exemptions": [exempt("alice"), exempt("robot-*")]},
            ["entry 2 of exemptions (robot-*) matches no user"],
        ),
        ({"exemptions": [exempt("robot", days=0)]}, ["entry 1 of exemptions (robot) matches no user"]),
        ({"exemptions": [exempt("robot", days=-1)]}, []),
        ({"protected_users": ["*"]}, ["entry 1 of protected_users (*) matches all 4 users: nobody is enforced"]),
        (
            {"protected_users": ["[!z]*b?*", "*"]},
            [
                "entry 2 of protected_users (*) matches all 4 users: nobody is enforced",
                "entry 1 of protected_users ([!z]*b?*) matches no user",
            ],
        ),
        ({"exemptions": [exempt("*", PAYMENTS)]}, []),
        (
            {"exemptions": [exempt("?*", PAYMENTS, SEARCH)]},
            ["entry 1 of exemptions (?*) matches all 4 users: nobody is enforced"],
        ),
        ({"organization": {"exclude_accounts": [SEARCH]}}, []),
        (
            {"organization": {"exclude_accounts": [GONE, SEARCH]}},
            [f"organization.exclude_accounts names {GONE}, which is no account of the organization"],
        ),
        (
            {"exemptions": [exempt("alice", PAYMENTS, GONE)]},
            [f"entry 1 of exemptions (alice) names {GONE}, which is no account of the organization"],
        ),
        (
            {"protected_users": [{"user": "alice", "accounts": [GONE]}]},
            [
                "entry 1 of protected_users (alice) matches no user",
                f"entry 1 of protected_users (alice) names {GONE}, which is no account of the organization",
            ],
        ),
    ],
)
def test_what_matches_nothing_or_everybody_is_named(changes: dict[str, Any], expected: list[str]) -> None:
    assert remarks(make_config(**changes)) == expected


def test_accounts_that_could_not_be_read_are_told_where_an_entry_is_for_them() -> None:
    config = make_config(protected_users=["robot", {"user": "robot", "accounts": [PAYMENTS]}])

    everywhere, in_one = remarks(config, {PAYMENTS: ["alice"], SEARCH: None})

    assert everywhere == "entry 1 of protected_users (robot) matches no user of those read (accounts not read: 1)"
    assert in_one == "entry 2 of protected_users (robot) matches no user"


@pytest.mark.parametrize("found", [{PAYMENTS: ["alice"]}, {PAYMENTS: []}, {PAYMENTS: None}, {}])
def test_one_user_is_not_everybody(found: dict[str, Sequence[str] | None]) -> None:
    assert not any("all" in text.split() for text in remarks(make_config(protected_users=["*"]), found))


def test_entries_go_by_their_place_where_users_must_not_be_named() -> None:
    config = make_config(protected_users=["zoe"], exemptions=[exempt("yan"), exempt("*")])

    told = " ".join(remarks(config, names=False))

    assert "entry 1 of protected_users matches no user" in told
    assert "entry 1 of exemptions matches no user" in told
    assert "entry 2 of exemptions matches all 4 users" in told
    assert "zoe" not in told
    assert "yan" not in told


NAMES = st.text("ab", min_size=1, max_size=3)


@given(
    st.lists(st.text("ab*?", min_size=1, max_size=3), max_size=4, unique=True),
    st.dictionaries(st.sampled_from([PAYMENTS, SEARCH, GONE]), st.lists(NAMES, max_size=3, unique=True)),
)
def test_remark_on_a_pattern_for_every_account_agrees_with_matching_all_users(
    patterns: list[str], found: dict[str, list[str]]
) -> None:
    told = remarks(make_config(protected_users=patterns), found)

    users = [name for names in found.values() for name in names]
    for number, pattern in enumerate(patterns, 1):
        called, matched = f"entry {number} of protected_users ({pattern})", [matches(pattern, name) for name in users]
        is_wide = len(users) > 1 and all(matched)
        assert (f"{called} matches no user" in told) == (not any(matched))
        assert (f"{called} matches all {len(users)} users: nobody is enforced" in told) == is_wide
