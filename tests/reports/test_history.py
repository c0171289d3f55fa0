"""Which of the earlier runs a run is compared with and draws its sightings from, and how little of them is loaded."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from orchestrator.domain.model import Mode, Stage, Status
from orchestrator.reports.history import History, StoredRun, build_history, read_past
from orchestrator.reports.report import AccountReport, ProblemReport, RunReport
from orchestrator.reports.report_json import write_lines
from tests.builders import ACCOUNT_ID, ORGANIZATION, days_ago, make_run_report, make_seen, make_seen_account

SEARCH = "444455556666"
BLIND = ProblemReport(stage=Stage.ARCHIVE, code="history_unreadable", message="refused", remedy="")


class Shelf:
    """Runs as the archive gives them, with books of which were loaded; the IDs of broken ones begin with `broken`."""

    def __init__(self, *reports: RunReport) -> None:
        self._reports = reports
        self.seen: list[str] = []
        self.loaded: list[str] = []

    def __iter__(self) -> Any:
        for report in self._reports:
            self.seen.append(report.run_id)
            yield report.model_copy(update={"accounts": ()}), self._loader(report)

    def _loader(self, report: RunReport) -> Callable[[], StoredRun | None]:
        def load() -> StoredRun | None:
            self.loaded.append(report.run_id)
            is_broken = report.run_id.startswith("broken")
            return None if is_broken else read_past(b"".join(write_lines(report)).splitlines(keepends=True))

        return load


def make_run(run_id: str, *accounts: AccountReport, **changes: Any) -> RunReport:
    return make_run_report(*(accounts or (make_seen_account(),)), run_id=run_id, **changes)


def dates(found: History) -> dict[str, dict[str, datetime]]:
    return {
        account_id: {sight.name: sight.since for sight in sights.values()}
        for account_id, sights in found.sights.items()
    }


def recalled(shelf: Shelf, mode: Mode = Mode.APPLY) -> History:
    return build_history(shelf, mode, ORGANIZATION.id)


PLAN, APPLY, RELEASE = ({"mode": mode} for mode in (Mode.PLAN, Mode.APPLY, Mode.RELEASE))
NARROWED, INCOMPLETE, FOREIGN = {"narrowed": True}, {"complete": False}, {"organization_id": "o-someoneelse1"}
UNREACHED = make_seen_account(account_id=SEARCH, status=Status.NOT_REACHED)


@pytest.mark.parametrize(
    ("newer", "base"),
    [
        ([], None),
        ([APPLY], "run-0"),
        ([APPLY, APPLY], "run-0"),
        ([PLAN, APPLY], "run-1"),
        ([PLAN, PLAN, PLAN, APPLY], "run-3"),
        ([RELEASE, APPLY], "run-1"),
        ([NARROWED, APPLY], "run-1"),
        ([INCOMPLETE, APPLY], "run-1"),
        ([FOREIGN, APPLY], "run-1"),
        ([PLAN], None),
        ([NARROWED, INCOMPLETE, RELEASE, FOREIGN], None),
    ],
)
def test_run_is_compared_with_the_last_whole_one_of_its_mode(newer: list[dict[str, Any]], base: str | None) -> None:
    shelf = Shelf(*(make_run(f"run-{number}", **changes) for number, changes in enumerate(newer)))

    found = recalled(shelf).base

    assert (found and found.run_id) == base


def test_run_that_left_accounts_out_serves_only_where_no_other_does() -> None:
    interrupted = [make_run(f"run-{number}", make_seen_account(), UNREACHED) for number in range(3)]

    assert getattr(recalled(Shelf(*interrupted, make_run("whole"))).base, "run_id", None) == "whole"
    assert getattr(recalled(Shelf(*interrupted)).base, "run_id", None) == "run-0"


def test_broken_run_is_passed_over() -> None:
    found = recalled(Shelf(make_run("broken-1"), make_run("broken-2"), make_run("run-1")))

    assert found.base is not None
    assert found.base.run_id == "run-1"


@pytest.mark.parametrize(
    ("runs", "seen", "loaded"),
    [
        ([APPLY, APPLY, APPLY], 1, ["run-0"]),
        ([PLAN, PLAN, APPLY, APPLY], 3, ["run-0", "run-2"]),
        ([NARROWED, NARROWED, APPLY, APPLY], 3, ["run-0", "run-1", "run-2"]),
        ([RELEASE, FOREIGN, APPLY, APPLY], 3, ["run-2"]),
        ([PLAN, NARROWED, INCOMPLETE, PLAN], 4, ["run-0"]),
    ],
)
def test_no_more_is_read_than_will_do(runs: list[dict[str, Any]], seen: int, loaded: list[str]) -> None:
    shelf = Shelf(*(make_run(f"run-{number}", **changes) for number, changes in enumerate(runs)))

    recalled(shelf)

    assert (len(shelf.seen), shelf.loaded) == (seen, loaded)


def test_newest_sight_of_each_account_counts() -> None:
    def opened(days: float, account_id: str = ACCOUNT_ID, failing_runs: int = 0) -> AccountReport:
        user = make_seen(open_since=days_ago(days))
        return make_seen_account(user, account_id=account_id, failing_runs=failing_runs)

    found = recalled(
        Shelf(
            make_run("run-3", opened(1), narrowed=True),
            make_run("run-2", opened(2), opened(3, SEARCH, failing_runs=4), complete=False),
            make_run("run-1", opened(5), opened(6, SEARCH), opened(7, "777788889999"), mode=Mode.PLAN),
            make_run("run-0", opened(8), opened(9, "000011112222")),
        )
    )

    assert dates(found) == {
        ACCOUNT_ID: {"alice": days_ago(1)},
        SEARCH: {"alice": days_ago(3)},
        "777788889999": {"alice": days_ago(7)},
    }
    assert found.failing_runs[SEARCH] == 4
    assert found.base is not None
    assert found.base.run_id == "run-0"


def test_run_that_could_not_read_the_archive_is_a_base_and_no_sighting() -> None:
    seen = make_seen_account(make_seen(open_since=days_ago(5)))
    blind = make_run("blind", make_seen_account(make_seen()), errors=(BLIND,))

    found = recalled(Shelf(blind, make_run("run-1", seen)))

    assert found.base is not None
    assert found.base.run_id == "blind"
    assert dates(found) == {ACCOUNT_ID: {"alice": days_ago(5)}}


def test_base_keeps_those_alone_with_whom_there_is_something_to_compare() -> None:
    users = [
        make_seen("without"),
        make_seen("unknown", "none", verdict="unknown"),
        make_seen("enforced", "none", via="user"),
        *(make_seen(f"clean-{number}", "none") for number in range(3)),
    ]

    base = recalled(Shelf(make_run("run-1", make_seen_account(*users)))).base

    assert base is not None
    assert [user.name for user in base.accounts[ACCOUNT_ID].users] == ["without", "unknown", "enforced"]
    assert recalled(Shelf(make_run("run-1", make_seen_account(*users)))).open_in_base(ACCOUNT_ID) == {"without"}


def test_nobody_is_open_in_an_account_that_the_base_has_not() -> None:
    assert History().open_in_base(ACCOUNT_ID) == frozenset()
    assert recalled(Shelf(make_run("run-1"))).open_in_base(SEARCH) == frozenset()
