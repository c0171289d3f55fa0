import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.backends import get_backend

from orchestrator.aws.file_store import make_store
from orchestrator.domain.errors import ArchiveError, ConfigError
from orchestrator.domain.model import AccountResult, Decision, Gate, Mode, Outcome, Status, Trigger, Verdict, Via
from orchestrator.logs import configure_logs
from orchestrator.reports.archive import (
    ALIASES_FROM_RUNS,
    MAX_HANDLED_BYTES,
    MAX_RELEASE,
    RunArchive,
    name_event,
)
from orchestrator.reports.build import build_report, report_account
from orchestrator.reports.report import ReleasedUser, RunReport
from tests.aws_server import MANAGEMENT, AwsServer
from tests.builders import NOW, days_ago, make_account, make_request, make_user, user_id_of
from tests.fakes import MemoryStore

PAYMENTS, SEARCH = "111122223333", "444455556666"
KEEP = timedelta(days=400)
CALLERS = 16
BROKEN_RUNS = {
    "empty": b"",
    "no gzip": b"{}",
    "garbled": gzip.compress(b"", mtime=0)[:10] + b"\xff" * 8,
    "cut short": gzip.compress(b"{}" * 1000, mtime=0)[:-9],
    "no JSON": gzip.compress(b"runs", mtime=0),
    "no text": gzip.compress(b"\xff", mtime=0),
    "no report": gzip.compress(b"{}", mtime=0),
}


@dataclass(frozen=True)
class Shelf:
    """An archive, and how a test reaches behind it."""

    archive: RunArchive
    location: str
    put: Callable[[str, bytes], None]
    files: Callable[[], list[str]]
    date: Callable[[str, datetime], None]
    read: Callable[[str], bytes]


def make_shelf(kind: str, request: pytest.FixtureRequest, keep: timedelta | None = KEEP) -> Shelf:
    if kind == "folder":
        folder: Path = request.getfixturevalue("tmp_path") / "runs-of-test"

        def put(name: str, content: bytes) -> None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

        return Shelf(
            RunArchive(make_store(str(folder), lambda: None), keep),  # type: ignore[arg-type,return-value]  # not called
            str(folder),
            put,
            lambda: sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()),
            lambda name, moment: os.utime(folder / name, (moment.timestamp(), moment.timestamp())),
            lambda name: (folder / name).read_bytes(),
        )
    aws: AwsServer = request.getfixturevalue("aws")
    client = aws.client("s3")
    client.create_bucket(Bucket="reports")

    def set_date(name: str, moment: datetime) -> None:
        backend: Any = get_backend("s3")[MANAGEMENT]["aws"]
        backend.buckets["reports"].keys[f"orgmfa/{name}"].last_modified = moment

    return Shelf(
        RunArchive(make_store("s3://reports/orgmfa", lambda: client), keep),
        "s3://reports/orgmfa",
        lambda name, content: client.put_object(Bucket="reports", Key=f"orgmfa/{name}", Body=content),
        lambda: [
            entry["Key"].removeprefix("orgmfa/")
            for entry in client.list_objects_v2(Bucket="reports").get("Contents", [])
        ],
        set_date,
        lambda name: bytes(client.get_object(Bucket="reports", Key=f"orgmfa/{name}")["Body"].read()),
    )


@pytest.fixture(params=["folder", "s3"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return make_shelf(request.param, request)


def make_report(
    run_id: str = "run-1", *, aliases: dict[str, str | None] | None = None, planned: dict[str, list[str]] | None = None
) -> RunReport:
    """Return a report of accounts with these aliases, and of users for whom a change is planned."""
    planned = planned or {}
    accounts = [
        AccountResult(
            make_account(account_id),
            Status.INSPECTED,
            alias=alias,
            decisions=tuple(
                Decision(make_user(name), Verdict.NON_COMPLIANT, Outcome.PLANNED, Via.USER)
                for name in planned.get(account_id, [])
            ),
        )
        for account_id, alias in (aliases or dict.fromkeys(planned)).items()
    ]
    request = make_request(run_id=run_id)
    reports = map(report_account, accounts)
    return build_report(request, "o-exampleorg1", reports, errors=(), is_complete=True, finished_at=NOW)


def run_name(run_id: str) -> str:
    return f"runs/2026/03/02/{run_id}.json.gz"


def save(shelf: Shelf, run_id: str, *, finished: datetime = NOW, **changes: Any) -> RunReport:
    report = make_report(run_id, **changes)
    shelf.archive.save(report)
    shelf.date(run_name(run_id), finished)
    return report


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


# -- releases --------------------------------------------------------------------------------------------------------


def test_release_is_in_force_until_it_ends(shelf: Shelf) -> None:
    until = NOW + timedelta(days=7)
    shelf.archive.remember_release(make_report(planned={PAYMENTS: ["alice", "bob"], SEARCH: ["alice"]}), until)

    before_the_end = shelf.archive.released_until(until - timedelta(seconds=1))

    freed = ((PAYMENTS, "alice"), (PAYMENTS, "bob"), (SEARCH, "alice"))
    assert {key: release.until for key, release in before_the_end.items()} == {
        (account_id, user_id_of(name)): until for account_id, name in freed
    }
    assert shelf.archive.released_until(until) == {}


def test_release_of_nobody_leaves_no_record(shelf: Shelf) -> None:
    shelf.archive.remember_release(make_report(aliases={PAYMENTS: "acme-payments"}), NOW)

    assert shelf.files() == []
    assert shelf.archive.released_until(NOW) == {}


def test_only_users_about_to_be_released_are_remembered(shelf: Shelf) -> None:
    decided = AccountResult(
        make_account(),
        Status.INSPECTED,
        decisions=(
            Decision(make_user("alice"), Verdict.NON_COMPLIANT, Outcome.PLANNED, Via.USER),
            Decision(make_user("bob"), Verdict.NON_COMPLIANT, Outcome.ALREADY_ENFORCED, Via.USER),
            Decision(make_user("carol"), Verdict.COMPLIANT, Outcome.NONE),
        ),
    )
    report = make_report().model_copy(update={"accounts": (report_account(decided),)})

    shelf.archive.remember_release(report, NOW + timedelta(days=1))

    assert set(shelf.archive.released_until(NOW)) == {(PAYMENTS, user_id_of("alice"))}


def test_record_of_a_release_is_read_once_and_again_when_it_was_rewritten(shelf: Shelf) -> None:
    until = NOW + timedelta(days=1)
    shelf.archive.remember_release(make_report("run-0", planned={PAYMENTS: ["alice"]}), until)
    (name,) = shelf.files()
    shelf.date(name, days_ago(1))
    before = shelf.archive.released_until(NOW)
    shelf.put(name, b"broken")
    shelf.date(name, days_ago(1))

    assert shelf.archive.released_until(NOW) == before
    assert ends_of(shelf.archive, NOW) == {ALICE.key: until}
    shelf.date(name, NOW)
    with pytest.raises(ArchiveError):
        shelf.archive.released_until(NOW)


@pytest.mark.parametrize("order", [("short", "long"), ("long", "short")])
def test_newest_of_several_releases_counts(shelf: Shelf, order: tuple[str, str]) -> None:
    ends = {"short": NOW + timedelta(days=1), "long": NOW + timedelta(days=9)}
    for number, which in enumerate(order):
        shelf.archive.remember_release(make_report(f"run-{number}", planned={PAYMENTS: ["alice"]}), ends[which])

    assert ends_of(shelf.archive, NOW) == {(PAYMENTS, user_id_of("alice")): ends[order[1]]}


ALICE = ReleasedUser(account_id=PAYMENTS, user_name="alice", user_id=user_id_of("alice"))


def ends_of(archive: RunArchive, now: datetime) -> dict[tuple[str, str], datetime]:
    """Return when the releases in force end, by account ID and key of the record."""
    return {key: release.until for key, release in archive.released_until(now).items()}


def test_note_with_an_id_takes_the_place_of_an_older_one_by_name_alone(shelf: Shelf) -> None:
    by_name = ReleasedUser(account_id=PAYMENTS, user_name="alice")
    shelf.archive.note_release("run-1", [by_name], NOW + timedelta(days=60), now=NOW)
    shelf.archive.note_release("run-2", [ALICE], NOW, now=NOW + timedelta(milliseconds=5))
    for number in (1, 2):
        shelf.date(f"releases/run-{number}.json", NOW + timedelta(hours=number))

    assert shelf.archive.released_until(NOW) == {}


def note(shelf: Shelf, run_id: str, *, days: float, written_at: datetime, noted_at: datetime) -> None:
    shelf.archive.note_release(run_id, [ALICE], noted_at + timedelta(days=days), now=noted_at)
    shelf.date(f"releases/{run_id}.json", written_at)


def test_newest_release_is_the_last_one_written_whatever_its_name_and_clock(shelf: Shelf) -> None:
    note(shelf, "run-1", days=1, written_at=NOW, noted_at=NOW - timedelta(hours=1))
    note(shelf, "run-2", days=9, written_at=NOW - timedelta(minutes=1), noted_at=NOW)

    assert ends_of(shelf.archive, NOW) == {ALICE.key: NOW + timedelta(days=1, hours=-1)}


def test_of_releases_written_in_the_same_second_the_last_one_noted_counts(shelf: Shelf) -> None:
    note(shelf, "run-1", days=0, written_at=NOW, noted_at=NOW + timedelta(microseconds=2))
    note(shelf, "run-2", days=9, written_at=NOW, noted_at=NOW + timedelta(microseconds=1))

    assert shelf.archive.released_until(NOW) == {}


@given(st.lists(st.sampled_from([0, 0.5, 1, 9]), min_size=1, max_size=5), st.floats(0, 10))
def test_user_is_released_as_the_newest_note_says(lengths: list[float], later: float) -> None:
    store = MemoryStore()
    archive = RunArchive(store, KEEP)
    for number, days in enumerate(lengths):
        noted_at = NOW + timedelta(seconds=number)
        archive.note_release(f"run-{9 - number}", [ALICE], noted_at + timedelta(days=days), now=noted_at)
    now = NOW + timedelta(days=later)

    until = NOW + timedelta(seconds=len(lengths) - 1, days=lengths[-1])
    assert ends_of(archive, now) == ({ALICE.key: until} if until > now else {})


def test_end_of_a_release_is_no_release_since_the_last_run(shelf: Shelf) -> None:
    save(shelf, "run-0", aliases={PAYMENTS: None})
    shelf.archive.note_release("run-1", [ALICE], NOW + timedelta(days=1), now=NOW)
    shelf.archive.note_release(
        "run-2",
        [ReleasedUser(account_id=PAYMENTS, user_name="bob", user_id=user_id_of("bob"))],
        NOW,
        now=NOW + timedelta(milliseconds=5),
    )
    for number in (1, 2):
        shelf.date(f"releases/run-{number}.json", NOW + timedelta(hours=1))

    assert shelf.archive.build_history(Mode.APPLY, "o-exampleorg1").released == {ALICE.key}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff",
        b'{"run_id": "run-1", "until": "soon", "users": []}',
        b'{"run_id": "run-1", "until": "2027-01-01T00:00:00Z", "users": [{}]}',
        b'{"run_id": "run-1", "until": "2027-01-01T00:00:00", "users": []}',
    ],
)
def test_broken_record_of_a_release_is_an_error_and_not_forgotten(shelf: Shelf, content: bytes) -> None:
    shelf.put("releases/run-1.json", content)

    with pytest.raises(ArchiveError, match=r"releases/run-1\.json is no record of a release: mend or remove it"):
        shelf.archive.released_until(NOW)


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


def test_archive_with_nothing_old_is_left_as_it_is(shelf: Shelf) -> None:
    save(shelf, "run-1")

    assert shelf.archive.prune(NOW) == 0
    assert shelf.archive.prune(NOW) == 0
    assert shelf.archive.load().run_id == "run-1"


def test_no_record_of_a_release_is_pruned(shelf: Shelf) -> None:
    long_ago = NOW - KEEP - timedelta(days=1)
    shelf.archive.remember_release(make_report(planned={PAYMENTS: ["alice"]}), NOW + timedelta(days=1))
    shelf.archive.note_release("run-2", [ALICE], long_ago, now=long_ago)
    shelf.put("releases/run-3.json", b"{}")
    for number, age in ((1, 2), (2, 1), (3, 0)):
        shelf.date(f"releases/run-{number}.json", long_ago - timedelta(hours=age))

    assert shelf.archive.prune(NOW) == 0

    assert shelf.files() == [f"releases/run-{number}.json" for number in (1, 2, 3)]


def test_release_forgets_notes_in_a_folder_once_nothing_depends_on_them(shelf: Shelf) -> None:
    """An older note may last for 90 days more than the one that ended it."""
    ends = {"over": NOW - MAX_RELEASE - timedelta(seconds=1), "needed": NOW - MAX_RELEASE, "new": NOW}
    for run_id, until in ends.items():
        shelf.archive.note_release(run_id, [ALICE], until, now=until)

    shelf.archive.forget_releases(NOW)

    is_folder = not shelf.archive.save(make_report("run-9")).startswith("s3://")
    kept = [f"releases/{name}.json" for name in sorted(ends) if not (is_folder and name == "over")]
    assert [name for name in shelf.files() if name.startswith("releases/")] == kept


def test_nothing_is_pruned_where_runs_are_kept_for_ever(request: pytest.FixtureRequest) -> None:
    shelf = make_shelf("folder", request, keep=None)
    save(shelf, "run-1", finished=datetime(1990, 1, 1, tzinfo=UTC))

    assert shelf.archive.prune(NOW) == 0
    assert shelf.archive.load().run_id == "run-1"


def test_release_in_force_outlasts_the_time_that_runs_are_kept(request: pytest.FixtureRequest) -> None:
    shelf = make_shelf("folder", request, keep=timedelta(days=1))
    shelf.archive.remember_release(make_report(planned={PAYMENTS: ["alice"]}), NOW + timedelta(days=5))
    shelf.date("releases/run-1.json", NOW - timedelta(days=2))

    shelf.archive.prune(NOW)

    assert set(shelf.archive.released_until(NOW)) == {(PAYMENTS, user_id_of("alice"))}
