"""The command line, against AWS served over HTTP: what operators and pipelines rely on.

Where the process is the point - its streams, its exit code - it is one of its own.
"""

import base64
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.reports.report import RunReport
from tests.aws_server import Answer, AwsServer
from tests.cli.calling import Cli, Sample, assert_refused, outcomes, written
from tests.command_line import run_here
from tests.fake_slack import FakeSlack

# -- the main job


def test_sweep_enforces_and_a_second_one_changes_nothing(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    code, first = cli.report("apply", "--yes")

    assert code == 0
    assert outcomes(first) == {"alice": "enforced", "bob": "none", "carol": "enforced"}
    assert written(aws) == [("AttachUserPolicy", "alice"), ("AttachUserPolicy", "carol")]
    assert sample.organization.attached(sample.payments, "alice") == ["EnforceMFA"]
    assert sample.organization.attached(sample.payments, "bob") == []

    aws.forget_calls()
    code, second = cli.report("apply", "--yes")

    assert code == 0
    assert outcomes(second) == {"alice": "already_enforced", "bob": "none", "carol": "already_enforced"}
    assert aws.writes() == []


def test_plan_changes_nothing_and_says_so(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    done = cli("plan")

    assert done.returncode == 0
    assert "Nothing was written" in " ".join(done.stdout.split())
    assert "acme-payments" in done.stdout
    assert aws.writes() == []


def test_steady_state_costs_nine_calls_an_account(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    cli.report("apply", "--yes")
    aws.forget_calls()

    cli.report("apply", "--yes")

    assert len(aws.actions(sample.payments)) == 8  # the ninth, AssumeRole, is made in the hub's account
    assert [call.action for call in aws.calls].count("AssumeRole") == 4


def test_user_is_seen_who_had_mfa_or_no_password_only_while_others_had_the_report_made(
    aws: AwsServer, cli: Cli, sample: Sample
) -> None:
    iam = aws.client("iam", sample.payments)
    sample.organization.add_user(sample.payments, "dora", password=False)
    sample.organization.enrol(sample.payments, "alice", "fido")
    iam.generate_credential_report()
    timed = base64.b64encode(iam.get_credential_report()["Content"]).decode()
    (device,) = iam.list_mfa_devices(UserName="alice")["MFADevices"]
    iam.deactivate_mfa_device(UserName="alice", SerialNumber=device["SerialNumber"])
    iam.create_login_profile(UserName="dora", Password="Correct-Horse-9-Battery")
    made_at = f"<GeneratedTime>{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}</GeneratedTime>"
    result = f"<GetCredentialReportResult><Content>{timed}</Content>{made_at}</GetCredentialReportResult>"
    body = f"<GetCredentialReportResponse>{result}</GetCredentialReportResponse>"
    aws.faults.append(lambda call: Answer(200, body) if call.action == "GetCredentialReport" else None)

    code, report = cli.report("apply", "--yes", "--account", sample.payments)

    assert code == 0
    assert outcomes(report) == {"alice": "enforced", "bob": "none", "dora": "enforced"}


@pytest.mark.parametrize(("mfa", "looks"), [("virtual", 0), ("fido", 1), ("hardware", 1)])
def test_new_device_is_told_and_costs_a_call_once_where_the_bulk_reads_do_not_tell_it(
    aws: AwsServer, cli: Cli, sample: Sample, mfa: str, looks: int
) -> None:
    cli.report("apply", "--yes")
    sample.organization.enrol(sample.payments, "alice", mfa)
    aws.forget_calls()
    aws.expire_reports()

    code, enrolled = cli.report("apply", "--yes")
    calls = aws.actions(sample.payments)
    aws.forget_calls()
    aws.expire_reports()
    _, after = cli.report("apply", "--yes")

    assert code == 0
    assert enrolled.changes is not None
    (alice,) = enrolled.changes.enrolled
    assert (alice.name, alice.account_alias, alice.device) == ("alice", "acme-payments", mfa)
    assert alice.enrolled_at is not None
    assert (len(calls), calls.count("ListMFADevices")) == (8 + looks, looks)
    assert after.changes is not None
    assert after.changes.enrolled == ()
    assert len(aws.actions(sample.payments)) == 8


def test_notice_leaves_users_alone_and_says_so(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    cli.configure("enforcement: {notice: 7d}\n")

    code, first = cli.report("apply", "--yes")
    _, second = cli.report("apply", "--yes", "--account", "payments")

    assert code == 0
    assert outcomes(first) == {"alice": "in_grace", "bob": "none", "carol": "in_grace"}
    assert outcomes(second) == {"alice": "in_grace", "bob": "none"}
    assert second.narrowed
    assert second.accounts[0].users[0].open_since == first.started_at
    assert aws.writes() == []


@pytest.mark.parametrize(("notice", "code"), [("7d", 2), ("0d", 1)])
def test_archive_that_cannot_be_read_is_told(aws: AwsServer, cli: Cli, sample: Sample, notice: str, code: int) -> None:
    aws.client("s3").create_bucket(Bucket="acme-archive")
    archive = "archive: {location: 's3://acme-archive'}\n"
    cli.configure(archive)
    cli.report("plan")
    cli.configure(f"{archive}enforcement: {{notice: {notice}}}\n")
    denied = Answer(403, "<Error><Code>AccessDenied</Code><Message>denied</Message></Error>")
    aws.faults.append(lambda call: denied if call.action.startswith("GET /acme-archive/runs/") else None)

    done = cli("plan", "--output", "json")

    assert done.returncode == code
    assert "Traceback" not in done.stderr
    if code == 2:
        assert_refused(done, "enforcement.notice", "AccessDenied")
    else:
        report = RunReport.model_validate_json(done.stdout)
        assert [error.code for error in report.errors] == ["history_unreadable"]
        assert report.totals.planned == 2


@pytest.mark.parametrize("by", ["id", "name", "alias"])
def test_single_account_is_all_that_is_touched(aws: AwsServer, cli: Cli, sample: Sample, by: str) -> None:
    if by == "alias":
        cli.report("plan")
        aws.forget_calls()
    target = {"id": sample.payments, "name": "payments", "alias": "acme-payments"}[by]

    code, report = cli.report("apply", "--yes", "--account", target)

    assert code == 0
    assert [account.id for account in report.accounts] == [sample.payments]
    assert written(aws) == [("AttachUserPolicy", "alice")]
    assert set(aws.actions(sample.search)) == set()


def test_one_account_failing_of_several_is_told(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    aws.missing_roles.add((sample.search, "orgmfa-member"))

    code, report = cli.report("apply", "--yes")

    failed = {account.name: account.error for account in report.accounts if account.status == "failed"}
    assert code == 1
    assert list(failed) == ["search"]
    assert failed["search"] is not None
    assert failed["search"].stage == "assume_role"
    assert "StackSet" in failed["search"].remedy
    assert outcomes(report) == {"alice": "enforced", "bob": "none"}
    assert report.totals.accounts == 4


def test_release_takes_it_back_and_is_remembered(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    cli.report("apply", "--yes")

    code, released = cli.report("release", "--yes", "--account", "payments", "--user", "alice")
    _, after = cli.report("apply", "--yes")

    assert code == 0
    assert outcomes(released) == {"alice": "released", "bob": "none"}
    assert sample.organization.attached(sample.payments, "alice") == []
    assert outcomes(after) == {"alice": "in_grace", "bob": "none", "carol": "already_enforced"}


def test_json_is_one_report_on_stdout_and_nothing_else(cli: Cli, sample: Sample) -> None:
    done = cli.process("plan", "--output", "json", "--verbose")

    document = json.loads(done.stdout)
    assert document["mode"] == "plan"
    assert document["trigger"] == "cli"
    assert document["totals"]["accounts"] == 4
    assert document["totals"]["planned"] == 2
    assert "account_inspected" in done.stderr


def test_jsonl_is_one_account_a_line_with_its_run(cli: Cli, sample: Sample) -> None:
    plan = [json.loads(line) for line in cli("plan", "--output", "jsonl").stdout.splitlines()]
    archived = [json.loads(line) for line in cli("report", "--output", "jsonl").stdout.splitlines()]
    report = json.loads(cli("report", "--json").stdout)

    run = {"run_id": report["run_id"], "mode": "plan", "gate": None}
    assert plan == archived == [run | each for each in report["accounts"]]
    assert len(plan) == 4
    assert cli("report", "--list", "--output", "jsonl").stdout.splitlines() == [
        json.dumps(each) for each in json.loads(cli("report", "--list", "--json").stdout)
    ]


def test_report_shows_the_newest_run_and_lists_them(cli: Cli, sample: Sample) -> None:
    _, run = cli.report("plan")

    shown = cli("report")
    listed = cli("report", "--list", "--output", "json")
    table = cli("report", "--list")
    again = cli("report", run.run_id, "--output", "json")

    assert shown.returncode == listed.returncode == again.returncode == 0
    assert run.run_id in shown.stdout
    assert table.stdout.split()[-5:] == [
        "plan",
        f"{run.totals.non_compliant}",
        f"{run.totals.accounts}",
        "0",
        run.run_id,
    ]
    assert [entry["run_id"] for entry in json.loads(listed.stdout)] == [run.run_id]
    assert RunReport.model_validate_json(again.stdout) == run


def test_report_is_written_as_a_page_and_as_csv(cli: Cli, sample: Sample) -> None:
    _, run = cli.report("plan")

    done = cli("report", run.run_id, "--html", "run.html", "--csv", "run.csv")

    page, table = ((cli.folder / name).read_text(encoding="utf-8") for name in ("run.html", "run.csv"))
    assert done.returncode == 0
    assert done.stdout == ""
    assert "acme-payments" in page
    assert "alice" in table
    assert not list(cli.folder.glob("*.partial"))


def test_page_that_cannot_be_written_is_told(cli: Cli, sample: Sample) -> None:
    cli.report("plan")

    assert_refused(cli("report", "--html", "missing/folder/run.html"), "missing/folder/run.html", "No such file")


def test_limit_holds_and_is_lifted_for_one_run(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    cli.configure("limits: {max_changes_per_run: 1}\n")

    code, held = cli.report("apply", "--yes")
    assert (code, outcomes(held)["alice"], aws.writes()) == (1, "planned", [])
    assert held.gate is not None
    assert (held.gate.code, held.gate.planned, held.gate.limit) == ("over_limit", 2, 1)

    code, lifted = cli.report("apply", "--yes", "--max-changes", "2")
    assert (code, outcomes(lifted)["alice"]) == (0, "enforced")


def test_each_limit_has_an_option_that_leaves_the_other_as_it_is(cli: Cli, sample: Sample) -> None:
    sample.organization.add_user(sample.payments, "dora")
    cli.configure("limits: {max_changes_per_run: 2, max_changes_per_account: 1}\n")

    _, run_lifted = cli.report("plan", "--max-changes", "none")
    _, account_lifted = cli.report("plan", "--max-changes-per-account", "none")
    _, both = cli.report("plan", "--max-changes", "3", "--max-changes-per-account", "2")

    assert (outcomes(run_lifted)["alice"], run_lifted.gate) == ("held", None)
    assert outcomes(account_lifted)["alice"] == "planned"
    assert account_lifted.gate is not None
    assert (account_lifted.gate.planned, account_lifted.gate.limit) == (3, 2)
    assert (outcomes(both)["alice"], both.gate) == ("planned", None)


@pytest.mark.parametrize(
    ("content", "enforced"),
    [
        (b"stop # incident 12\n", 0),
        (b'"stop"', 0),
        ("stop\r\n".encode("utf-8-sig"), 0),
        ("stop\r\n".encode("utf-16"), 0),
        ("go\r\n".encode("utf-8-sig"), 2),
    ],
)
def test_stop_switch_that_is_not_understood_holds_everybody(
    aws: AwsServer, cli: Cli, sample: Sample, content: bytes, enforced: int
) -> None:
    (cli.folder / "stop").write_bytes(content)
    cli.configure("enforcement: {stop: ./stop}\n")

    _, report = cli.report("apply", "--yes")

    assert (report.totals.enforced, len(aws.writes())) == (enforced, enforced)
    assert (report.gate is None) is (enforced > 0)
    if report.gate is not None:
        assert report.gate.code == "stopped"
        assert str(cli.folder / "stop") in report.gate.message


def test_switch_and_archive_in_the_home_folder_are_there(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    home = cli.folder / "home"
    home.mkdir()
    (home / "stop").write_text("stop\n", encoding="utf-8")
    settings = "{enforcement: {stop: ~/stop}, archive: {location: $HOME/runs}}"
    (home / "orgmfa.yaml").write_text(settings, encoding="utf-8")

    _, report = cli.report("apply", "--yes", HOME=str(home), ORGMFA_CONFIG="~/orgmfa.yaml")

    assert aws.writes() == []
    assert report.gate is not None
    assert (report.gate.code, report.totals.planned) == ("stopped", 2)
    assert list((home / "runs").iterdir()) != []
    assert [path.name for path in cli.folder.iterdir()] == ["home"]


def test_switch_in_a_folder_that_is_missing_holds_up_no_release(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    cli.report("apply", "--yes")
    cli.configure("enforcement: {stop: share/stop}\n")

    assert_refused(cli("apply", "--yes"), "enforcement.stop", str(cli.folder / "share"))
    code, report = cli.report("release", "--yes")

    assert (code, report.totals.released) == (0, 2)
    assert cli("report").returncode == 0


@pytest.mark.parametrize("location", ["audit:2026", "runs-12:30", "file:runs", "a b/ü", "./orgmfa-runs"])
def test_archive_can_be_a_folder_of_any_name(cli: Cli, sample: Sample, location: str) -> None:
    cli.configure(f"archive: {{location: '{location}'}}\n")

    code, report = cli.report("plan")

    assert code == 0
    assert list((cli.folder / location / "runs").rglob("*.json.gz"))
    assert json.loads(cli("report", "--json").stdout)["run_id"] == report.run_id


@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes"), ("release", "--yes")])
def test_archive_that_cannot_be_written_is_told_before_any_account_is_entered(
    aws: AwsServer, cli: Cli, sample: Sample, command: tuple[str, ...]
) -> None:
    (cli.folder / "orgmfa-runs").write_text("in the way", encoding="utf-8")

    done = cli(*command)

    assert done.returncode == 2
    assert "orgmfa-runs" in done.stderr
    assert done.stdout == ""
    assert "AssumeRole" not in aws.actions()


@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes")])
def test_bucket_that_may_be_read_alone_is_told_before_any_account_is_entered(
    aws: AwsServer, cli: Cli, sample: Sample, command: tuple[str, ...]
) -> None:
    aws.client("s3").create_bucket(Bucket="reports")
    cli.configure("archive: {location: s3://reports/orgmfa}\n")
    denied = "<Error><Code>AccessDenied</Code><Message>not allowed to s3:PutObject</Message></Error>"
    aws.faults.append(lambda call: Answer(403, denied) if call.action.startswith("PUT /reports/") else None)

    done = cli(*command)

    assert done.returncode == 2
    assert "not allowed to s3:PutObject" in done.stderr
    assert "AssumeRole" not in aws.actions()


def test_archive_can_be_a_bucket(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    aws.client("s3").create_bucket(Bucket="acme-archive")
    cli.configure("archive: {location: 's3://acme-archive/orgmfa'}\n")

    _, run = cli.report("plan")
    code, shown = cli.report("report")

    assert code == 0
    assert shown == run
    keys = [entry["Key"] for entry in aws.client("s3").list_objects_v2(Bucket="acme-archive")["Contents"]]
    assert keys == [
        f"orgmfa/accounts/date={run.started_at:%Y-%m-%d}/{run.run_id}.jsonl.gz",
        "orgmfa/locks/probe",
        f"orgmfa/runs/{run.started_at:%Y/%m/%d}/{run.run_id}.json.gz",
    ]


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn", "aws-eusc"])
def test_policy_is_printed_without_credentials(cli: Cli, partition: str) -> None:
    done = cli("policy", "--partition", partition, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")

    assert done.returncode == 0
    assert f"arn:{partition}:iam::*:user/${{aws:username}}" in done.stdout
    assert json.loads(done.stdout)["Version"] == "2012-10-17"


def test_scp_is_printed_without_credentials_in_one_line_with_what_it_cannot_say_beside_it(cli: Cli) -> None:
    cli.configure("protected_users: [break-glass-1]\nenforcement: {notice: 14d}\n")

    done = cli("policy", "--scp", "--partition", "aws-us-gov", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")

    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "arn:aws-us-gov:iam::*:user/*" in str(json.loads(done.stdout))
    assert '"StringNotLike":{"aws:username":"break-glass-1"}' in done.stdout
    assert done.stderr.splitlines()[-1] == f"{len(done.stdout) - 1:,} of 10,240 characters."
    assert "enforcement.notice cannot be said" in done.stderr


def test_scp_that_does_not_fit_is_refused_and_nothing_is_printed(cli: Cli) -> None:
    names = ", ".join(f"a-rather-long-name-of-a-user-{number}" for number in range(400))
    cli.configure(f"protected_users: [{names}]\n")

    assert_refused(cli("policy", "--scp"), "may have 10,240", "400 exemptions and protected users")


@pytest.mark.parametrize("partition", ["aws-iso", "aws-iso-b", "AWS", ""])
def test_policy_of_another_partition_is_refused_with_a_list_of_ours(cli: Cli, partition: str) -> None:
    done = cli("policy", "--partition", partition)

    assert_refused(done, "--partition", "'aws', 'aws-us-gov', 'aws-cn', 'aws-eusc'")


@pytest.mark.parametrize("command", ["plan", "doctor"])
def test_caller_of_another_partition_is_refused_with_a_list_of_ours(
    aws: AwsServer, cli: Cli, sample: Sample, command: str
) -> None:
    arn = "arn:aws-iso:iam::123456789012:user/ana"
    result = f"<GetCallerIdentityResult><Account>123456789012</Account><Arn>{arn}</Arn></GetCallerIdentityResult>"
    identity = Answer(200, f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>")
    aws.faults.append(lambda call: identity if call.action == "GetCallerIdentity" else None)

    done = cli(command)

    assert_refused(done, "partition must be one of aws, aws-us-gov, aws-cn, aws-eusc, not 'aws-iso'")
    assert "AssumeRole" not in aws.actions()


# -- Slack


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


# -- shell completion

AS_INSTALLED = "import sys; sys.argv = ['orgmfa']; from orchestrator.cli.main import main; main()"


def complete(folder: Path, instruction: str, **words: str) -> str:
    return run_here(folder=folder, environment={"_ORGMFA_COMPLETE": instruction, **words}).stdout


@pytest.mark.parametrize(
    ("shell", "words"),
    [("bash", "-F _orgmfa_completion orgmfa"), ("zsh", "#compdef orgmfa"), ("fish", "--command orgmfa")],
)
def test_completion_script_of_each_shell_is_printed(tmp_path: Path, shell: str, words: str) -> None:
    assert words in complete(tmp_path, f"{shell}_source")


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    assert complete(tmp_path, "bash_complete", COMP_WORDS="orgmfa pl", COMP_CWORD="1") == "plain,plan\n"
    assert "plain,--account\n" in complete(tmp_path, "bash_complete", COMP_WORDS="orgmfa plan --ac", COMP_CWORD="2")


def test_installed_command_completes_by_its_name(cli: Cli) -> None:
    done = cli.run(
        sys.executable, "-c", AS_INSTALLED, _ORGMFA_COMPLETE="bash_complete", COMP_WORDS="orgmfa pl", COMP_CWORD="1"
    )

    assert done.stdout == "plain,plan\n"


# -- the sandbox and the demonstration


def test_sandbox_needs_nothing_and_enforces(cli: Cli) -> None:
    done = cli.process(
        "apply", "--sandbox", "--yes", "--output", "json", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""
    )

    report = RunReport.model_validate_json(done.stdout)
    assert done.returncode == 1
    assert report.totals.enforced > 0
    assert report.totals.failed > 0


def test_demonstration_ends_in_zero_and_says_what_is_next(cli: Cli) -> None:
    done = cli.run(sys.executable, "-m", "tests.demo")

    assert done.returncode == 0, done.stderr
    assert "as it should be" in done.stdout
    assert "orgmfa plan" in done.stdout
    assert len(done.stdout.splitlines()) <= 40
    assert "Tidewater Legacy" in (cli.folder / "orgmfa-sandbox-runs" / "digest.txt").read_text(encoding="utf-8")
    messages = (cli.folder / "orgmfa-sandbox-runs" / "messages.txt").read_text(encoding="utf-8").split("-" * 80)
    assert ["from now on it can" in message for message in messages] == [False, True]


@pytest.mark.thorough
def test_second_run_in_the_sandbox_finds_what_the_first_one_left(cli: Cli) -> None:
    first = RunReport.model_validate_json(cli.process("apply", "--sandbox", "--yes", "--output", "json").stdout)
    freed = cli.process("release", "--sandbox", "--yes", "--user", "tom.becker", "--for", "1d")
    second = RunReport.model_validate_json(cli.process("apply", "--sandbox", "--yes", "--output", "json").stdout)

    before, after = outcomes(first), outcomes(second)
    enforced = {name for name, outcome in before.items() if outcome == "enforced"}
    assert freed.returncode == 1, "two accounts cannot be entered"
    assert {name: after[name] for name in enforced} == dict.fromkeys(enforced, "already_enforced") | {
        "tom.becker": "in_grace"
    }
    assert second.totals.enforced == 0
    assert second.changes is not None
    assert second.changes.enforcement_undone == ()


def test_report_takes_the_sandbox_and_the_file_that_a_run_printed(cli: Cli) -> None:
    printed = cli.process("plan", "--sandbox").stdout
    file = next(line for line in printed.splitlines() if line.startswith("Report:")).split()[1]

    of_file, of_sandbox = cli("report", file, "--json"), cli("report", "--sandbox", "--json")
    (cli.folder / "plan.json").write_text(of_file.stdout, encoding="utf-8")

    assert of_file.returncode == of_sandbox.returncode == 0
    assert of_file.stdout == of_sandbox.stdout == cli("report", "plan.json", "--json").stdout
    assert json.loads(of_file.stdout)["run_id"] in file


@pytest.mark.parametrize("content", [b"", b"{}", b"\x1f\x8b", b"[1, 2]", b"no json"])
@pytest.mark.parametrize("name", ["report.json", "report.json.gz"])
def test_file_that_is_no_report_is_refused(cli: Cli, name: str, content: bytes) -> None:
    (cli.folder / name).write_bytes(content)

    done = cli("report", name)

    assert (done.returncode, done.stdout) == (2, "")
    assert name in done.stderr


def test_report_is_found_by_the_address_in_a_bucket(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    aws.client("s3").create_bucket(Bucket="reports")
    cli.configure("archive: {location: s3://reports/orgmfa}\n")
    printed = cli("plan").stdout
    address = next(line for line in printed.splitlines() if line.startswith("Report:")).split()[1]

    assert address.startswith("s3://reports/orgmfa/")
    assert json.loads(cli("report", address, "--json").stdout)["run_id"] in address


def test_quiet_is_a_line_for_each_cause_and_outcome(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    aws.missing_roles.add((sample.search, "orgmfa-member"))

    done = cli("plan", "--quiet", COLUMNS="160")

    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("to fix: 1 account failed")]
    assert "would be enforced: alice (acme-payments)" in lines
    assert "Remedy" not in done.stdout
    assert len(lines) <= 12


HEAVY = ("boto3", "botocore", "jinja2", "moto", "rich", "structlog", "orchestrator.wiring", "orchestrator.output")


@pytest.mark.parametrize(
    ("command", "spared"),
    [
        ("--version", (*HEAVY, "pydantic")),
        ("version", (*HEAVY, "pydantic")),
        ("help", (*HEAVY, "pydantic")),
        ("help plan", (*HEAVY, "pydantic")),
        ("policy", HEAVY),
        ("config", HEAVY),
    ],
)
def test_command_imports_no_more_than_it_needs(tmp_path: Path, command: str, spared: tuple[str, ...]) -> None:
    program = (
        "import json, sys; sys.argv = ['orgmfa', *sys.argv[1:]]; from orchestrator.cli.main import run; code = run();"
        "print(json.dumps([code, *sys.modules]), file=sys.stderr)"
    )

    done = Cli(tmp_path).run(sys.executable, "-c", program, *command.split())

    code, *modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    assert [name for name in modules if name.split(".")[0] in spared or name in spared] == []


@pytest.mark.parametrize(
    ("words", "said"), [("help", "--help"), ("help plan", "plan --help"), ("version", "--version")]
)
def test_help_and_version_are_commands_too(cli: Cli, words: str, said: str) -> None:
    assert cli(*words.split()).stdout == cli(*said.split()).stdout != ""


def test_help_of_what_is_no_command_is_refused(cli: Cli) -> None:
    assert_refused(cli("help", "nope"), "no such command", "nope")
