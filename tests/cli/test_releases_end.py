"""Releases that end, early or late, against AWS served over HTTP: who is told of them, and what the next run does."""

import json
from datetime import timedelta

import pytest

from orchestrator.cli.releases import end_releases
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config_file import load_config
from orchestrator.domain.model import Mode, RunRequest, Trigger
from orchestrator.wiring import make_hub
from tests.aws_server import AwsServer
from tests.cli.calling import Cli, Sample, assert_refused, outcomes
from tests.fake_slack import FakeSlack

pytestmark = pytest.mark.thorough

ALICE = ("--user", "alice")


@pytest.fixture
def released(aws: AwsServer, cli: Cli, sample: Sample) -> Sample:
    """Return the sample, in which alice and carol were enforced and then released."""
    cli("apply", "--yes")
    cli("release", "--yes", "--for", "90d")
    aws.forget_calls()
    return sample


@pytest.mark.parametrize("duration", ["91d", "99999d", "2161h"])
def test_release_for_more_than_ninety_days_is_refused(aws: AwsServer, cli: Cli, sample: Sample, duration: str) -> None:
    assert_refused(cli("release", "--yes", "--for", duration), "--for", duration, "90d", "exemption")
    assert aws.writes() == []


def test_end_of_nobody_in_particular_is_refused(aws: AwsServer, cli: Cli, released: Sample) -> None:
    for duration in ("0d", "0h", "00m"):
        assert_refused(cli("release", "--yes", "--for", duration), "--for 0d", "--user", "--account", "--ou")

    assert outcomes(cli.report("plan")[1]) == {"alice": "in_grace", "bob": "none", "carol": "in_grace"}


@pytest.mark.parametrize("options", [ALICE, ("--account", "payments"), (*ALICE, "--account", "acme-payments")])
def test_end_of_a_release_enters_no_account_and_the_next_run_enforces(
    aws: AwsServer, cli: Cli, released: Sample, options: tuple[str, ...]
) -> None:
    ended = cli("release", "--yes", "--for", "0d", *options)
    calls = [call for call in aws.calls if call.service == "iam" or call.action == "AssumeRole"]
    _, after = cli.report("apply", "--yes")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        f"payments ({released.payments}): released no longer: the next run may enforce alice"
    ]
    assert calls == []
    assert outcomes(after) == {"alice": "enforced", "bob": "none", "carol": "in_grace"}


def test_end_of_a_release_as_json_is_one_report(cli: Cli, released: Sample) -> None:
    code, report = cli.report("release", "--yes", "--for", "0d", *ALICE, "--user", "carol")

    assert code == 0
    assert (report.mode, report.totals.skipped, report.totals.accounts) == ("release", 2, 2)
    told = {account.name: account.error and (account.error.code, account.error.message) for account in report.accounts}
    assert told == {
        "payments": ("release_ended", "released no longer: the next run may enforce alice"),
        "search": ("release_ended", "released no longer: the next run may enforce carol"),
    }


def test_end_of_a_release_as_jsonl_is_a_line_an_account(cli: Cli, released: Sample) -> None:
    ended = cli("release", "--yes", "--for", "0d", *ALICE, "--user", "carol", "--output", "jsonl")

    assert {json.loads(line)["name"] for line in ended.stdout.splitlines()} == {"payments", "search"}
    assert f"payments ({released.payments}): released no longer" in ended.stderr


def test_user_named_who_is_not_released_is_told_and_the_others_end(cli: Cli, released: Sample) -> None:
    ended = cli("release", "--yes", "--for", "0d", *ALICE, "--user", "Alice")
    nobody = cli("release", "--yes", "--for", "0d", "--account", "empty")

    assert ended.returncode == 1
    assert "no release is in force of 'Alice'." in ended.stderr
    assert nobody.returncode == 1
    assert "no release is in force of anybody in these accounts" in nobody.stderr
    assert outcomes(cli.report("plan")[1]) == {"alice": "planned", "bob": "none", "carol": "in_grace"}


def test_end_without_a_terminal_or_yes_is_refused(cli: Cli, released: Sample) -> None:
    assert_refused(cli("release", "--for", "0d", *ALICE), "--yes", "no terminal")
    assert outcomes(cli.report("plan")[1])["alice"] == "in_grace"


def test_newest_release_counts_also_where_it_is_shorter(cli: Cli, released: Sample) -> None:
    released.organization.aws.client("iam", released.payments).attach_user_policy(
        UserName="alice", PolicyArn=f"arn:aws:iam::{released.payments}:policy/EnforceMFA"
    )
    cli("release", "--yes", "--for", "1d", *ALICE)

    _, report = cli.report("plan")

    until = {one.user_name: one.until for one in report.releases}
    assert set(until) == {"alice", "carol"}
    assert until["alice"] - report.started_at <= timedelta(days=1) < until["carol"] - report.started_at


def test_releases_in_force_are_listed_with_who_and_until_when(cli: Cli, released: Sample) -> None:
    with FakeSlack() as slack:
        shown = cli("plan", "--digest", ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url)
        _, report = cli.report("plan")
        cli.configure("slack: {users: counts}\n")
        cli("plan", "--digest", ORGMFA_SLACK_WEBHOOK_URL=slack.webhook_url)
    _, narrowed = cli.report("plan", "--account", "search")
    doctor = json.loads(cli("doctor", "--output", "json").stdout)

    day = f"{report.releases[0].until:%Y-%m-%d %H:%M}"
    named, counted = (json.dumps(message.blocks) for message in slack.messages)
    for text in (" ".join(shown.stdout.split()), named):
        assert f"released until {day} UTC: alice (acme-payments), carol (search)" in text
    assert f"released until {day} UTC: 2 users" in counted
    assert "alice" not in counted
    assert {(one.account_id, one.user_name) for one in report.releases} == {
        (released.payments, "alice"),
        (released.search, "carol"),
    }
    assert [one.user_name for one in narrowed.releases] == ["carol"]
    (check,) = [check for check in doctor["checks"] if check["name"] == "releases"]
    assert f"alice ({released.payments})" in check["message"]
    assert f"released until {day} UTC" in check["message"]


def test_doctor_says_that_nobody_is_released(cli: Cli, sample: Sample) -> None:
    doctor = json.loads(cli("doctor", "--output", "json").stdout)

    (check,) = [check for check in doctor["checks"] if check["name"] == "releases"]
    assert (check["status"], check["message"]) == ("ok", "no release is in force")


def test_end_that_a_person_declines_ends_nothing(cli: Cli, released: Sample) -> None:
    asked: list[tuple[str, int]] = []
    config = load_config(None, {"ORGMFA_ARCHIVE_LOCATION": str(cli.folder / "orgmfa-runs")})
    hub = make_hub(config, {})
    request = RunRequest(
        run_id="run-1",
        mode=Mode.RELEASE,
        trigger=Trigger.CLI,
        started_at=hub.now(),
        user_names=frozenset({"alice"}),
        release_for=timedelta(),
    )

    def decline(question: str, users: int) -> bool:
        asked.append((question, users))
        return False

    declined = end_releases(hub, request, confirm=decline, in_words=False, cancellation=Cancellation())

    assert (declined, asked) == (None, [("End 1 release?", 1)])
    assert outcomes(cli.report("plan")[1])["alice"] == "in_grace"
