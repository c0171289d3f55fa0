"""Words of messages to users: addresses, dates, foreign text, and the template."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.config import NudgeConfig
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.nudges import Nudge, defuse, read_text, sign_in_address, write_text
from tests.builders import NOW

JOINER = "\N{WORD JOINER}"


def nudge(**changes: Any) -> Nudge:
    values: dict[str, Any] = {
        "account_id": "111122223333",
        "account_label": "acme-payments",
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
        ("aws-eusc", "signin.amazonaws.eu"),
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
    odd = nudge(user_name="evil.com", account_label="http://evil.com")

    text = write_text(read_text(NudgeConfig()), [odd], partition="aws", contact="#mfa-help")

    assert text.count("http") == 2
    assert "evil.com" not in text


def test_user_name_cannot_bring_a_placeholder() -> None:
    text = write_text(
        "{users} {contact}", [nudge(user_name="a", account_label="{contact}")], partition="aws", contact="me@acme"
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
