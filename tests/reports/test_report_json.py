"""Reports written piece by piece say what they say in one piece, and are read back in part: the head, the accounts."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.model import Outcome, Status, Verdict
from orchestrator.reports.history import read_past
from orchestrator.reports.report import ChangedAccount, Changes, ProblemReport, RunReport
from orchestrator.reports.report_json import read_head, write_indented, write_lines
from tests.builders import ACCOUNT_ID, NOW, days_ago, make_run_report, make_seen, make_seen_account

HOSTILE_PIECES = ["\u2028", "\x85", "\r\n", '"]}', "]}\n", "\\n", "é\ud7ff"]
HOSTILE = ['"accounts":[', '\\"accounts":[', '","accounts":[{}]}', "\u2028", "é\ud7ff"]


def make_report(*names: str) -> RunReport:
    return make_run_report(*(make_seen_account(make_seen(name), account_id=name) for name in names))


@given(st.lists(st.text(max_size=10) | st.sampled_from(HOSTILE_PIECES), max_size=4))
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


def lines_of(report: RunReport) -> list[bytes]:
    return b"".join(write_lines(report)).splitlines(keepends=True)


def packed(report: RunReport) -> bytes:
    return gzip.compress(b"".join(write_lines(report)), mtime=0)


def make_large(count: int = 2_000) -> RunReport:
    accounts = [make_seen_account(*(make_seen(f"user-{n}-{u}") for u in range(5))) for n in range(count)]
    return make_run_report(*accounts)


def test_head_is_the_report_without_its_accounts() -> None:
    report = make_large(3)

    assert read_head(packed(report)) == report.model_copy(update={"accounts": ()})


def test_head_of_a_large_report_stands_in_its_first_bytes() -> None:
    report = make_large()
    content = packed(report)

    assert len(content) > 20_000
    assert read_head(content[:2_000]) == report.model_copy(update={"accounts": ()})


@given(text=st.text(max_size=30) | st.sampled_from(HOSTILE))
@settings(deadline=None)
def test_no_text_is_taken_for_the_accounts(text: str) -> None:
    problem: Any = {"stage": "archive", "code": text, "message": text, "remedy": text}
    changes = Changes(since_run_id=text, since=NOW, new_accounts=(ChangedAccount(id=text, name=text, alias=text),) * 2)
    report = make_run_report(
        make_seen_account(make_seen(text)), run_id=text, errors=(ProblemReport(**problem),), changes=changes
    )

    assert read_head(packed(report)) == report.model_copy(update={"accounts": ()})


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"{}",
        packed(make_run_report())[:40],
        gzip.compress(b'{"accounts":[]}', mtime=0),
        gzip.compress(b'no JSON "accounts":[', mtime=0),
        gzip.compress(b"", mtime=0),
    ],
)
def test_start_that_does_not_suffice_has_no_head(start: bytes) -> None:
    assert read_head(start) is None


def test_past_run_holds_what_a_later_one_needs() -> None:
    report = make_run_report(
        make_seen_account(make_seen("alice", "already_enforced", open_since=days_ago(3)), make_seen("bob", "none")),
        make_seen_account(
            account_id="444455556666",
            status=Status.FAILED,
            failing_runs=2,
            unread_open_since={"carol": days_ago(9)},
        ),
    )

    run = read_past(lines_of(report))

    assert (run.run_id, run.started_at) == ("run-1", NOW)
    payments, search = run.accounts.values()
    (alice,) = payments.users
    assert (payments.id, payments.name, payments.alias) == (ACCOUNT_ID, "payments", "acme-payments")
    assert (alice.name, alice.verdict, alice.outcome) == ("alice", Verdict.NON_COMPLIANT, Outcome.ALREADY_ENFORCED)
    assert alice.open_since == days_ago(3)
    assert (search.status, search.failing_runs) == (Status.FAILED, 2)
    assert search.unread_open_since == {"carol": days_ago(9)}


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"run_id": "x"}', b"\xff"])
def test_what_is_no_report_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="valid"):
        read_past([content])


def test_report_on_a_single_line_is_read_as_well() -> None:
    report = make_large(3)

    assert read_past([report.model_dump_json().encode()]) == read_past(lines_of(report))


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_report_that_breaks_off_between_two_accounts_is_refused(lost: int) -> None:
    lines = lines_of(make_large(3))

    with pytest.raises(ValueError, match=r"breaks off|valid"):
        read_past(lines[:-lost])
