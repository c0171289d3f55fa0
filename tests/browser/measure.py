"""Measures the page of a large organization: how long it takes to make, how large it is, how fast Chromium is with it.

    python -m tests.browser.measure [ACCOUNTS] [USERS OF EACH]

Without a number: 10,000 accounts with 20 users each. Needs what `make browser` installs.
"""

import resource
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from playwright.sync_api import Page

from orchestrator.output.html import render_page
from tests.browser.driver import DESKTOP, chromium, write_page
from tests.browser.samples import make_large_report, make_trend

TIMES = 5
WORK = {
    "search a user": "query.value = 'lastname-04321-007'; query.dispatchEvent(new Event('input'))",
    "search one letter": "query.value = 'e'; query.dispatchEvent(new Event('input'))",
    "search nothing": "query.value = ''; query.dispatchEvent(new Event('input'))",
    "filter by OU": "ou.value = '20'; ou.dispatchEvent(new Event('change'))",
    "filter by no OU": "ou.value = ''; ou.dispatchEvent(new Event('change'))",
    "filter by outcome": "outcome.value = '1'; outcome.dispatchEvent(new Event('change'))",
    "filter no more": "outcome.value = ''; outcome.dispatchEvent(new Event('change'))",
    "sort by name": "document.querySelector('[data-key=title] button').click()",
    "open an account": "document.querySelectorAll('.toggle')[50].click()",
    "100 more accounts": "document.getElementById('more').click()",
}
"""What a person does; each is timed until the next frame is drawn."""
DRAWN = """(work) => new Promise((done) => {
  const [query, ou, outcome] = ["query", "ou", "outcome"].map((id) => document.getElementById(id));
  const began = performance.now();
  eval(work);
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""


def main(accounts: int, users: int) -> None:
    """Measure and print."""
    report, rows = make_large_report(accounts, users), {}
    before = peak_megabytes()
    began = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        url = write_page(
            path := Path(folder) / "page.html", render_page(report, trend=make_trend(89), blocks_access_keys=True)
        )
        rows["made in"] = f"{perf_counter() - began:.2f} s, {peak_megabytes() - before:.0f} MB of memory more"
        rows["size"] = f"{path.stat().st_size / 1e6:.1f} MB"
        with chromium() as browser:
            rows["open until usable"] = median(lambda: open_page(browser.new_page(viewport=DESKTOP), url), "s")
            page = browser.new_page(viewport=DESKTOP)
            open_page(page, url)
            heap = page.evaluate("performance.memory.usedJSHeapSize / 1e6")
            rows["memory of the script"] = f"{heap:.0f} MB"
            for name, work in WORK.items():
                rows[name] = f"{page.evaluate(DRAWN, work):.0f} ms"
    print(f"{report.totals.accounts:,} accounts, {report.totals.users:,} users")
    for name, value in rows.items():
        print(f"{name:22} {value}")


def open_page(page: Page, url: str) -> float:
    """Open the page and return the seconds until its list is drawn and its controls answer."""
    began = perf_counter()
    page.goto(url)
    page.locator("#controls").wait_for()
    page.evaluate("new Promise(requestAnimationFrame)")
    return perf_counter() - began


def median(measure: Callable[[], float], unit: str) -> str:
    """Return the median of several measurements, and the worst."""
    taken = sorted(measure() for _ in range(TIMES))
    return f"{statistics.median(taken):.2f} {unit} (worst of {TIMES}: {taken[-1]:.2f} {unit})"


def peak_megabytes() -> float:
    """Return the most memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main(*[*map(int, sys.argv[1:]), *(10_000, 20)[len(sys.argv) - 1 :]])
