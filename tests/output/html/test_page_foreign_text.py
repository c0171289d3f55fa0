"""Text from outside adds nothing to the page, and the page loads and runs nothing but its own."""

import base64
import hashlib
import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.output.words import visible
from tests.browser.samples import (
    HOSTILE,
    make_account_report,
    make_hostile_report,
    make_run_report,
    make_trend,
    make_user_report,
)
from tests.output.html.page_reader import EMPTY_PAGE, SMALL_PAGE, page_of

HOSTILE_PAGE = page_of(make_hostile_report(), make_trend(3))


def test_foreign_text_adds_no_element_and_no_attribute() -> None:
    names = {tag for tag, _ in HOSTILE_PAGE.elements}
    attributes = {name for _, given in HOSTILE_PAGE.elements for name in given}

    assert [attributes.get("id") for attributes in HOSTILE_PAGE.all("script")] == ["data", None]
    assert names <= {tag for tag, _ in SMALL_PAGE.elements}
    assert not {name for name in attributes if name.startswith("on")}
    assert not {"src", "style", "action"} & attributes


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_is_shown_as_it_is(text: str) -> None:
    shown = " ".join(visible(text).split())

    assert HOSTILE_PAGE.readable.count(shown) >= 5
    assert visible(text) in [account[1] for account in HOSTILE_PAGE.data["accounts"]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        (" Zürich 東京 ", " Zürich 東京 "),
        ("a\tb\nc", "a b c"),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}b", "a\\u202eb"),
        ("a\N{NULL}b", "a\\x00b"),
        ("a\N{LINE SEPARATOR}b", "a b"),
        ("a\ud800b", "a\\ud800b"),
        ("a\N{ZERO WIDTH SPACE}b", "a\\u200bb"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(text=st.text(), place=st.sampled_from(["run_id", "organization_id"]))
def test_text_that_is_put_in_is_shown_and_nothing_else(text: str, place: str) -> None:
    page = page_of(make_run_report(**{place: text}))

    assert [tag for tag, _ in page.elements] == [tag for tag, _ in EMPTY_PAGE.elements]
    assert visible(text) in "".join(page.words)


def test_text_is_not_escaped_twice() -> None:
    page = page_of(make_run_report(make_account_report(name="a & <b>", ou="Root/<i> & 'x'")))

    assert "<bdi>a &amp; &lt;b&gt;</bdi>" in page.source
    assert "Root/<wbr>&lt;i&gt; &amp; &#39;x&#39;</bdi>" in page.source


@given(st.text(alphabet=st.sampled_from('<>/!-script\N{LINE SEPARATOR}\\"&'), max_size=30))
def test_no_name_ends_the_data_early(name: str) -> None:
    page = page_of(make_run_report(make_account_report("1", make_user_report(name), name=name)))

    assert len(page.all("script")) == 2
    assert page.texts["script"][0].isascii()
    assert "<" not in page.texts["script"][0]
    assert page.data["accounts"][0][11][0][0] == visible(name)


def test_policy_lets_nothing_run_but_this_script_and_load_nothing() -> None:
    rules = dict(rule.split(" ", 1) for rule in str(SMALL_PAGE.all("meta")[1]["content"]).split("; "))
    style, script = SMALL_PAGE.texts["style"][0], SMALL_PAGE.texts["script"][1]

    assert SMALL_PAGE.all("meta")[1]["http-equiv"] == "Content-Security-Policy"
    assert rules == {
        "default-src": "'none'",
        "style-src": f"'{digest(style)}'",
        "script-src": f"'{digest(script)}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }


def digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def test_policy_stands_before_anything_that_it_governs() -> None:
    tags = [tag for tag, _ in HOSTILE_PAGE.elements]

    assert tags[:4] == ["html", "head", "meta", "meta"]


def test_nothing_comes_from_anywhere_else() -> None:
    addresses = {str(attributes["href"]) for _, attributes in SMALL_PAGE.elements if "href" in attributes}
    addresses = {address for address in addresses if not re.fullmatch(r"#(ou|cause)=.*", address)}
    urls = set(re.findall(r"\bhttps?:[^\s\"'<>]*", SMALL_PAGE.source))

    assert addresses == {"data:,", "#accounts"}
    assert urls == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"url\(|@import|@font-face", SMALL_PAGE.texts["style"][0])


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "XMLHttpRequest",
             "import(", "localStorage", "cookie", ".style", "setTimeout"]
)  # fmt: skip
def test_script_does_nothing_that_the_page_is_not_to_do(word: str) -> None:
    assert word not in SMALL_PAGE.texts["script"][1]


@pytest.mark.parametrize("name", ["page.html", "page.css", "page.js"])
def test_what_lies_beside_the_module_has_line_ends_that_keep_its_hash(name: str) -> None:
    assert b"\r" not in resources.files("orchestrator.output.html").joinpath(name).read_bytes()


def test_every_control_has_a_name() -> None:
    labels = len(SMALL_PAGE.all("label"))

    assert labels == len(SMALL_PAGE.all("input")) + len(SMALL_PAGE.all("select")) == 7
    assert all(attributes.get("aria-label") for attributes in SMALL_PAGE.all("meter"))
    assert all(attributes.get("scope") for attributes in SMALL_PAGE.all("th"))
    assert SMALL_PAGE.all("html") == [{"lang": "en"}]
