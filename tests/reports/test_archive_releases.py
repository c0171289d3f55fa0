"""Notes of releases in the archive: which counts, until when, and that none in force is pruned."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import ArchiveError
from orchestrator.domain.model import AccountResult, Decision, Mode, Outcome, Status, Verdict, Via
from orchestrator.reports.archive import MAX_RELEASE, RunArchive
from orchestrator.reports.build import report_account
from orchestrator.reports.report import ReleasedUser
from tests.builders import NOW, days_ago, make_account, make_user, user_id_of
from tests.fakes import MemoryStore
from tests.reports.shelf import KEEP, PAYMENTS, SEARCH, Shelf, make_report, make_shelf, save

ALICE = ReleasedUser(account_id=PAYMENTS, user_name="alice", user_id=user_id_of("alice"))


def ends_of(archive: RunArchive, now: datetime) -> dict[tuple[str, str], datetime]:
    """Return when the releases in force end, by account ID and key of the record."""
    return {key: release.until for key, release in archive.released_until(now).items()}


def note(shelf: Shelf, run_id: str, *, days: float, written_at: datetime, noted_at: datetime) -> None:
    shelf.archive.note_release(run_id, [ALICE], noted_at + timedelta(days=days), now=noted_at)
    shelf.date(f"releases/{run_id}.json", written_at)


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


def test_note_with_an_id_takes_the_place_of_an_older_one_by_name_alone(shelf: Shelf) -> None:
    by_name = ReleasedUser(account_id=PAYMENTS, user_name="alice")
    shelf.archive.note_release("run-1", [by_name], NOW + timedelta(days=60), now=NOW)
    shelf.archive.note_release("run-2", [ALICE], NOW, now=NOW + timedelta(milliseconds=5))
    for number in (1, 2):
        shelf.date(f"releases/run-{number}.json", NOW + timedelta(hours=number))

    assert shelf.archive.released_until(NOW) == {}


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


def test_release_in_force_outlasts_the_time_that_runs_are_kept(request: pytest.FixtureRequest) -> None:
    shelf = make_shelf("folder", request, keep=timedelta(days=1))
    shelf.archive.remember_release(make_report(planned={PAYMENTS: ["alice"]}), NOW + timedelta(days=5))
    shelf.date("releases/run-1.json", NOW - timedelta(days=2))

    shelf.archive.prune(NOW)

    assert set(shelf.archive.released_until(NOW)) == {(PAYMENTS, user_id_of("alice"))}
