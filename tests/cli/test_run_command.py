"""The commands `plan`, `apply` and `release`, against AWS served over HTTP: what operators and pipelines rely on."""

import base64
import json
from datetime import UTC, datetime

import pytest

from tests.aws_server import Answer, AwsServer
from tests.cli.calling import Cli, Sample, assert_refused, outcomes, written


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


def test_quiet_is_a_line_for_each_cause_and_outcome(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    aws.missing_roles.add((sample.search, "orgmfa-member"))

    done = cli("plan", "--quiet", COLUMNS="160")

    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("to fix: 1 account failed")]
    assert "would be enforced: alice (acme-payments)" in lines
    assert "Remedy" not in done.stdout
    assert len(lines) <= 12
