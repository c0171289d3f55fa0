"""Earlier runs, read back from their reports as far as a later run needs them. Pure.

A report of ten thousand accounts is large: `read_head` reads what comes before the accounts from the first bytes of the
file, and `read_past` reads the accounts one by one and keeps only what a later run asks for.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from pydantic import TypeAdapter

from orchestrator.domain.model import Outcome, Status, Verdict, Via
from orchestrator.domain.outcomes import ENFORCED
from orchestrator.reports.bounded import load_json
from orchestrator.reports.report import AccountReport, FirstSight, RunReport, UtcTime, pack_accounts
from orchestrator.reports.serialization import END

MAX_HEAD_BYTES = 8 * 1024 * 1024

_ACCOUNTS = b'"accounts":['
"""The start of the accounts in the JSON of a report; inside a string its quotes would be escaped."""


@dataclass(frozen=True, slots=True)
class PastUser:
    """A user as an earlier run saw it."""

    name: str
    verdict: Verdict
    outcome: Outcome
    via: Via | None
    open_since: UtcTime | None = None
    id: str | None = None

    @property
    def is_enforced(self) -> bool:
        """Whether EnforceMFA reached the user, with or without MFA."""
        return self.outcome in ENFORCED or (self.outcome is Outcome.NONE and self.via is not None)


@dataclass(frozen=True, slots=True)
class PastAccount:
    """An account as an earlier run saw it."""

    id: str
    name: str
    alias: str | None
    status: Status
    users: tuple[PastUser, ...]
    failing_runs: int = 0
    unread_open_since: dict[str, UtcTime] = field(default_factory=dict)
    first_sights: tuple[FirstSight, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredRun:
    """An earlier run, as far as a later one needs it; its accounts by ID.

    Users with MFA and without EnforceMFA are left out: they are most of them, and one who is not here was clean.
    """

    run_id: str
    started_at: UtcTime
    accounts: Mapping[str, PastAccount]


@cache
def _reader() -> TypeAdapter[PastAccount]:
    return TypeAdapter(PastAccount)


def read_report(lines: Iterable[bytes]) -> RunReport:
    """Return a report from its JSON, its accounts packed one at a time. Raises ValueError where it is none."""
    rest = iter(lines)
    start = next(rest, b"")
    if not start.endswith(_ACCOUNTS + b"\n"):
        return RunReport.model_validate(load_json(start))
    head = RunReport.model_validate(load_json(start + END))
    accounts = pack_accounts(AccountReport.model_validate(load_json(line)) for line in _accounts(rest))
    return head.model_copy(update={"accounts": accounts})


def read_past(lines: Iterable[bytes]) -> StoredRun:
    """Return a stored run from the JSON of its report, of which one account at a time is in memory.

    A report that does not have an account a line is read at once. Raises ValueError for what is no report.
    """
    rest = iter(lines)
    start = next(rest, b"")
    is_by_line = start.endswith(_ACCOUNTS + b"\n")
    report = RunReport.model_validate(load_json(start + END if is_by_line else start))
    texts = _accounts(rest) if is_by_line else report.accounts.texts()
    accounts = (_without_clean_users(_reader().validate_python(load_json(text))) for text in texts)
    return StoredRun(report.run_id, report.started_at, {account.id: account for account in accounts})


def _accounts(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the JSON of each account. Raises ValueError where the report breaks off."""
    for line in lines:
        if line == END:
            return
        yield line.rstrip(b",\n")
    raise ValueError("the report breaks off")


def _without_clean_users(account: PastAccount) -> PastAccount:
    kept = tuple(user for user in account.users if user.verdict is not Verdict.COMPLIANT or user.is_enforced)
    status = Status.INSPECTED if was_read(account) else account.status
    return replace(account, status=status, users=kept)


def read_head(start: bytes) -> RunReport | None:
    """Return a report without its accounts from the first bytes of its file, or None where they are too few."""
    try:
        text = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(start, MAX_HEAD_BYTES)
    except zlib.error:
        return None
    head, found, _ = text.partition(_ACCOUNTS)
    if not found:
        return None
    try:
        return RunReport.model_validate(load_json(head + _ACCOUNTS + END))
    except ValueError:
        return None


def was_read(account: AccountReport | PastAccount) -> bool:
    """Return whether the users of an account are known: it was inspected, even where it failed or ended later."""
    return account.status is Status.INSPECTED or bool(account.users)
