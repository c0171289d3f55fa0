"""Links of what to do and of the coverage, and the address of what is listed."""

import pytest
from playwright.sync_api import expect

from tests.browser.account_list import SMALL, WORST_FIRST, choose, titles, toggle, users
from tests.browser.conftest import Open
from tests.browser.samples import make_account_report, make_run_report


def test_link_of_what_to_do_lists_its_accounts_and_users_alone(open_page: Open) -> None:
    page = open_page(SMALL)

    page.get_by_role("link", name="Held (active_key): 1 user in 1 account").click()

    assert titles(page) == ["acme-payments"]
    toggle(page, "acme-payments").click()
    assert users(page) == ["bob"]
    page.get_by_role("link", name="1 account failed, assuming the role").click()
    assert titles(page) == ["Legacy"]
    choose(page, "Cause", "all")
    assert titles(page) == WORST_FIRST


def test_ou_and_owner_of_the_coverage_list_their_accounts(open_page: Open) -> None:
    owned = [make_account_report(str(n), name=f"A{n}", ou="Root/X & Y", owner=f"team <{n % 2}>") for n in range(4)]
    page = open_page(make_run_report(*owned, make_account_report("9", name="B")))

    page.get_by_role("link", name="X & Y").click()
    assert titles(page) == ["A0", "A1", "A2", "A3"]
    page.get_by_role("link", name="team <1>").click()
    assert titles(page) == ["A1", "A3"]
    page.get_by_role("region", name="By owner").get_by_role("link", name="not known").click()
    assert titles(page) == ["B"]


def test_coverage_is_sorted_by_each_column_both_ways(open_page: Open) -> None:
    page = open_page(SMALL)
    region = page.get_by_role("region", name="By OU")

    def names() -> list[str]:
        return [name.strip() for name in region.locator("tbody th").all_text_contents()]

    shown = names()

    region.get_by_role("button", name="Not covered").click()
    assert names()[:2] == ["Root", "Infrastructure"]
    region.get_by_role("button", name="Not covered").click()
    assert names()[:2] == ["Suspended", "not known"]
    assert names()[-1] == "Root"
    region.get_by_role("button", name="OU", exact=True).click()
    assert names() == shown


def test_address_holds_what_was_searched_filtered_and_sorted(open_page: Open) -> None:
    page = open_page(SMALL)
    page.get_by_label("Search").fill("payments")
    choose(page, "OU", "Workloads (2)")
    choose(page, "Status", "inspected (3)")
    choose(page, "Outcome", "held (1)")
    page.get_by_role("button", name="Account", exact=True).click()
    address, shown = page.url, titles(page)

    again = open_page(SMALL)
    again.goto(address)
    again.reload()

    said = "#q=payments&ou=Root%2FWorkloads&status=inspected&outcome=held&sort=title"
    assert address.endswith(said)
    assert titles(again) == shown == ["acme-payments"]
    expect(again.get_by_label("Search")).to_have_value("payments")
    expect(again.get_by_role("status")).to_have_text("1 of 5 accounts: “payments”, Workloads, inspected, held")
    assert again.url.endswith(said)


@pytest.mark.parametrize(
    "address", ["#status=odd&ou=Root/Gone&sort=nothing", "#accounts", "#cause=99", "#=&&%", "#a=%zz"]
)
def test_address_that_names_what_is_not_there_lists_all(open_page: Open, address: str) -> None:
    page = open_page(SMALL)

    page.goto(page.url + address)
    page.reload()

    assert titles(page) == WORST_FIRST
