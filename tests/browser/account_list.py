"""The list of accounts on the page: what it shows, and how it is worked."""

from typing import Any

from playwright.sync_api import Page

from tests.browser.samples import make_small_report

SMALL = make_small_report()
WORST_FIRST = ["Legacy", "acme-payments", "Shared Services", "Clean", "Closed"]


def titles(page: Page) -> list[str]:
    return [title.strip() for title in page.locator(".account .toggle").all_text_contents()]


def toggle(page: Page, title: str) -> Any:
    return page.get_by_role("button", name=title, exact=True)


def users(page: Page) -> list[str]:
    return [name.strip() for name in page.locator(".users tbody th").all_text_contents()]


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).select_option(label=option)
