"""Words of messages to users: addresses, dates, foreign text, and the template."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.config import NudgeConfig
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.nudges import Nudge, defuse, in_turn, read_text, sign_in_address, write_text
from tests.builders import NOW

JOINER = "\N{WORD JOINER}"


def nudge(**changes: Any) -> Nudge:
    values: dict[str, Any] = {
        "account_id": "111122223333",
        "alias": "acme-payments",
        "user_id": "AIDAEXAMPLE",
        "user_name": "alice",
        "kind": "first",
        "day": "2026-03-02",
        "covers": ("first",),
        "until": NOW,
        "address": "alice@acme.com",
    }
    return Nudge(**values | changes)


@pytest.mark.parametrize(
    ("partition", "host"),
    [
        ("aws", "signin.aws.amazon.com"),
        ("aws-us-gov", "signin.amazonaws-us-gov.com"),
        ("aws-cn", "signin.amazonaws.cn"),
        ("aws-eusc", "signin.amazonaws-eusc.eu"),
    ],
)
def test_sign_in_address_is_made_of_partition_and_account_id(partition: str, host: str) -> None:
    assert sign_in_address("111122223333", partition) == f"https://111122223333.{host}/console"


@pytest.mark.parametrize(
    "text", ["evil.com", "http://evil.com/x", "alice@evil.com", "<!channel>", "@here", "_x_", "*x*", "`x`", "#general"]
)
def test_foreign_text_has_a_joiner_at_each_sign_that_could_make_a_link_or_a_mention(text: str) -> None:
    written = defuse(text)

    assert text not in written
    assert written.replace(JOINER, "") == text


def test_signs_that_cannot_be_seen_are_left_out_of_foreign_text() -> None:
    assert defuse("a\u202eb\u200bc\n\x00d") == "abcd"


@pytest.mark.parametrize(
    ("kind", "until", "words"),
    [
        ("first", NOW, "from 02 March 2026, 12:00 UTC on it can do nothing but set up MFA"),
        ("first", None, "soon it will be able to do nothing but set up MFA"),
        ("enforced", None, "from now on it can do nothing but set up MFA"),
    ],
)
def test_message_says_what_happens_and_when(kind: str, until: Any, words: str) -> None:
    text = write_text(read_text(NudgeConfig()), [nudge(kind=kind, until=until)], partition="aws", contact=None)

    assert words in text
    assert "Questions: your cloud security team" in text
    assert "{" not in text


def test_only_link_of_the_message_is_the_sign_in_address() -> None:
    odd = nudge(user_name="evil.com", alias="http://evil.com")

    text = write_text(read_text(NudgeConfig()), [odd], partition="aws", contact="#mfa-help")

    assert text.count("http") == 2
    assert "evil.com" not in text


def test_user_name_cannot_bring_a_placeholder() -> None:
    text = write_text(
        "{users} {contact}", [nudge(user_name="a", alias="{contact}")], partition="aws", contact="me@acme"
    )

    assert text.count("me@acme") == 1


@pytest.mark.parametrize("content", ["no users", "{users} {password}", "{user}", "{contact}"])
def test_template_without_users_or_with_unknown_placeholders_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "text").write_text(content)

    with pytest.raises(ConfigError, match=r"nudge\.text"):
        read_text(NudgeConfig(text=str(tmp_path / "text")))


def test_template_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nudge\.text: cannot read"):
        read_text(NudgeConfig(text=str(tmp_path / "missing")))


def test_account_without_alias_is_named_by_its_id_alone() -> None:
    text = write_text("{users}", [nudge(alias=None)], partition="aws", contact=None)

    assert "User alice in the account 111122223333: from" in text


def test_user_without_password_for_the_console_is_told_to_ask() -> None:
    text = write_text("{users}", [nudge(has_password=False)], partition="aws", contact=None)

    assert "It has no password for the console: ask for help" in text


def test_each_account_has_its_turn_in_an_order_that_changes_from_run_to_run() -> None:
    crowd = [nudge(user_id=f"AIDA{number:02}") for number in range(20)]
    other = nudge(account_id="444455556666")

    orders = [in_turn([*crowd, other], f"run-{number}") for number in range(5)]

    assert all(other in order[:2] for order in orders)
    assert len({order[2].user_id for order in orders}) > 1
