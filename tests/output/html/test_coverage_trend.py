"""The trend of the last runs: its charts, its table, its axis."""

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.domain.model import Outcome
from orchestrator.output.html import MAX_RUNS
from orchestrator.output.html.coverage import MEASURES, fit_axis
from tests.browser.samples import (
    make_account_report,
    make_earlier,
    make_failed_account,
    make_run_report,
    make_trend,
)
from tests.builders import NOW
from tests.output.html.page_reader import SMALL, SMALL_PAGE, page_of, users_of


def test_trend_counts_all_who_are_enforced_and_all_with_mfa() -> None:
    users = [*users_of(Outcome.ENFORCED, 2), *users_of(Outcome.ALREADY_ENFORCED, 3), *users_of(Outcome.NONE, 4)]

    report = make_run_report(make_account_report("1", *users), make_failed_account())

    assert {title: measure(report.totals) for title, measure in MEASURES} == {
        "Users without MFA": 5,
        "Enforced": 5,
        "Enrolled": 4,
        "Accounts failed": 1,
    }


def test_trend_is_drawn_and_told_in_words_and_numbers() -> None:
    charts = SMALL_PAGE.all("svg")

    assert len(charts) == 3
    assert charts[0]["aria-label"] == (
        "Users without MFA: 40 on 31 January 2026, 3 on 2 March 2026; between 3 and 40 in 31 runs."
    )
    assert "The numbers of these 31 runs" in SMALL_PAGE.readable
    assert "1 March 2026, 12:00 UTC31640" in SMALL_PAGE.readable


def test_trend_ends_with_this_run_and_shows_it_once_whatever_the_order() -> None:
    earlier = make_trend(3)
    trend = [earlier[1], SMALL, earlier[2], earlier[0]]

    assert "The numbers of these 4 runs" in page_of(SMALL, trend).readable
    assert page_of(SMALL, trend).source == page_of(SMALL, earlier).source


def test_trend_of_an_older_run_ends_with_it() -> None:
    later = make_earlier("later", NOW + timedelta(days=1), non_compliant=1)

    assert page_of(SMALL, [later, *make_trend(3)]).source == page_of(SMALL, make_trend(3)).source


@pytest.mark.parametrize("change", [{"narrowed": True}, {"complete": False}])
def test_trend_leaves_out_this_run_where_it_saw_a_part_alone(change: dict[str, Any]) -> None:
    report = SMALL.model_copy(update=change)

    assert "The numbers of these 3 runs" in page_of(report, make_trend(3)).readable
    assert ("Only some accounts were asked for." in page_of(report).readable) == report.narrowed


def test_trend_shows_the_newest_runs_and_no_more() -> None:
    page = page_of(SMALL, make_trend(MAX_RUNS + 30))

    assert f"The numbers of these {MAX_RUNS} runs" in page.readable
    assert "2 March 2026" in str(page.all("svg")[0]["aria-label"])


@pytest.mark.parametrize(("hours", "is_drawn"), [(1, False), (11, False), (18, True)])
def test_runs_of_two_days_are_no_trend_however_many_they_are(hours: int, is_drawn: bool) -> None:
    trend = [make_earlier(f"r{i}", NOW - timedelta(hours=hours * i), non_compliant=4) for i in range(1, 4)]

    page = page_of(SMALL, trend)

    assert bool(page.all("svg")) == is_drawn


def test_trend_of_one_run_is_none_yet() -> None:
    page = page_of(SMALL)

    assert "begins with the third day" in page.readable
    assert page.all("svg") == []


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0, 0], (0, 1)),
        ([0, 4], (0, 1)),
        ([5, 0], (0, 2)),
        ([41, 12], (0, 20)),
        ([198_000, 0], (0, 50_000)),
        ([1000, 1010], (1000, 5)),
        ([999, 1007], (995, 5)),
        ([7, 7], (7, 1)),
    ],
)
def test_axis_has_round_steps_and_starts_at_zero_unless_little_changes(
    values: list[int], scale: tuple[int, int]
) -> None:
    assert fit_axis(values) == scale


@given(st.lists(st.integers(0, 300_000), min_size=2, max_size=100))
@example([0, 0])
def test_axis_of_a_trend_holds_every_value(values: list[int]) -> None:
    step = timedelta(days=1)
    trend = [
        make_earlier(f"r{i}", NOW - step * (len(values) - i), non_compliant=value) for i, value in enumerate(values)
    ]

    page = page_of(make_run_report(), trend)

    chart = re.findall(r"<svg.*?</svg>", page.source)[0]
    axis, line = chart.split('class="axis left"')[1].split('class="series lines"')
    labels = sorted(int(text.replace(",", "")) for text in re.findall(r">([\d,]+)</text>", axis))
    grid = [float(place) for place in re.findall(r'y1="([\d.]+)"', axis)]
    heights = [float(place) for place in re.findall(r"[ML] [\d.]+ ([\d.]+)", line)]
    shown = [*values[-(MAX_RUNS - 1) :], 0]
    assert labels[0] == 0
    assert labels[-1] >= max(shown)
    assert len(labels) == len(set(labels)) == 5
    assert len(heights) == len(shown)
    assert min(grid) <= min(heights) <= max(heights) <= max(grid)
