"""Runs of the archive read back in part: for the next run, and for the trend. In a folder and in a bucket alike."""

import gzip
import json
import secrets
from io import StringIO
from typing import Any

import pytest

from orchestrator.domain.errors import ArchiveError, BrokenRun, FileTooLarge
from orchestrator.domain.model import Mode, Outcome, Stage
from orchestrator.logs import configure_logs
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.history import MAX_RUNS_BACK
from orchestrator.reports.report import ProblemReport, RunReport
from orchestrator.reports.run_files import HEAD_BYTES
from tests.builders import (
    ACCOUNT_ID,
    NOW,
    ORGANIZATION,
    days_ago,
    make_run_report,
    make_seen,
    make_seen_account,
    user_id_of,
)
from tests.fakes import MemoryStore
from tests.reports.bombs import BOMBS
from tests.reports.shelf import BROKEN_RUNS, KEEP, Shelf

pytestmark = pytest.mark.thorough

SEEN = make_seen_account(make_seen(open_since=days_ago(20)), make_seen("bob", "none"))


def name_of(report: RunReport) -> str:
    return f"runs/{report.started_at:%Y/%m/%d}/{report.run_id}.json.gz"


def save(shelf: Shelf, run_id: str, days: float, **changes: Any) -> RunReport:
    """Archive a run of so many days ago."""
    report = make_run_report(SEEN, run_id=run_id, started_at=days_ago(days), finished_at=days_ago(days), **changes)
    shelf.archive.save(report)
    shelf.date(name_of(report), days_ago(days))
    return report


def base_of(shelf: Shelf, mode: Mode = Mode.APPLY) -> str | None:
    base = shelf.archive.build_history(mode, ORGANIZATION.id).base
    return base.run_id if base else None


def test_empty_archive_knows_nothing(shelf: Shelf) -> None:
    history = shelf.archive.build_history(Mode.PLAN, ORGANIZATION.id)

    assert history.base is None
    assert (history.sights, history.failing_runs) == ({}, {})
    assert list(shelf.archive.trend(ORGANIZATION.id)) == []


def test_last_whole_run_of_the_mode_is_recalled_with_its_sightings(shelf: Shelf) -> None:
    save(shelf, "older", 5)
    save(shelf, "apply", 4)
    save(shelf, "plan", 3, mode=Mode.PLAN)
    save(shelf, "narrowed", 2, narrowed=True)
    save(shelf, "cut-short", 1, complete=False)

    assert (base_of(shelf), base_of(shelf, Mode.PLAN)) == ("apply", "plan")
    (sight,) = shelf.archive.build_history(Mode.APPLY, ORGANIZATION.id).sights[ACCOUNT_ID].values()
    assert (sight.name, sight.since) == ("alice", days_ago(20))


@pytest.mark.parametrize("content", BROKEN_RUNS.values())
def test_broken_run_is_reported_and_passed_over(shelf: Shelf, content: bytes) -> None:
    save(shelf, "whole", 2)
    broken = save(shelf, "broken", 1)
    shelf.put(name_of(broken), content)
    stream = StringIO()
    configure_logs(as_json=True, stream=stream)

    assert base_of(shelf) == "whole"
    assert [head.run_id for head in shelf.archive.trend(ORGANIZATION.id)] == ["whole"]
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {(line["event"], line["name"]) for line in said} == {("archived_run_unreadable", name_of(broken))}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_among_the_runs_is_reported_and_passed_over(name: str) -> None:
    store = MemoryStore()
    archive = RunArchive(store, KEEP)
    archive.save(make_run_report(SEEN, run_id="run-1"))
    store.files["runs/2026/03/02/run-2.json.gz"] = BOMBS[name]()
    stream = StringIO()
    configure_logs(as_json=True, stream=stream)

    history = archive.build_history(Mode.APPLY, ORGANIZATION.id)

    assert history.base is not None
    assert history.base.run_id == "run-1"
    assert archive.load().run_id == "run-1"
    assert set(archive.alias_by_account_id()) == {ACCOUNT_ID}
    assert "run-1" in [head.run_id for head in archive.trend(ORGANIZATION.id)]
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {(line["event"], line["name"]) for line in said} == {
        ("archived_run_unreadable", "runs/2026/03/02/run-2.json.gz")
    }


def test_run_in_a_file_too_large_to_be_read_is_passed_over() -> None:
    class Large(MemoryStore):
        def read(self, name: str) -> bytes:
            if "run-2" in name:
                raise FileTooLarge("the archive: too large")
            return super().read(name)

    store = Large()
    archive = RunArchive(store, KEEP)
    archive.save(make_run_report(SEEN, run_id="run-1"))
    store.files["runs/2026/03/02/run-2.json.gz"] = b""

    history = archive.build_history(Mode.APPLY, ORGANIZATION.id)

    assert history.base is not None
    assert history.base.run_id == "run-1"
    assert archive.load().run_id == "run-1"
    with pytest.raises(BrokenRun, match=r"run-2\.json\.gz is broken or no run"):
        archive.load("run-2")


def test_run_whose_accounts_are_broken_is_reported_and_passed_over(shelf: Shelf) -> None:
    save(shelf, "whole", 2)
    broken = save(shelf, "broken", 1)
    text = broken.model_dump_json().encode()
    shelf.put(name_of(broken), gzip.compress(text[:-20]))
    shelf.date(name_of(broken), days_ago(1))

    assert base_of(shelf) == "whole"


def test_runs_of_another_organization_are_passed_over(shelf: Shelf) -> None:
    save(shelf, "ours", 2)
    save(shelf, "theirs", 1, organization_id="o-someoneelse1")

    assert base_of(shelf) == "ours"
    assert [head.run_id for head in shelf.archive.trend(ORGANIZATION.id)] == ["ours"]


@pytest.mark.parametrize(("days", "released"), [(2, {(ACCOUNT_ID, user_id_of("alice"))}), (4, set())])
def test_releases_since_the_base_are_recalled_even_when_they_are_over(
    shelf: Shelf, days: float, released: set[tuple[str, str]]
) -> None:
    save(shelf, "base", 3)
    freed = make_run_report(make_seen_account(make_seen()), run_id="release", mode=Mode.RELEASE)
    assert freed.accounts[0].users[0].outcome is Outcome.PLANNED
    freed = freed.model_copy(update={"finished_at": days_ago(days)})
    shelf.archive.remember_release(freed, days_ago(1.5))
    shelf.date("releases/release.json", days_ago(days))

    assert shelf.archive.build_history(Mode.APPLY, ORGANIZATION.id).released == released


def test_trend_is_of_whole_runs_the_newest_first_without_their_accounts(shelf: Shelf) -> None:
    newest = save(shelf, "run-3", 1)
    save(shelf, "run-2", 2, mode=Mode.PLAN)
    save(shelf, "narrowed", 3, narrowed=True)
    save(shelf, "cut-short", 4, complete=False)
    save(shelf, "release", 5, mode=Mode.RELEASE)
    save(shelf, "run-1", 6)

    heads = list(shelf.archive.trend(ORGANIZATION.id))

    assert [head.run_id for head in heads] == ["run-3", "run-2", "run-1"]
    assert heads[0] == newest.model_copy(update={"accounts": ()})
    assert heads[0].totals.non_compliant == 1
    assert [head.run_id for head in shelf.archive.trend(ORGANIZATION.id, most=2)] == ["run-3", "run-2"]


class CountingStore(MemoryStore):
    """A store with books of what was read."""

    def __init__(self) -> None:
        super().__init__()
        self.wholes: list[str] = []
        self.starts: list[int] = []

    def read(self, name: str) -> bytes:
        self.wholes.append(name)
        return self.files[name]

    def read_start(self, name: str, size: int) -> bytes:
        self.starts.append(size)
        return self.files[name][:size]


def make_large(run_id: str) -> RunReport:
    accounts = (
        make_seen_account(*(make_seen(f"user-{n}-{u}") for u in range(10)), account_id=f"{n:012}") for n in range(3_000)
    )
    return make_run_report(*accounts, run_id=run_id)


def test_of_large_runs_the_trend_reads_the_beginnings_and_a_run_the_last_one_whole() -> None:
    store = CountingStore()
    archive = RunArchive(store, KEEP)
    content = make_large("run-00")
    for number in range(12):
        archive.save(content.model_copy(update={"run_id": f"run-{number:02}"}))
    assert len(store.files["runs/2026/03/02/run-00.json.gz"]) > HEAD_BYTES

    assert len(list(archive.trend(ORGANIZATION.id))) == 12
    assert (store.wholes, set(store.starts)) == ([], {HEAD_BYTES})

    archive.build_history(Mode.APPLY, ORGANIZATION.id)
    assert store.wholes == ["runs/2026/03/02/run-11.json.gz"]


def test_search_for_a_run_to_compare_with_has_an_end() -> None:
    store = CountingStore()
    archive = RunArchive(store, KEEP)
    for number in range(MAX_RUNS_BACK + 20):
        archive.save(make_run_report(SEEN, run_id=f"run-{number:03}", mode=Mode.PLAN))

    history = archive.build_history(Mode.APPLY, ORGANIZATION.id)

    assert history.base is None
    assert len(store.starts) == MAX_RUNS_BACK
    assert len(store.wholes) == 1


@pytest.mark.parametrize("operation", ["list", "read"])
def test_store_that_fails_is_an_error_and_not_an_empty_archive(operation: str) -> None:
    store = MemoryStore()
    archive = RunArchive(store, KEEP)
    archive.save(make_run_report(SEEN))
    store.broken[operation] = ArchiveError("the archive: refused")

    with pytest.raises(ArchiveError, match="refused"):
        archive.build_history(Mode.APPLY, ORGANIZATION.id)
    with pytest.raises(ArchiveError, match="refused"):
        list(archive.trend(ORGANIZATION.id))


def test_head_that_does_not_fit_into_the_beginning_is_read_from_the_whole() -> None:
    store = CountingStore()
    archive = RunArchive(store, KEEP)
    message = secrets.token_hex(HEAD_BYTES * 2)
    problem = ProblemReport(stage=Stage.DIGEST, code="x", message=message, remedy="")
    report = make_run_report(SEEN, errors=(problem,))
    archive.save(report)

    assert list(archive.trend(ORGANIZATION.id)) == [report.model_copy(update={"accounts": ()})]
    assert store.wholes == ["runs/2026/03/02/run-1.json.gz"]


def test_moments_of_a_report_survive_the_archive() -> None:
    store = MemoryStore()
    archive = RunArchive(store, KEEP)
    archive.save(make_run_report(SEEN))

    history = archive.build_history(Mode.APPLY, ORGANIZATION.id)

    assert history.base is not None
    assert history.base.started_at == NOW
    assert history.sights[ACCOUNT_ID][user_id_of("alice")].since == days_ago(20)
