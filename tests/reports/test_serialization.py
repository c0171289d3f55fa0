"""Reports written piece by piece say what they say in one piece."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.reports.report import RunReport
from orchestrator.reports.serialization import write_indented, write_lines
from tests.builders import make_run_report, make_seen, make_seen_account

HOSTILE = ["\u2028", "\x85", "\r\n", '"]}', "]}\n", "\\n", "é\ud7ff"]


def make_report(*names: str) -> RunReport:
    return make_run_report(*(make_seen_account(make_seen(name), account_id=name) for name in names))


@given(st.lists(st.text(max_size=10) | st.sampled_from(HOSTILE), max_size=4))
@settings(deadline=None)
def test_pieces_are_the_report(names: list[str]) -> None:
    report = make_report(*names)

    lines = b"".join(write_lines(report))

    assert json.loads(lines) == json.loads("".join(write_indented(report))) == json.loads(report.model_dump_json())
    assert lines.count(b"\n") == len(names) + 1
    assert RunReport.model_validate_json(lines) == report


@pytest.mark.parametrize("count", [0, 1, 3])
def test_indented_report_reads_as_if_written_at_once(count: int) -> None:
    report = make_report(*(f"user-{n}" for n in range(count)))

    assert "".join(write_indented(report)) == report.model_dump_json(indent=2) + "\n"
