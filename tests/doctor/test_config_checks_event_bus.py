"""What doctor says of the event bus that is told of the end of each run, in memory."""

import pytest

from orchestrator.doctor import CheckName, CheckStatus
from orchestrator.domain.errors import AccessDenied, NotFound, Throttled
from tests.builders import make_config
from tests.doctor.command import OK, PROBLEM, UNKNOWN, line
from tests.doctor.ward import Ward, breaks
from tests.fakes import fail


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (None, OK, "the event bus security is in account 999999999999, Region eu-central-1"),
        (fail(NotFound), PROBLEM, "there is no event bus security in account 999999999999"),
        (fail(AccessDenied), UNKNOWN, "Allow events:DescribeEventBus on security to this caller."),
        (fail(Throttled), UNKNOWN, "events:DescribeEventBus"),
    ],
)
def test_event_bus_that_runs_tell_must_be_there(
    ward: Ward, error: Exception | None, status: CheckStatus, words: str
) -> None:
    ward.config = make_config(events={"bus": "security"})
    if error:
        ward.aws.before = breaks("bus", error, "security")

    check = line(ward.run_checks(), CheckName.EVENT_BUS)

    assert check.status is status
    assert words in f"{check.message} {check.remedy}"


def test_no_event_bus_is_asked_for_where_no_run_tells_one(ward: Ward) -> None:
    report = ward.run_checks()

    assert line(report, CheckName.EVENT_BUS).status is OK
    assert not [call for call in ward.aws.calls if call[0] == "bus"]
