"""An archive whose runs can be listed and not be read."""

import pytest

from orchestrator.domain.errors import ArchiveError
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.build import build_report
from tests.builders import NOW, make_request
from tests.fakes import MemoryStore


def test_archive_that_cannot_be_read_is_not_told_to_hold_no_run() -> None:
    store = MemoryStore()
    archive = RunArchive(store, None)
    archive.save(build_report(make_request(), "o-exampleorg1", (), errors=(), is_complete=True, finished_at=NOW))
    store.broken["read"] = ArchiveError("the archive: cannot read runs/: Access Denied")

    with pytest.raises(ArchiveError, match="Access Denied"):
        archive.load()
    with pytest.raises(ArchiveError, match="Access Denied"):
        archive.alias_by_account_id()
