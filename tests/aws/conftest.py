"""Fixtures that several tests of the adapters share."""

from collections.abc import Iterator

import pytest

from tests.aws.places import KINDS, Place, make_place
from tests.aws.scripted_server import Script, served
from tests.aws_server import AwsServer
from tests.organization import SampleOrganization


@pytest.fixture
def script() -> Iterator[Script]:
    with served() as made:
        yield made


@pytest.fixture
def organization(aws: AwsServer) -> SampleOrganization:
    return aws.prepare(SampleOrganization)


@pytest.fixture
def account_id(organization: SampleOrganization) -> str:
    return organization.add_account("payments", alias="acme-payments")


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> Place:
    return make_place(request.param, request)
