"""A digest as it is read in a terminal."""

import re

import pytest

from orchestrator.output.slack.digest import render_text
from tests.output.slack.digest_samples import (
    LINK,
    enforced,
    make_account_report,
    make_failed,
    make_odd,
    make_organization,
    make_run,
    make_skipped,
    render,
)


def test_as_text_a_digest_reads_as_slack_shows_it() -> None:
    account = make_account_report(1, *enforced("ana", "bob"), alias=None, name="R&D <Berlin>")
    report = make_run(account, make_failed(2), make_skipped(3))

    shown = render_text(render(report, mention="here", link=LINK))

    assert (
        shown
        == f"""\
Apply: 1 to fix · 2 users newly enforced
========================================

@here 2 of 2 users have MFA or are enforced (was 0)

To fix
✗ acme-00002 - unread: deploy the StackSet

Open the report: {LINK}

3 accounts: 1 inspected, 1 failed, 1 skipped. 2 users: 2 without MFA. 2
enforced. 2 users were enforced. Skipped: 1 suspended. Run run-1 (apply,
schedule).
1 account failed, assuming the role (AccessDenied)
the role refuses
Try: Deploy the StackSet.
acme-00002 (000000000002)

Accounts, the worst first
• R&D <Berlin> ID: 000000000001; Done: enforced: ana, bob
"""
    )


@pytest.mark.parametrize("notes", [(), ("word " * 200,)])
def test_as_text_a_digest_fits_a_terminal(notes: tuple[str, ...]) -> None:
    shown = render_text(render(make_organization(make_odd, 100), notes=notes))

    assert max(map(len, shown.splitlines())) <= 120  # names without a space
    assert not re.search(r"&(?:amp|lt|gt);|[*`]", shown)
