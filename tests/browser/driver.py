"""Headless Chromium as the tests, the pictures and the measurement start it: Debian's, with no network of its own."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium with an empty profile, and end it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            chromium_sandbox=False,  # a container has none to offer, and all pages are our own
            args=list(FLAGS),
        )
        try:
            yield browser
        finally:
            browser.close()


def write_page(path: Path, pieces: Iterable[str]) -> str:
    """Write a page to a file, and return its URL."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(pieces)
    return path.as_uri()
