"""Whom an earlier text of EnforceMFA can lock out is shown as such in every view, whatever else holds for them."""

import pytest

from orchestrator.domain.config import SlackConfig
from orchestrator.domain.model import Mode, Verdict
from orchestrator.output.slack.digest import render_digest
from orchestrator.reports.report import ReasonReport, RunReport, UserReport
from tests.builders import make_run_report, make_seen, make_seen_account
from tests.output.html.page_reader import page_of
from tests.output.slack.digest_samples import cells
from tests.output.terminal.report_samples import row_of, show

OUTDATED = ReasonReport(code="policy_outdated", message="enforced by an earlier text")
USERS = [
    make_seen("zoe", "none", via="user", error=OUTDATED),
    make_seen("zoe", "already_enforced", error=OUTDATED),
    make_seen("zoe", "enforced", error=OUTDATED),
]
AT_RISK = pytest.mark.parametrize("user", USERS, ids=lambda user: user.outcome.value)


def make_report(user: UserReport, mode: Mode = Mode.APPLY) -> RunReport:
    return make_run_report(make_seen_account(user, make_seen("ana", "none"), policy="outdated"), mode=mode)


@AT_RISK
@pytest.mark.parametrize("mode", list(Mode))
def test_table_of_the_terminal_names_who_may_be_locked_out(user: UserReport, mode: Mode) -> None:
    verdict = {"verdict": Verdict.UNKNOWN} if mode is Mode.RELEASE else {}

    row = row_of(show(make_report(user.model_copy(update=verdict), mode), width=160), "acme-payments")

    assert "1 may be locked out" in row
    assert "(policy_outdated): zoe" in row
    assert "already enforced" not in row


@AT_RISK
def test_table_of_the_thread_has_who_may_be_locked_out_under_to_fix(user: UserReport) -> None:
    [reply] = render_digest(make_report(user), SlackConfig(), blocks_access_keys=True).thread

    assert cells(reply.blocks)[1][2] == "may be locked out (policy_outdated): zoe"


@AT_RISK
def test_page_lists_who_may_be_locked_out_with_and_without_its_script(user: UserReport) -> None:
    page = page_of(make_report(user))

    [[*_, users, _unread]] = page.data["accounts"]
    assert page.data["risk"] == ["may be locked out", "bad"]
    assert [(name, values[-1]) for name, *values in users if len(values) == 14] == [("zoe", 1)]
    assert "1 may be locked out" in page.readable
    assert "zoe: " in page.readable
    assert "ana" not in page.readable
