"""Fixtures of the doctor: the command in a folder of its own, a sample organization, and one account in memory."""

from pathlib import Path

import pytest

from tests.aws_server import AwsServer
from tests.doctor.command import Doctor, Sample, make_sample
from tests.doctor.ward import Ward


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    return Doctor(tmp_path)


@pytest.fixture
def sample(aws: AwsServer) -> Sample:
    return aws.prepare(make_sample)


@pytest.fixture
def ward() -> Ward:
    return Ward()
