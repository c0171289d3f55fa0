"""The archive of the command line, a folder or a bucket, and `orgmfa report`, which shows what is in it."""

import json

import pytest

from orchestrator.reports.report import RunReport
from tests.aws_server import Answer, AwsServer
from tests.cli.calling import Cli, Sample, assert_refused


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
