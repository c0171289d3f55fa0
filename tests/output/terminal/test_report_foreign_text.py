"""No text, width, colour or encoding breaks a report on a terminal."""

import re
import unicodedata
from io import BytesIO, TextIOWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from orchestrator.domain.model import Gate, Outcome, Status
from orchestrator.output.terminal import Shown, print_report
from tests.output.terminal.report_samples import (
    ESCAPE_CODES,
    HOSTILE_NAMES,
    ROLE_MISSING,
    all_situations,
    make_account,
    make_failed,
    make_problem,
    make_report,
    make_user,
    on_terminal,
    show,
    written,
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_markup_in_text_from_outside_stands_as_it_is(name: str) -> None:
    user = make_user(name, Outcome.HELD, error=(name, f"message {name}"))
    accounts = [
        make_account(name, [user], root=(True, False)),
        make_failed(name, message=f"failure {name}", remedy=f"remedy {name}"),
        make_account(name, status=Status.SKIPPED, error=make_problem(code=name)),
    ]

    text = show(
        make_report(*accounts, errors=[make_problem(message=f"error {name}")]),
        address=name,
        width=300,
        notes=[f"about {name}"],
    )

    assert f"1 held ({name}): {name}\n" in text
    for words in ("message", "failure", "Remedy: remedy", "error", "Report:", "Note: about"):
        assert f"{words} {name}\n" in text
    assert f"1 account skipped: 1 {name}.\n" in text
    assert f"    {name}: {name}\n" in text
    assert re.search(rf"^{re.escape(name)} ", text, re.MULTILINE)
    assert f"    {name} ({accounts[1].id})\n" in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines\r\nand\ttab", "two lines and tab"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("bell\x07", r"bell\x07"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("line\u2028break", "line break"),
        ("Größe 東京", "Größe 東京"),
    ],
)
def test_characters_that_would_act_on_the_terminal_are_made_harmless(name: str, shown: str) -> None:
    user = make_user("bo", Outcome.HELD, error=("code", name))
    account = make_account(users=[user], name=name, root=(True, False))

    text = show(make_report(account), address=name, width=300)

    assert f"\n{shown} " in text
    assert f"    {shown} ({account.id})\n" in text
    assert f"    {shown}: bo\n" in text
    assert f"    {shown}\n" in text
    assert f"Report: {shown}\n" in text


TEXTS = st.text(max_size=90)


@given(name=TEXTS, message=TEXTS, outcome=st.sampled_from(Outcome), width=st.integers(60, 120), every=st.booleans())
def test_no_text_breaks_the_table(*, name: str, message: str, outcome: Outcome, width: int, every: bool) -> None:
    accounts = [
        make_account(name, [make_user(name, outcome, error=(name[:20], message), reason=message)]),
        make_account(None, name=message, root=(True, False)),
        make_failed(name, code=name[:20], message=message, remedy=message),
    ]

    text = show(make_report(*accounts), width=width, every_row=every, whole_texts=every)

    assert not {char for char in text if unicodedata.category(char).startswith("C")} - {"\n"}
    assert max(map(cell_len, text.split("\n"))) <= width


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_console_nor_ends_in_blanks(width: int) -> None:
    long = [
        make_failed("a" * 63, message="x" * 300, remedy=ROLE_MISSING),
        make_account(None, [make_user("u" * 64, Outcome.PLANNED)], name="n" * 50, root=(True, False)),
    ]

    text = show(make_report(*all_situations().accounts, *long), width=width)

    assert max(map(len, text.splitlines())) <= width
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_address_is_never_broken_into_lines() -> None:
    address = "s3://bucket/" + "prefix/" * 20 + "run.json.gz"

    assert f"\nReport: {address}\n" in show(make_report(make_account("shop")), address=address)


def test_colour_only_repeats_what_words_say() -> None:
    console = on_terminal()

    print_report(all_situations(), console)

    coloured = written(console)
    bare = [line.rstrip() for line in ESCAPE_CODES.sub("", coloured).splitlines()]
    assert "\x1b[1;31mTO FIX" in coloured
    assert re.sub(r"\d{12}", "", "\n".join(bare)) == re.sub(r"\d{12}", "", show(all_situations()).rstrip())


def test_no_color_leaves_no_escape_codes() -> None:
    console = on_terminal(NO_COLOR="1")

    print_report(all_situations(), console)

    assert "failed, assuming the role" in written(console)
    assert "\x1b" not in written(console)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_output_that_cannot_encode_a_name_still_gets_the_report(*, is_terminal: bool) -> None:
    file = TextIOWrapper(BytesIO(), encoding="ascii", newline="\n")
    console = Console(file=file, width=80, force_terminal=is_terminal, no_color=True)

    print_report(make_report(make_account("größe")), console, Shown(address="./läufe", every_row=True))

    file.seek(0)
    text = file.read()
    assert r"gr\xf6\xdfe" in text
    assert "\nReport: ./l\\xe4ufe\n" in text


def test_notes_are_wrapped_and_leave_no_blanks_at_the_ends_of_lines() -> None:
    notes = ["exemption [red] ends on 2025-12-01 and then no longer counts", "\x1b[2J"]

    text = show(make_report(make_account("shop")), width=40, notes=notes)

    assert text.splitlines()[-6:-3] == [
        "Note: exemption [red] ends on 2025-12-01",
        "and then no longer counts",
        "Note: \\x1b[2J",
    ]


def test_next_step_that_the_file_of_a_report_names_acts_on_no_terminal() -> None:
    gate = Gate(code="under_way", planned=1, limit=None, message="m", remedy="wait\x1b]0;x\x07\u202e")

    text = show(make_report(make_account("shop", [make_user("bo", Outcome.PLANNED)]), gate=gate), address="./run")

    assert text.endswith("Next:   wait\\x1b]0;x\\x07\\u202e\n")
