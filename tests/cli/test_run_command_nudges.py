"""Messages to users on the command line: what a plan shows, and what an apply run sends by e-mail."""

from typing import Any

import pytest
from moto.backends import get_backend

from orchestrator.aws.clients import make_clients
from tests.aws_server import MANAGEMENT, AwsServer
from tests.cli.calling import Cli, Sample

SETTINGS = """
enforcement: {notice: 7d}
nudge: {via: email, domains: [acme.com], sender: security@acme.com, region: eu-west-1, contact: "#mfa-help"}
"""


def address(aws: AwsServer, sample: Sample) -> None:
    tag: Any = {"Key": "email", "Value": "alice@acme.com"}
    aws.client("iam", sample.payments).tag_user(UserName="alice", Tags=[tag])


def test_plan_shows_who_would_be_told_and_the_message_of_one(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    cli.configure(SETTINGS)
    address(aws, sample)

    done = cli("plan")

    assert "1 user would be told by email" in done.stdout
    assert "could not be told, no address" in done.stdout
    assert f"Sign in at https://{sample.payments}.signin.aws.amazon.com/console" in done.stdout
    assert "Questions: #mfa-help" in done.stdout


def test_apply_tells_each_user_once(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    cli.configure(SETTINGS)
    address(aws, sample)
    make_clients(connections=1).sesv2("eu-west-1").create_email_identity(EmailIdentity="security@acme.com")

    _, first = cli.report("apply", "--yes", "--no-digest")
    cli("apply", "--yes", "--no-digest")

    sent: Any = get_backend("sesv2")[MANAGEMENT]["eu-west-1"].core_backend.sent_messages
    (alice,) = [user for account in first.accounts for user in account.users if user.name == "alice"]
    assert [(message.kind, message.problem) for message in alice.messages] == [("first", None)]
    assert [message.destinations["ToAddresses"] for message in sent] == [["alice@acme.com"]]


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize(
    ("nudge", "words"),
    [
        ("{via: slack, domains: [acme.com]}", "nudge.via: slack needs a bot token"),
        (
            "{via: email, sender: a@acme.com, region: eu-west-1, text: missing.txt}",
            "nudge.text: cannot read missing.txt",
        ),
    ],
)
def test_messages_that_could_not_be_sent_to_anybody_are_refused_before_anything_is_written(
    aws: AwsServer, cli: Cli, nudge: str, words: str
) -> None:
    cli.configure(f"nudge: {nudge}")

    done = cli("apply", "--yes", "--no-digest")

    assert done.returncode == 2
    assert words in done.stderr
    assert aws.writes() == []


@pytest.mark.usefixtures("sample")
def test_release_needs_neither_text_nor_bot_token(cli: Cli) -> None:
    cli.configure("nudge: {via: slack, domains: [acme.com], text: missing.txt}")

    assert cli("release", "--yes", "--no-digest").returncode == 0


def test_plan_asks_neither_slack_nor_amazon_ses(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    cli.configure(SETTINGS)
    address(aws, sample)

    cli("plan")

    assert "ses" not in {call.service for call in aws.calls}
