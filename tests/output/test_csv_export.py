import csv
import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.model import Outcome, Stage, Status, Verdict, Via
from orchestrator.output.csv_export import COLUMNS, write_csv
from orchestrator.reports.report import GuardReport, ProblemReport, ReasonReport, RunReport
from tests.browser.samples import (
    make_account_report,
    make_failed_account,
    make_run_report,
    make_small_report,
    make_user_report,
)
from tests.builders import days_ago

FORMULA = re.compile(r"(?:[\s\"'`]*[\s\"`])?[=+\-@＝＋－＠]")  # noqa: RUF001 - the signs that look alike are the point


def written(report: RunReport) -> str:
    file = io.StringIO(newline="")
    write_csv(report, file)
    return file.getvalue()


def rows_of(report: RunReport) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written(report).removeprefix("\ufeff"), newline="")))


def test_file_has_a_row_a_user_and_one_for_each_account_without_users() -> None:
    rows = rows_of(make_small_report())

    assert [(row["account_name"], row["user"]) for row in rows] == [
        ("Clean", "hal"),
        ("Payments", "alice"),
        ("Payments", "bob"),
        ("Payments", "carol"),
        ("Closed", ""),
        ("Legacy", ""),
        ("Shared Services", "gina"),
    ]


def test_row_says_all_that_is_known_of_a_user() -> None:
    user = make_user_report(
        "bob",
        Outcome.HELD,
        via=Via.GROUP,
        error=ReasonReport(code="active_key", message="used, yesterday"),
        active_access_keys=2,
        keys_last_used=days_ago(1),
        service_credentials=("bedrock.amazonaws.com", "codecommit.amazonaws.com (SSH key)"),
        guarded=GuardReport(by=("SCP", "policy Force_MFA"), partial=True),
        password_last_used=days_ago(200),
        unused=True,
    )

    assert rows_of(
        make_run_report(
            make_account_report("011122223333", user, alias="acme-payments", ou="Root/Workloads", owner="team-a")
        )
    ) == [
        {
            "account_id": "011122223333",
            "account_name": "Payments",
            "account_alias": "acme-payments",
            "account_ou": "Root/Workloads",
            "account_owner": "team-a",
            "account_status": "inspected",
            "account_error": "",
            "user": "bob",
            "arn": "arn:aws:iam::111122223333:user/bob",
            "verdict": "non_compliant",
            "mfa_device": "",
            "mfa_enrolled_at": "",
            "outcome": "held",
            "via": "group",
            "reason": "active_key: used, yesterday",
            "console_password": "yes",
            "active_access_keys": "2",
            "keys_last_used": "2026-03-01T12:00:00Z",
            "service_credentials": "bedrock.amazonaws.com, codecommit.amazonaws.com (SSH key)",
            "guarded": "denied in part without MFA by SCP, policy Force_MFA",
            "password_last_used": "2025-08-14T12:00:00Z",
            "unused": "yes",
            "open_since": "2026-02-18T12:00:00Z",
        }
    ]


def test_unknown_is_empty_and_never_a_no() -> None:
    unknown = make_user_report(
        console_password=None, active_access_keys=None, verdict=Verdict.UNKNOWN, outcome=Outcome.NONE
    )
    known = make_user_report(console_password=False, active_access_keys=0, reason="build robots")

    first, second = rows_of(make_run_report(make_account_report("1", unknown, known)))

    assert [first[name] for name in COLUMNS[14:]] == ["", "", "", "", "", "", "", "no", ""]
    assert [second[name] for name in COLUMNS[14:]] == ["build robots", "no", "0", "", "", "", "", "no", ""]


def test_device_that_is_known_is_told_with_its_date() -> None:
    [row] = rows_of(
        make_run_report(make_account_report("1", make_user_report(mfa_device="fido", mfa_enrolled_at=days_ago(2))))
    )

    assert (row["mfa_device"], row["mfa_enrolled_at"]) == ("fido", "2026-02-28T12:00:00Z")


def test_account_that_failed_is_not_lost_and_says_why() -> None:
    [row] = rows_of(make_run_report(make_failed_account()))

    assert row["account_status"] == "failed"
    assert row["account_error"] == "AccessDenied (assume_role): not authorized"
    assert row["user"] == row["verdict"] == row["outcome"] == ""


def test_account_that_failed_while_writing_keeps_its_users() -> None:
    problem = ProblemReport(stage=Stage.APPLY, code="Throttling", message="rate exceeded", remedy="")
    account = make_account_report("1", make_user_report(), make_user_report("bob"), status=Status.FAILED, error=problem)

    assert [row["account_error"] for row in rows_of(make_run_report(account))] == [
        "Throttling (apply): rate exceeded"
    ] * 2


def test_file_begins_with_the_mark_that_makes_excel_read_utf8() -> None:
    text = written(make_run_report(make_account_report(name="Zürich 東京")))

    assert text.encode().startswith(b"\xef\xbb\xbf")
    assert text.count("\ufeff") == 1
    assert "Zürich 東京" in text


def test_run_without_accounts_is_a_head_alone() -> None:
    assert written(make_run_report()) == "\ufeff" + ",".join(f'"{name}"' for name in COLUMNS) + "\r\n"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("alice", "alice"),
        ("first.last@acme", "first.last@acme"),
        ("a-b+c=d", "a-b+c=d"),
        ("O'Brien", "O'Brien"),
        ("a, b; c", "a, b; c"),
        ('say "hi"', 'say "hi"'),
        ("two\nlines", "two lines"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),  # noqa: RUF001 - as above
        ("＋1", "'＋1"),  # noqa: RUF001 - as above
        ("－1", "'－1"),  # noqa: RUF001 - as above
        ("＠A", "'＠A"),  # noqa: RUF001 - as above
        ("\t=1", " '=1"),
        ("\r=1", " '=1"),
        ("\n=1", " '=1"),
        ("\0=1", "\\x00=1"),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}fdp", "a\\u202efdp"),
        ("a\N{ZERO WIDTH SPACE}b", "a\\u200bb"),
        ("  =1", "  '=1"),
        ("\N{NO-BREAK SPACE}=1", " '=1"),
        ('"=1', "\"'=1"),
        ("'=1", "''=1"),
        (" \"' @A", " \"' '@A"),
        ("x;=1", "x;'=1"),
        ("x; =1;-2", "x; '=1;'-2"),
        ("", ""),
    ],
)
def test_cell_that_begins_like_a_formula_is_text(text: str, cell: str) -> None:
    [row] = rows_of(
        make_run_report(make_account_report("1", make_user_report(text, arn=text), name=text, alias=text, ou=text))
    )

    assert [row[f"account_{each}"] for each in ("name", "alias", "ou")] == [cell] * 3
    assert [row["user"], row["arn"]] == [cell] * 2


@given(st.lists(st.text(alphabet=st.characters() | st.sampled_from("=+-@;\t\r\n\"' ")), min_size=5, max_size=5))
def test_no_text_in_no_column_makes_a_formula_or_a_further_cell(texts: list[str]) -> None:
    name, alias, user, arn, message = (text.replace("\ufeff", "").encode(errors="ignore").decode() for text in texts)
    error: Any = ReasonReport(code=message, message=message)
    problem = ProblemReport(stage=Stage.APPLY, code=message, message=message, remedy=message)
    users = [make_user_report(user, arn=arn, error=error), make_user_report(user, arn=arn, reason=message)]
    report = make_run_report(make_account_report(name, *users, name=name, alias=alias, ou=name, error=problem))

    text = written(report).removeprefix("\ufeff")

    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(row) for row in rows] == [len(COLUMNS)] * 3
    for cell in (part for row in rows for value in row for part in value.split(";")):
        assert not FORMULA.match(cell)
    assert text.count("\n") == len(rows)
