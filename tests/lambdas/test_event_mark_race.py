"""The mark of a scheduled event that has ended, and two deliveries that find it so at the same moment."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.aws import file_store
from orchestrator.aws.file_store import FolderStore
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import StartError
from orchestrator.lambdas.event_mark import MARK_TIME, MAX_MARK_BYTES, EventMark
from orchestrator.lambdas.events import EventBridgeSchedule
from orchestrator.reports.archive import RunArchive

EVENT = EventBridgeSchedule.model_validate({"trigger": "schedule", "scheduled_time": "2026-03-02T12:00:00Z"})


def make_mark(store: FolderStore, run_id: str) -> EventMark:
    return EventMark(store=store, archive=RunArchive(store, timedelta(days=400)), event=EVENT, run_id=run_id)


@pytest.mark.parametrize("content", ["20260302T120001Z-aaaaaaaa", "", "no run"])
def test_mark_that_has_ended_is_taken_over_by_one_of_two_deliveries(tmp_path: Path, content: str) -> None:
    class Slow(FolderStore):
        """Another delivery takes the mark over right after this one has found it ended."""

        def read_aged(self, name: str) -> tuple[bytes, float]:
            found = super().read_aged(name)
            if found[0] == content.encode():
                assert make_mark(FolderStore(self.location), "the-other").claim(Cancellation())
            return found

    store = Slow(str(tmp_path))
    mark = make_mark(store, "this-one")
    store.write(mark.name, content.encode())
    ended = (datetime.now(UTC) - MARK_TIME - timedelta(seconds=1)).timestamp()
    os.utime(tmp_path / mark.name, (ended, ended))

    with pytest.raises(StartError, match="another delivery of this event keeps"):
        mark.claim(Cancellation.after(0))

    assert store.read(mark.name) == b"the-other"


def test_mark_that_is_too_large_to_be_compared_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_store, "MAX_FILE_BYTES", 2 * MAX_MARK_BYTES)
    store = FolderStore(str(tmp_path))
    mark = make_mark(store, "this-one")
    store.write(mark.name, b"0" * 3 * MAX_MARK_BYTES)
    ended = (datetime.now(UTC) - MARK_TIME - timedelta(seconds=1)).timestamp()
    os.utime(tmp_path / mark.name, (ended, ended))

    assert mark.claim(Cancellation.after(0))

    assert store.read(mark.name) == b"this-one"
