"""Slack credentials in the environment and in a secret."""

import pytest

from orchestrator.domain.environment import SlackCredentials, parse_slack_secret, slack_credentials
from orchestrator.domain.errors import ConfigError
from tests.domain.config_samples import refusal

# -- credentials of Slack --------------------------------------------------------------------------------------------

WEBHOOK = "https://hooks.slack.com/services/T000/B000/s3cret"
TOKEN = "xoxb-s3cret"


@pytest.mark.parametrize(
    ("environment", "credentials"),
    [
        ({}, None),
        ({"ORGMFA_SLACK_WEBHOOK_URL": "", "ORGMFA_SLACK_BOT_TOKEN": ""}, None),
        ({"ORGMFA_SLACK_WEBHOOK_URL": WEBHOOK}, SlackCredentials(webhook_url=WEBHOOK)),
        ({"ORGMFA_SLACK_BOT_TOKEN": TOKEN}, SlackCredentials(bot_token=TOKEN)),
        (
            {"ORGMFA_SLACK_WEBHOOK_URL": WEBHOOK, "ORGMFA_SLACK_BOT_TOKEN": TOKEN},
            SlackCredentials(webhook_url=WEBHOOK, bot_token=TOKEN),
        ),
    ],
)
def test_slack_credentials_come_from_the_environment(
    environment: dict[str, str], credentials: SlackCredentials | None
) -> None:
    assert slack_credentials(environment) == credentials


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        (WEBHOOK, SlackCredentials(webhook_url=WEBHOOK)),
        (f"  {WEBHOOK}\n", SlackCredentials(webhook_url=WEBHOOK)),
        ("http://127.0.0.1:8080/hook", SlackCredentials(webhook_url="http://127.0.0.1:8080/hook")),
        (f'{{"bot_token": "{TOKEN}"}}', SlackCredentials(bot_token=TOKEN)),
        (f'{{"bot_token": "{TOKEN}", "note": 1}}', SlackCredentials(bot_token=TOKEN)),
    ],
)
def test_secret_holds_a_webhook_or_a_bot_token(text: str, credentials: SlackCredentials) -> None:
    assert parse_slack_secret(text, name="orgmfa/slack") == credentials


@pytest.mark.parametrize(
    "text",
    ["", TOKEN, f'"{TOKEN}"', f'["{TOKEN}"]', '{"token": "xoxb-s3cret"}', '{"bot_token": ""}', '{"bot_token": 1}'],
)
def test_secret_that_is_neither_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_slack_secret(text, name="orgmfa/slack")

    assert str(caught.value).startswith("slack.secret: the secret orgmfa/slack holds neither")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"slack: {{webhook_url: '{WEBHOOK}'}}",
        f"slack: {{bot_token: {TOKEN}}}",
        f"slack: {{secret: {{bot_token: {TOKEN}}}}}",
        f"slack: {{secret: [{TOKEN}]}}",
        f"slack: {{mention: {TOKEN}}}",
        f"slack: {WEBHOOK}",
        f"slack: [{{bot_token: {TOKEN}}}]",
    ],
)
def test_secret_in_the_wrong_place_is_not_repeated(text: str) -> None:
    assert "s3cret" not in refusal(text)


def test_credentials_do_not_show_themselves() -> None:
    assert "s3cret" not in repr(SlackCredentials(webhook_url=WEBHOOK, bot_token=TOKEN))
