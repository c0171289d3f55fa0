"""The zip alone: in an environment with AWS's runtime interface client and nothing else, it carries out a whole run.

`make zip` runs this, not `make test`: it makes an environment of its own and builds three zips. The Lambda service is
`RuntimeApi`, AWS is moto over HTTP, Slack a fake that listens on this machine.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self
from zipfile import ZipFile

import pytest
from moto.backends import get_backend

from orchestrator.deploy.lambda_zip import Package, build_package
from tests.aws_server import MANAGEMENT, AwsServer
from tests.fake_slack import FakeSlack
from tests.organization import SampleOrganization

LOCK = Path("requirements/zip.txt").resolve()
ARCHITECTURE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
PYTHON = f"3.{sys.version_info.minor}"
MOST_BYTES = 15_000_000
FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:orgmfa"
TIMEOUT_SECONDS = 60
LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "orgmfa",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEHUB000000",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "PATH": os.defpath,
}
"""What the service sets for a function."""
SCHEDULED_EVENT: dict[str, object] = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-03-02T12:00:00Z",  # of the invocation, once it is delivered
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:123456789012:rule/orgmfa"],
    "detail": {},
}


def delivered(*, days_ahead: int = 0) -> dict[str, object]:
    """Return the scheduled event as EventBridge would deliver it now, or so long before its time."""
    return SCHEDULED_EVENT | {"time": f"{datetime.now(UTC) + timedelta(days=days_ahead):%Y-%m-%dT%H:%M:%SZ}"}


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="what is compiled in the zip runs on Linux alone"),
]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a function that is ended leaves its connection open."""


@dataclass
class RuntimeApi:
    """The Lambda service, as a function sees it: it hands out one event and takes the answer.

    Lambda Developer Guide, 'Using the Lambda runtime API for custom runtimes'.
    """

    event: object
    answers: list[tuple[str, Any]] = field(default_factory=list)
    """What the function posted: `response` or `error`, and the JSON of it."""

    def __enter__(self) -> Self:
        self._is_handed_out = False
        self.answered, self._closing = Event(), Event()
        self._server = _Server(("127.0.0.1", 0), self._make_handler())
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next_event(self) -> bytes | None:
        """Return the event; whoever asks for another waits until the end, and gets none."""
        if self._is_handed_out:
            self._closing.wait()
            return None
        self._is_handed_out = True
        return json.dumps(self.event).encode()

    def take(self, path: str, body: bytes) -> None:
        self.answers.append((path.rpartition("/")[2], json.loads(body)))
        self.answered.set()

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if (event := api.next_event()) is None:
                    self.close_connection = True
                    return
                headers = {
                    "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                    "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 900) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": FUNCTION_ARN,
                    "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
                }
                self._send(200, event, headers)

            def do_POST(self) -> None:
                api.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self._send(202, b'{"status": "OK"}', {})

            def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                # The client crashes where the content type is missing.
                common = {"Content-Type": "application/json", "Content-Length": str(len(body))}
                for name, value in {**common, **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@dataclass
class Function:
    """The unpacked zip, started as Lambda does: with what Lambda sets, and nothing of this process."""

    python: Path
    folder: Path
    environment: dict[str, str]
    printed: str = ""

    def invoke(self, event: object) -> tuple[str, Any]:
        """Return `response` or `error` and what came with it, or `exit` and what was printed."""
        log = self.folder.with_suffix(".log")
        with RuntimeApi(event) as api, log.open("wb") as output:
            process = subprocess.Popen(
                [self.python, "-m", "awslambdaric", "orchestrator.handler.lambda_handler"],
                cwd=self.folder,
                env=LAMBDA | {"AWS_LAMBDA_RUNTIME_API": api.address} | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while process.poll() is None and not api.answered.wait(0.1) and time.monotonic() < deadline:
                pass
            process.kill()
            process.wait()
        self.printed = log.read_text("utf-8")
        return api.answers[0] if api.answers else ("exit", self.printed)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    output = tmp_path_factory.mktemp("package") / "orgmfa.zip"
    return build_package(output, architecture=ARCHITECTURE, python=PYTHON, config=None, progress=lambda _: None)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the runtime interface client alone."""
    folder = tmp_path_factory.mktemp("runtime") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement", LOCK], check=True)
    return folder / "bin" / "python"


@pytest.fixture
def function(package: Package, runtime: Path, aws: AwsServer, tmp_path: Path) -> Function:
    """Archive in a bucket, webhook in a secret, stop switch in a parameter: every service that a run can use."""
    folder = tmp_path / "task"
    with ZipFile(package.path) as archive:
        archive.extractall(folder)
    aws.client("s3").create_bucket(Bucket="acme-archive")
    aws.client("ssm").put_parameter(Name="/orgmfa/stop", Value="go", Type="String")
    settings = {
        "AWS_ENDPOINT_URL": aws.url,
        "ORGMFA_ARCHIVE_LOCATION": "s3://acme-archive/orgmfa",
        "ORGMFA_ENFORCEMENT_MODE": "apply",
        "ORGMFA_ENFORCEMENT_STOP": "ssm:/orgmfa/stop",
        "ORGMFA_SLACK_SECRET": "orgmfa/slack",
    }
    return Function(runtime, folder, settings)


@pytest.fixture
def slack(aws: AwsServer) -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        aws.client("secretsmanager").create_secret(Name="orgmfa/slack", SecretString=slack.webhook_url)
        yield slack


def test_scheduled_event_is_carried_out_by_the_zip_alone(function: Function, slack: FakeSlack, aws: AwsServer) -> None:
    """Whom it is about.

    root
    +-- management        nobody
    +-- payments          alice, who has no MFA; bob, who has; dora, who has none and a full policy quota
    +-- search            carol, who has no MFA
    """
    organization = SampleOrganization(aws)
    payments, search = organization.add_account("payments", alias="acme-payments"), organization.add_account("search")
    organization.add_user(payments, "alice")
    organization.add_user(payments, "bob", mfa="virtual")
    organization.add_user(payments, "dora", policies=10)
    organization.add_user(search, "carol")

    kind, result = function.invoke(delivered())

    assert kind == "response", result
    assert (result["mode"], result["complete"]) == ("apply", True)
    counts = {name: count for name, count in result["totals"].items() if count}
    assert counts == {
        "accounts": 3,
        "inspected": 3,
        "users": 4,
        "compliant": 1,
        "non_compliant": 3,
        "none": 1,
        "mfa_virtual": 1,
        "enforced": 3,
    }
    assert [organization.attached(payments, name) for name in ("alice", "bob")] == [["EnforceMFA"], []]
    assert organization.attached(search, "carol") == ["EnforceMFA"]
    assert organization.groups(payments, "dora") == ["EnforceMFA"]
    stored = aws.client("s3").list_objects_v2(Bucket="acme-archive")["Contents"]
    assert result["report"].removeprefix("s3://acme-archive/") in {entry["Key"] for entry in stored}
    assert len(slack.messages) == 1
    assert "GetParameter" in aws.actions()
    assert '"UsersEnforced":[3' in function.printed.replace(" ", "")


def test_daily_run_is_not_switched_off_by_a_mark_or_an_event_of_another_day(
    function: Function, slack: FakeSlack, aws: AwsServer
) -> None:
    organization = SampleOrganization(aws)
    organization.add_user(organization.add_account("payments"), "alice")
    name = f"orgmfa/events/rule-{SCHEDULED_EVENT['id']}"

    refused = function.invoke(delivered(days_ahead=400))
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket="acme-archive")
    aws.client("s3").put_object(Bucket="acme-archive", Key=name, Body=b"")
    backend: Any = get_backend("s3")[MANAGEMENT]["aws"]
    backend.buckets["acme-archive"].keys[name].last_modified -= timedelta(days=400)
    first = function.invoke(delivered())
    printed, second = function.printed, function.invoke(delivered())

    assert (refused[0], refused[1]["errorType"]) == ("error", "ConfigError")
    assert "the scheduled event is of" in refused[1]["errorMessage"]
    assert (first[0], first[1]["totals"]["enforced"]) == ("response", 1)
    assert '"ScheduledRunsFinished":[1' in printed.replace(" ", "")
    assert second == ("response", {"repeated": True, "event": f"rule-{SCHEDULED_EVENT['id']}"})
    assert "ScheduledRunsFinished" not in function.printed
    assert len(slack.messages) == 1


def test_event_widens_neither_mode_nor_limit(function: Function, slack: FakeSlack, aws: AwsServer) -> None:
    organization = SampleOrganization(aws)
    payments = organization.add_account("payments")
    organization.add_user(payments, "alice")
    function.environment |= {"ORGMFA_ENFORCEMENT_MODE": "plan", "ORGMFA_LIMITS_MAX_CHANGES_PER_RUN": "0"}
    asked = {"accounts": [payments], "mode": "apply", "max_changes": "none"}

    by_mode = function.invoke(asked)
    function.environment |= {"ORGMFA_ENFORCEMENT_MODE": "apply"}
    by_limit = function.invoke(asked)

    assert (by_mode[0], by_limit[0]) == ("error", "error")
    assert "or deploy with Mode=apply" in by_mode[1]["errorMessage"]
    assert "or deploy with a larger MaxChanges" in by_limit[1]["errorMessage"]
    assert organization.attached(payments, "alice") == []
    assert slack.messages == []


def test_unknown_event_fails_the_invocation(function: Function, slack: FakeSlack, aws: AwsServer) -> None:
    SampleOrganization(aws)

    kind, error = function.invoke({"hello": "world"})

    assert (kind, error["errorType"]) == ("error", "ConfigError")
    assert "unknown event" in error["errorMessage"]
    assert slack.messages == []


def test_second_build_has_the_same_bytes(package: Package, tmp_path: Path) -> None:
    again = build_package(
        tmp_path / "again.zip", architecture=ARCHITECTURE, python=PYTHON, config=None, progress=lambda _: None
    )

    assert (again.sha256, again.size) == (package.sha256, package.size)
    assert again.path.read_bytes() == package.path.read_bytes()
    assert again.bill.read_bytes() == package.bill.read_bytes()


def test_zip_for_the_lambda_of_the_stack_is_made_on_any_machine(tmp_path: Path) -> None:
    told: list[str] = []
    made = build_package(tmp_path / "a.zip", architecture="arm64", python="3.13", config=None, progress=told.append)

    with ZipFile(made.path) as archive:
        libraries = [name for name in archive.namelist() if name.endswith(".so")]
    assert {name.partition(".")[2] for name in libraries} == {"cpython-313-aarch64-linux-gnu.so"}
    assert made.size < MOST_BYTES
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert told[0].startswith("fetching ")
