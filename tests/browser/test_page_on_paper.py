"""The page as it is printed."""

from playwright.sync_api import expect

from tests.browser.account_list import SMALL, choose, titles, users
from tests.browser.conftest import Open
from tests.browser.samples import make_failed_account, make_run_report


def test_paper_has_the_users_who_need_something_and_no_controls(open_page: Open) -> None:
    page = open_page(SMALL)

    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert titles(page) == ["Legacy", "acme-payments", "Shared Services"]
    assert users(page) == []
    expect(page.locator(".detail").nth(1)).to_have_text("held: bob")
    expect(page.locator(".detail").last).to_have_text("2 more accounts not printed: orgmfa report --csv writes all.")
    assert page.locator("body").inner_text().count("Check the StackSet.") == 1
    expect(page.locator("h1")).to_be_visible()
    assert page.locator("svg").first.is_visible()
    for hidden in ("#filters", "#more", "#reset", ".jump", "details", ".detail button"):
        assert not any(element.is_visible() for element in page.locator(hidden).all()), hidden


def test_printing_shows_what_was_filtered_and_leaves_the_screen_as_it_was(open_page: Open) -> None:
    page = open_page(SMALL)
    choose(page, "Outcome", "held (1)")
    page.evaluate("addEventListener('beforeprint', () => { window.printed = document.body.innerText })")

    page.pdf()

    printed = str(page.evaluate("window.printed"))
    assert "bob" in printed
    assert "1 of 5 accounts: held" in printed
    assert "Shared Services" not in printed.split("Longest open")[1]
    assert titles(page) == ["acme-payments"]
    assert users(page) == []


def test_paper_ends_somewhere_and_says_so(open_page: Open) -> None:
    page = open_page(make_run_report(*(make_failed_account(f"{number:012}") for number in range(520))))

    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert len(titles(page)) == 500
    expect(page.locator(".detail").last).to_have_text("20 more accounts not printed: orgmfa report --csv writes all.")
