"""Notice given before enforcement, and an archive that fails, over runs in a row."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.errors import ArchiveError, StartError
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import exit_code
from tests.builders import NOW, make_config
from tests.pipeline.days import PAYMENTS, SEARCH, Days, changes_of, opened_on, told
from tests.pipeline.stage import account_of, outcomes, user_of

# -- notice

NOTICE = make_config(enforcement={"notice": "7d"})


def test_user_is_enforced_when_the_notice_has_run_out_and_not_before(days: Days) -> None:
    reports = [days.play(day, config=NOTICE) for day in (0, 1, 6.99, 7, 8)]

    assert [outcomes(report)["alice"] for report in reports] == [
        *["in_grace"] * 3,
        "enforced",
        "already_enforced",
    ]
    assert user_of(reports[1]).reason == "seen without MFA since 2026-03-02; 6 days of notice left, then enforced"
    assert user_of(reports[1]).grace_ends == NOW + timedelta(days=7)
    assert [opened_on(report) for report in reports] == [0] * 5
    assert exit_code(reports[0]) == 0


def test_plan_and_apply_both_count_as_sightings(days: Days) -> None:
    days.play(0, "plan", NOTICE)
    days.play(5, config=NOTICE)

    assert outcomes(days.play(7, config=NOTICE))["alice"] == "enforced"


def test_release_is_no_sighting(days: Days) -> None:
    days.play(0, "release", NOTICE)

    assert outcomes(days.play(7, config=NOTICE))["alice"] == "in_grace"


def test_sighting_of_a_run_without_notice_counts(days: Days) -> None:
    days.play(0, stop=True)

    assert outcomes(days.play(7, config=NOTICE))["alice"] == "enforced"


def test_notice_goes_on_through_runs_in_which_the_account_failed(days: Days) -> None:
    days.play(0, config=NOTICE)
    days.refuse(PAYMENTS)
    for day in (1, 3, 5):
        days.play(day, config=NOTICE)
    days.refuse()

    assert outcomes(days.play(6, config=NOTICE))["alice"] == "in_grace"
    assert outcomes(days.play(7, config=NOTICE))["alice"] == "enforced"


def test_notice_begins_anew_for_one_who_had_mfa_for_as_long_as_it(days: Days) -> None:
    days.play(0, config=NOTICE)
    days.change(PAYMENTS, "alice", has_mfa=True)
    days.play(3, config=NOTICE)
    days.change(PAYMENTS, "alice", has_mfa=False)
    days.play(10, config=NOTICE)

    assert outcomes(days.play(16, config=NOTICE))["alice"] == "in_grace"
    assert outcomes(days.play(17, config=NOTICE))["alice"] == "enforced"


def test_narrowed_run_goes_by_the_sightings_of_all_runs(days: Days) -> None:
    days.play(0, config=NOTICE)
    days.play(5, config=NOTICE, targets=(SEARCH,))

    assert outcomes(days.play(7, config=NOTICE, targets=(PAYMENTS,)))["alice"] == "enforced"


def test_released_user_is_enforced_when_release_and_notice_are_over(days: Days) -> None:
    days.play(0, config=NOTICE)
    days.play(8, config=NOTICE)
    days.play(9, "release", config=NOTICE, user_names=frozenset({"alice"}), release_for=timedelta(days=2))

    assert outcomes(days.play(10, config=NOTICE))["alice"] == "in_grace"
    assert outcomes(days.play(12, config=NOTICE))["alice"] == "enforced"


def test_digest_tells_who_is_given_notice_and_the_days_left(days: Days) -> None:
    days.slack.has_thread = True
    days.play(0, config=NOTICE)
    days.play(4, config=NOTICE)

    first, second = days.slack.replies
    assert "in grace: alice (7 days left)" in first
    assert "in grace: alice (3 days left)" in second


# -- an archive that fails


@pytest.mark.parametrize("operation", ["list_files", "read_start", "read"])
def test_with_notice_an_archive_that_cannot_be_read_starts_nothing(days: Days, operation: str) -> None:
    days.play(0, config=NOTICE)
    works = getattr(days.store, operation)

    def refuse(name: str, *size: int) -> Any:
        if name.startswith("runs/"):
            raise ArchiveError("the archive: refused")
        return works(name, *size)

    setattr(days.store, operation, refuse)

    with pytest.raises(StartError, match=r"refused\. With enforcement\.notice"):
        days.play(7, config=NOTICE)

    assert days.aws.writes() == []


def test_without_notice_an_archive_that_cannot_be_read_fails_the_run_and_hides_nothing(days: Days) -> None:
    days.play(0)
    whole = days.store.read_start

    def refuse(name: str, size: int) -> bytes:
        raise ArchiveError("the archive: refused")

    days.store.read_start = refuse  # type: ignore[method-assign]
    blind = days.play(1)
    days.store.read_start = whole  # type: ignore[method-assign]
    after = days.play(2)

    assert [(error.stage, error.code) for error in blind.errors] == [("archive", "history_unreadable")]
    assert exit_code(blind) == 1
    assert blind.changes is None
    assert user_of(blind).open_since is None
    assert outcomes(blind)["alice"] == "already_enforced"
    assert opened_on(after) == 0
    assert told(after) == {}


def test_release_needs_no_earlier_run(days: Days) -> None:
    days.play(0)

    def refuse(name: str, size: int) -> bytes:
        raise ArchiveError("the archive: refused")

    days.store.read_start = refuse  # type: ignore[method-assign]

    report = days.play(1, "release", NOTICE)

    assert outcomes(report)["alice"] == "released"
    assert report.errors == ()
    assert account_of(report).failing_runs == 0


@pytest.mark.parametrize("content", [b"", b"no gzip", b"\x1f\x8b\x08broken"])
def test_broken_run_in_the_archive_is_passed_over(days: Days, content: bytes) -> None:
    days.play(0, config=NOTICE)
    days.play(1, config=NOTICE)
    days.store.files["runs/2026/03/03/run-02.json.gz"] = content

    report = days.play(2, config=NOTICE)

    assert changes_of(report).since_run_id == "run-01"
    assert opened_on(report) == 0


def test_runs_of_another_organization_are_passed_over(days: Days) -> None:
    days.play(0, config=NOTICE)
    name = "runs/2026/03/02/run-01.json.gz"
    archive = RunArchive(days.store, timedelta(days=400))
    foreign = archive.load("run-01").model_copy(update={"organization_id": "o-someoneelse1"})
    archive.save(foreign)

    report = days.play(7, config=NOTICE)

    assert name in days.store.files
    assert report.changes is None
    assert outcomes(report)["alice"] == "in_grace"


def test_lost_run_costs_its_own_sightings_alone(days: Days) -> None:
    days.play(0, config=NOTICE)
    days.change(PAYMENTS, "bob", has_mfa=False)
    days.play(1, config=NOTICE)
    del days.store.files["runs/2026/03/03/run-02.json.gz"]

    report = days.play(2, config=NOTICE)

    assert [opened_on(report, name) for name in ("alice", "bob")] == [0, 2]
