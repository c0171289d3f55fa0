"""The thread of a digest: its tables, and the reasons below them."""

import pytest

from orchestrator.domain.model import Mode, Outcome, PolicyChange, Stage
from orchestrator.output.slack.thread import FROM_ACCOUNTS, MAX_NAMES
from orchestrator.reports.report import AccountReport, ChangedUser, Changes
from tests.builders import days_ago
from tests.output.slack.digest_samples import (
    ROOT_WITHOUT_MFA,
    cells,
    enforced,
    held,
    make_account_report,
    make_failed,
    make_problem,
    make_run,
    make_user_report,
    render,
    show,
    show_thread,
    texts,
)


def test_account_is_a_row_with_what_became_of_its_users() -> None:
    new = ChangedUser(account_id="000000000001", account_alias=None, account_name="x", name="eva")
    users = [
        held("ci", open_since=days_ago(40)),
        *enforced("ana", "bob"),
        make_user_report("eva", Outcome.IN_GRACE, open_since=days_ago(3), grace_ends=days_ago(-6.1)),
        make_user_report("dan", Outcome.EXEMPT),
    ]
    account = make_account_report(1, *users, root_user=ROOT_WITHOUT_MFA, policy_changes=(PolicyChange.UPDATE_POLICY,))
    changes = Changes(since_run_id="run-0", since=days_ago(1), newly_without_mfa=(new,))

    [reply] = render(make_run(account, changes=changes)).thread

    assert cells(reply.blocks) == [
        ["Account", "ID", "To fix", "Done", "New", "Open for", "Left alone"],
        [
            "acme-00001",
            "000000000001",
            "held (active_key): ci; root user without MFA",
            "enforced: ana, bob; policy and group: update policy",
            "eva",
            "40 days",
            "in grace: eva (7 days left); exempt: dan",
        ],
    ]
    [*_, counted] = cells(render(make_run(account, changes=changes), users="counts").thread[0].blocks)
    assert counted[2:] == [
        "held (active_key): 1 user; root user without MFA",
        "enforced: 2 users; policy and group: update policy",
        "1",
        "40 days",
        "in grace: 1 user; exempt: 1 user",
    ]


def test_where_there_is_nothing_to_say_the_cell_is_not_empty() -> None:
    [_, row] = cells(render(make_run(make_account_report(1, *enforced("ana")))).thread[0].blocks)

    assert row == ["acme-00001", "000000000001", "-", "enforced: ana", "-", "-", "-"]


def test_names_are_capped_in_a_cell_with_a_count() -> None:
    names = [f"user{number:02}" for number in range(12)]

    assert f"enforced: {', '.join(names[:MAX_NAMES])} and 7 more" in show_thread(
        make_run(make_account_report(1, *enforced(*names)))
    )


def test_small_organization_has_no_table_by_ou_and_a_large_one_has_it_first() -> None:
    users = (held("ci", "cannot_enrol"), held("etl"), *enforced("ana", active_access_keys=2))
    accounts = [make_account_report(1, *users, ou="Root/Dev"), make_failed(2, ou="Root/Dev")]
    accounts += [make_account_report(number, ou="Root/Prod") for number in range(3, FROM_ACCOUNTS)]

    small, large = (make_run(*accounts, *more).model_copy() for more in ((), [make_account_report(FROM_ACCOUNTS)]))

    assert [reply.text for reply in render(small).thread] == ["Accounts, the worst first"]
    assert [reply.text for reply in render(large).thread] == ["By OU", "Accounts, the worst first"]
    assert cells(render(large).thread[0].blocks) == [
        ["OU", "Accounts", "Unread", "Would be locked out", "Else to fix", "Done", "Keys that stop", "Without MFA"],
        ["Root/Dev", "2", "1", "1", "1", "1", "2", "3"],
        ["(not known)", "1", "-", "-", "-", "-", "-", "-"],
        ["Root/Prod", "197", "-", "-", "-", "-", "-", "-"],
    ]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("blocks", [True, False])
def test_keys_of_an_ou_are_counted_only_where_they_stop(mode: Mode, *, blocks: bool) -> None:
    outcome = {Mode.PLAN: Outcome.PLANNED, Mode.APPLY: Outcome.ENFORCED, Mode.RELEASE: Outcome.RELEASED}[mode]
    user = make_user_report("ana", outcome, active_access_keys=2)
    accounts = [make_account_report(number, user, ou="Root") for number in range(FROM_ACCOUNTS)]

    by_ou, *_ = render(make_run(*accounts, mode=mode), blocks_access_keys=blocks).thread

    keys = dict(zip(*cells(by_ou.blocks), strict=True))["Keys that stop"]
    assert keys == (f"{2 * FROM_ACCOUNTS:,}" if blocks and mode is not Mode.RELEASE else "-")


def test_table_has_as_many_rows_as_slack_takes() -> None:
    accounts = [make_account_report(number, *enforced("x"), alias=str(number)) for number in range(500)]

    _, first, second = render(make_run(*accounts)).thread

    assert [len(cells(reply.blocks)) for reply in (first, second)] == [100, 100]
    assert texts(first.blocks) == ["*Accounts, the worst first*: 1 to 99 of 500"]
    assert texts(second.blocks) == ["*Accounts, the worst first*: 100 to 198 of 500", "and 302 more accounts"]


def test_a_reason_and_its_remedy_are_said_once_for_all_accounts_it_holds_for() -> None:
    def denied(number: int) -> AccountReport:
        message = f"not authorized to assume arn:aws:iam::{number:012}:role/orgmfa-member"
        return make_failed(number, error=make_problem(message=message, remedy=f"Run again (--account {number:012})."))

    shown = show_thread(make_run(*map(denied, range(1, 23)), make_failed(99, error=make_problem(Stage.INSPECT))))

    assert shown.count("Run again") == 1
    assert (
        "22 accounts failed, assuming the role (AccessDenied)\n"
        "not authorized to assume arn:aws:iam::ID:role/orgmfa-member\nTry: Run again (--account ID).\n"
        "acme-00001 (000000000001), acme-00002 (000000000002)"
    ) in shown
    assert "acme-00020 (000000000020) and 2 more" in shown
    assert "1 account failed, reading IAM (AccessDenied)" in shown


@pytest.mark.parametrize(
    ("messages", "code", "words"),
    [
        (["12 changes planned"] * 2, "over_limit", "12 changes planned"),
        (["used on Monday", "used on Friday"], "active_key", "Try: An access key in use would stop working: move its"),
        (["one thing", "another"], "new_code", "For example: one thing"),
        (["000000000001 is full", "000000000002 is full"], "new_code", "ID is full"),
    ],
)
def test_what_all_users_of_a_reason_share_is_said_once(messages: list[str], code: str, words: str) -> None:
    accounts = [make_account_report(n, held("ana", code, message)) for n, message in enumerate(messages, start=1)]

    shown = show_thread(make_run(*accounts))

    assert shown.count(words) == 1
    assert f"Held ({code}): 2 users in 2 accounts" in shown


def test_remarks_of_accounts_are_said_once() -> None:
    accounts = [make_account_report(number, notes=("nobody could try",)) for number in (1, 2)]

    assert show(make_run(*accounts)).count("nobody could try") == 1
