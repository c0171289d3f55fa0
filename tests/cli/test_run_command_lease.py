"""Runs that cross one another: an `apply` that waits at its question on a real terminal while others write."""

import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from orchestrator.reports.report import RunReport
from tests.aws_server import AwsServer
from tests.cli.calling import ORGMFA, TIMEOUT_SECONDS, Cli, Sample, outcomes, written

pytestmark = pytest.mark.thorough


@dataclass
class AtItsQuestion:
    """An `apply` that has shown its plan and asked."""

    process: subprocess.Popen[str]
    keyboard: int

    def answer(self, word: str) -> RunReport:
        os.write(self.keyboard, f"{word}\n".encode())
        stdout, _ = self.process.communicate(timeout=TIMEOUT_SECONDS)
        return RunReport.model_validate_json(stdout)


@contextmanager
def apply_at_its_question(cli: Cli) -> Iterator[AtItsQuestion]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*ORGMFA, "apply", "--output", "json"],
        cwd=cli.folder,
        env=cli.environment(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        told = ""
        while "[y/N]" not in told:
            letter = process.stderr.read(1)
            assert letter, told
            told += letter
        yield AtItsQuestion(process, ours)
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(theirs)


def test_apply_at_its_question_stops_nobody_and_heeds_whom_a_release_freed_meanwhile(
    aws: AwsServer, cli: Cli, sample: Sample
) -> None:
    """Somebody else enforces alice and carol, and a release frees alice; then the old plan is answered with yes."""
    with apply_at_its_question(cli) as waiting:
        assert cli("apply", "--yes").returncode == 0
        assert written(aws) == [("AttachUserPolicy", "alice"), ("AttachUserPolicy", "carol")]
        code, released = cli.report("release", "--user", "alice", "--yes")
        assert outcomes(released)["alice"] == "released"
        sample.organization.add_user(sample.search, "dora")
        aws.forget_calls()

        report = waiting.answer("y")

    assert outcomes(report)["alice"] == "in_grace"
    assert sample.organization.attached(sample.payments, "alice") == []
    assert [name for _, name in written(aws)] == ["carol"], "whom its plan names, again, without effect"
    assert report.gate is None
    assert code == 0


def test_release_at_the_question_of_an_apply_that_is_then_declined(aws: AwsServer, cli: Cli, sample: Sample) -> None:
    cli("apply", "--yes", "--account", sample.payments)
    with apply_at_its_question(cli) as waiting:
        done = cli("release", "--user", "alice", "--yes")
        report = waiting.answer("n")

    assert done.returncode == 0
    assert sample.organization.attached(sample.payments, "alice") == []
    assert report.gate is not None
    assert (report.gate.code, report.gate.planned) == ("declined", 1)
    assert waiting.process.returncode == 1
    assert sample.organization.attached(sample.search, "carol") == []
