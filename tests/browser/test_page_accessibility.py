"""The page by keyboard, for a screen reader, on a phone, without a script, in either theme."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from orchestrator.reports.report import RunReport
from tests.browser.account_list import SMALL, WORST_FIRST, titles, toggle, users
from tests.browser.conftest import Open
from tests.browser.driver import PHONE
from tests.browser.samples import make_failed_account, make_hostile_report, make_run_report


def test_failed_account_takes_two_lines_on_a_phone(open_page: Open) -> None:
    page = open_page(make_run_report(make_failed_account(), make_failed_account("2")), viewport=PHONE)

    heights = [row.bounding_box() for row in page.locator(".account").all()]

    assert all(box is not None and box["height"] < 4 * 22 for box in heights)


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id"))


def test_keyboard_alone_reaches_and_works_everything(open_page: Open) -> None:
    page = open_page(SMALL)
    reached = []
    for _ in range(45):
        page.keyboard.press("Tab")
        reached.append(focused(page))

    assert [name for name in reached if not name.startswith("all")][:32] == [
        "Go to the accounts",
        *("1 account failed, assuming the role (AccessDenied)", "Held (active_key): 1 user in 1 account"),
        *("Root user without MFA: 1 account", (page.get_by_role("region", name="By OU").text_content() or "").strip()),
        *("OU", "Accounts", "Not read", "Users", "Covered", "Not covered", "To fix"),
        *("Root", "Infrastructure", "Suspended", "Workloads", "Workloads/Production", "not known"),
        "The numbers of these 31 runs",
        "query",
        *("Account", "OU", "Status", "Users", "Without MFA", "Outcome", "Longest open"),
        *WORST_FIRST,
    ]
    assert sum(name.startswith("all") for name in reached) == 5


def test_keyboard_opens_sorts_and_filters(open_page: Open) -> None:
    page = open_page(SMALL)

    toggle(page, "acme-payments").focus()
    page.keyboard.press("Enter")
    assert users(page) == ["bob", "carol", "alice"]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Users of acme-payments"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert users(page) == []

    page.get_by_label("Status").focus()
    page.keyboard.press("ArrowDown")
    assert titles(page) == ["Legacy"]
    page.get_by_role("button", name="Account", exact=True).focus()
    page.keyboard.press("Enter")
    assert focused(page) == "Account"


def test_opening_is_announced(open_page: Open) -> None:
    page = open_page(SMALL)
    button = toggle(page, "acme-payments")
    assert button.get_attribute("aria-expanded") == "false"

    button.click()

    assert button.get_attribute("aria-expanded") == "true"


@pytest.mark.parametrize("report", [SMALL, make_hostile_report(), make_run_report()], ids=["small", "hostile", "empty"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [None, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing(open_page: Open, report: RunReport, scheme: str, viewport: dict[str, int] | None) -> None:
    options = {} if viewport is None else {"viewport": viewport}
    page = open_page(report, color_scheme=scheme, **options)
    page.locator("summary").click()
    for button in page.locator(".toggle").all()[:3]:
        button.click()

    found = Axe().run(page, options={"resultTypes": ["violations"]})

    assert found.generate_snapshot() == ""


@pytest.mark.parametrize("report", [SMALL, make_hostile_report()], ids=["small", "hostile"])
def test_nothing_reaches_over_the_edge_of_a_phone(open_page: Open, report: RunReport) -> None:
    page = open_page(report, viewport=PHONE)

    for button in page.locator(".toggle").all():
        button.click()

    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_without_a_script_the_page_tells_what_matters(open_page: Open) -> None:
    page = open_page(SMALL, java_script_enabled=False)

    text = page.locator("body").inner_text()
    for words in ("Legacy", "Try: Check the StackSet.", "bob: without MFA, held", "Newly without MFA", "60 %"):
        assert words in text
    expect(page.locator("#controls")).to_be_hidden()
    expect(page.locator("#more")).to_be_hidden()
    assert page.locator("svg").count() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_is_the_one_of_the_system(open_page: Open, scheme: str) -> None:
    page = open_page(SMALL, color_scheme=scheme)

    background = page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert background == {"light": "rgb(245, 246, 248)", "dark": "rgb(15, 19, 24)"}[scheme]


def test_tones_differ_by_a_sign_and_not_by_colour_alone(open_page: Open) -> None:
    page = open_page(SMALL)
    toggle(page, "acme-payments").click()

    signs = {
        tone: page.evaluate(f"getComputedStyle(document.querySelector('.tag.{tone}'), '::before').content")
        for tone in ("bad", "warn", "good", "quiet")
    }

    assert len({sign.split('"')[1] for sign in signs.values()}) == 4
