"""Credentials that cannot be used are refused before anything is sent, and no secret is ever shown."""

import logging
import traceback
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.errors import ConfigError, DigestError
from orchestrator.output.slack.client import MAX_TRIES, SlackClient
from tests.fake_slack import Drop, Failure, FakeSlack, RateLimited, Say, ServerError, Silence
from tests.output.slack.sending import Sender


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
