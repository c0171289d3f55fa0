"""What people read of a run of IAM events, which looks at the users that events name and at nobody else."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.domain.config import SlackConfig
from orchestrator.domain.model import Gate, Mode, Trigger
from orchestrator.output.html import render_page
from orchestrator.output.slack.digest import render_digest, render_text
from orchestrator.reports.report import AccountReport, RunReport
from tests.builders import make_run_report, make_seen, make_seen_account
from tests.output.terminal.report_samples import show

SPENT = Gate(
    code="over_limit",
    planned=2,
    limit=100,
    message="events enforced 99 users in 24 hours and name 2 more, limits.max_changes_per_run is 100",
    remedy="Find out what makes so many users; the daily run goes on as ever.",
)
NEW = make_seen_account(make_seen("bob", "enforced"))
ENROLLED = make_seen_account(make_seen("ana", "none"))
CHANGED_POLICY = make_seen_account(notes=("the policy EnforceMFA is drifted now",))


def make_event_run(*accounts: AccountReport, **changes: Any) -> RunReport:
    return make_run_report(*accounts, trigger=Trigger.IAM_EVENT, narrowed=True, **changes)


def show_digest(report: RunReport) -> str:
    return " ".join(render_text(render_digest(report, SlackConfig(), blocks_access_keys=True)).split())


def show_terminal(report: RunReport) -> str:
    return show(report, width=300, address="./runs/1.json.gz")


def show_page(report: RunReport) -> str:
    return "".join(render_page(report, trend=[], blocks_access_keys=True))


VIEWS = pytest.mark.parametrize("view", [show_digest, show_terminal, show_page])


@VIEWS
def test_limit_that_earlier_event_runs_used_up_is_told_with_them(view: Callable[[RunReport], str]) -> None:
    planned = make_seen_account(make_seen("bob"), make_seen("cem"))

    shown = view(make_event_run(planned, gate=SPENT))

    assert SPENT.message in shown
    assert SPENT.remedy in shown
    assert "changes planned, the limit is" not in shown
    assert "apply --max-changes" not in shown


@VIEWS
@pytest.mark.parametrize("account", [ENROLLED, CHANGED_POLICY, NEW])
def test_nothing_is_said_of_users_whom_no_event_named(account: AccountReport, view: Callable[[RunReport], str]) -> None:
    shown = view(make_event_run(account))

    assert "every user has MFA" not in shown
    assert "account clean" not in shown
    assert "users have MFA or are enforced" not in shown


@pytest.mark.parametrize("mode", [Mode.PLAN, Mode.APPLY])
def test_other_runs_say_how_many_users_are_covered(mode: Mode) -> None:
    report = make_run_report(ENROLLED, mode=mode)

    assert "1 of 1 users have MFA or are enforced" in show_digest(report)
    assert "every user has MFA" in show_terminal(report)
