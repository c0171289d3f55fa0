"""`--debug`: what botocore does, and each call, on standard error; no key, code, token, body or answer."""

import logging
from collections.abc import Iterator

import pytest

from tests.aws_server import Answer, AwsServer, Call, json_error
from tests.cli.calling import Cli, Sample

pytestmark = pytest.mark.thorough

SECRETS = {
    "the caller's key": "not-a-secret-but-long-enough",
    "the caller's token": "FwoGZXIvYXdzEXAMPLEtoken",
    "the webhook": "T0/B0/abcdefwebhooksecret",
}


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Put back what the option sets for the whole process."""
    changed = [logging.getLogger(name) for name in ("botocore", "orchestrator")]
    before = [(list(one.handlers), one.propagate, one.level) for one in changed]
    yield
    for one, (handlers, propagate, level) in zip(changed, before, strict=True):
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


def assert_tells_no_secret(text: str) -> None:
    for what, secret in SECRETS.items():
        assert secret not in text, what
    assert "aws4_request" not in text.lower()
    for word in ("SecretAccessKey>", "SessionToken>", "SecretString", "X-Amz-Security-Token:", "TokenCode"):
        assert word not in text


@pytest.mark.parametrize("command", [["plan", "--digest"], ["apply", "--yes", "--no-digest"], ["doctor"], ["report"]])
def test_debug_log_tells_of_each_call_and_of_no_secret(
    cli: Cli, sample: Sample, aws: AwsServer, command: list[str]
) -> None:
    cli.configure("slack: {secret: orgmfa/slack}\narchive: {location: 's3://acme-archive/orgmfa'}\n")
    sample.organization.aws.client("s3").create_bucket(
        Bucket="acme-archive", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )

    def look(call: Call) -> Answer | None:
        if call.service == "secretsmanager":
            body = '{"Name": "x", "SecretString": "https://127.0.0.1:9/services/T0/B0/abcdefwebhooksecret"}'
            return Answer(200, body, "application/x-amz-json-1.1")
        return None

    aws.faults.append(look)
    environment = {
        "AWS_SECRET_ACCESS_KEY": SECRETS["the caller's key"],
        "AWS_SESSION_TOKEN": SECRETS["the caller's token"],
    }
    assert cli("plan", **environment).returncode in {0, 1}

    done = cli(*command, "--debug", **environment)

    assert "info botocore.credentials: Found credentials in environment variables." in done.stderr
    assert ("sts AssumeRole: HTTP 200 from http://127.0.0.1" in done.stderr) == (command[0] != "report")
    assert_tells_no_secret(done.stderr)


def test_debug_log_tells_what_aws_refused(cli: Cli, sample: Sample, aws: AwsServer) -> None:
    aws.faults.append(
        lambda call: json_error("AccessDeniedException", "no") if call.service == "organizations" else None
    )

    done = cli("plan", "--debug")

    assert done.returncode == 2
    assert "organizations DescribeOrganization: HTTP 400" in done.stderr


def test_without_the_option_nothing_is_logged(cli: Cli, sample: Sample) -> None:
    assert "botocore" not in cli("plan").stderr
