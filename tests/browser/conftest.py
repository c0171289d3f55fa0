"""What the tests in a browser share: Chromium, and a way to open the page of a report in it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from orchestrator.output.html import render_page
from orchestrator.reports.report import RunReport
from tests.browser.driver import DESKTOP, chromium, write_page
from tests.browser.samples import make_trend

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Return what opens the page of a report, offline; whatever a page complains of fails the test."""
    contexts, complaints = [], []

    def open_it(report: RunReport, *, runs: int = 30, **options: Any) -> Page:
        pieces = render_page(report, trend=make_trend(runs), blocks_access_keys=True)
        url = write_page(tmp_path / "page.html", pieces)
        context = browser.new_context(offline=True, **({"viewport": DESKTOP} | options))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []
