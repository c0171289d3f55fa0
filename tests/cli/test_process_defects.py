"""Unexpected exceptions: one line with the place of the traceback; exit code 1 after something was written, else 2."""

import re
import stat
from pathlib import Path

import pytest

from orchestrator.cli import doctor_command, main, run_command
from orchestrator.domain import config_file
from orchestrator.pipeline import run as pipeline_run
from tests.aws_server import AwsServer
from tests.cli.calling import Cli, Sample
from tests.cli.deploying import Deployer

LINE = re.compile(
    r"^orgmfa: unexpected ZeroDivisionError: one two\. (.+) .* with the traceback in (\S+)\.$", re.MULTILINE
)


def fail(*_: object, **__: object) -> None:
    raise ZeroDivisionError("one\ntwo")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def assert_told(done: tuple[int, str], code: int, extent: str) -> None:
    returned, stderr = done
    assert returned == code
    told = LINE.search(stderr)
    assert told is not None, stderr
    assert extent in told[1]
    assert "Traceback" not in stderr
    kept = Path(told[2])
    assert "ZeroDivisionError" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["plan"], (run_command, "run_once")),
        (["apply", "--yes"], (run_command, "run_once")),
        (["release", "--yes"], (run_command, "make_hub")),
        (["doctor"], (doctor_command, "run_doctor")),
        (["report"], (run_command, "make_hub")),
        (["policy"], (main, "render_enforcement_policy")),
        (["package"], (config_file, "find_config")),
        (["apply", "--yes"], (pipeline_run, "plan_all")),
    ],
)
def test_exception_before_anything_was_written(
    cli: Cli,
    sample: Sample,
    aws: AwsServer,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    place: tuple[object, str],
) -> None:
    monkeypatch.setattr(*place, fail)

    done = cli(*arguments)

    assert_told((done.returncode, done.stderr), 2, "Nothing was written.")
    assert done.stdout == ""
    assert aws.writes() == []


def test_exception_after_releases_were_ended(cli: Cli, sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("apply", "--yes")
    cli("release", "--yes")
    monkeypatch.setattr(run_command, "show_report", fail)

    done = cli("release", "--yes", "--for", "0d", "--user", "alice", "--output", "json")

    assert_told((done.returncode, done.stderr), 1, "Some of it may have been written")


@pytest.mark.parametrize("command", ["apply", "release"])
def test_exception_after_something_was_written(
    cli: Cli, sample: Sample, aws: AwsServer, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    if command == "release":
        assert cli("apply", "--yes").returncode == 0
    monkeypatch.setattr(run_command, "show_report", fail)

    done = cli(command, "--yes")

    assert_told((done.returncode, done.stderr), 1, "Some of it may have been written")
    assert aws.writes() != []


def test_exception_of_a_deployment(deploy: Deployer, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.cli import deploy_command  # noqa: PLC0415 - only this test needs it

    monkeypatch.setattr(deploy_command, "format_next_steps", fail)

    done = deploy(*deploy.first(), "--yes")

    assert_told((done.code, done.stderr), 1, "Some of it may have been written")


def test_traceback_that_cannot_be_kept_is_no_other_exception(
    cli: Cli, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    monkeypatch.setattr(run_command, "run_once", fail)

    done = cli("plan")

    assert done.returncode == 2
    assert "could not be kept (No such file or directory)" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
