"""A ledger of event runs that somebody else has written."""

import pytest

from orchestrator.domain.errors import ArchiveError
from orchestrator.domain.model import Mode
from orchestrator.reports.archive import LEDGER, RunArchive
from orchestrator.reports.report_json import MAX_JSON_VALUES
from tests.builders import ORGANIZATION
from tests.fakes import MemoryStore


@pytest.mark.parametrize(
    "content", [b'{"x":[' + b"[]," * MAX_JSON_VALUES + b"[]]}", b"[" * 10_000, b"{", b"\xff", b"{} {}"]
)
def test_ledger_that_is_none_of_ours_is_refused_and_ends_no_run_but_those_of_events(content: bytes) -> None:
    store = MemoryStore({LEDGER: content})
    archive = RunArchive(store, None)

    with pytest.raises(ArchiveError, match="is no ledger of event runs"):
        archive.read_ledger()
    assert archive.build_history(Mode.APPLY, ORGANIZATION.id).events is None
