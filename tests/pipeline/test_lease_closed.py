"""What the lease of a run says once it is closed: threads that nobody waits for may still ask it."""

from pathlib import Path

import pytest

from orchestrator.aws.file_store import FolderStore
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.pipeline.lease import Lease
from tests.builders import make_request


@pytest.mark.parametrize("keep", [True, False])
def test_nothing_is_written_once_the_lease_is_closed(tmp_path: Path, *, keep: bool) -> None:
    lease = Lease(FolderStore(str(tmp_path)), make_request(), Cancellation(), read_releases=dict)
    assert lease.acquire(0) is None
    with lease.hold() as before:
        assert before is not None

    lease.close(keep=keep)

    with lease.hold() as after:
        assert after is None
