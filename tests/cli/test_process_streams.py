"""Standard streams that are closed, broken or full, with a process of `orgmfa` each."""

import errno
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.aws_server import AwsServer
from tests.cli.calling import ORGMFA, TIMEOUT_SECONDS, Cli, Sample

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the full device of Linux"),
]


def shell(cli: Cli, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `orgmfa` is the command."""
    return cli.run("bash", "-c", f'set -o pipefail; orgmfa() {{ {" ".join(ORGMFA)} "$@"; }}; {command}', **environment)


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("orgmfa policy | true", 0, ""),
        ("orgmfa policy | head -1", 0, ""),
        ("orgmfa policy >&-", 0, ""),
        ("orgmfa policy 2>&-", 0, ""),
        ("orgmfa policy <&-", 0, ""),
        ("orgmfa policy <&- >&- 2>&-", 0, ""),
        ("orgmfa policy > /dev/full", 1, "cannot write to standard output: No space left on device"),
        ("orgmfa policy > /dev/full 2> /dev/full", 1, ""),
        ("orgmfa report nothing 2> /dev/full", 2, ""),
        ("orgmfa report nothing 2>&-", 2, ""),
        ("orgmfa apply <&-", 2, "there is no terminal to ask on"),
    ],
)
def test_stream_that_is_closed_broken_or_full_ends_in_no_traceback(
    cli: Cli, command: str, code: int, said: str
) -> None:
    done = shell(cli, command)

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert bool(done.stderr) == bool(said)


@pytest.mark.parametrize("streams", ["2>&1 >/dev/null | true", "2> /dev/full > /dev/full", "2>&- >&- <&-"])
def test_run_that_writes_ends_properly_whoever_reads(aws: AwsServer, cli: Cli, sample: Sample, streams: str) -> None:
    shell(cli, f"orgmfa apply --yes -v {streams}")

    assert sorted(call.parameters["UserName"] for call in aws.writes()) == ["alice", "carol"]
    assert list((cli.folder / "orgmfa-runs" / "runs").rglob("*.json.gz"))


@pytest.mark.parametrize("options", [(), ("--output", "json"), ("--output", "jsonl")])
def test_nobody_is_asked_about_a_plan_that_could_not_be_shown(
    aws: AwsServer, cli: Cli, sample: Sample, options: tuple[str, ...]
) -> None:
    leader, follower = pty.openpty()
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        process = subprocess.Popen(
            [*ORGMFA, "apply", *options],
            cwd=cli.folder,
            env=cli.environment(),
            stdin=follower,
            stdout=subprocess.PIPE if options else full,  # with data on standard output the plan goes to the other
            stderr=full if options else subprocess.PIPE,
            text=True,
        )
        os.write(leader, b"y\n")
        _, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    os.close(leader)
    os.close(follower)

    assert process.returncode == 1
    assert options or os.strerror(errno.ENOSPC) in stderr
    assert aws.writes() == []


@pytest.mark.parametrize("command", ["apply >&-", "apply --output json 2>&-", "apply --output jsonl 2>&-"])
def test_nobody_is_asked_about_a_plan_that_goes_to_a_closed_stream(
    aws: AwsServer, cli: Cli, sample: Sample, command: str
) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        ["/bin/bash", "-c", f"exec {' '.join(ORGMFA)} {command}"], cwd=cli.folder, env=cli.environment(), stdin=follower
    )
    os.write(leader, b"y\n")
    code = process.wait(timeout=TIMEOUT_SECONDS)
    os.close(leader)
    os.close(follower)

    assert code == 1
    assert aws.writes() == []


@pytest.mark.parametrize("columns", ["0", "00", "", "80"])
def test_width_of_nothing_is_eighty_columns(cli: Cli, sample: Sample, columns: str) -> None:
    done = cli.process("plan", COLUMNS=columns)

    assert "acme-payments" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
