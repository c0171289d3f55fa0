"""Rows of the account list for viewers that run no script. Pure.

The script of the page replaces this list by its own, made from `data`, with all accounts.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.domain.model import Outcome, Verdict
from orchestrator.domain.outcomes import Tone, label_of
from orchestrator.output.ordering import is_root_open, user_order
from orchestrator.output.words import (
    STATUSES,
    Word,
    count,
    days_between,
    guard_of,
    longest_open,
    reason_of,
    unused_of,
    word_of,
    words_of_outcomes,
)
from orchestrator.reports.report import AccountReport, RunReport, UserReport

MAX_ACCOUNTS = 200
MAX_USERS = 50
"""How many accounts, and users of one, are listed without the script."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account of a report as the list shows it: its row, and the details below."""

    report: RunReport
    account: AccountReport

    @property
    def tags(self) -> Iterator[tuple[Word, str]]:
        """The tags of an account, each with a number before it where it counts users."""
        account = self.account
        if account.error:
            yield Word(account.error.code, STATUSES[account.status].tone), ""
        if is_root_open(account):
            yield Word("root without MFA", Tone.WARN), ""
        outcomes = Counter(user.outcome for user in account.users)
        for outcome, word in words_of_outcomes(self.report.mode).items():
            if outcomes[outcome] and outcome is not Outcome.NONE:
                yield word, f"{outcomes[outcome]:,} "

    @property
    def longest_open(self) -> int | None:
        """For how many days the user has been without MFA who has been so for longest."""
        return longest_open(self.account.users, self.report.finished_at)

    @property
    def unread(self) -> str:
        """Who had no MFA when last read, and could not be read by this run."""
        users, now = sorted(self.account.unread_open_since.items()), self.report.finished_at
        named = [f"{name} (for {count(days_between(since, now) or 0, 'day')})" for name, since in users[:MAX_USERS]]
        hidden = len(users) - MAX_USERS
        return ", ".join([*named, *([f"and {hidden:,} more"] if hidden > 0 else [])])

    @property
    def open_users(self) -> list[UserReport]:
        """The users who are not known to have MFA, the worst first."""
        users = sorted(self.account.users, key=user_order)
        return [user for user in users if user.verdict is not Verdict.COMPLIANT]

    def describe(self, user: UserReport) -> str:
        """Return what is to be said of a user beside the name."""
        days, reason = days_between(user.open_since, self.report.finished_at), reason_of(user)
        facts = [
            word_of(user.verdict, self.report.mode).label,
            "" if user.outcome is Outcome.NONE else label_of(user.outcome, self.report.mode),
            "" if days is None else f"for {count(days, 'day')}",
            guard_of(user),
            unused_of(user),
        ]
        return ", ".join(filter(None, facts)) + (f" ({reason})" if reason else "")
