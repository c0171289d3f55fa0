"""Direct messages to people, over HTTP against a fake Slack."""

from collections.abc import Iterator

import pytest

from orchestrator.domain.errors import DeliveryError
from orchestrator.output.slack.messenger import SlackMessenger
from tests.fake_slack import RateLimited, Say
from tests.slack_people import SlackOfPeople

SIGN_IN = "https://111122223333.signin.aws.amazon.com/console"


@pytest.fixture
def slack() -> Iterator[SlackOfPeople]:
    with SlackOfPeople() as slack:
        slack.add("U0ALICE", "alice@acme.com")
        yield slack


@pytest.fixture
def messenger(slack: SlackOfPeople) -> SlackMessenger:
    return SlackMessenger(slack.bot_token, base_url=slack.api_url, sleep=lambda _: None)


@pytest.mark.parametrize("address", ["alice@acme.com", "U0ALICE"])
def test_person_is_found_by_address_or_member_id(messenger: SlackMessenger, address: str) -> None:
    assert messenger.find(address) == ("U0ALICE", "alice@acme.com")


@pytest.mark.parametrize("changes", [{"deleted": True}, {"is_bot": True}, {"is_stranger": True}])
def test_who_is_no_member_of_the_workspace_is_not_told(
    slack: SlackOfPeople, messenger: SlackMessenger, changes: dict[str, bool]
) -> None:
    slack.add("U0BOB", "bob@acme.com", **changes)

    with pytest.raises(DeliveryError, match="no member") as caught:
        messenger.find("bob@acme.com")

    assert "bob" not in str(caught.value)


def test_who_is_unknown_to_slack_is_not_told(messenger: SlackMessenger) -> None:
    with pytest.raises(DeliveryError, match="users_not_found"):
        messenger.find("nobody@acme.com")


def test_sign_in_address_is_the_only_link_and_nothing_mentions_or_formats(
    slack: SlackOfPeople, messenger: SlackMessenger
) -> None:
    messenger.send("U0ALICE", "Subject", f"<!channel> evil.com <https://evil.com|here> *x*\nSign in at {SIGN_IN}")

    ((member_id, payload),) = slack.told
    assert member_id == "U0ALICE"
    assert payload["text"] == "Subject"
    words = [
        {"type": "text", "text": "<!channel> evil.com <https://evil.com|here> *x*\nSign in at "},
        {"type": "link", "url": SIGN_IN},
    ]
    assert payload["blocks"] == [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": words}]}]


def test_rate_limit_is_waited_for(slack: SlackOfPeople, messenger: SlackMessenger) -> None:
    slack.next(RateLimited(0))

    messenger.send("U0ALICE", "Subject", "text")

    assert len(slack.told) == 1


@pytest.mark.parametrize(
    ("words", "is_general"),
    [
        ('{"ok": false, "error": "invalid_auth"}', True),
        ('{"ok": false, "error": "missing_scope"}', True),
        ('{"ok": false, "error": "ratelimited"}', True),
        ('{"ok": false, "error": "users_not_found"}', False),
        ('{"ok": false, "error": "a_word_of_tomorrow"}', False),
        ("<html>proxy</html>", False),
    ],
)
def test_refusal_is_a_delivery_error_without_the_token_and_says_whether_it_concerns_all(
    slack: SlackOfPeople, messenger: SlackMessenger, words: str, *, is_general: bool
) -> None:
    slack.next(Say(words, status=200))

    with pytest.raises(DeliveryError) as caught:
        messenger.send("U0ALICE", "Subject", "text")

    assert slack.bot_token not in str(caught.value)
    assert caught.value.is_general is is_general


@pytest.mark.parametrize("answer", ['{"ok": true}', '{"ok": true, "user": null}', '{"ok": true, "user": []}'])
def test_answer_that_names_nobody_is_a_delivery_error(
    slack: SlackOfPeople, messenger: SlackMessenger, answer: str
) -> None:
    slack.next(Say(answer, status=200))

    with pytest.raises(DeliveryError):
        messenger.find("alice@acme.com")
