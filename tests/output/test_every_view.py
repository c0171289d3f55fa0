"""An outcome is shown in every view: none of them has a list of its own, so none can forget one."""

import csv
import json
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from orchestrator.domain.config import SlackConfig
from orchestrator.domain.model import Mode, Outcome, Verdict
from orchestrator.domain.outcomes import label_of
from orchestrator.output.csv_export import write_csv
from orchestrator.output.html import render_page
from orchestrator.output.slack.digest import render_digest, render_text
from orchestrator.output.terminal import Shown, print_report
from orchestrator.reports.report import RunReport
from orchestrator.reports.report_json import write_indented
from tests.builders import make_run_report, make_seen, make_seen_account


def show_in_terminal(report: RunReport) -> str:
    console = Console(file=StringIO(), width=200)
    print_report(report, console, Shown(every_row=True))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def show_in_digest(report: RunReport) -> str:
    # An account is listed in the thread with all of its users.
    return " ".join(render_text(render_digest(report, SlackConfig(), blocks_access_keys=True)).split())


def show_in_page(report: RunReport) -> str:
    return "".join(render_page(report, trend=[], blocks_access_keys=True))


def show_in_csv(report: RunReport) -> str:
    write_csv(report, file := StringIO())
    return " ".join(next(row for row in csv.reader(StringIO(file.getvalue())) if "zoe" in row))


def show_in_json(report: RunReport) -> str:
    [account] = json.loads("".join(write_indented(report)))["accounts"]
    return " ".join(user["outcome"] for user in account["users"] if user["name"] == "zoe")


def words_for(outcome: Outcome, mode: Mode) -> str:
    return "without MFA" if outcome is Outcome.NONE else label_of(outcome, mode)


def words_in_page(outcome: Outcome) -> str:
    state = "" if outcome is Outcome.NONE else f", {label_of(outcome, Mode.APPLY)}"
    return f"<bdi>zoe</bdi>: without MFA{state}"


VIEWS: list[tuple[Callable[[RunReport], str], Callable[[Outcome], str]]] = [
    (show_in_terminal, lambda outcome: f"1 {words_for(outcome, Mode.APPLY)}: zoe"),
    (show_in_page, words_in_page),
    (show_in_csv, lambda outcome: f" {outcome.value} "),
    (show_in_json, lambda outcome: outcome.value),
]


@pytest.mark.parametrize(("show", "expect"), VIEWS)
@pytest.mark.parametrize("outcome", list(Outcome))
def test_outcome_is_shown_with_its_user(
    outcome: Outcome, show: Callable[[RunReport], str], expect: Callable[[Outcome], str]
) -> None:
    user = make_seen("zoe", outcome, verdict=Verdict.NON_COMPLIANT)

    assert expect(outcome) in show(make_run_report(make_seen_account(user)))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_outcome_is_in_the_digest_with_its_user_and_its_number(outcome: Outcome) -> None:
    others = [make_seen("adam", "released"), make_seen("bob", "enforced")]
    users = [make_seen("zoe", outcome, verdict=Verdict.NON_COMPLIANT), *others]
    report = make_run_report(make_seen_account(*users))

    shown = show_in_digest(report)

    label = words_for(outcome, Mode.APPLY)
    assert "zoe" in shown
    assert label in shown.lower().replace("mfa", "MFA")
    assert f"{report.totals.of(outcome) if outcome is not Outcome.NONE else 3} {label}" in shown
