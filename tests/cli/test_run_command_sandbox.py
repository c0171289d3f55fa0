"""The sandbox and the demonstration, with a process of `orgmfa` each: they need no AWS."""

import json
import os
import subprocess
import sys

import pytest

from orchestrator.reports.report import RunReport
from tests.cli.calling import Cli, outcomes


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cli, subprocess.CompletedProcess[str]]:
    """A run in the sandbox, in a process that is told nothing of AWS, and its folder: to be read alone."""
    cli = Cli(tmp_path_factory.mktemp("sandbox"))
    nothing = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_CONFIG_FILE": str(cli.folder / "missing"),
        "AWS_SHARED_CREDENTIALS_FILE": str(cli.folder / "missing"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "ORGMFA_", "BOTO_"))]:
            patch.delenv(name)
        return cli, cli.process("apply", "--sandbox", "--yes", **nothing)


def test_sandbox_needs_nothing_and_enforces(applied: tuple[Cli, subprocess.CompletedProcess[str]]) -> None:
    cli, done = applied
    _, report = cli.report("report", "--sandbox")

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


@pytest.mark.parametrize("command", ["plan", "doctor", "report", "release"])
def test_mistyped_variable_is_refused_in_the_sandbox_too(cli: Cli, command: str) -> None:
    asked = (command, "--sandbox", *(["--yes"] if command == "release" else []))

    done = cli(*asked, ORGMFA_LIMITS_MAX_CHANGE_PER_RUN="5")

    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown variable ORGMFA_LIMITS_MAX_CHANGE_PER_RUN (did you mean" in done.stderr
    assert not (cli.folder / "orgmfa-sandbox-runs").exists()


def test_report_takes_the_sandbox_and_the_file_that_a_run_printed(
    applied: tuple[Cli, subprocess.CompletedProcess[str]],
) -> None:
    cli, done = applied
    file = next(line for line in done.stdout.splitlines() if line.startswith("Report:")).split()[1]

    of_file, of_sandbox = cli("report", file, "--json"), cli("report", "--sandbox", "--json")
    (cli.folder / "run.json").write_text(of_file.stdout, encoding="utf-8")

    assert of_file.returncode == of_sandbox.returncode == 0
    assert of_file.stdout == of_sandbox.stdout == cli("report", "run.json", "--json").stdout
    assert json.loads(of_file.stdout)["run_id"] in file
