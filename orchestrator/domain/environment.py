"""Settings that stand in the environment or in a secret, and never in config.yaml: Slack credentials, names, sizes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.domain.errors import ConfigError

WEBHOOK_VARIABLE = "ORGMFA_SLACK_WEBHOOK_URL"
BOT_TOKEN_VARIABLE = "ORGMFA_SLACK_BOT_TOKEN"  # noqa: S105 - the name of a variable, not a secret
STACK_SET_VARIABLE = "ORGMFA_STACKSET_NAME"
BATCH_SIZE_VARIABLE = "ORGMFA_BATCH_SIZE"
DEFAULT_BATCH_SIZE = "200"


@dataclass(frozen=True, slots=True)
class SlackCredentials:
    """What may speak to Slack: a webhook, or a bot token for `slack.channel`. Never printed or logged."""

    webhook_url: str | None = field(default=None, repr=False)
    bot_token: str | None = field(default=None, repr=False)


def slack_credentials(environment: Mapping[str, str]) -> SlackCredentials | None:
    """Return the Slack credentials of the environment, or None where it has none."""
    webhook_url = environment.get(WEBHOOK_VARIABLE) or None
    bot_token = environment.get(BOT_TOKEN_VARIABLE) or None
    if webhook_url is None and bot_token is None:
        return None
    return SlackCredentials(webhook_url=webhook_url, bot_token=bot_token)


def stack_set_name(environment: Mapping[str, str]) -> str:
    """Return the name of our StackSet, whose events tell of new accounts."""
    return environment.get(STACK_SET_VARIABLE) or "orgmfa"


def batch_size(environment: Mapping[str, str]) -> int:
    """Return how many accounts a batch of a run in steps has. Raises ConfigError where it is no whole number from 1."""
    text = environment.get(BATCH_SIZE_VARIABLE) or DEFAULT_BATCH_SIZE
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise ConfigError(f"{BATCH_SIZE_VARIABLE} is {text!r}: a whole number from 1 to 9999 is expected")
    return int(text)


def parse_slack_secret(text: str, *, name: str) -> SlackCredentials:
    """Return the Slack credentials that a secret holds: a webhook URL, or JSON with `bot_token`.

    Raises ConfigError where it is neither; the message never repeats the secret.
    """
    text = text.strip()
    if text.startswith(("https://", "http://")):
        return SlackCredentials(webhook_url=text)
    try:
        token = json.loads(text)["bot_token"]
    except (ValueError, KeyError, TypeError):
        token = None
    if not isinstance(token, str) or not token:
        message = f'slack.secret: the secret {name} holds neither a webhook URL nor {{"bot_token": "..."}}'
        raise ConfigError(message)
    return SlackCredentials(bot_token=token)
