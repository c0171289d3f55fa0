"""Sends to a fake Slack, by webhook and by bot token."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.domain.environment import SlackCredentials
from orchestrator.domain.errors import DigestError
from orchestrator.output.slack.client import SlackClient
from tests.fake_slack import FakeSlack

BLOCKS: list[dict[str, Any]] = [{"type": "section", "text": {"type": "mrkdwn", "text": "*acme-prod*: `ana`"}}]


def section(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}} | fields


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


def make_notifier(slack: FakeSlack, **changes: Any) -> SlackClient:
    settings: dict[str, Any] = {"channel": slack.channel, "base_url": slack.api_url, "sleep": lambda _: None} | changes
    return SlackClient(SlackCredentials(bot_token=slack.bot_token), attaches=True, **settings)
