"""Who keeps a deployment from being taken down."""

import pytest

from orchestrator.deploy.teardown import _is_unseen, format_enforced_users
from orchestrator.domain.model import Stage, Status
from orchestrator.reports.report import ProblemReport
from tests.builders import make_run_report, make_seen, make_seen_account


def test_refusal_counts_very_many_users_and_says_that_a_listing_broke_off() -> None:
    users = tuple(make_seen(f"user-{number:02}") for number in range(12))
    account = make_seen_account(*users, name="payments", alias=None)

    told = format_enforced_users(make_run_report(account, complete=False), set()).splitlines()

    assert told[0] == "12 users in 1 account still under EnforceMFA:"
    assert told[1].startswith("  payments (111122223333): user-00, user-01,")
    assert told[1].endswith("user-09 and 2 more")
    assert told[-2:] == ["The organization could not be listed to its end: run again.", "Nothing was changed."]


@pytest.mark.parametrize(
    ("code", "is_unseen"), [("AccessDenied", True), ("excluded_account", True), ("suspended", False)]
)
def test_account_that_can_be_entered_and_was_not_is_unseen(code: str, is_unseen: bool) -> None:
    error = ProblemReport(stage=Stage.SELECT, code=code, message="why", remedy="")
    account = make_seen_account(status=Status.SKIPPED, error=error)

    assert _is_unseen(account) is is_unseen
