"""Parser of the IAM credential report (CSV), and whether a report is our own. `iam` requests and downloads it.

Source: IAM User Guide, 'Getting credential reports for your AWS account'. A report is reused for four hours; a row is a
user, and `<root_account>` the root user. A report that others had made tells how users stood at a moment that others
chose: somebody in the account can enrol a device, or take a password away, for that minute alone.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from io import StringIO
from typing import Any, Literal

from orchestrator.domain.errors import Malformed

ROOT_ROW = "<root_account>"
_FLAGS = {"true": True, "false": False}
_NEVER_USED = frozenset({"N/A", "no_information"})
_REQUIRED = ("user", "mfa_active", "password_enabled", "access_key_1_active", "access_key_2_active")


@dataclass(frozen=True, slots=True)
class ReportRow:
    """MFA, password and access keys of one user in the credential report; None: the cell is empty or not known.

    `arn` and `created_at` tell whose row it is: a name may have been given to somebody else since.
    """

    has_mfa: bool | None
    has_console_password: bool | None
    active_access_keys: int | None
    keys_last_used: datetime | None
    password_last_used: datetime | Literal["never"] | None = None
    arn: str = field(default="", compare=False)
    created_at: datetime | None = field(default=None, compare=False)

    def belongs_to(self, arn: str, created_at: datetime) -> bool:
        """Return whether the row is that of a user; times in the report are whole seconds."""
        return self.arn == arn and self.created_at == created_at.replace(microsecond=0)


UNKNOWN = ReportRow(None, None, None, None)
"""The row of a user of whom the report says nothing."""


def read_credential_report(content: bytes) -> dict[str, ReportRow]:
    """Return the rows of a credential report by user name. Raises Malformed where the text is none.

    A row that cannot be told for certain to be its user's says nothing.
    """
    try:
        reader = csv.DictReader(StringIO(content.decode("utf-8")), strict=True)
        if not set(_REQUIRED) <= set(reader.fieldnames or ()):
            raise _malformed(f"lacks one of the columns {', '.join(_REQUIRED)}")
        rows = list(reader)
        seen = Counter(identity for row in rows for identity in _identities(row))
        return {row["user"]: _read_row(row) if _is_clear(row, seen) else UNKNOWN for row in rows}
    except (ValueError, csv.Error) as error:
        raise _malformed(f"cannot be read: {error}") from error


def read_start(answer: Mapping[str, Any], took_seconds: float) -> datetime | None:
    """Return when a call of GenerateCredentialReport began, where it had a report of its own made; else None.

    The time is AWS's, to the second, because the one of the report is: taken from the `Date` of the answer, and from
    how long the call took. Any other state than STARTED means a report that somebody else had made.
    """
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        answered_at = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return None
    if answer.get("State") != "STARTED" or answered_at.tzinfo is None:
        return None
    return (answered_at - timedelta(seconds=took_seconds)).replace(microsecond=0)


def without_exonerations(row: ReportRow) -> ReportRow:
    """Return a row of a report that others had made, without what would let its user go unseen."""
    return replace(row, has_mfa=row.has_mfa and None, has_console_password=row.has_console_password or None)


def _malformed(what: str) -> Malformed:
    message = f"the credential report {what}"
    return Malformed(message, code="MalformedReport", operation="GetCredentialReport")


def _identities(row: Mapping[str, str]) -> Iterator[str]:
    """Yield what one row alone may have: the user's name, in which case does not count, and the ARN."""
    yield row["user"].casefold()
    arn = row.get("arn") or ""
    if arn.startswith("arn:"):
        yield arn


def _is_clear(row: Mapping[str, str], seen: Mapping[str, int]) -> bool:
    """Return whether a row has a cell for each column, and shares neither name nor ARN with another.

    A name may hold commas; whether AWS quotes them is not known, and unquoted they move all other cells.
    """
    has_all_cells = None not in row and None not in row.values()  # how DictReader marks cells too many and too few
    return has_all_cells and all(seen[identity] == 1 for identity in _identities(row))


def _read_row(row: Mapping[str, str]) -> ReportRow:
    flags = [_FLAGS.get(row[f"access_key_{number}_active"]) for number in (1, 2)]
    used = [row.get(f"access_key_{number}_last_used_date") for number, flag in enumerate(flags, 1) if flag]
    used_at = [_read_time(cell) for cell in used]
    # A key whose last use is not told may be in use: then nothing is said of the keys, so that they are looked up.
    is_told = all(time or cell in _NEVER_USED for time, cell in zip(used_at, used, strict=True))
    return ReportRow(
        has_mfa=_FLAGS.get(row["mfa_active"]),
        has_console_password=_FLAGS.get(row["password_enabled"]),
        active_access_keys=len(used) if is_told and None not in flags else None,
        keys_last_used=max(filter(None, used_at), default=None),
        password_last_used=_read_sign_in(row.get("password_last_used")),
        arn=row.get("arn") or "",
        created_at=_read_time(row.get("user_creation_time")),
    )


def _read_sign_in(text: str | None) -> datetime | Literal["never"] | None:
    """Return when a password was last used; what is no such time, N/A among it, is not known."""
    try:
        return "never" if text == "no_information" else _read_time(text)
    except ValueError:  # no decision depends on it, so it must not spoil the report
        return None


def _read_time(text: str | None) -> datetime | None:
    """Return the time of a cell, or None for N/A and no_information. Raises ValueError for any other text."""
    if not text or not text[0].isdigit():
        return None
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return time
