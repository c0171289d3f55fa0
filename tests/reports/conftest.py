"""Fixtures of the tests of the reports."""

import pytest

from tests.reports.shelf import Shelf, make_shelf


@pytest.fixture(params=["folder", "s3"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return make_shelf(request.param, request)
