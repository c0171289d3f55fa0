from typing import Any

import pytest

from orchestrator.domain.model import Gate, Mode
from orchestrator.output.story import Story
from orchestrator.reports.report import AccountReport, Changes, ProblemReport, ReasonReport, UserReport
from tests.builders import NOW, make_run_report, make_seen, make_seen_account

OF_ACCOUNT = "214 changes planned, limits.max_changes_per_account is 100: the account is held as a whole"


def tell(*accounts: AccountReport, **changes: Any) -> Story:
    return Story(make_run_report(*accounts, **changes), blocks_access_keys=True)


def make_held(message: str) -> UserReport:
    return make_seen("ana", "held", error=ReasonReport(code="over_limit", message=message))


@pytest.mark.parametrize(
    ("mode", "words"), [(Mode.PLAN, "apply would write nothing"), (Mode.APPLY, "nothing was written")]
)
def test_run_that_its_limit_held_says_first_that_nothing_was_written(mode: Mode, words: str) -> None:
    gate = Gate(code="over_limit", planned=1442, limit=100, message="too many", remedy="Read the plan.")

    story = tell(make_seen_account(make_seen("bob", "planned")), mode=mode, gate=gate)

    assert story.gate == f"{words.upper()}: 1,442 changes planned, the limit is 100. Read the plan."
    assert (story.sentence[0], story.news[0]) == (words, words)
    assert story.has_findings


@pytest.mark.parametrize("code", ["stopped", "declined", "under_way"])
def test_run_that_something_else_held_says_what(code: Any) -> None:
    gate = Gate(code=code, planned=3, limit=None, message="run 7 writes", remedy="Run again.")

    assert tell(mode=Mode.APPLY, gate=gate).gate == "NOTHING WAS WRITTEN: run 7 writes. Run again."


def test_run_that_was_held_counts_nobody_who_was_enforced_before() -> None:
    gate = Gate(code="stopped", planned=0, limit=None, message="enforcement.stop: stop", remedy="Clear it.")
    enforced = make_seen_account(make_seen("bob", "already_enforced"))

    assert tell(enforced, mode=Mode.APPLY).news == ("nothing to enforce",)
    assert tell(enforced, mode=Mode.APPLY, gate=gate).news == ("nothing was written",)


def test_access_keys_that_would_have_stopped_in_a_run_that_was_held_are_counted() -> None:
    gate = Gate(code="over_limit", planned=1, limit=0, message="too many", remedy="Read the plan.")
    planned = make_seen_account(make_seen("bob", "planned", active_access_keys=2))

    assert tell(planned, mode=Mode.APPLY, gate=gate).keys == "2 access keys would stop working without MFA."


@pytest.mark.parametrize(
    ("stage", "code", "words"),
    [
        ("select", "interrupted", "The run was interrupted while accounts were still being listed"),
        ("select", "deadline", "The run came near its deadline while accounts were still being listed"),
        ("select", "AccessDenied", "The organization could not be listed to its end"),
        ("inspect", "interrupted", "The organization could not be listed to its end"),
    ],
)
def test_accounts_that_are_missing_are_explained_by_what_ended_the_listing(stage: Any, code: str, words: str) -> None:
    error = ProblemReport(stage=stage, code=code, message="", remedy="")

    assert tell(complete=False, errors=(error,)).incomplete.startswith(words)
    assert tell(errors=(error,)).incomplete == ""


@pytest.mark.parametrize("status", ["failed", "not_reached"])
def test_changes_are_told_of_the_accounts_alone_that_could_be_read(status: Any) -> None:
    changes = Changes(since_run_id="run-1", since=NOW)
    read = make_seen_account(make_seen("bob", "none"))
    unread = make_seen_account(account_id="2", status=status)

    def sentence(*accounts: AccountReport, **changed: Any) -> str:
        summary = tell(*accounts, changes=changes, **changed).changes
        assert summary is not None
        return summary.sentence

    assert ", in the" not in sentence(read)
    assert sentence(read, unread).endswith(", in the 1 account that could be read: nothing changed.")
    assert sentence(read, complete=False).endswith(", in the 1 account that could be read: nothing changed.")


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
