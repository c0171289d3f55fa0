"""`orgmfa doctor` that is interrupted."""

import pytest

from orchestrator.doctor import CheckName
from tests.aws_server import AwsServer
from tests.doctor.command import UNKNOWN, Doctor, Sample, line
from tests.interrupting import interrupt_at


@pytest.mark.parametrize("action", ["DescribeOrganization", "ListAccounts"])
def test_doctor_that_was_interrupted_does_not_end_as_one_that_found_nothing(
    aws: AwsServer, doctor: Doctor, sample: Sample, action: str
) -> None:
    assert doctor("--account", sample.payments).returncode == 0
    interrupt_at(aws, action)

    code, report = doctor.report("--account", sample.payments)

    assert line(report, CheckName.MEMBER_ROLE, sample.payments).status is UNKNOWN
    assert report.ok
    assert code == 1
