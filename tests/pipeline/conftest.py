"""Fixtures of the tests of the pipeline."""

from pathlib import Path

import pytest

from tests.aws_server import AwsServer
from tests.builders import make_user
from tests.pipeline.days import ENGINES, Days
from tests.pipeline.lease_world import World
from tests.pipeline.served import ServedDays, build_payments
from tests.pipeline.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture(params=ENGINES)
def days(request: pytest.FixtureRequest) -> Days:
    """Two accounts: `payments` with alice (no MFA) and bob (MFA), `search` with carol (no MFA); on either engine."""
    days = Days(engine=request.param)
    days.aws.add(make_user("alice"), make_user("bob", has_mfa=True))
    days.aws.add(make_user("carol"))
    return days


@pytest.fixture
def served(aws: AwsServer, tmp_path: Path) -> ServedDays:
    organization, payments = aws.prepare(build_payments)
    return ServedDays(aws, organization, payments, tmp_path / "runs")


@pytest.fixture
def world() -> World:
    return World()
