"""Calls `orgmfa` in a folder of its own, against AWS served over HTTP; and the sample organization of the tests."""

import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from orchestrator.reports.report import RunReport
from tests.aws_server import AwsServer
from tests.command_line import run_here
from tests.organization import SampleOrganization

ORGMFA = (sys.executable, "-m", "orchestrator")
TIMEOUT_SECONDS = 90


@dataclass
class Cli:
    """Runs `orgmfa` in a folder of its own: called, in this process; `process` starts another."""

    folder: Path

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_here(*arguments, folder=self.folder, environment=environment)

    def process(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(*ORGMFA, *arguments, **environment)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def report(self, *arguments: str, **environment: str) -> tuple[int, RunReport]:
        """Run with JSON output and return exit code and report; standard output must hold the report alone."""
        done = self(*arguments, "--output", "json", **environment)
        return done.returncode, RunReport.model_validate_json(done.stdout)

    def exported(self) -> tuple[str, dict[str, dict[str, str]]]:
        """Return the page of the newest run, and the rows of its CSV file by user name."""
        self("report", "--html", "page.html", "--csv", "users.csv")
        with (self.folder / "users.csv").open(encoding="utf-8-sig") as file:
            rows = {row["user"]: row for row in csv.DictReader(file)}
        return (self.folder / "page.html").read_text(encoding="utf-8"), rows

    def environment(self, **changes: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(Path.cwd()), **changes}

    def configure(self, text: str) -> None:
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")


@dataclass
class Sample:
    """Three accounts: `payments` with alice (no MFA) and bob (MFA), `search` with carol (no MFA), `empty`."""

    organization: SampleOrganization
    payments: str
    search: str
    empty: str


def make_sample(aws: AwsServer) -> Sample:
    organization = SampleOrganization(aws)
    payments = organization.add_account("payments", alias="acme-payments")
    organization.add_user(payments, "alice")
    organization.add_user(payments, "bob", mfa="virtual")
    search = organization.add_account("search")
    organization.add_user(search, "carol")
    empty = organization.add_account("empty")
    return Sample(organization, payments, search, empty)


def outcomes(report: RunReport) -> dict[str, str]:
    return {user.name: user.outcome.value for account in report.accounts for user in account.users}


def written(aws: AwsServer) -> list[tuple[str, str]]:
    return sorted((call.action, call.parameters["UserName"]) for call in aws.writes())


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
