"""A RunReport as a table for spreadsheets: one row a user, as CSV. Pure but for the file it is given.

Names and messages come from outside, and a spreadsheet takes a cell that begins like a formula for one: such cells get
an apostrophe in front. Programs read the JSON of a report, where everything stands as it is.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import TextIO

from orchestrator.output.words import format_iso
from orchestrator.reports.report import AccountReport, ProblemReport, RunReport, UserReport

COLUMNS = (
    "account_id",
    "account_name",
    "account_alias",
    "account_ou",
    "account_status",
    "account_error",
    "user",
    "arn",
    "verdict",
    "mfa_device",
    "mfa_enrolled_at",
    "outcome",
    "via",
    "reason",
    "console_password",
    "active_access_keys",
    "keys_last_used",
    "open_since",
)

BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Excel reads a CSV file without it in the code page of the computer, and names with accents come out wrong."""

# A formula may hide behind blanks and quotes; and where the computer's list separator is not the comma, what follows a
# semicolon begins a cell too. Excel takes the wide signs of East Asian keyboards for the usual ones.
_FORMULA = re.compile(r"(^|;)([\s\"'`]*)(?=[-=+@\uFF0D\uFF1D\uFF0B\uFF20])")


def write_csv(report: RunReport, file: TextIO) -> None:
    """Write a report to a file opened as UTF-8 with `newline=""`; an account without users has a row of its own."""
    file.write(BYTE_ORDER_MARK)
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for account in report.accounts:
        writer.writerows(_rows(account))


def _rows(account: AccountReport) -> Iterator[list[str]]:
    names = (account.id, account.name, account.alias, account.ou, account.status, _problem(account.error))
    for user in account.users:
        yield [_cell(value) for value in (*names, *_user(user))]
    if not account.users:
        yield [*map(_cell, names), *[""] * (len(COLUMNS) - len(names))]


def _user(user: UserReport) -> tuple[str | int | datetime | None, ...]:
    return (
        user.name,
        user.arn,
        user.verdict,
        user.mfa_device,
        user.mfa_enrolled_at,
        user.outcome,
        user.via,
        f"{user.error.code}: {user.error.message}" if user.error else user.reason,
        None if user.console_password is None else "yes" if user.console_password else "no",
        user.active_access_keys,
        user.keys_last_used,
        user.open_since,
    )


def _problem(problem: ProblemReport | None) -> str | None:
    return None if problem is None else f"{problem.code} ({problem.stage}): {problem.message}"


def _cell(value: str | int | datetime | None) -> str:
    """Return a cell; nothing where the value is unknown."""
    match value:
        case None:
            return ""
        case datetime():
            return format_iso(value)
        case int():
            return str(value)
    return _FORMULA.sub(r"\1\2'", _on_one_line(value))


def _on_one_line(text: str) -> str:
    """Return a text without control characters: a tab begins a formula too, and NUL ends a cell in some programs."""
    return "".join(" " if unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} else sign for sign in text)
