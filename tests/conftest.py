"""What every test runs under: no real credentials, no configuration of the machine, and an AWS of its own on demand."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.aws_server import AwsServer

# How long an example takes is the machine's business.
settings.register_profile("orgmfa", deadline=None)
settings.load_profile("orgmfa")


@pytest.fixture(autouse=True)
def no_real_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Break real credentials and settings, so that a test can reach nothing but what it starts itself."""
    import os  # noqa: PLC0415 - for this one sweep

    for name in [name for name in os.environ if name.startswith(("AWS_", "ORGMFA_", "BOTO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEHUB000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    """Give each test a log configuration and log context of its own."""
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session")
def served_aws() -> Iterator[AwsServer]:
    """One AWS server for the whole test session; use `aws`, which empties it first."""
    with AwsServer() as server:
        yield server


@pytest.fixture
def aws(served_aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    """An empty AWS served over loopback HTTP, to which this test's AWS_ENDPOINT_URL points."""
    served_aws.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", served_aws.url)
    return served_aws
