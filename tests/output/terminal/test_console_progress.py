"""The progress of a run on a terminal."""

import re
import sys
from collections.abc import Iterator

import pytest
from rich.console import Console

from orchestrator.domain.model import Mode
from orchestrator.output.terminal import ProgressView
from tests.output.terminal.report_samples import (
    ESCAPE_CODES,
    flat,
    on_terminal,
    written,
)


def screens(console: Console) -> Iterator[str]:
    """Yield the lines a progress bar drew, one after another, without colours, bars and seconds."""
    for line in re.split(r"[\r\n]+", ESCAPE_CODES.sub("", written(console))):
        yield flat(re.sub(r"[━╸╺]|\d:\d\d:\d\d$", "", line))


def test_progress_counts_accounts_changes_and_failures() -> None:
    console = on_terminal()

    with ProgressView(console, Mode.APPLY) as progress:
        progress.phase("inspecting", None)
        progress.done("inspecting", changes=1000, failed=False)
        progress.found("inspecting", 20)
        progress.done("inspecting", changes=234, failed=True)
        progress.phase("applying", 7)
        progress.done("applying", changes=5, failed=False)
        progress._progress.refresh()

    drawn = list(screens(console))
    assert "inspecting 0 accounts, listing 0 planned 0 failed" in drawn
    assert "inspecting 2/20 accounts, 10 % 1,234 planned 1 failed" in drawn
    assert "applying 1/7 accounts, 14 % 5 enforced 0 failed" in drawn


@pytest.mark.parametrize(
    ("mode", "word"), [(None, "changed"), (Mode.APPLY, "enforced"), (Mode.RELEASE, "released"), (Mode.PLAN, "planned")]
)
def test_progress_names_what_is_done_to_users(mode: Mode | None, word: str) -> None:
    console = on_terminal()

    with ProgressView(console, mode) as progress:
        progress.phase("applying", 1)

    assert f"applying 0/1 accounts, 0 % 0 {word} 0 failed" in screens(console)


def test_progress_leaves_nothing_on_the_screen() -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.phase("inspecting", 1)

    assert written(console).endswith("\x1b[1A\x1b[2K")


def test_paused_progress_draws_nothing_until_it_goes_on() -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.phase("inspecting", 3)
        with progress.paused():
            before = written(console)
            progress.done("inspecting", changes=1, failed=False)
            during = written(console)

    assert during == before
    assert "inspecting 1/3 accounts, 33 % 1 planned 0 failed" in screens(console)


def drive(progress: ProgressView) -> None:
    with progress:
        progress.phase("inspecting", None)
        progress.found("inspecting", 1)
        progress.done("inspecting", changes=1, failed=True)
        with progress.paused():
            pass
        progress.phase("applying", 1)


@pytest.mark.parametrize(
    ("console", "wanted"),
    [
        pytest.param(on_terminal(is_terminal=False), True, id="off a terminal"),
        pytest.param(on_terminal(TERM="dumb"), True, id="on a terminal that cannot redraw"),
        pytest.param(on_terminal(), False, id="not wanted"),
    ],
)
def test_progress_writes_nothing_where_it_has_no_place(console: Console, *, wanted: bool) -> None:
    drive(ProgressView(console, wanted=wanted))

    assert written(console) == ""


def test_progress_before_the_first_phase_is_passed_over() -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.found("inspecting", 3)
        progress.done("inspecting", changes=1, failed=False)

    assert "accounts" not in written(console)


def test_progress_leaves_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console = on_terminal()

    with ProgressView(console) as progress:
        progress.phase("inspecting", None)
        sys.stdout.write('{"data": 1}\n')

    assert capsys.readouterr().out == '{"data": 1}\n'
    assert "data" not in written(console)
