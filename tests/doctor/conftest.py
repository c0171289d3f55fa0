"""Fixtures of the tests of the doctor."""

import pytest

from tests.doctor.ward import Ward


@pytest.fixture
def ward() -> Ward:
    """One account in memory, its organization, and what is deployed around it."""
    return Ward()
