"""Times in files of the archive that no clock shows: whoever can write the archive can write any."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.model import Mode
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.build import build_report
from orchestrator.reports.report import FirstSight
from tests.builders import NOW, ORGANIZATION, make_request
from tests.fakes import MemoryStore


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_run_with_a_time_that_is_none_in_utc_is_broken(time: str) -> None:
    store = MemoryStore()
    archive = RunArchive(store, timedelta(days=400))
    report = build_report(make_request(), ORGANIZATION.id, (), errors=(), is_complete=True, finished_at=NOW)
    archive.save(report)
    (name,) = store.files
    text = gzip.decompress(store.files[name]).decode()
    account = (
        '{"id":"000000000001","name":"payments","alias":null,"status":"failed","error":null,"root_user":null,"users":[],'
        f'"first_sights":[{{"name":"alice","since":"{time}"}}]}}'
    )
    assert text.endswith('"accounts":[\n]}')
    store.files[name] = gzip.compress(text.replace("[\n]}", f"[\n{account}\n]}}").encode())

    history = archive.build_history(Mode.APPLY, ORGANIZATION.id)

    assert history.base is None
    assert history.sights == {}


@pytest.mark.parametrize("year", [1, 999, 2026, 9999])
def test_time_of_any_year_is_read_as_it_was_written(year: int) -> None:
    sight = FirstSight(name="alice", since=datetime(year, 1, 2, 3, 4, 5, 678, tzinfo=UTC))

    read = FirstSight.model_validate_json(sight.model_dump_json())

    assert read.since == datetime(year, 1, 2, 3, 4, 5, tzinfo=UTC)
