"""The page of a report as a person meets it: in Chromium, with a mouse, a keyboard, a screen reader, on paper."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from orchestrator.domain.model import Mode, Outcome
from orchestrator.output.html import render_page
from orchestrator.output.words import visible
from orchestrator.reports.report import RunReport
from tests.browser.conftest import Open
from tests.browser.driver import PHONE
from tests.browser.samples import (
    HOSTILE,
    make_account_report,
    make_failed_account,
    make_hostile_report,
    make_large_report,
    make_run_report,
    make_small_report,
    make_trend,
    make_user_report,
)

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


# -- search, filter, sort, open --------------------------------------------------------------------------------------


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


# -- what to do, coverage by OU and owner, the address


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


def test_failed_account_takes_two_lines_on_a_phone(open_page: Open) -> None:
    page = open_page(make_run_report(make_failed_account(), make_failed_account("2")), viewport=PHONE)

    heights = [row.bounding_box() for row in page.locator(".account").all()]

    assert all(box is not None and box["height"] < 4 * 22 for box in heights)


def test_release_lists_nobody_as_without_mfa(open_page: Open) -> None:
    page = open_page(SMALL.model_copy(update={"mode": Mode.RELEASE}))

    expect(page.locator("#list").get_by_role("columnheader", name="Without MFA")).to_have_count(0)
    expect(page.get_by_label("Users", exact=True)).to_have_count(0)
    toggle(page, "acme-payments").click()
    assert page.locator(".users .tag", has_text="MFA not looked at").count() == 3


# -- hostile names, the network --------------------------------------------------------------------------------------


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


# -- keyboard, screen reader, viewers without a script ---------------------------------------------------------------


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


# -- on paper --------------------------------------------------------------------------------------------------------


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
