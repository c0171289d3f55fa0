"""What stands in the thread of a message: replies, and the page that is attached."""

import re
from typing import Any

import pytest

from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.errors import ConfigError, DigestError
from orchestrator.output.slack.client import SlackClient
from tests.fake_slack import Drop, Failure, FakeSlack, File, RateLimited, Say, ServerError
from tests.output.slack.sending import BLOCKS, Sender, make_notifier, section

TABLE: list[dict[str, Any]] = [{"type": "table", "rows": [[{"type": "raw_text", "text": "acme-prod"}]]}]
REFUSED = ["invalid_blocks", "invalid_attachments", "only_one_table_allowed", "msg_blocks_too_long"]


def reply(slack: FakeSlack, blocks: list[dict[str, Any]] = TABLE, otherwise: list[dict[str, Any]] = BLOCKS) -> None:
    """Send a message and one below it."""
    notifier = make_notifier(slack)
    notifier.send("run", BLOCKS)
    notifier.reply("accounts", blocks, otherwise)


def fail_to_reply(slack: FakeSlack, **arguments: Any) -> str:
    with pytest.raises(DigestError) as caught:
        reply(slack, **arguments)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    return str(caught.value)


def test_a_bot_has_a_thread_and_a_webhook_has_none(slack: FakeSlack) -> None:
    assert make_notifier(slack).has_thread
    assert not SlackClient(SlackCredentials(webhook_url=slack.webhook_url), channel=None).has_thread


def test_a_reply_stands_below_its_message_and_not_in_the_channel(slack: FakeSlack) -> None:
    Sender(slack, "bot token").send("an earlier message")

    reply(slack)

    [answer] = slack.replies
    assert (answer.channel, answer.thread_ts, answer.text) == (slack.channel, slack.messages[1].ts, "accounts")
    assert answer.blocks == TABLE
    assert answer.options == {"unfurl_links": False, "unfurl_media": False}
    assert [message.text for message in slack.messages] == ["an earlier message", "run"]


@pytest.mark.parametrize("word", REFUSED)
def test_a_table_that_slack_refuses_is_sent_as_sections_and_the_message_stands_once(
    slack: FakeSlack, word: str
) -> None:
    slack.refuses_tables = word

    reply(slack)

    assert [answer.blocks for answer in slack.replies] == [BLOCKS]
    assert [fault.word for fault in slack.faults] == [word]
    assert len(slack.messages) == 1


def test_what_is_refused_as_sections_too_is_said(slack: FakeSlack) -> None:
    assert "Slack refused the thread: invalid_blocks" in fail_to_reply(slack, otherwise=[section("")], blocks=TABLE * 2)
    assert (len(slack.messages), slack.replies, slack.requests) == (1, [], 3)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Say('{"ok": false, "error": "channel_not_found"}'), "refused the thread: channel_not_found"),
        (Drop(), "the thread may have arrived, so it is not sent again"),
        (ServerError(504), "HTTP 504); the thread may have arrived"),
    ],
)
def test_a_reply_that_fails_otherwise_is_said_and_sent_no_second_time(
    slack: FakeSlack, failure: Failure, words: str
) -> None:
    notifier = make_notifier(slack)
    notifier.send("run", BLOCKS)
    slack.next(failure)

    with pytest.raises(DigestError, match=re.escape(words)):
        notifier.reply("accounts", TABLE, BLOCKS)
    assert (len(slack.messages), slack.replies, slack.requests) == (1, [], 2)


def test_nothing_is_replied_where_no_message_was_sent(slack: FakeSlack) -> None:
    with pytest.raises(DigestError):
        make_notifier(slack).reply("accounts", TABLE, BLOCKS)
    assert slack.requests == 0


PAGE = "<!doctype html><title>orgmfa \N{SNOWMAN}</title>".encode()


def fail_to_attach(notifier: SlackClient) -> str:
    with pytest.raises(DigestError) as caught:
        notifier.attach("orgmfa-run-1.html", PAGE, "The page")
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    return str(caught.value)


def test_a_file_is_attached_once_in_the_thread_of_the_message(slack: FakeSlack) -> None:
    Sender(slack, "bot token").send("an earlier message")
    notifier = make_notifier(slack)
    notifier.send("run", BLOCKS)

    notifier.attach("orgmfa-run-1.html", PAGE, "The page")

    assert slack.files == [File(slack.channel, slack.messages[1].ts, "orgmfa-run-1.html", PAGE, "The page")]
    assert [message.text for message in slack.messages] == ["an earlier message", "run"]


def test_a_message_is_sent_without_a_file(slack: FakeSlack) -> None:
    make_notifier(slack).send("run", BLOCKS)

    assert (slack.requests, slack.files) == (1, [])


def test_a_busy_slack_is_asked_for_the_upload_again(slack: FakeSlack) -> None:
    notifier = make_notifier(slack)
    notifier.send("run", BLOCKS)
    slack.next(RateLimited(1))

    notifier.attach("orgmfa-run-1.html", PAGE, "The page")

    assert (len(slack.files), len(slack.messages)) == (1, 1)


def test_an_upload_without_the_scope_is_refused_and_the_scope_named(slack: FakeSlack) -> None:
    slack.may_upload = False
    notifier = make_notifier(slack)
    notifier.send("run", BLOCKS)

    said = fail_to_attach(notifier)

    assert "refused the page: missing_scope" in said
    assert "files:write" in said
    assert len(slack.messages) == 1


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Say('{"ok": false, "error": "file_uploads_disabled"}'), "file_uploads_disabled; ask an administrator"),
        (ServerError(504), "HTTP 504); the page may have arrived"),
        (Drop(), "the page may have arrived, so it is not sent again"),
        (Say("<html>Please log in</html>"), "check the proxy (HTTPS_PROXY)"),
    ],
)
def test_an_upload_that_fails_is_said_and_repeats_no_message(slack: FakeSlack, failure: Failure, words: str) -> None:
    notifier = make_notifier(slack)
    notifier.send("run", BLOCKS)
    slack.next(failure)

    assert words in fail_to_attach(notifier)
    assert (len(slack.messages), slack.files) == (1, [])


def test_a_page_that_the_upload_refuses_is_said_with_its_status(slack: FakeSlack) -> None:
    slack.max_file_bytes = 10
    notifier = make_notifier(slack)
    notifier.send("run", BLOCKS)

    assert "HTTP 413" in fail_to_attach(notifier)
    assert slack.files == []


def test_nothing_is_attached_where_no_message_was_sent(slack: FakeSlack) -> None:
    assert fail_to_attach(make_notifier(slack))
    assert slack.requests == 0


@pytest.mark.parametrize("bot_token", [None, "xoxb-secret"])
def test_a_webhook_that_is_to_attach_is_a_configuration_error(slack: FakeSlack, bot_token: str | None) -> None:
    credentials = SlackCredentials(webhook_url=slack.webhook_url, bot_token=bot_token)

    with pytest.raises(ConfigError, match=r"slack\.attach.*bot token"):
        SlackClient(credentials, channel=slack.channel, attaches=True)
