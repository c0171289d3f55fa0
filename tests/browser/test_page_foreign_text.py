"""Hostile text runs nothing, and the page asks the network for nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser

from orchestrator.output.html import render_page
from orchestrator.output.words import visible
from tests.browser.account_list import SMALL, WORST_FIRST, titles
from tests.browser.conftest import Open
from tests.browser.samples import HOSTILE, make_hostile_report, make_trend


def test_hostile_text_runs_nothing_and_is_read_as_it_is(open_page: Open) -> None:
    page = open_page(make_hostile_report())

    for button in page.locator(".toggle").all():
        button.click()

    shown = page.locator("#list").inner_text()
    assert page.evaluate("window.hit") is None
    assert page.locator("img, #list svg, #list script").count() == 0
    for text in HOSTILE:
        assert " ".join(visible(text).split()) in " ".join(shown.split())


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_found(open_page: Open, text: str) -> None:
    page = open_page(make_hostile_report())

    page.get_by_label("Search").fill(visible(text))

    assert len(titles(page)) == len(HOSTILE)
    assert page.evaluate("window.hit") is None


def test_opening_file_asks_for_nothing_else(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        "".join(render_page(make_hostile_report(), trend=make_trend(9), blocks_access_keys=True)), encoding="utf-8"
    )
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(path.as_uri())
    page.locator(".toggle").first.click()
    page.get_by_label("Search").fill("script")
    page.wait_for_load_state("networkidle")

    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    page.close()


def test_served_page_asks_its_server_for_nothing_else(browser: Browser) -> None:
    with served("".join(render_page(make_hostile_report(), trend=[], blocks_access_keys=True))) as (url, asked):
        page = browser.new_page()
        page.goto(url)
        page.locator(".toggle").first.click()
        page.wait_for_load_state("networkidle")
        page.close()

    assert asked == ["/"]


@contextmanager
def served(text: str) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=partial(server.serve_forever, poll_interval=0.05))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_policy_stops_what_gets_into_the_page_all_the_same(browser: Browser, tmp_path: Path) -> None:
    """What escaping should have kept out, put in on purpose after the policy: nothing of it runs or is asked for."""
    text = "".join(render_page(SMALL, trend=[], blocks_access_keys=True))
    smuggled = (
        "<script>window.hit = 1</script><img src=http://127.0.0.1:9/x onerror='window.hit = 1'><form action=/x></form>"
    )
    path = tmp_path / "page.html"
    path.write_text(text.replace("<header>", f"<header>{smuggled}"), encoding="utf-8")
    page = browser.new_page()
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(f"{request.url} {request.failure}"))

    page.goto(path.as_uri())

    assert titles(page) == WORST_FIRST
    assert page.evaluate("window.hit") is None
    assert failed == ["http://127.0.0.1:9/x csp"]
    page.close()
