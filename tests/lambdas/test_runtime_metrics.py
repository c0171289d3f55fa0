import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.domain.model import AccountResult, Decision, Gate, Mode, Outcome, Status, Verdict
from orchestrator.lambdas.runtime import count_metrics, emit_metrics
from orchestrator.pipeline.context import Finished
from orchestrator.reports.build import build_report, report_account
from tests.builders import NOW, make_account, make_request, make_user

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def make_finished() -> Finished:
    decisions = (
        Decision(make_user("alice"), Verdict.NON_COMPLIANT, Outcome.ENFORCED),
        Decision(make_user("bob"), Verdict.COMPLIANT, Outcome.NONE),
    )
    results = [
        AccountResult(make_account(), Status.INSPECTED, decisions=decisions),
        AccountResult(make_account("444455556666"), Status.FAILED),
    ]
    report = build_report(
        make_request(),
        "o-exampleorg1",
        map(report_account, results),
        errors=[],
        is_complete=True,
        finished_at=NOW + timedelta(seconds=90),
    )
    return Finished(report, "somewhere", api_calls=27, api_throttles=3)


def test_metrics_are_one_line_of_the_embedded_format(capsys: pytest.CaptureFixture[str]) -> None:
    emit_metrics(make_finished(), is_failed=False, is_scheduled=True)

    (line,) = capsys.readouterr().out.splitlines()
    document = json.loads(line)
    declared = document["_aws"]["CloudWatchMetrics"][0]
    assert declared["Namespace"] == "orgmfa"
    assert declared["Dimensions"] == [["service"]]
    assert document["service"] == "orgmfa"
    assert {metric["Name"] for metric in declared["Metrics"]} == {
        *count_metrics(make_finished(), is_failed=False, is_scheduled=True),
        "DurationSeconds",
    }
    assert document["AccountsFailed"] == [1]
    assert document["UsersEnforced"] == [1]
    assert document["DurationSeconds"] == [90]
    assert document["ApiCalls"] == [27]
    assert document["ApiThrottles"] == [3]
    assert document["RunsFailed"] == [0]


@pytest.mark.parametrize(("mode", "held"), [(Mode.APPLY, 1), (Mode.PLAN, 0)])
def test_run_is_held_that_was_to_enforce_and_wrote_nothing(mode: Mode, held: int) -> None:
    gate = Gate(code="stopped", planned=1, limit=None, message="because", remedy="")
    finished = make_finished()

    def count(gate: Gate | None) -> float:
        report = finished.report.model_copy(update={"mode": mode, "gate": gate})
        return count_metrics(replace(finished, report=report), is_failed=False, is_scheduled=True)["RunsHeld"]

    assert (count(gate), count(None)) == (held, 0)


def test_every_metric_is_documented() -> None:
    rows = [line.split("|")[1] for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]

    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row)]

    assert documented == [*count_metrics(make_finished(), is_failed=False, is_scheduled=True), "DurationSeconds"]


def test_second_run_in_a_warm_function_starts_from_zero(capsys: pytest.CaptureFixture[str]) -> None:
    emit_metrics(make_finished(), is_failed=False, is_scheduled=True)
    emit_metrics(replace(make_finished(), api_calls=5), is_failed=True, is_scheduled=False)

    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["ApiCalls"], second["ApiCalls"]) == ([27], [5])
    assert second["RunsFailed"] == [1]


def test_no_metric_names_an_account_or_a_user(capsys: pytest.CaptureFixture[str]) -> None:
    emit_metrics(make_finished(), is_failed=False, is_scheduled=True)

    said = capsys.readouterr().out
    assert "444455556666" not in said
    assert "alice" not in said
