"""What cannot be used: exit code 2, nothing on stdout, the reason on stderr, never a traceback."""

import socket

import pytest

from orchestrator.aws import retries
from orchestrator.pipeline import gate
from tests.aws_server import AwsServer, error_for
from tests.cli.calling import Cli, Sample, assert_refused


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("enforcement: {user: all}\n", ("config.yaml", "enforcement.user", "unknown key", "users")),
        ("concurrency: {workers: many}\n", ("config.yaml", "concurrency.workers", "integer")),
        ("exemptions: [{user: '*', reason: why}]\n", ("exemptions (entry 1)", "until")),
        ("enforcement: {grace_period: soon}\n", ("enforcement.grace_period", "30m")),
        ("organization: {exclude_accounts: [011111111111]}\n", ("exclude_accounts", "quotes")),
        ("enforcement: [\n", ("config.yaml", "line")),
        ("archive: {location: 'ftp://x'}\n", ("archive.location",)),
        ("enforcement: {stop: ''}\n", ("config.yaml", "enforcement.stop")),
        ("enforcement: {stop: no}\n", ("config.yaml", "enforcement.stop", "False")),
        ("enforcement: {stop: $NOT_SET/stop}\n", ("enforcement.stop", "$NOT_SET/stop", "NOT_SET is not set")),
        ("enforcement: {stop: ~nobody-of-this-name/stop}\n", ("enforcement.stop", "~nobody-of-this-name")),
        ("enforcement: {stop: /nowhere/stop}\n", ("enforcement.stop", "/nowhere/stop", "no folder /nowhere is there")),
        ("archive: {location: $NOT_SET/runs}\n", ("archive.location", "$NOT_SET/runs", "NOT_SET is not set")),
        ("organization: {id: o-someoneelse1}\n", ("organization.id", "o-someoneelse1")),
        (
            "protected_users: ['arn:aws:iam::111122223333:user/alice']\n",
            ("protected_users (entry 1)", "a name, not an ARN"),
        ),
        ("archive: {keep: 0d}\n", ("config.yaml", "archive.keep", "a day")),
        ("archive: {keep: 29d}\nenforcement: {notice: 30d}\n", ("config.yaml", "archive.keep", "enforcement.notice")),
        ("protected_users: ['alice ']\n", ("protected_users (entry 1)", "a name, not an ARN", "'alice '")),
        ("protected_users: [\u0430lice]\n", ("protected_users (entry 1)", "a name, not an ARN", r"\u0430lice")),
        (
            "exemptions: [{user: /ops/alice, reason: why, until: 2999-01-01}]\n",
            ("exemptions (entry 1).user", "a name, not an ARN"),
        ),
    ],
)
def test_configuration_that_cannot_be_used_is_refused(
    aws: AwsServer, cli: Cli, sample: Sample, config: str, words: tuple[str, ...]
) -> None:
    cli.configure(config)

    assert_refused(cli("apply", "--yes", "--output", "json"), *words)
    assert aws.writes() == []


@pytest.mark.parametrize("command", ["plan", "apply --yes", "release --yes", "doctor", "report", "policy", "package"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ORGMFA_PROTECTED_USERS", "protected_users stand in the file alone"),
        ("ORGMFA_ENFORCEMENT_MOD", "did you mean ORGMFA_ENFORCEMENT_MODE?"),
        ("orgmfa_enforcement_stop", "did you mean ORGMFA_ENFORCEMENT_STOP?"),
        ("ORGMFA_", "unknown variable ORGMFA_"),
    ],
)
def test_variable_of_ours_that_is_unknown_is_refused(
    aws: AwsServer, cli: Cli, sample: Sample, command: str, name: str, hint: str
) -> None:
    assert_refused(cli(*command.split(), **{name: ""}), name, hint)
    assert aws.writes() == []


def test_notice_in_the_environment_may_not_be_longer_than_runs_are_kept(cli: Cli, sample: Sample) -> None:
    done = cli("apply", "--yes", ORGMFA_ARCHIVE_KEEP="2d", ORGMFA_ENFORCEMENT_NOTICE="3d")

    assert_refused(done, "archive.keep", "enforcement.notice")


def test_webhook_without_tls_is_refused_before_anything_is_written(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    done = cli("apply", "--yes", ORGMFA_SLACK_WEBHOOK_URL="http://hooks.slack.com/services/T/B/s3cret")

    assert_refused(done, "webhook", "https://")
    assert "s3cret" not in done.stderr
    assert aws.writes() == []


def test_webhook_that_is_to_attach_the_page_is_refused_before_anything_is_read(cli: Cli) -> None:
    cli.configure("slack: {attach: true}\n")

    done = cli("plan", "--digest", ORGMFA_SLACK_WEBHOOK_URL="https://hooks.slack.com/services/T/B/s3cret")

    assert_refused(done, "slack.attach", "bot token")
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "--account", "nobody"], ("--account", "nobody", "matches no account")),
        (["plan", "--account", "Serach"], ("matches no account; near it: 'search'",)),
        (["plan", "--account", "000000000000"], ("--account", "000000000000")),
        (["plan", "--config", "missing.yaml"], ("missing.yaml", "No such file")),
        (["plan", "--config", "."], ("cannot read",)),
        (["plan", "--max-changes", "-1"], ("--max-changes", "none")),
        (["apply", "--yes", "--max-changes-per-account", "few"], ("--max-changes-per-account", "none")),
        (["plan", "--ou", "ou-none-00000000"], ("ou-none-00000000",)),
        (["apply"], ("--yes", "no terminal")),
        (["release"], ("--yes",)),
        (["release", "--yes", "--for", "soon"], ("--for", "soon")),
        (["report", "no-such-run"], ("no-such-run", "--list")),
        (["plan", "--output", "xml"], ("--output",)),
        (["sweep"], ("sweep",)),
    ],
)
def test_call_that_cannot_be_used_is_refused(
    cli: Cli, sample: Sample, arguments: list[str], words: tuple[str, ...]
) -> None:
    assert_refused(cli(*arguments), *words)


def test_no_credentials_is_told(cli: Cli, sample: Sample) -> None:
    done = cli("plan", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")

    assert_refused(done, "credentials", "AWS_PROFILE")


def test_profile_that_does_not_exist_is_told(cli: Cli, sample: Sample) -> None:
    assert_refused(cli("plan", AWS_PROFILE="nobody"), "nobody", "AWS_PROFILE")


def test_no_permission_to_list_accounts_is_told_with_the_remedy(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    aws.faults.append(lambda call: error_for(call, "AccessDeniedException") if call.action == "ListAccounts" else None)

    assert_refused(cli("plan"), "AccessDeniedException", "organizations:ListAccounts", "delegated administrator")


def test_account_outside_any_organization_is_told(aws: AwsServer, cli: Cli) -> None:
    assert_refused(cli("plan"), "AWSOrganizationsNotInUseException")


def test_nothing_listening_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "UNREACHABLE_SECONDS", 0.0)
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

        assert_refused(cli("plan", AWS_ENDPOINT_URL=url), "AWS_ENDPOINT_URL", "network")


def test_archive_without_a_run_is_told(cli: Cli) -> None:
    assert_refused(cli.process("report"), "holds no run yet", "orgmfa plan")


@pytest.mark.usefixtures("sample")
def test_run_that_would_write_ends_with_its_plan_while_another_does(
    aws: AwsServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 0.0)
    lock = cli.folder / "orgmfa-runs" / "locks" / "run"
    lock.parent.mkdir(parents=True)
    lock.write_text('{"run_id": "run-of-the-lambda", "until": "2999-01-01T00:00:00Z"}', encoding="utf-8")

    code, report = cli.report("apply", "--yes")
    shown = cli("apply", "--yes")

    assert report.gate is not None
    assert (code, report.gate.code, report.totals.planned) == (1, "under_way", 2)
    assert shown.returncode == 1
    assert "NOTHING WAS WRITTEN: run run-of-the-lambda holds the lease on writing." in shown.stdout
    assert aws.writes() == []
    assert cli("plan").returncode == 0
