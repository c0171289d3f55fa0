"""Fixtures of the tests of the Lambda entry points."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.lambdas import runtime as invocation
from tests.aws_server import AwsServer
from tests.fake_slack import FakeSlack
from tests.lambdas.function import Function, build_accounts
from tests.lambdas.machine import Machine, build_teams


@pytest.fixture(autouse=True)
def cold_start() -> Iterator[None]:
    invocation._warm.clear()
    yield
    invocation._warm.clear()


@pytest.fixture
def function(aws: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Function:
    """A function in an organization of three accounts.

    root
    +-- management        nobody
    +-- payments          alice, who has no MFA; bob, who has
    +-- search            carol, who has no MFA
    """
    organization, payments, search = aws.prepare(build_accounts)
    monkeypatch.setenv("ORGMFA_CONFIG", str(tmp_path / "config.yaml"))
    made = Function(organization, aws, tmp_path, payments, search)
    made.configure()
    return made


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        monkeypatch.setenv("ORGMFA_SLACK_WEBHOOK_URL", slack.webhook_url)
        yield slack


@pytest.fixture
def machine(aws: AwsServer, slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A state machine with batches of two accounts.

    root
    +-- management     nobody
    +-- team-0         alice, who has no MFA
    +-- team-1         bob, who has no MFA
    +-- team-2         carol, who has no MFA; erin, who has
    +-- team-3         dave, who has no MFA
    """
    organization, accounts = aws.prepare(build_teams)
    monkeypatch.setenv("ORGMFA_CONFIG", str(tmp_path / "config.yaml"))
    monkeypatch.setenv("ORGMFA_BATCH_SIZE", "2")
    monkeypatch.setenv("ORGMFA_SLACK_WEBHOOK_URL", slack.webhook_url)
    made = Machine(organization, aws, tmp_path, list(accounts))
    made.configure()
    return made
