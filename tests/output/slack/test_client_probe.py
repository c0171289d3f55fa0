"""The probe of Slack that `orgmfa doctor` makes: it tells whether credentials work, and posts no message."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.errors import DigestError
from orchestrator.output.slack.client import SlackClient
from orchestrator.wiring import Hub, make_slack_client
from tests.builders import make_config
from tests.fake_slack import Answer as SlackAnswer
from tests.fake_slack import Drop, FakeSlack, Say, ServerError


@dataclass
class SlackWithAuthTest(FakeSlack):
    """A Slack that also answers auth.test, listing these scopes."""

    scopes: str | None = "channels:read,chat:write"

    def __post_init__(self) -> None:
        super().__init__()

    def answer(self, path: str, authorization: str, body: bytes) -> SlackAnswer | None:
        if path != "/api/auth.test":
            return super().answer(path, authorization, body)
        is_known = authorization == f"Bearer {self.bot_token}"
        said = {"ok": True, "team": "ACME"} if is_known else {"ok": False, "error": "invalid_auth"}
        headers = {} if self.scopes is None else {"X-OAuth-Scopes": self.scopes}
        return SlackAnswer(200, json.dumps(said), {"Content-Type": "application/json"} | headers)


def probe(slack: FakeSlack, webhook_url: str | None = None, bot_token: str | None = None) -> str:
    credentials = SlackCredentials(webhook_url=webhook_url, bot_token=bot_token)
    notifier = SlackClient(
        credentials, channel=slack.channel, base_url=slack.api_url, timeout_seconds=2, sleep=lambda _: None
    )
    return notifier.probe()


@pytest.fixture
def slack() -> Iterator[SlackWithAuthTest]:
    with SlackWithAuthTest() as server:
        yield server


@pytest.mark.parametrize("words", [None, "invalid_payload", "missing_text_or_fallback_or_attachments"])
def test_webhook_that_works_refuses_an_empty_message(slack: SlackWithAuthTest, words: str | None) -> None:
    if words:
        slack.next(Say(words, 400))

    assert "accepts the webhook" in probe(slack, slack.webhook_url)
    assert slack.messages == []


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Say("invalid_token", 403), "refused the credentials: invalid_token"),
        (Say("no_service", 404), "make a new webhook"),
        (Say("<html>hello</html>", 200), "not Slack's"),
        (ServerError(504), "error of its own"),
        (Drop(), "did not answer"),
    ],
)
def test_webhook_that_does_not_work_is_told(slack: SlackWithAuthTest, failure: Any, words: str) -> None:
    slack.next(failure)

    with pytest.raises(DigestError) as caught:
        probe(slack, slack.webhook_url)

    assert words in str(caught.value)
    assert "digest may have arrived" not in str(caught.value)
    assert not any(secret in str(caught.value) for secret in slack.secret_texts)


@pytest.mark.parametrize("scopes", [None, "channels:read, chat:write", "bot"])
def test_bot_token_that_may_post_is_accepted(slack: SlackWithAuthTest, scopes: str | None) -> None:
    slack.scopes = scopes

    assert slack.channel in probe(slack, bot_token=slack.bot_token)
    assert slack.messages == []


def test_bot_token_that_is_unknown_or_may_not_post_is_refused(slack: SlackWithAuthTest) -> None:
    with pytest.raises(DigestError, match="invalid_auth"):
        probe(slack, bot_token="xoxb-wrong")
    slack.scopes = "channels:read"
    with pytest.raises(DigestError, match=r"missing_scope.*chat:write"):
        probe(slack, bot_token=slack.bot_token)


@pytest.mark.parametrize(
    ("scopes", "may_attach"), [("chat:write,files:write", True), ("chat:write", False), (None, True)]
)
def test_bot_token_that_is_to_attach_needs_the_scope_for_it(
    slack: SlackWithAuthTest, scopes: str | None, may_attach: bool
) -> None:
    slack.scopes = scopes
    credentials = SlackCredentials(bot_token=slack.bot_token)
    notifier = SlackClient(credentials, channel=slack.channel, attaches=True, base_url=slack.api_url)

    with nullcontext() if may_attach else pytest.raises(DigestError, match=r"missing_scope.*files:write"):
        notifier.probe()


@pytest.mark.parametrize(
    ("scopes", "is_enough"),
    [
        ("chat:write,users:read,users:read.email", True),
        ("chat:write,users:read", False),
        ("chat:write,users:read.email", False),
        ("users:read,users:read.email", False),
        (None, True),
    ],
)
def test_bot_token_that_is_to_tell_users_needs_the_scopes_for_it(
    slack: SlackWithAuthTest, monkeypatch: pytest.MonkeyPatch, scopes: str | None, *, is_enough: bool
) -> None:
    slack.scopes = scopes
    monkeypatch.setattr("orchestrator.wiring.SlackClient", partial(SlackClient, base_url=slack.api_url))
    config = make_config(slack={"channel": slack.channel}, nudge={"via": "slack", "domains": ["acme.com"]})
    client = make_slack_client(
        SlackCredentials(bot_token=slack.bot_token), Hub(config, {}, make_clients(connections=1))
    )

    with nullcontext() if is_enough else pytest.raises(DigestError, match=r"missing_scope.*users:read\.email"):
        client.probe()
