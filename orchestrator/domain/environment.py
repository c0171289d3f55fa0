"""The variables of the environment that orgmfa reads, and what comes from them or a secret, never from config.yaml."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from orchestrator.domain.config import Config
from orchestrator.domain.errors import ConfigError

CONFIG_VARIABLE = "ORGMFA_CONFIG"
STOP_VARIABLE = "ORGMFA_ENFORCEMENT_STOP"
WEBHOOK_VARIABLE = "ORGMFA_SLACK_WEBHOOK_URL"
BOT_TOKEN_VARIABLE = "ORGMFA_SLACK_BOT_TOKEN"  # noqa: S105 - the name of a variable, not a secret
STACK_SET_VARIABLE = "ORGMFA_STACKSET_NAME"
BATCH_SIZE_VARIABLE = "ORGMFA_BATCH_SIZE"
ONBOARDING_VARIABLE = "ORGMFA_ONBOARDING"
IAM_EVENTS_VARIABLE = "ORGMFA_IAM_EVENTS"

_PREFIX = "ORGMFA_"


def variable_of(section: str, key: str) -> str:
    """Return the variable that wins over a key of the configuration."""
    return f"{_PREFIX}{section}_{key}".upper()


KEYS: Mapping[str, tuple[str, ...]] = {
    section: tuple(getattr(field_info.annotation, "model_fields", ()))
    for section, field_info in Config.model_fields.items()
}
"""The keys of each section of the configuration; none of a list such as `exemptions`."""

KNOWN_VARIABLES = frozenset(
    {
        CONFIG_VARIABLE,
        WEBHOOK_VARIABLE,
        BOT_TOKEN_VARIABLE,
        STACK_SET_VARIABLE,
        BATCH_SIZE_VARIABLE,
        ONBOARDING_VARIABLE,
        IAM_EVENTS_VARIABLE,
    }
).union(variable_of(section, key) for section, keys in KEYS.items() for key in keys)
"""All variables that the program reads."""


def check_variables(environment: Mapping[str, str]) -> None:
    """Raise ConfigError where a variable begins with ORGMFA_, in any case, and is none that is read."""
    unknown = sorted(name for name in environment if name.upper().startswith(_PREFIX) and name not in KNOWN_VARIABLES)
    if unknown:
        near = get_close_matches(unknown[0].upper(), KNOWN_VARIABLES, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(
            f"unknown variable {', '.join(unknown)}{hint}: unset it; each key of a section has its "
            "ORGMFA_<SECTION>_<KEY>, exemptions and protected_users stand in the file alone"
        )


@dataclass(frozen=True, slots=True)
class SlackCredentials:
    """Credentials for Slack: a webhook, or a bot token for `slack.channel`. Never printed or logged."""

    webhook_url: str | None = field(default=None, repr=False)
    bot_token: str | None = field(default=None, repr=False)


def slack_credentials(environment: Mapping[str, str]) -> SlackCredentials | None:
    """Return the Slack credentials of the environment, or None where it has none."""
    webhook_url, bot_token = environment.get(WEBHOOK_VARIABLE) or None, environment.get(BOT_TOKEN_VARIABLE) or None
    return SlackCredentials(webhook_url, bot_token) if webhook_url or bot_token else None


def expects_onboarding(environment: Mapping[str, str]) -> bool:
    """Return whether events of new accounts are to start runs, as the parameter Onboarding says."""
    return environment.get(ONBOARDING_VARIABLE) == "on"


def stack_set_name(environment: Mapping[str, str]) -> str:
    """Return the name of our StackSet, whose events announce new accounts."""
    return environment.get(STACK_SET_VARIABLE) or "orgmfa"


def batch_size(environment: Mapping[str, str]) -> int:
    """Return the number of accounts in a batch of a run in steps. Raises ConfigError for no whole number from 1."""
    text = environment.get(BATCH_SIZE_VARIABLE) or "200"
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise ConfigError(f"{BATCH_SIZE_VARIABLE} is {text!r}: a whole number from 1 to 9999 is expected")
    return int(text)


def parse_slack_secret(text: str, *, name: str) -> SlackCredentials:
    """Return what a secret holds, webhook URL or JSON with `bot_token`. A ConfigError never repeats the secret."""
    text = text.strip()
    if text.startswith(("https://", "http://")):
        return SlackCredentials(webhook_url=text)
    try:
        token = json.loads(text)["bot_token"]
    except (ValueError, KeyError, TypeError):
        token = None
    if not isinstance(token, str) or not token:
        raise ConfigError(f'slack.secret: the secret {name} holds neither a webhook URL nor {{"bot_token": "..."}}')
    return SlackCredentials(bot_token=token)
