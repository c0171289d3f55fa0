"""`orgmfa release --for 0d` that is interrupted before it has written anything."""

import pytest

from tests.aws_server import AwsServer
from tests.cli.calling import Cli, Sample, outcomes
from tests.interrupting import interrupt_at


@pytest.mark.parametrize("action", ["DescribeOrganization", "ListAccounts"])
def test_signal_before_releases_are_ended_ends_none_also_with_yes(
    aws: AwsServer, cli: Cli, sample: Sample, action: str
) -> None:
    cli("apply", "--yes", "--account", "payments")
    cli("release", "--yes", "--account", "payments")
    interrupt_at(aws, action)

    done = cli("release", "--yes", "--for", "0d", "--user", "alice")

    assert done.returncode == 1
    assert "Interrupted" in done.stderr
    assert "Nothing was written." in done.stderr
    assert done.stdout == ""
    assert outcomes(cli.report("plan", "--account", "payments")[1])["alice"] == "in_grace"
