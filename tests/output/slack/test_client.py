"""The message: when it is posted again and when not, and what is said where it is refused."""

import socket
import subprocess
import sys
from http.client import RemoteDisconnected
from typing import Any
from urllib.error import URLError

import pytest
from slack_sdk.http_retry import HttpResponse

from orchestrator.domain.environment import SlackCredentials
from orchestrator.output.slack.client import MAX_TRIES, seconds_to_wait
from tests.fake_slack import MAX_BLOCKS, Drop, Failure, FakeSlack, RateLimited, Say, ServerError, Silence
from tests.output.slack.sending import BLOCKS, Sender


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

    said = sender.fail()

    assert "check the" in said
    assert ("webhook" in said) is (sender.kind == "webhook")
    assert sender.slack.messages == []


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
