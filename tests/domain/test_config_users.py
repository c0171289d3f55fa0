"""Names of users in the configuration, and exemptions."""

import json
from datetime import date
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.config import Exemption, check_pattern, matches
from tests.domain.config_samples import ROBOT, parsed, refusal

# -- names of users --------------------------------------------------------------------------------------------------


NO_NAMES = [
    "arn:aws:iam::111122223333:user/break-glass",
    "/admins/break-glass",
    "admins/break-*",
    "break-glass ",
    " break-glass",
    "break glass",
    "break-glass\n",
    "bre\u0430k-glass",  # a Cyrillic letter
    "\u212aim",  # the sign of kelvin, which is a k to those who ignore case
    "[\u0430-\u044f]*",
    "break-glass\u200b",
    "break-glass:1",
    "a" * 65,
    "?" * 65,
    "*" + "a?" * 32 + "[ab]",
    "break-[glass",
    "break-glass]",
    "!break-glass",
    "[b-a]*",
    "[]",
    "[*]",
    "",
]


@pytest.mark.parametrize(
    "entry",
    [
        "protected_users: [{name}]",
        "protected_users: [{{user: {name}}}]",
        "exemptions: [{{user: {name}, reason: r, until: 2026-12-31}}]",
    ],
)
@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_what_the_name_of_no_iam_user_can_match_is_refused(entry: str, name: str) -> None:
    told = refusal(entry.format(name=json.dumps(name)))

    assert told.startswith(f"config.yaml: {entry.split(':', maxsplit=1)[0]} (entry 1).user: ")
    assert not name or ("a name, not an ARN" in told and ascii(name) in told)


@pytest.mark.parametrize(
    "name", ["a", "a" * 64, "*" + "?" * 64 + "*", "Ana.Silva+ops=1,2@acme_x-y", "[!a-c]*", "[]a]b", "[!]]", "*", "[!!]"]
)
def test_what_the_name_of_an_iam_user_can_match_is_taken(name: str) -> None:
    assert parsed(f"protected_users: [{json.dumps(name)}]").protected_users[0].user == name


@given(st.text("aB-*?[]!", min_size=1, max_size=6))
def test_pattern_is_taken_exactly_where_some_name_matches(pattern: str) -> None:
    names = ("".join(name) for size in range(1, 7) for name in product("ab-z", repeat=size))
    if any(matches(pattern, name) for name in names):
        assert check_pattern(pattern) == pattern
    else:
        with pytest.raises(ValueError, match="a name, not an ARN"):
            check_pattern(pattern)


@pytest.mark.parametrize(
    ("entry", "account_id", "is_covered"),
    [
        ("break-*", "111122223333", True),
        ("{user: break-*}", "444455556666", True),
        ("{user: break-*, accounts: ['111122223333']}", "111122223333", True),
        ("{user: break-*, accounts: ['111122223333']}", "444455556666", False),
        ("{user: break-*, accounts: ['111122223333', '*']}", "444455556666", True),
        ("{user: ana, accounts: ['111122223333']}", "111122223333", False),
    ],
)
def test_protected_user_is_covered_in_the_accounts_of_its_entry(entry: str, account_id: str, is_covered: bool) -> None:
    (protected,) = parsed(f"protected_users: [{entry}]").protected_users

    assert protected.covers("Break-Glass", account_id) == is_covered


# -- exemptions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "is_accepted"),
    [
        ({}, True),
        ({"user": "ci-*"}, False),
        ({"user": "ci-?"}, False),
        ({"user": "ci-[0-9]"}, False),
        ({"accounts": ["*"]}, False),
        ({"accounts": ["111122223333", "*"]}, False),
        ({"user": "ci-*", "until": date(2026, 12, 31)}, True),
        ({"accounts": ["*"], "until": date(2026, 12, 31)}, True),
    ],
)
def test_exemption_for_a_pattern_or_every_account_needs_an_end(
    changes: dict[str, Any],
    is_accepted: bool,
) -> None:
    if is_accepted:
        assert Exemption.model_validate(ROBOT | changes).user
    else:
        with pytest.raises(ValidationError, match="needs an end: add until: YYYY-MM-DD"):
            Exemption.model_validate(ROBOT | changes)


def test_exemption_without_accounts_is_for_every_account_and_needs_an_end() -> None:
    assert refusal("exemptions: [{user: robot, reason: r}]").startswith(
        "config.yaml: exemptions (entry 1): an exemption"
    )
    assert parsed("exemptions: [{user: robot, reason: r, until: 2026-12-31}]").exemptions[0].accounts == ("*",)


@pytest.mark.parametrize("written", ["2026-12-31", "'2026-12-31'"])
def test_end_of_an_exemption_is_a_date_quoted_or_not(written: str) -> None:
    exemption = parsed(f"exemptions: [{{user: ci-*, reason: r, until: {written}}}]").exemptions[0]

    assert exemption.until == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("{accounts: ['111122223333'], reason: r}", "user"),
        ("{user: robot, accounts: ['111122223333']}", "reason"),
        ("{user: robot, accounts: ['111122223333'], reason: '  '}", "reason"),
        ("{user: robot, accounts: [], reason: r}", "accounts"),
        ("{user: robot, accounts: [acme-payments], reason: r}", "accounts (entry 1)"),
        ("{user: robot, accounts: ['111122223333'], reason: r, until: tomorrow}", "until"),
        ("{user: robot, accounts: ['111122223333'], reason: r, until: 2026-12-31 10:00:00}", "until"),
        ("{user: robot, accounts: ['111122223333'], reason: r, until: 20261231}", "until"),
    ],
)
def test_exemption_that_lacks_something_is_refused(entry: str, key: str) -> None:
    assert f"config.yaml: exemptions (entry 1).{key}: " in refusal(f"exemptions: [{entry}]")
