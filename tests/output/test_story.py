from typing import Any

import pytest

from orchestrator.domain.model import Gate, Mode
from orchestrator.output.story import Story, tell_story
from orchestrator.reports.report import AccountReport, ReasonReport, UserReport
from tests.builders import make_run_report, make_seen, make_seen_account

OF_ACCOUNT = "214 changes planned, limits.max_changes_per_account is 100: the account is held as a whole"


def tell(*accounts: AccountReport, **changes: Any) -> Story:
    return tell_story(make_run_report(*accounts, **changes), blocks_access_keys=True)


def make_held(message: str) -> UserReport:
    return make_seen("ana", "held", error=ReasonReport(code="over_limit", message=message))


@pytest.mark.parametrize("mode", [Mode.PLAN, Mode.APPLY])
def test_run_that_its_limit_held_says_that_nothing_was_written(mode: Mode) -> None:
    gate = Gate(code="over_limit", planned=1442, limit=100, message="too many", remedy="Read the plan.")

    story = tell(make_seen_account(make_seen("bob", "planned")), mode=mode, gate=gate)

    assert story.gate == "STOPPED: 1,442 changes planned, limit 100. Nothing written. Read the plan."
    assert story.has_findings


@pytest.mark.parametrize("code", ["stopped", "declined", "under_way"])
def test_run_that_something_else_held_says_what(code: Any) -> None:
    gate = Gate(code=code, planned=3, limit=None, message="run 7 writes", remedy="Run again.")

    assert tell(gate=gate).gate == "STOPPED: run 7 writes. Nothing written. Run again."


def test_account_that_its_own_limit_held_stops_no_run() -> None:
    assert tell(make_seen_account(make_held(OF_ACCOUNT))).gate == ""


def test_accounts_come_in_the_order_in_which_they_need_a_person() -> None:
    story = tell(
        make_seen_account(make_seen("a", "none"), account_id="1"),
        make_seen_account(make_seen("b", "enforced"), account_id="2"),
        make_seen_account(make_held(OF_ACCOUNT), account_id="3"),
    )

    assert [account.id for account in story.accounts] == ["3", "2", "1"]


def test_clean_accounts_are_one_sentence() -> None:
    story = tell(
        make_seen_account(make_seen("a", "none"), account_id="1"),
        make_seen_account(make_seen("b", "exempt"), make_seen("c", "out_of_scope"), account_id="2"),
    )

    assert story.clean == "2 accounts clean: every user has MFA or is left alone (1 exempt, 1 out of scope)."
    assert not story.has_findings
