"""The list of accounts: search, filters, sorting, and what an account opens to."""

import pytest
from playwright.sync_api import expect

from orchestrator.domain.model import Mode, Outcome
from tests.browser.account_list import SMALL, WORST_FIRST, choose, titles, toggle, users
from tests.browser.conftest import Open
from tests.browser.samples import (
    make_account_report,
    make_failed_account,
    make_large_report,
    make_run_report,
    make_user_report,
)


def test_accounts_are_listed_worst_first(open_page: Open) -> None:
    page = open_page(SMALL)

    assert titles(page) == WORST_FIRST
    expect(page.get_by_role("status")).to_have_text("5 accounts")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "5 accounts, 3 users without MFA, 1 enforced today, 1 user to fix, 1 account failed"
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("payments", ["acme-payments"]),
        ("Payments", ["acme-payments"]),
        ("3333", ["acme-payments", "Shared Services", "Clean"]),
        ("444455556666", ["Legacy"]),
        ("accessdenied", ["Legacy"]),
        ("zoe", ["Legacy"]),
        ("CAROL", ["acme-payments"]),
        ("hal", ["Clean"]),
        ("root user", ["Shared Services"]),
        ("root/workloads", ["acme-payments", "Clean"]),
        ("  gina ", ["Shared Services"]),
        ("nobody", []),
        ("", WORST_FIRST),
    ],
)
def test_search_finds_accounts_by_name_id_error_and_user(open_page: Open, query: str, found: list[str]) -> None:
    page = open_page(SMALL)

    page.get_by_label("Search").fill(query)

    assert titles(page) == found


def test_search_tells_how_many_were_found_and_for_what(open_page: Open) -> None:
    page = open_page(SMALL)

    page.get_by_label("Search").fill("carol")
    page.get_by_label("Search").press("Enter")

    expect(page.get_by_role("status")).to_have_text("1 of 5 accounts: “carol”")
    expect(page.locator(".account")).to_contain_text("1 matching user")


@pytest.mark.parametrize(
    ("choices", "found"),
    [
        ({"Status": "failed (1)"}, ["Legacy"]),
        ({"OU": "Root (4)"}, ["acme-payments", "Shared Services", "Clean", "Closed"]),
        ({"OU": "Workloads (2)"}, ["acme-payments", "Clean"]),
        ({"OU": "Workloads/Production (1)"}, ["acme-payments"]),
        ({"OU": "not known (1)"}, ["Legacy"]),
        ({"OU": "Workloads (2)", "Users": "without MFA (3)"}, ["acme-payments"]),
        ({"OU": "Infrastructure (1)", "Outcome": "held (1)"}, []),
        ({"Status": "skipped (1)"}, ["Closed"]),
        ({"Users": "without MFA (3)"}, ["acme-payments", "Shared Services"]),
        ({"Users": "with MFA (2)"}, ["acme-payments", "Clean"]),
        ({"Outcome": "held (1)"}, ["acme-payments"]),
        ({"Outcome": "exempt (1)", "Users": "without MFA (3)"}, ["Shared Services"]),
        ({"Outcome": "exempt (1)", "Users": "with MFA (2)"}, []),
        ({"Status": "inspected (3)", "Outcome": "nothing to do (2)"}, ["acme-payments", "Clean"]),
    ],
)
def test_filters_narrow_the_list_together(open_page: Open, choices: dict[str, str], found: list[str]) -> None:
    page = open_page(SMALL)

    for label, option in choices.items():
        choose(page, label, option)

    assert titles(page) == found
    for label in choices:
        choose(page, label, "all")
    assert titles(page) == WORST_FIRST


@pytest.mark.parametrize(
    ("column", "order", "found"),
    [
        ("Account", "ascending", ["acme-payments", "Clean", "Closed", "Legacy", "Shared Services"]),
        ("OU", "ascending", ["Legacy", "Shared Services", "Closed", "Clean", "acme-payments"]),
        ("Status", "ascending", ["Legacy", "acme-payments", "Shared Services", "Clean", "Closed"]),
        ("Users", "descending", ["acme-payments", "Shared Services", "Clean", "Legacy", "Closed"]),
        ("Without MFA", "descending", ["acme-payments", "Shared Services", "Legacy", "Clean", "Closed"]),
        ("Outcome", "descending", ["acme-payments", "Legacy", "Shared Services", "Clean", "Closed"]),
        ("Longest open", "descending", ["acme-payments", "Shared Services", "Legacy", "Clean", "Closed"]),
    ],
)
def test_columns_sort_both_ways_and_back(open_page: Open, column: str, order: str, found: list[str]) -> None:
    page = open_page(SMALL)
    header = page.locator("#list").get_by_role("columnheader", name=column, exact=True)
    button = header.get_by_role("button")

    button.click()

    assert titles(page) == found
    assert header.get_attribute("aria-sort") == order
    button.click()
    assert header.get_attribute("aria-sort") == {"ascending": "descending", "descending": "ascending"}[order]
    assert titles(page)[0] != found[0] or column == "Outcome"
    page.get_by_role("button", name="Worst first").click()
    assert titles(page) == WORST_FIRST
    assert header.get_attribute("aria-sort") is None


def test_ou_is_offered_with_the_accounts_below_it_and_only_where_the_report_tells_it(open_page: Open) -> None:
    page = open_page(SMALL)

    offered = page.get_by_label("OU", exact=True).locator("option").all_text_contents()
    assert offered == [
        *("all", "not known (1)", "Root (4)", "Infrastructure (1)", "Suspended (1)"),
        *("Workloads (2)", "Workloads/Production (1)"),
    ]
    choose(page, "OU", "Workloads/Production (1)")
    expect(page.get_by_role("status")).to_have_text("1 of 5 accounts: Workloads/Production")
    expect(page.locator(".account")).to_contain_text("Root/Workloads/Production")

    page = open_page(make_run_report(make_account_report("1")))
    expect(page.get_by_label("OU", exact=True)).to_have_count(0)
    expect(page.get_by_role("columnheader", name="OU", exact=True)).to_have_count(0)


def test_ou_of_a_name_that_begins_like_another_holds_its_own_accounts_alone(open_page: Open) -> None:
    ous = ["Root/Data", "Root/Data/Lake", "Root/Data Science"]
    page = open_page(make_run_report(*(make_account_report(str(n), name=ou, ou=ou) for n, ou in enumerate(ous))))

    choose(page, "OU", "Data (2)")

    assert titles(page) == ["Root/Data", "Root/Data/Lake"]


def test_account_opens_to_its_users(open_page: Open) -> None:
    page = open_page(SMALL)

    toggle(page, "acme-payments").click()

    table = page.get_by_role("region", name="Users of acme-payments").get_by_role("table")
    rows = [
        [cell.strip() for cell in row.locator("th, td").all_text_contents()] for row in table.get_by_role("row").all()
    ]
    assert rows == [
        ["User", "MFA", "Outcome", "Via", "Console password", "Active keys", "Open for", "Reason"],
        ["bob", "without MFA", "held", "", "yes", "0", "12 days", "an access key was used yesterday (active_key)"],
        ["carol", "without MFA", "enforced", "user", "yes", "2", "40 days", ""],
        ["alice", "with MFAauthenticator app since 2026-03-02", "", "", "yes", "1, used 2026-02-27", "", ""],
    ]
    toggle(page, "acme-payments").click()
    assert users(page) == []


def test_account_that_failed_opens_to_the_reason_and_what_to_try(open_page: Open) -> None:
    page = open_page(SMALL)

    toggle(page, "Legacy").click()

    detail = page.locator(".detail")
    expect(detail).to_contain_text("failed assuming the role (AccessDenied): not authorized")
    expect(detail).to_contain_text("Try: Check the StackSet. Failing for 3 runs.")
    expect(detail).to_contain_text("Without MFA when last read: zoe (for 30 days)")


def test_account_opens_to_the_users_that_were_asked_for_and_to_all_on_request(open_page: Open) -> None:
    page = open_page(SMALL)
    choose(page, "Outcome", "held (1)")

    toggle(page, "acme-payments").click()

    assert users(page) == ["bob"]
    page.get_by_role("button", name="Show all users of acme-payments").click()
    assert users(page) == ["bob", "carol", "alice"]
    toggle(page, "acme-payments").click()
    assert users(page) == []


def test_account_that_was_searched_for_opens_to_all_of_its_users(open_page: Open) -> None:
    page = open_page(SMALL)
    page.get_by_label("Search").fill("payments")

    toggle(page, "acme-payments").click()

    assert users(page) == ["bob", "carol", "alice"]
    expect(page.locator(".account")).not_to_contain_text("matching")


def test_opened_account_stays_open_while_the_list_is_sorted(open_page: Open) -> None:
    page = open_page(SMALL)
    toggle(page, "Shared Services").click()

    page.get_by_role("columnheader", name="Account", exact=True).get_by_role("button").click()

    assert users(page) == ["gina"]
    assert toggle(page, "Shared Services").get_attribute("aria-expanded") == "true"


def test_long_list_comes_in_parts(open_page: Open) -> None:
    page = open_page(make_large_report(accounts=250, users=2))

    page.get_by_role("button", name="Show 100 more of 150 accounts").click()
    page.get_by_role("button", name="Show 50 more of 50 accounts").click()

    assert len(titles(page)) == len(set(titles(page))) == 250
    expect(page.locator("#more")).to_be_hidden()
    expect(page.locator(".toggle").nth(200)).to_be_focused()
    page.get_by_label("Search").fill("acme-00123")
    assert titles(page) == ["acme-00123"]
    page.get_by_label("Search").fill("acme")
    assert len(titles(page)) == 100


def test_large_account_shows_its_users_in_parts(open_page: Open) -> None:
    many = [make_user_report(f"user-{number:03}", Outcome.EXEMPT) for number in range(230)]
    page = open_page(make_run_report(make_account_report("1", *many)))
    toggle(page, "Payments").click()

    page.get_by_role("button", name="Show 100 more of 130 users").click()
    page.get_by_role("button", name="Show 30 more of 30 users").click()

    assert users(page) == [f"user-{number:03}" for number in range(230)]


def test_account_that_was_not_read_is_not_said_to_have_no_users(open_page: Open) -> None:
    page = open_page(make_run_report(make_failed_account(), make_account_report("1")))
    cells = [row.locator("td").all_text_contents()[1:3] for row in page.locator(".account").all()]

    assert cells == [["", ""], ["0", "0"]]


def test_release_lists_nobody_as_without_mfa(open_page: Open) -> None:
    page = open_page(SMALL.model_copy(update={"mode": Mode.RELEASE}))

    expect(page.locator("#list").get_by_role("columnheader", name="Without MFA")).to_have_count(0)
    expect(page.get_by_label("Users", exact=True)).to_have_count(0)
    toggle(page, "acme-payments").click()
    assert page.locator(".users .tag", has_text="MFA not looked at").count() == 3
