"""Runs `orgmfa deploy`, with the real templates, against a fake CloudFormation over HTTP.

tests/fake_cloudformation.py says why not moto's: it cannot be under way, fail, or give an output of a change set. S3,
STS, IAM and Organizations are moto's. What no test double can prove is that AWS accepts the templates.
"""

import os
import pty
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from zipfile import ZipFile

from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call, xml_error
from tests.command_line import run_here
from tests.fake_cloudformation import FakeCloudFormation
from tests.organization import SampleOrganization

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 90
BUILT = "no package is named"
"""Stands for a call without --package."""
BOOTSTRAP, CENTRAL, STACK_SET = "orgmfa-bootstrap", "orgmfa-central", "orgmfa-stackset"
BUCKET = "orgmfa-bootstrap-bucket-0123456789ab"
OPERATOR = f"arn:aws:iam::{MANAGEMENT}:role/security-team"


@dataclass(frozen=True)
class Done:
    """What a call ended in."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Deployer:
    """Runs `orgmfa deploy` in a folder with a package, against the fake: called, in this process."""

    aws: AwsServer
    cloud: FakeCloudFormation
    organization: SampleOrganization
    payments: str
    folder: Path

    def __call__(self, *arguments: str, **environment: str) -> Done:
        self.aws.forget_calls()
        done = run_here("deploy", *self.packaged(arguments), folder=self.folder, environment=environment)
        return Done(done.returncode, done.stdout, done.stderr)

    def process(self, *arguments: str) -> Done:
        """Run the command as operators do, in a process of its own."""
        self.aws.forget_calls()
        with self.started(arguments) as process:
            stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
        return Done(process.returncode, stdout, stderr)

    @contextmanager
    def started(self, arguments: Sequence[str], *, stdin: int = DEVNULL) -> Iterator[Popen[str]]:
        """Start the command as a process."""
        command = [sys.executable, "-m", "orchestrator", "deploy", *self.packaged(arguments)]
        settings = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
        with Popen(command, env=settings, stdin=stdin, stdout=PIPE, stderr=PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def stand(self, *parameters: str) -> None:
        """Have a deployment that stands, to the root; and none of its calls in the books."""
        self.cloud.is_instant = True
        done = self("--yes", *self.first(*parameters))
        self.cloud.is_instant = False
        self.aws.forget_calls()
        assert done.code == 0, done.stderr

    def first(self, *parameters: str) -> list[str]:
        """Return the arguments of a first deployment, to the root."""
        return given(f"TargetIds={self.organization.root_id}", *parameters)

    def packaged(self, arguments: Sequence[str]) -> list[str]:
        is_named = not {"--delete", "--package", BUILT}.isdisjoint(arguments)
        return [*([] if is_named else ["--package", "code.zip"]), *(one for one in arguments if one != BUILT)]

    def pack(self, **files: str) -> None:
        """Write a package with these files beside the handler."""
        with ZipFile(self.folder / "code.zip", "w") as archive:
            for name, text in {"orchestrator/handler.py": "", **files}.items():
                archive.writestr(name, text)

    def statuses(self) -> dict[str, str]:
        return {name: stack.status for name, stack in self.cloud.stacks.items()}

    def parameters(self, stack: str) -> dict[str, str]:
        return self.cloud.stacks[stack].content.parameters

    def executed(self) -> list[str]:
        """Return the names of the stacks whose change was begun in the last call."""
        calls = [call for call in self.aws.calls if call.action == "ExecuteChangeSet"]
        return [self.cloud.executed[call.parameters["ChangeSetName"]] for call in calls]


def given(*parameters: str) -> list[str]:
    return [word for parameter in parameters for word in ("--parameter", parameter)]


def build_accounts(aws: AwsServer) -> tuple[SampleOrganization, str]:
    organization = SampleOrganization(aws)
    payments = organization.add_account("payments", alias="acme-payments")
    organization.add_user(payments, "alice")
    organization.add_account("search")
    return organization, payments


def assert_refused(done: Done, *words: str, stdout: bool = False) -> None:
    assert done.code == 2, done.stderr
    assert stdout or done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def enforce(deploy: Deployer) -> None:
    arn = f"arn:aws:iam::{deploy.payments}:policy/EnforceMFA"
    deploy.aws.client("iam", deploy.payments).attach_user_policy(UserName="alice", PolicyArn=arn)


def release(deploy: Deployer) -> None:
    arn = f"arn:aws:iam::{deploy.payments}:policy/EnforceMFA"
    deploy.aws.client("iam", deploy.payments).detach_user_policy(UserName="alice", PolicyArn=arn)


def denied(call: Call) -> Answer:
    return xml_error("AccessDenied", f"User is not authorized to perform: cloudformation:{call.action}", 403)


def on_terminal(deploy: Deployer, answers: str, *arguments: str) -> tuple[int, str]:
    """Run with a terminal as standard input, type the answers, and return exit code and all that was written."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answers.encode())
        deploy.aws.forget_calls()
        with deploy.started(arguments, stdin=theirs) as process:
            stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
        return process.returncode, stdout + stderr
    finally:
        os.close(ours)
        os.close(theirs)
