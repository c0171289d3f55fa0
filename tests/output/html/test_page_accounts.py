"""The list of accounts that the page has without its script."""

import pytest

from orchestrator.domain.model import Outcome, Status, Verdict
from orchestrator.output.html.accounts import MAX_ACCOUNTS, MAX_USERS
from orchestrator.reports.report import (
    RunReport,
)
from tests.browser.samples import (
    make_account_report,
    make_failed_account,
    make_run_report,
    make_user_report,
)
from tests.builders import days_ago
from tests.output.html.page_reader import ROOT_OPEN, SMALL_PAGE, page_of, users_of


def names_in_order(report: RunReport) -> list[str]:
    return [name for _, name, *_ in page_of(report).data["accounts"]]


def test_accounts_stand_worst_first_whatever_their_order() -> None:
    accounts = [
        make_account_report("01", name="skipped", status=Status.SKIPPED),
        make_account_report("02", name="empty"),
        make_account_report("03", *users_of(Outcome.NONE, 3), name="clean"),
        make_account_report("04", *users_of(Outcome.ENFORCED, 3), name="enforced"),
        make_account_report("05", *users_of(Outcome.EXEMPT, 2), name="open"),
        make_account_report("06", *users_of(Outcome.EXEMPT, 3), name="more open"),
        make_account_report("07", name="root", root_user=ROOT_OPEN),
        make_account_report("08", *users_of(Outcome.HELD, 1), name="held"),
        make_account_report("09", *users_of(Outcome.NONE, 2, verdict=Verdict.UNKNOWN), name="unknown"),
        make_account_report("10", name="not reached", status=Status.NOT_REACHED),
        make_failed_account("12", name="failed b"),
        make_failed_account("11", name="Failed A"),
    ]
    worst_first = [
        "Failed A", "failed b", "not reached", "unknown", "held", "root", "more open", "open", "enforced", "clean",
        "empty", "skipped",
    ]  # fmt: skip

    assert names_in_order(make_run_report(*accounts)) == worst_first
    assert names_in_order(make_run_report(*reversed(accounts))) == worst_first


def test_users_stand_worst_first() -> None:
    users = [
        make_user_report("d"),
        make_user_report("c", Outcome.EXEMPT),
        make_user_report("b", Outcome.HELD),
        make_user_report("a", verdict=Verdict.UNKNOWN),
        make_user_report("B", Outcome.EXEMPT),
    ]

    data = page_of(make_run_report(make_account_report("1", *users))).data

    assert [name for name, *_ in data["accounts"][0][11]] == ["b", "a", "B", "c", "d"]


def test_list_without_a_script_tells_what_a_person_needs() -> None:
    for words in (
        "Legacy444455556666failed",
        "failed assuming the role (AccessDenied): not authorizedTry: Check the StackSet. Failing for 3 runs.",
        "acme-payments111122223333Root/Workloads/Productioninspected321 held1 enforced40 d",
        "bob: without MFA, held, for 12 days (an access key was used yesterday (active_key))",
        "carol: without MFA, enforced, for 40 days",
        "gina: without MFA, exempt, for 12 days (build robots)",
        "Root user without MFA",
        "Closed555566667777Root/Suspendedskippedsuspended",
    ):
        assert words in SMALL_PAGE.readable
    assert "hal" not in SMALL_PAGE.readable.split()


@pytest.mark.parametrize("more", [0, 1, 60])
def test_list_without_a_script_is_cut_and_says_so(more: int) -> None:
    accounts = [make_failed_account(f"{n:012}", name=f"acct-{n}") for n in range(MAX_ACCOUNTS + more)]

    text = page_of(make_run_report(*accounts)).readable

    assert text.partition("Longest open")[2].count("acct-") == MAX_ACCOUNTS
    assert ("a browser that runs the script of this page lists all" in text) == bool(more)


def test_users_that_were_not_read_are_named_with_the_days_they_have_been_open() -> None:
    unread = {"zoe": days_ago(30), "yan": days_ago(1)}
    many = {f"user-{index:03}": days_ago(1) for index in range(MAX_USERS + 1)}
    report = make_run_report(make_failed_account(unread_open_since=unread), make_failed_account(unread_open_since=many))

    text = page_of(report).readable

    assert "Without MFA when last read: yan (for 1 day), zoe (for 30 days)" in text
    assert "user-049 (for 1 day), and 1 more" in text


@pytest.mark.parametrize("more", [0, 1, 60])
def test_users_of_an_account_are_cut_without_a_script_and_counted(more: int) -> None:
    text = page_of(make_run_report(make_account_report("1", *users_of(Outcome.EXEMPT, MAX_USERS + more)))).readable

    assert text.count("exempt-") == MAX_USERS
    assert (f"and {more:,} more" in text) == bool(more)


def test_account_that_was_not_read_is_not_said_to_have_no_users() -> None:
    rows = page_of(make_run_report(make_failed_account(), make_account_report("1"))).source.split(
        '<tr class="account">'
    )

    assert 'data-label="Users"></td>' in rows[1]
    assert 'data-label="Without MFA"></td>' in rows[1]
    assert 'data-label="Users">0</td>' in rows[2]


def test_run_without_accounts_says_so() -> None:
    assert "No account was listed." in page_of(make_run_report()).readable


def test_ou_has_a_column_of_its_own_where_it_is_known() -> None:
    known, unknown = page_of(make_run_report(make_account_report(ou="Root/A & B"))), page_of(make_run_report())

    assert "Root/<wbr>A &amp; B</bdi></td>" in known.source
    assert [key for head in known.all("th") if (key := head.get("data-key"))][:2] == ["title", "ou"]
    assert "ou" not in [head.get("data-key") for head in unknown.all("th")]
    assert unknown.all("td")[0]["colspan"] == "6"
