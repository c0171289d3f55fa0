"""SIGINT and SIGTERM, sent to a process of `orgmfa`."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from orchestrator.cli.confirmation import Interrupts
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.reports.report import RunReport
from tests.aws_server import Answer, AwsServer, Call
from tests.cli.calling import ORGMFA, TIMEOUT_SECONDS, Cli, Sample, outcomes
from tests.cli.deploying import Deployer

pytestmark = pytest.mark.thorough


@contextmanager
def started(cli: Cli, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*ORGMFA, *arguments],
        cwd=cli.folder,
        env=cli.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def signal_at(aws: AwsServer, action: str, number: signal.Signals) -> list[subprocess.Popen[str]]:
    """Have the process that is put into the returned list signalled when AWS is first called with this action."""
    running: list[subprocess.Popen[str]] = []
    sent: list[bool] = []

    def fault(call: Call) -> Answer | None:
        if call.action == action and running and not sent:
            sent.append(True)
            running[0].send_signal(number)
        return None

    aws.faults.append(fault)
    return running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_run_with_a_report_of_what_was_done(
    aws: AwsServer, cli: Cli, sample: Sample, number: signal.Signals
) -> None:
    cli.configure("concurrency: {workers: 1}\n")
    running = signal_at(aws, "AttachUserPolicy", number)
    with started(cli, "apply", "--yes", "--output", "json") as process:
        running.append(process)
        stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)

    report = RunReport.model_validate_json(stdout)
    assert process.returncode == 1
    assert "Interrupted" in stderr
    assert sorted(outcomes(report).values()) == ["enforced", "none", "planned"]
    assert len(aws.writes()) == 1
    assert list((cli.folder / "orgmfa-runs" / "runs").rglob("*.json.gz"))


def test_plan_that_is_interrupted_says_who_ended_it_and_advises_nothing_but_to_plan_again(
    aws: AwsServer, cli: Cli, sample: Sample
) -> None:
    cli.configure("concurrency: {workers: 1}\nlimits: {max_changes_per_run: 0}\n")
    assert "Next:   read the plan, then orgmfa apply --max-changes 2 --config config.yaml" in (
        cli("plan", "--config", "config.yaml").stdout
    )
    running = signal_at(aws, "GenerateCredentialReport", signal.SIGINT)
    with started(cli, "plan", "--config", "config.yaml") as process:
        running.append(process)
        stdout, _ = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 1
    assert "interrupted" in stdout
    assert "could not be listed to its end" not in stdout
    assert "writing to IAM" not in stdout
    assert "--max-changes" not in stdout
    assert re.search(r"Since the run of .+, in the \d accounts? that could be read: ", " ".join(stdout.split()))
    assert stdout.splitlines()[-1].startswith("Next:   orgmfa plan --config config.yaml (again")
    assert aws.writes() == []


INTERRUPTED_WHILE_WRITING = """
import os, signal
import orchestrator.cli.run_command as terminal
from orchestrator.cli.main import main

write = terminal.write_indented

def interrupted(report):
    for number, text in enumerate(write(report)):
        if number == 1:
            os.kill(os.getpid(), signal.SIGINT)
        yield text

terminal.write_indented = interrupted
main()
"""


@pytest.mark.usefixtures("sample")
def test_signal_while_the_report_is_written_leaves_it_whole(cli: Cli) -> None:
    done = cli.run(sys.executable, "-c", INTERRUPTED_WHILE_WRITING, "plan", "--output", "json")

    assert outcomes(RunReport.model_validate_json(done.stdout)) == {
        "alice": "planned",
        "bob": "none",
        "carol": "planned",
    }
    assert "Interrupted" in done.stderr


def test_second_signal_ends_at_once(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    signalled: list[Any] = []

    def fault(call: Call) -> Answer | None:
        if call.action == "GenerateCredentialReport" and running and len(signalled) < 1:
            signalled.append(call)
            running[0].send_signal(signal.SIGINT)
            assert running[0].stderr is not None
            while "Interrupted" not in running[0].stderr.readline():
                pass
            running[0].send_signal(signal.SIGINT)
        return None

    running: list[subprocess.Popen[str]] = []
    aws.faults.append(fault)
    with started(cli, "plan", "--output", "json") as process:
        running.append(process)
        process.wait(timeout=TIMEOUT_SECONDS)
        assert process.stdout is not None
        stdout = process.stdout.read()

    assert process.returncode == 128 + signal.SIGINT
    assert stdout == ""


def test_question_after_a_signal_is_answered_with_no() -> None:
    cancellation = Cancellation()
    cancellation.event.set()

    assert Interrupts(cancellation).ask("Enforce?") is False


def test_yes_after_a_signal_at_the_question_means_no(monkeypatch: pytest.MonkeyPatch) -> None:
    cancellation = Cancellation()

    class SignalledInput:
        def readline(self, _size: int = -1) -> str:
            cancellation.event.set()
            return "y\n"

    monkeypatch.setattr(sys, "stdin", SignalledInput())

    assert Interrupts(cancellation).ask("Enforce?") is False


def test_signal_at_the_question_means_no(deploy: Deployer) -> None:
    ours, theirs = pty.openpty()
    try:
        with deploy.started(deploy.first(), stdin=theirs) as process:
            assert process.stderr is not None
            told = ""
            while "[y/N]" not in told:
                told += process.stderr.read(1)
            process.send_signal(signal.SIGINT)
            os.write(ours, b"y\n")
            _, rest = process.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        os.close(ours)
        os.close(theirs)

    assert process.returncode == 1
    assert "Nothing more was changed." in rest
    assert deploy.cloud.stacks == {}
