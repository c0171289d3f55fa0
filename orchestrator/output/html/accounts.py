"""The rows of the account list that stands in the page without any script. Pure.

The script replaces this list by its own, made from `data`, with all accounts; this one is for viewers that run none.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.domain.model import Outcome, Verdict
from orchestrator.domain.outcomes import Tone
from orchestrator.output.ordering import count_without_mfa, is_read, is_root_open, user_order
from orchestrator.output.words import (
    STAGES,
    STATUSES,
    VERDICTS,
    Word,
    count,
    days_between,
    reason_of,
    title_of,
    words_of_outcomes,
)
from orchestrator.reports.report import AccountReport, RunReport, UserReport

MAX_ACCOUNTS = 200
MAX_USERS = 50
"""How many accounts, and users of one, are listed without the script."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account as the list shows it: its row, and what stands below."""

    title: str
    id: str
    ou: str
    status: Word
    users: str
    without: str
    tags: tuple[tuple[Word, str], ...]
    longest: str
    failure: str
    message: str
    remedy: str
    is_root_open: bool
    unread: str
    open_users: tuple[tuple[str, str], ...]
    more_users: int

    @property
    def has_details(self) -> bool:
        """Whether there is anything to stand below the row."""
        return bool(self.failure or self.remedy or self.is_root_open or self.unread or self.open_users)


def make_row(report: RunReport, account: AccountReport) -> AccountRow:
    """Return an account of a report as the list shows it."""
    status, error = STATUSES[account.status], account.error
    days = (days_between(user.open_since, report.finished_at) for user in account.users)
    longest = max((number for number in days if number is not None), default=None)
    open_users = [user for user in sorted(account.users, key=user_order) if user.verdict is not Verdict.COMPLIANT]
    runs = f"Failing for {account.failing_runs} runs." if account.failing_runs > 1 and error else ""
    return AccountRow(
        title=title_of(account),
        id=account.id,
        ou=account.ou or "",
        status=status,
        users=f"{len(account.users):,}" if is_read(account) else "",
        without=f"{count_without_mfa(account):,}" if is_read(account) else "",
        tags=tuple(_tags(report, account)),
        longest="" if longest is None else f"{longest:,} d",
        failure=f"{status.label} {STAGES[error.stage]} ({error.code})" if error else "",
        message=error.message if error else "",
        remedy=" ".join(filter(None, (f"Try: {error.remedy}" if error and error.remedy else "", runs))),
        is_root_open=is_root_open(account),
        unread=", ".join(_unread(report, account)),
        open_users=tuple((user.name, _describe(user, report)) for user in open_users[:MAX_USERS]),
        more_users=len(open_users) - MAX_USERS,
    )


def _tags(report: RunReport, account: AccountReport) -> Iterator[tuple[Word, str]]:
    if account.error:
        yield Word(account.error.code, STATUSES[account.status].tone), ""
    if is_root_open(account):
        yield Word("root without MFA", Tone.WARN), ""
    outcomes = Counter(user.outcome for user in account.users)
    for outcome, word in words_of_outcomes(report.mode).items():
        if outcomes[outcome] and outcome is not Outcome.NONE:
            yield word, f"{outcomes[outcome]:,} "


def _unread(report: RunReport, account: AccountReport) -> Iterator[str]:
    users = sorted(account.unread_open_since.items())
    for name, since in users[:MAX_USERS]:
        yield f"{name} (for {count(days_between(since, report.finished_at) or 0, 'day')})"
    if len(users) > MAX_USERS:
        yield f"and {len(users) - MAX_USERS:,} more"


def _describe(user: UserReport, report: RunReport) -> str:
    days = days_between(user.open_since, report.finished_at)
    facts = [
        VERDICTS[user.verdict].label,
        "" if user.outcome is Outcome.NONE else words_of_outcomes(report.mode)[user.outcome].label,
        "" if days is None else f"for {count(days, 'day')}",
    ]
    reason = reason_of(user)
    return ", ".join(filter(None, facts)) + (f" ({reason})" if reason else "")
