import logging
import re
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import RemoteDisconnected
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.error import URLError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.http_retry import HttpResponse

from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.errors import ConfigError, DigestError
from orchestrator.output.slack.client import MAX_TRIES, SlackClient, seconds_to_wait
from tests.fake_slack import (
    MAX_BLOCKS,
    Drop,
    Failure,
    FakeSlack,
    File,
    RateLimited,
    Say,
    ServerError,
    Silence,
    find_fault,
)

KINDS = ["webhook", "bot token"]
BLOCKS: list[dict[str, Any]] = [{"type": "section", "text": {"type": "mrkdwn", "text": "*acme-prod*: `ana`"}}]


def section(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}} | fields


def header(text: str, kind: str = "plain_text") -> dict[str, Any]:
    return {"type": "header", "text": {"type": kind, "text": text}}


def table(*rows: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": cell} for cell in row] for row in rows]} | fields


def context(count: int) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "plain_text", "text": "x"}] * count}


@dataclass
class Sender:
    """A notifier of one kind that posts to a fake Slack, and what it slept."""

    slack: FakeSlack
    kind: str
    naps: list[float] = field(default_factory=list)

    def send(self, text: str = "run", blocks: list[dict[str, Any]] = BLOCKS, **changes: Any) -> None:
        is_webhook = self.kind == "webhook"
        credentials = SlackCredentials(
            webhook_url=self.slack.webhook_url if is_webhook else None,
            bot_token=None if is_webhook else self.slack.bot_token,
        )
        arguments: dict[str, Any] = {"channel": self.slack.channel, "base_url": self.slack.api_url} | changes
        notifier = SlackClient(arguments.pop("credentials", credentials), sleep=self.naps.append, **arguments)
        notifier.send(text, blocks)

    def fail(self, **changes: Any) -> str:
        with pytest.raises(DigestError) as caught:
            self.send(**changes)
        return str(caught.value)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as server:
        yield server


@pytest.fixture(params=KINDS)
def sender(slack: FakeSlack, request: pytest.FixtureRequest) -> Sender:
    return Sender(slack, request.param)


def test_a_message_arrives_once_with_text_and_blocks(sender: Sender) -> None:
    sender.send("orgmfa apply: all clean")

    [message] = sender.slack.messages
    assert (message.text, message.blocks) == ("orgmfa apply: all clean", BLOCKS)
    assert message.channel == (None if sender.kind == "webhook" else sender.slack.channel)
    assert message.options == {"unfurl_links": False, "unfurl_media": False}
    assert (sender.slack.requests, sender.naps) == (1, [])


def test_the_webhook_comes_first_where_both_are_given(slack: FakeSlack) -> None:
    both = SlackCredentials(webhook_url=slack.webhook_url, bot_token=slack.bot_token)

    Sender(slack, "webhook").send(credentials=both)

    assert [message.channel for message in slack.messages] == [None]


@pytest.mark.parametrize(
    ("failures", "naps"),
    [
        pytest.param([RateLimited(7)], [7.0], id="Retry-After is honoured"),
        pytest.param([RateLimited(0)], [0.0], id="also where it is nothing"),
        pytest.param([RateLimited(None)], [0.5], id="a 429 without Retry-After backs off"),
        pytest.param([ServerError(500), ServerError(502), ServerError(503)], [0.5, 1.0, 2.0], id="5xx"),
        pytest.param([ServerError(), RateLimited(3), ServerError()], [0.5, 3.0, 2.0], id="both in turn"),
    ],
)
def test_what_slack_did_not_take_is_posted_again_until_it_does(
    sender: Sender, failures: list[Failure], naps: list[float]
) -> None:
    sender.slack.next(*failures)

    sender.send()

    assert len(sender.slack.messages) == 1
    assert sender.slack.requests == len(failures) + 1
    assert sender.naps == naps


@pytest.mark.parametrize(
    ("failure", "words"),
    [(RateLimited(1), "ratelimited; run again"), (ServerError(503), "an error of its own (HTTP 503): run again")],
)
def test_the_tries_end(sender: Sender, failure: Failure, words: str) -> None:
    sender.slack.next(*[failure] * 10)

    assert words in sender.fail()
    assert sender.slack.requests == MAX_TRIES
    assert sender.slack.messages == []


def test_a_retry_after_beyond_patience_is_a_failure_at_once(sender: Sender) -> None:
    sender.slack.next(RateLimited(3600))

    assert "ratelimited" in sender.fail()
    assert (sender.slack.requests, sender.naps) == (1, [])


@pytest.mark.parametrize("accepting", [True, False])
def test_a_connection_broken_after_the_request_is_not_tried_again(sender: Sender, *, accepting: bool) -> None:
    sender.slack.next(Drop(accepting=accepting))

    assert "may have arrived, so it is not sent again" in sender.fail()
    assert sender.slack.requests == 1
    assert len(sender.slack.messages) == int(accepting)


def test_silence_is_a_failure_within_the_timeout_and_not_tried_again(sender: Sender) -> None:
    sender.slack.next(Silence())

    assert "did not answer within 1 s" in sender.fail(timeout_seconds=1)
    assert sender.slack.requests == 1


def test_a_gateway_that_waited_in_vain_is_silence_too(sender: Sender) -> None:
    sender.slack.next(ServerError(504))

    assert "may have arrived" in sender.fail()
    assert sender.slack.requests == 1


def test_a_refused_connection_is_tried_again_then_said(slack: FakeSlack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sender = Sender(slack, "webhook")

    message = sender.fail(credentials=SlackCredentials(webhook_url=f"http://127.0.0.1:{port}/services/s3cr3t"))

    assert "could not be reached (Connection refused): check the network and the proxy" in message
    assert sender.naps == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (URLError(ConnectionRefusedError()), 0.5),
        (URLError(socket.gaierror()), 0.5),
        (URLError(BrokenPipeError()), 0.5),
        pytest.param(URLError(TimeoutError()), None, id="the time-out has cost enough"),
        pytest.param(TimeoutError(), None, id="waiting for the answer"),
        pytest.param(ConnectionResetError(), None, id="reset while waiting for the answer"),
        pytest.param(RemoteDisconnected(""), None, id="closed while waiting for the answer"),
    ],
)
def test_only_what_was_not_sent_whole_is_posted_again(error: Exception, wait: float | None) -> None:
    assert seconds_to_wait(0, None, error) == wait


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "", "1.5"])
def test_a_retry_after_that_is_no_number_of_seconds_backs_off(value: str) -> None:
    assert seconds_to_wait(1, HttpResponse(status_code=429, headers={"retry-after": [value]}), None) == 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channel": "C0NOWHERE"}, "channel_not_found; set slack.channel to the ID of a channel"),
        ({"channel": "C0PRIVATE"}, "not_in_channel; invite the app"),
        ({"channel": "C0OLD"}, "is_archived; choose a channel"),
        ({"credentials": SlackCredentials(bot_token="xoxb-old")}, "invalid_auth; put a valid bot token"),
    ],
)
def test_the_web_api_refuses_with_http_200_and_its_word_is_passed_on(
    slack: FakeSlack, changes: dict[str, Any], words: str
) -> None:
    message = Sender(slack, "bot token").fail(**changes)

    assert message.startswith(f"Slack refused the digest: {words}")
    assert (slack.requests, slack.messages) == (1, [])


@pytest.mark.parametrize(
    ("word", "status", "words"),
    [
        ("no_service", 404, "no_service; make a new webhook"),
        ("action_prohibited", 403, "action_prohibited; ask an administrator"),
        ("channel_is_archived", 410, "channel_is_archived; choose a channel"),
        ("invalid_payload", 400, "invalid_payload; this is a defect"),
        ("some_new_word", 400, "some_new_word"),
    ],
)
def test_a_webhook_refuses_in_plain_text_and_its_word_is_passed_on(
    slack: FakeSlack, word: str, status: int, words: str
) -> None:
    slack.next(Say(word, status))

    assert Sender(slack, "webhook").fail().startswith(f"Slack refused the digest: {words}")
    assert slack.requests == 1


def test_a_message_that_breaks_a_limit_is_refused_as_a_defect_of_ours(sender: Sender) -> None:
    assert "invalid_blocks; this is a defect of orgmfa" in sender.fail(blocks=BLOCKS * (MAX_BLOCKS + 1))


@pytest.mark.parametrize("words", ["<html>Please log in</html>", "", "[1]", '"ok"', "null", "{", "\N{SNOWMAN}"])
def test_a_page_of_a_proxy_is_no_success(sender: Sender, words: str) -> None:
    sender.slack.next(Say(words))

    assert "check the" in sender.fail()
    assert sender.slack.messages == []


@pytest.mark.parametrize(
    ("credentials", "channel", "words"),
    [
        (SlackCredentials(), "C0SECURITY", "a webhook URL or a bot token"),
        (SlackCredentials(bot_token="xoxb-secret"), None, r"slack\.channel"),
        (SlackCredentials(bot_token="xoxb-secret"), "", r"slack\.channel"),
        (SlackCredentials(webhook_url="hooks.slack.com/services/secret"), None, "not a URL"),
        (SlackCredentials(webhook_url="ftp://hooks.slack.com/services/secret"), None, "not a URL"),
        (SlackCredentials(webhook_url="https://hooks.slack.com:port/services/secret"), None, "not a URL"),
        (SlackCredentials(webhook_url="https://hooks.slack.com/services/sec ret"), None, "not a URL"),
        (SlackCredentials(webhook_url="https:///services/secret"), None, "not a URL"),
    ],
)
def test_credentials_that_cannot_be_used_are_a_configuration_error_before_anything_is_sent(
    credentials: SlackCredentials, channel: str | None, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        SlackClient(credentials, channel=channel)

    assert "secret" not in str(caught.value).replace("slack.secret", "")


def test_line_ends_around_a_secret_do_no_harm(slack: FakeSlack) -> None:
    Sender(slack, "webhook").send(credentials=SlackCredentials(webhook_url=f"{slack.webhook_url}\n"))
    Sender(slack, "bot token").send(credentials=SlackCredentials(bot_token=f" {slack.bot_token}\n"))

    assert len(slack.messages) == 2


@pytest.mark.parametrize(
    "failure", [ServerError(), RateLimited(), Drop(), Silence(), Say("<html>"), Say("no_service", 404), Say("[1]")]
)
def test_no_secret_is_seen_in_errors_their_causes_or_logs(
    sender: Sender, failure: Failure, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("slack").setLevel(logging.DEBUG)
    sender.slack.next(*[failure] * MAX_TRIES)

    with pytest.raises(DigestError) as caught:
        sender.send(timeout_seconds=1)

    seen = (
        "".join(traceback.format_exception(caught.value))
        + repr(caught.value)
        + caplog.text
        + "".join(capfd.readouterr())
    )
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert not [secret for secret in sender.slack.secret_texts if secret in seen]


def test_a_slack_that_repeats_the_token_does_not_get_it_into_the_error(slack: FakeSlack) -> None:
    slack.next(Say(f'{{"ok": false, "error": "{slack.bot_token}"}}'))

    assert slack.bot_token not in Sender(slack, "bot token").fail()


def test_a_proxy_is_used_as_slack_sdk_does(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")

    assert "could not be reached (Connection refused)" in sender.fail(base_url=None)
    assert sender.slack.requests == 0


def test_a_connection_that_timed_out_is_said_to_have_timed_out(slack: FakeSlack) -> None:
    sender = Sender(slack, "webhook")
    # A listener whose queue is full answers no further connection.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as first:
        host, port = listener.getsockname()
        first.connect((host, port))

        message = sender.fail(credentials=SlackCredentials(webhook_url=f"http://{host}:{port}/s"), timeout_seconds=1)

    assert "could not be reached (timed out)" in message
    assert sender.naps == []


def test_the_module_is_imported_without_slack_sdk() -> None:
    program = "import sys, orchestrator.output.slack.client; sys.exit('slack_sdk' in sys.modules)"

    subprocess.run([sys.executable, "-c", program], check=True)


# -- the thread

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


# -- the page, attached in the thread of the digest

PAGE = "<!doctype html><title>orgmfa \N{SNOWMAN}</title>".encode()


def make_notifier(slack: FakeSlack, **changes: Any) -> SlackClient:
    settings: dict[str, Any] = {"channel": slack.channel, "base_url": slack.api_url, "sleep": lambda _: None} | changes
    return SlackClient(SlackCredentials(bot_token=slack.bot_token), attaches=True, **settings)


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


# The fake refuses what Slack refuses: section 3 of the field notes, "Slack".
@pytest.mark.parametrize(
    ("payload", "word"),
    [
        ({"text": "x"}, None),
        ({"text": "x", "blocks": BLOCKS * 50}, None),
        ({"text": "x", "blocks": BLOCKS * 51}, "invalid_blocks"),
        ({"blocks": [section("x" * 3000)]}, None),
        ({"blocks": [section("x" * 3001)]}, "invalid_blocks"),
        ({"blocks": [section("")]}, "invalid_blocks"),
        ({"blocks": [section(" ")]}, "invalid_blocks"),
        ({"blocks": [header("x" * 150)]}, None),
        ({"blocks": [header("x" * 151)]}, "invalid_blocks"),
        ({"blocks": [header("x", "mrkdwn")]}, "invalid_blocks"),
        ({"blocks": [section("x", fields=BLOCKS[0]["text"])]}, "invalid_blocks"),
        ({"blocks": [section("x", fields=[BLOCKS[0]["text"]] * 10)]}, None),
        ({"blocks": [section("x", fields=[BLOCKS[0]["text"]] * 11)]}, "invalid_blocks"),
        ({"blocks": [section("x", fields=[section("x" * 2000)["text"]])]}, None),
        ({"blocks": [section("x", fields=[section("x" * 2001)["text"]])]}, "invalid_blocks"),
        ({"blocks": [context(10)]}, None),
        ({"blocks": [context(11)]}, "invalid_blocks"),
        ({"blocks": [context(0)]}, "invalid_blocks"),
        ({"blocks": [{"type": "divider"}]}, None),
        ({"blocks": [{"type": "marquee"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [section("x", colour="red")]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": "x"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}}]}, "invalid_blocks"),
        ({"blocks": ["x"]}, "invalid_blocks_format"),
        ({"blocks": "x"}, "invalid_arguments"),
        ({"blocks": [section("x" * 2900)] * 4}, None),
        ({"blocks": [section("x" * 3000)] * 4}, "msg_blocks_too_long"),
        ({"blocks": [table(["a"] * 20, *[["b"] * 20] * 99)]}, None),
        ({"blocks": [table(*["a"] * 101)]}, "invalid_blocks"),
        ({"blocks": [table(["a"] * 21)]}, "invalid_blocks"),
        ({"blocks": [table(["a"], column_settings=[{}] * 21)]}, "invalid_blocks"),
        ({"blocks": [table(["a", "b"], ["c"])]}, "invalid_blocks"),
        ({"blocks": [table(["a", ""])]}, "invalid_blocks"),
        ({"blocks": [table()]}, "invalid_blocks"),
        ({"blocks": [{"type": "table", "rows": [[{"type": "mrkdwn", "text": "x"}]]}]}, "invalid_blocks"),
        ({"blocks": [table(*["a" * 10] * 100)]}, None),
        ({"blocks": [table(*[["a" * 101]] * 100)]}, "invalid_blocks"),
        ({"blocks": [table("a"), table("b")]}, "invalid_attachments"),
        ({"blocks": [section("x" * 2900), table(*[["a" * 95]] * 100)]}, "msg_blocks_too_long"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "", "blocks": []}, "no_text"),
        ({}, "no_text"),
    ],
)
def test_the_fake_refuses_what_slack_refuses(payload: dict[str, Any], word: str | None) -> None:
    fault = find_fault(payload)

    assert (fault and fault.word) == word


@pytest.mark.parametrize(
    ("path", "authorization", "body", "answer"),
    [
        ("/services/T/B/wrong", "", b"{}", (404, "no_service")),
        ("/api/chat.postMessage", "", b"{}", (200, "not_authed")),
        ("/api/chat.postMessage", "Bearer xoxb-wrong", b"{}", (200, "invalid_auth")),
    ],
)
def test_the_fake_lets_nobody_in_without_the_secret(
    slack: FakeSlack, path: str, authorization: str, body: bytes, answer: tuple[int, str]
) -> None:
    answered = slack.answer(path, authorization, body)

    assert answered is not None
    assert answered.status == answer[0]
    assert answer[1] in answered.body


def test_the_fake_refuses_what_is_no_json_object(slack: FakeSlack) -> None:
    path = slack.webhook_url.partition("/services")[2]

    for body in (b"{", b"[]", b"\xff"):
        answered = slack.answer(f"/services{path}", "", body)
        assert answered is not None
        assert (answered.status, answered.body) == (400, "invalid_payload")


# -- http://


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "127.255.255.254", "[::1]", "[::1]:8080", "localhost", "LOCALHOST:80"]
)
def test_webhook_without_tls_is_taken_on_this_machine(host: str) -> None:
    client = SlackClient(SlackCredentials(webhook_url=f"http://{host}/services/s3cr3t"), channel=None)

    assert isinstance(client, SlackClient)  # no ConfigError


@pytest.mark.parametrize(
    "host",
    [
        "hooks.slack.com",
        "hooks.slack.com:443",
        "128.0.0.1",
        "0.0.0.0",  # noqa: S104 - refused
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "[::2]",
        "[fe80::1]",
        "[::]",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "localhost@example.com",
        "127.0.0.1:80@example.com",
        "2130706433",
        "",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "HTTP"])
def test_webhook_without_tls_is_refused_elsewhere_and_not_repeated(scheme: str, host: str) -> None:
    with pytest.raises(ConfigError, match="https://") as caught:
        SlackClient(SlackCredentials(webhook_url=f"{scheme}://{host}/services/s3cr3t"), channel=None)

    assert "s3cr3t" not in str(caught.value)


@given(st.ip_addresses())
def test_webhook_without_tls_is_taken_for_loopback_addresses_alone(address: IPv4Address | IPv6Address) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    is_loopback = address in ip_network("127.0.0.0/8") or address == ip_address("::1")
    try:
        SlackClient(SlackCredentials(webhook_url=f"http://{host}/s"), channel=None)
    except ConfigError:
        assert not is_loopback
    else:
        assert is_loopback
