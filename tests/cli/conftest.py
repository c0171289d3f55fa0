"""Fixtures of the tests of the command line."""

from pathlib import Path

import pytest

from tests.aws_server import AwsServer
from tests.cli.calling import Cli, Sample, make_sample
from tests.cli.deploying import Deployer, build_accounts
from tests.fake_cloudformation import FakeCloudFormation


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def sample(aws: AwsServer) -> Sample:
    return aws.prepare(make_sample)


@pytest.fixture
def deploy(aws: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployer:
    """The management account, which is the security account too, and the accounts `payments` and `search`."""
    monkeypatch.chdir(tmp_path)
    organization, payments = aws.prepare(build_accounts)
    deployer = Deployer(aws, FakeCloudFormation(aws), organization, payments, tmp_path)
    deployer.pack()
    return deployer
