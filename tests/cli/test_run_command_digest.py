"""The digest of a run of the command line, sent to a fake Slack."""

import json

from tests.aws_server import AwsServer
from tests.cli.calling import Cli, Sample
from tests.fake_slack import FakeSlack


def test_apply_sends_one_digest_and_no_digest_sends_none(cli: Cli, sample: Sample) -> None:
    with FakeSlack() as slack:
        cli("apply", "--yes", ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url)
        assert len(slack.messages) == 1

        cli("apply", "--yes", "--no-digest", ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url)
        cli("plan", ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url)
        assert len(slack.messages) == 1

        cli("plan", "--digest", ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url)
        assert len(slack.messages) == 2


def test_protections_without_effect_are_named_in_table_and_digest(cli: Cli, sample: Sample) -> None:
    cli.configure("protected_users: [zoe]\norganization: {exclude_accounts: ['777788889999']}\n")
    with FakeSlack() as slack:
        shown = cli("plan", "--digest", ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url).stdout
        narrowed = cli("plan", "--account", "payments").stdout

    for text in (" ".join(shown.split()), json.dumps(slack.messages[0].blocks)):
        assert "entry 1 of protected_users (zoe) matches no user" in text
        assert "organization.exclude_accounts names 777788889999" in text
    assert "matches no user" not in narrowed


def test_user_renamed_to_a_protected_name_is_told(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    cli.configure("protected_users: [break-glass-*]\n")
    cli("plan")
    aws.client("iam", sample.search).update_user(UserName="carol", NewUserName="break-glass-77")
    with FakeSlack() as slack:
        _, report = cli.report("plan", "--digest", ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url)
        _, again = cli.report("plan")

    assert report.changes is not None
    assert [(user.account_id, user.name) for user in report.changes.newly_exempt] == [(sample.search, "break-glass-77")]
    assert "Newly exempt or protected: `break-glass-77`" in json.dumps(slack.messages[0].blocks)
    assert again.changes is not None
    assert again.changes.newly_exempt == ()


def test_slack_secret_is_read_from_secrets_manager(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    with FakeSlack() as slack:
        aws.client("secretsmanager").create_secret(Name="orgmfa/slack", SecretString=slack.webhook_url)
        cli.configure("slack: {secret: orgmfa/slack}\n")
        # the client goes to the caller's Region, where the secret must be
        done = cli("plan", "--digest", AWS_DEFAULT_REGION="us-east-1")

    assert done.returncode == 0, done.stderr
    assert len(slack.messages) == 1


def test_refused_digest_fails_the_run_and_the_webhook_url_is_never_told(cli: Cli, sample: Sample) -> None:
    with FakeSlack() as slack:
        bad = slack.webhook_url + "-mistyped"
        done = cli("plan", "--digest", "--verbose", ORGMFA_SLACK_WEBHOOK_URL=bad)

    assert done.returncode == 1
    assert "digest" in done.stdout.lower()
    assert bad not in done.stdout + done.stderr
    assert list((cli.folder / "orgmfa-runs" / "runs").rglob("*.json.gz"))
