"""A RunReport as a table for spreadsheets: one row a user, as CSV. Pure but for the file it is given.

Names and messages come from outside, and a spreadsheet takes a cell that begins like a formula for one: such cells get
an apostrophe in front. Programs read the JSON of a report, which has the values unchanged.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TextIO

from orchestrator.output.words import format_iso, guard_of, visible
from orchestrator.reports.report import AccountReport, RunReport, UserReport

_Value = str | int | datetime | None

_ACCOUNT_COLUMNS: Mapping[str, Callable[[AccountReport], _Value]] = {
    "account_id": lambda account: account.id,
    "account_name": lambda account: account.name,
    "account_alias": lambda account: account.alias,
    "account_ou": lambda account: account.ou,
    "account_owner": lambda account: account.owner,
    "account_status": lambda account: account.status,
    "account_error": lambda account: (
        f"{account.error.code} ({account.error.stage}): {account.error.message}" if account.error else None
    ),
}
_USER_COLUMNS: Mapping[str, Callable[[UserReport], _Value]] = {
    "user": lambda user: user.name,
    "arn": lambda user: user.arn,
    "verdict": lambda user: user.verdict,
    "mfa_device": lambda user: user.mfa_device,
    "mfa_enrolled_at": lambda user: user.mfa_enrolled_at,
    "outcome": lambda user: user.outcome,
    "via": lambda user: user.via,
    "reason": lambda user: f"{user.error.code}: {user.error.message}" if user.error else user.reason,
    "console_password": lambda user: (
        None if user.console_password is None else "yes" if user.console_password else "no"
    ),
    "active_access_keys": lambda user: user.active_access_keys,
    "keys_last_used": lambda user: user.keys_last_used,
    "service_credentials": lambda user: ", ".join(user.service_credentials),
    "guarded": guard_of,
    "password_last_used": lambda user: user.password_last_used,
    "unused": lambda user: "yes" if user.unused else "no",
    "open_since": lambda user: user.open_since,
}
COLUMNS = (*_ACCOUNT_COLUMNS, *_USER_COLUMNS)

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
    cells = [_cell(read(account)) for read in _ACCOUNT_COLUMNS.values()]
    for user in account.users:
        yield [*cells, *(_cell(read(user)) for read in _USER_COLUMNS.values())]
    if not account.users:
        yield cells + [""] * len(_USER_COLUMNS)


def _cell(value: _Value) -> str:
    """Return a cell; nothing where the value is unknown."""
    match value:
        case None:
            return ""
        case datetime():
            return format_iso(value)
        case int():
            return str(value)
    # A tab begins a formula too, NUL ends a cell in some programs, and U+202E turns the rest of a line around.
    return _FORMULA.sub(r"\1\2'", visible(value))
