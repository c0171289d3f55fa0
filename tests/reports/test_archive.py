"""Runs, aliases and handled events in the archive, in a folder and in a bucket alike; what is old is pruned."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from orchestrator.aws.file_store import make_store
from orchestrator.domain.errors import ArchiveError, ConfigError
from orchestrator.domain.model import Gate, Mode, Trigger
from orchestrator.logs import configure_logs
from orchestrator.reports.archive import ALIASES_FROM_RUNS, MAX_HANDLED_BYTES, RunArchive, name_event
from tests.builders import NOW, days_ago
from tests.reports.shelf import BROKEN_RUNS, KEEP, PAYMENTS, SEARCH, Shelf, make_report, make_shelf, run_name, save

# -- runs ------------------------------------------------------------------------------------------------------------


def test_report_is_loaded_as_it_was_saved(shelf: Shelf) -> None:
    report = make_report(aliases={PAYMENTS: "acme-payments"}, planned={PAYMENTS: ["alice"]})

    address = shelf.archive.save(report)

    assert address == f"{shelf.location}/runs/2026/03/02/run-1.json.gz"
    assert shelf.files() == ["runs/2026/03/02/run-1.json.gz"]
    assert shelf.archive.load("run-1") == report
    assert shelf.archive.load() == report


def test_run_is_filed_under_the_day_it_started(shelf: Shelf) -> None:
    late = make_report().model_copy(update={"started_at": datetime(2026, 1, 2, 23, 59, tzinfo=UTC)})

    shelf.archive.save(late)

    assert shelf.files() == ["runs/2026/01/02/run-1.json.gz"]


def test_whole_run_leaves_a_line_for_each_account_with_run_mode_and_gate(shelf: Shelf) -> None:
    gate = Gate(code="over_limit", planned=2, limit=1, message="m", remedy="r")
    report = make_report(planned={PAYMENTS: ["alice"], SEARCH: ["bob"]}).model_copy(update={"gate": gate})

    shelf.archive.save_lines(report)

    lines = gzip.decompress(shelf.read("accounts/date=2026-03-02/run-1.jsonl.gz")).decode().splitlines()
    run = {"run_id": "run-1", "mode": "apply", "gate": "over_limit"}
    assert [json.loads(line) for line in lines] == [run | one.model_dump(mode="json") for one in report.accounts]


@pytest.mark.parametrize("changes", [{"narrowed": True}, {"complete": False}, {"mode": Mode.RELEASE}])
def test_run_that_is_no_whole_plan_or_apply_leaves_no_lines(shelf: Shelf, changes: dict[str, Any]) -> None:
    shelf.archive.save_lines(make_report(planned={PAYMENTS: ["alice"]}).model_copy(update=changes))

    assert shelf.files() == []


def test_latest_is_the_run_that_finished_last_and_not_the_one_that_started_last(shelf: Shelf) -> None:
    for run_id, finished in {"b": days_ago(1), "c": days_ago(3), "a": days_ago(2)}.items():
        save(shelf, run_id, finished=finished)

    assert [run.run_id for run in shelf.archive.list_runs()] == ["b", "a", "c"]
    assert [run.finished_at for run in shelf.archive.list_runs()] == [days_ago(1), days_ago(2), days_ago(3)]
    assert shelf.archive.load("latest").run_id == "b"


@pytest.mark.parametrize(
    "name",
    [
        "runs/readme.txt",
        "runs/2026/03/02/run-2.json",
        "runs/2026/03/02/run-2.json.gz.bak",
        "runs/2026/03/run-2.json.gz",
        "runs/26/3/2/run-2.json.gz",
    ],
)
def test_file_that_is_no_run_is_passed_over(shelf: Shelf, name: str) -> None:
    save(shelf, "run-1", finished=days_ago(9))
    shelf.put(name, gzip.compress(make_report("run-2").model_dump_json().encode()))

    assert [run.run_id for run in shelf.archive.list_runs()] == ["run-1"]
    assert shelf.archive.load().run_id == "run-1"


@pytest.mark.parametrize(
    "content",
    [pytest.param(content, id=name) for name, content in BROKEN_RUNS.items()],
)
def test_broken_run_is_reported_by_name_and_passed_over_as_the_latest(shelf: Shelf, content: bytes) -> None:
    save(shelf, "run-1", finished=days_ago(1), aliases={PAYMENTS: "acme-payments"})
    shelf.put(run_name("broken"), content)

    with pytest.raises(ArchiveError, match=r"broken\.json\.gz is broken or no run of orgmfa"):
        shelf.archive.load("broken")
    assert shelf.archive.load().run_id == "run-1"
    assert shelf.archive.alias_by_account_id() == {PAYMENTS: "acme-payments"}


def test_broken_run_is_logged(shelf: Shelf) -> None:
    shelf.put(run_name("broken"), b"")
    stream = StringIO()
    configure_logs(as_json=True, stream=stream)

    with pytest.raises(ConfigError):
        shelf.archive.load()

    line = json.loads(stream.getvalue())
    assert (line["event"], line["name"]) == ("archived_run_unreadable", run_name("broken"))


def test_empty_archive_says_how_to_fill_it(shelf: Shelf) -> None:
    assert shelf.archive.list_runs() == []
    with pytest.raises(ConfigError, match="holds no run yet: make one with `orgmfa plan`") as caught:
        shelf.archive.load()

    assert shelf.location in str(caught.value)


@pytest.mark.parametrize("run_id", ["run-2", "", "run", "../run-1", "RUN-1"])
def test_run_that_is_not_there_is_told_with_where_to_look(shelf: Shelf, run_id: str) -> None:
    save(shelf, "run-1")

    with pytest.raises(ConfigError) as caught:
        shelf.archive.load(run_id)

    assert f"holds no run {run_id!r}: see `orgmfa report --list`" in str(caught.value)


def test_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be", encoding="utf-8")
    archive = RunArchive(make_store(str(tmp_path), lambda: None), KEEP)  # type: ignore[arg-type,return-value]  # not called

    with pytest.raises(ArchiveError, match="cannot write"):
        archive.save(make_report())

    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


# -- aliases ---------------------------------------------------------------------------------------------------------


def test_aliases_are_gathered_from_the_last_runs_and_the_newest_sight_counts(shelf: Shelf) -> None:
    save(shelf, "old", finished=days_ago(3), aliases={PAYMENTS: "old-payments", SEARCH: "acme-search"})
    save(shelf, "new", finished=days_ago(2), aliases={PAYMENTS: "acme-payments"})
    save(shelf, "blind", finished=days_ago(1), aliases={PAYMENTS: None})

    assert shelf.archive.alias_by_account_id() == {PAYMENTS: "acme-payments", SEARCH: "acme-search"}


def test_aliases_older_than_ten_runs_are_forgotten(shelf: Shelf) -> None:
    save(shelf, "old", finished=days_ago(100), aliases={SEARCH: "acme-search"})
    for number in range(ALIASES_FROM_RUNS - 1):
        save(shelf, f"run-{number}", finished=days_ago(number), aliases={PAYMENTS: "acme-payments"})
    assert shelf.archive.alias_by_account_id() == {PAYMENTS: "acme-payments", SEARCH: "acme-search"}

    save(shelf, "one-more")

    assert shelf.archive.alias_by_account_id() == {PAYMENTS: "acme-payments"}


# -- events ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", [Trigger.SCHEDULE, Trigger.MAP, Trigger.ON_DEMAND, Trigger.ONBOARDING, Trigger.CLI])
def test_run_of_the_schedule_is_reported_from_its_start_on(shelf: Shelf, trigger: Trigger) -> None:
    report = make_report().model_copy(update={"trigger": trigger})
    shelf.archive.save(report)
    is_of_schedule = trigger in {Trigger.SCHEDULE, Trigger.MAP}

    assert shelf.archive.is_reported(report.run_id, report.started_at) is is_of_schedule
    assert not shelf.archive.is_reported(report.run_id, report.started_at + timedelta(seconds=1))
    assert not shelf.archive.is_reported("run-2", report.started_at)


@pytest.mark.parametrize("content", BROKEN_RUNS.values(), ids=BROKEN_RUNS)
def test_broken_report_is_no_report_of_a_run(shelf: Shelf, content: bytes) -> None:
    shelf.put("runs/2026/03/02/run-1.json.gz", content)

    assert not shelf.archive.is_reported("run-1", days_ago(400))


@pytest.mark.parametrize("key", ["../../outside", "rule-a/b", "schedule-2026-03-02T12:00:00+01:00", "rule-é"])
def test_key_of_an_event_never_leaves_its_folder(key: str) -> None:
    assert name_event(key).startswith("events/")
    assert name_event(key).count("/") == 1


def test_of_a_note_of_handled_events_no_more_is_read_than_orgmfa_writes(shelf: Shelf) -> None:
    shelf.put("events/onboarding/forged.txt", b"a " * MAX_HANDLED_BYTES + b"event-z")
    ids = [f"6a7e8feb-b491-4cf7-a9f1-{number:012}" for number in range(10_000)]
    shelf.archive.note_handled("run-1", ids)

    assert shelf.archive.handled_events(days_ago(14)) == {"a", *ids}


def test_events_that_onboarding_runs_handled_are_remembered(shelf: Shelf) -> None:
    assert shelf.archive.handled_events(days_ago(14)) == frozenset()
    shelf.archive.note_handled("run-1", ["event-b", "event-a"])
    shelf.archive.note_handled("run-2", {"event-c": PAYMENTS})
    shelf.put("events/rule-1", b"run-1")
    for run_id, moment in {"run-1": days_ago(14), "run-2": days_ago(1)}.items():
        shelf.date(f"events/onboarding/{run_id}.txt", moment)

    assert shelf.archive.handled_events(days_ago(14)) == {"event-a", "event-b", "event-c"}
    assert shelf.archive.handled_events(days_ago(13)) == {"event-c"}


def test_broken_note_hides_no_other_event(shelf: Shelf) -> None:
    shelf.put("events/onboarding/run-1.txt", b"\xff\xfe\nevent-a")
    shelf.date("events/onboarding/run-1.txt", NOW)

    assert "event-a" in shelf.archive.handled_events(days_ago(14))


# -- pruning ---------------------------------------------------------------------------------------------------------


def test_what_is_older_than_the_archive_keeps_goes(shelf: Shelf) -> None:
    old = NOW - KEEP - timedelta(seconds=1)
    save(shelf, "old", finished=old)
    save(shelf, "kept", finished=NOW - KEEP)
    shelf.put("events/rule-old", b"run-1")
    shelf.date("events/rule-old", old)
    shelf.archive.note_handled("old", ["event-a"])
    shelf.date("events/onboarding/old.txt", old)
    shelf.put("work/old/outline.json", b"{}")
    shelf.date("work/old/outline.json", old)
    shelf.put("runs/notes.txt", b"an operator's own")
    shelf.put("elsewhere/old", b"not ours")
    shelf.date("elsewhere/old", old)

    for run_id, written in {"old": old, "kept": NOW - KEEP}.items():
        shelf.archive.save_lines(make_report(run_id))
        shelf.date(f"accounts/date=2026-03-02/{run_id}.jsonl.gz", written)

    assert shelf.archive.prune(NOW) == 5

    kept = ["accounts/date=2026-03-02/kept.jsonl.gz", "elsewhere/old", "runs/2026/03/02/kept.json.gz", "runs/notes.txt"]
    assert shelf.files() == kept


def test_marks_of_messages_outlast_the_longest_notice(shelf: Shelf) -> None:
    """A notice may be as long as archive.keep, and the run that enforces after it comes up to a day later."""
    for day, age in {"2026-03-01": KEEP + timedelta(days=6), "2026-02-01": KEEP + timedelta(days=8)}.items():
        shelf.archive.mark_nudge(f"{PAYMENTS}/AIDA1/{day}/first", "run-1")
        shelf.date(f"nudges/{PAYMENTS}/AIDA1/{day}/first", NOW - age)

    shelf.archive.prune(NOW)

    assert shelf.files() == [f"nudges/{PAYMENTS}/AIDA1/2026-03-01/first"]


def test_archive_with_nothing_old_is_left_as_it_is(shelf: Shelf) -> None:
    save(shelf, "run-1")

    assert shelf.archive.prune(NOW) == 0
    assert shelf.archive.prune(NOW) == 0
    assert shelf.archive.load().run_id == "run-1"


def test_nothing_is_pruned_where_runs_are_kept_for_ever(request: pytest.FixtureRequest) -> None:
    shelf = make_shelf("folder", request, keep=None)
    save(shelf, "run-1", finished=datetime(1990, 1, 1, tzinfo=UTC))

    assert shelf.archive.prune(NOW) == 0
    assert shelf.archive.load().run_id == "run-1"
