"""`orgmfa deploy --yes` that is interrupted before it has changed anything."""

import pytest

from tests.cli.deploying import STACK_SET, Deployer
from tests.interrupting import interrupt_at

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("action", ["DescribeOrganization", "GetCallerIdentity"])
def test_signal_before_anything_was_deleted_deletes_nothing_also_with_yes(deploy: Deployer, action: str) -> None:
    deploy.stand()
    del deploy.cloud.stacks[STACK_SET]  # else it is noticed while who is enforced is counted
    interrupt_at(deploy.aws, action)

    done = deploy("--delete", "--yes")

    assert done.code == 1
    assert "Interrupted" in done.stderr
    assert deploy.cloud.actions() == []
