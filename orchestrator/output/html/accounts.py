"""The list of accounts: rows for viewers that run no script, and all of it as the script reads it. Pure.

The script of the page replaces the rows by its own, with all accounts, made from this compact JSON, which can stand in
a page and is made piece by piece:

    {"risk": [label, tone], "outcomes": [[label, tone, is to fix, name in the address], ...], "verdicts": ...,
     "statuses": ..., "vias": [...], "devices": [...], "causes": [label, ...], "accounts": [
       [id, name, alias, OU, owner, status, failing runs, is root open, policy changes, error, causes, users,
        users not read], ...],
     "texts": [...]}

    error:         [stage, code, message, remedy], or 0
    user:          [name, verdict, outcome, via, console password, active keys, keys last used, days open, reason,
                    device, enrolled, service credentials, guard, last sign-in if that is long ago, may be locked out]
    user not read: [name, days open]

Statuses, verdicts, outcomes, ways, devices and causes are positions in their lists; OUs, owners, messages and reasons
are positions in `texts`, since many accounts share one. Unknown is null. Dates are days since 1970. A user ends with
the last field that says something. Users not read had no MFA when they were last read. The script knows the order of
statuses and verdicts, and that the last outcome is nothing to do.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.model import Mode, Outcome, Verdict, Via
from orchestrator.domain.outcomes import OutcomeGroup, Tone, label_of, outcomes_of
from orchestrator.output import attention, words
from orchestrator.output.causes import format_cause
from orchestrator.output.story import Story
from orchestrator.reports.report import AccountReport, RunReport, UserReport

MAX_ACCOUNTS = 200
MAX_USERS = 50
"""How many accounts, and users of one, are listed without the script."""
_DAY_SECONDS = 86_400
_VIA_PLACE = {via: place for place, via in enumerate([None, *Via])}
_DEVICE_PLACE = {device: place for place, device in enumerate(words.DEVICES)}


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account of a report as the list shows it: its row, and the details below."""

    report: RunReport
    account: AccountReport

    @property
    def tags(self) -> Iterator[tuple[words.Word, str]]:
        """The tags of an account, each with a number before it where it counts users."""
        account = self.account
        if account.error:
            yield words.Word(account.error.code, words.STATUSES[account.status].tone), ""
        if attention.is_root_open(account):
            yield words.Word("root without MFA", Tone.WARN), ""
        if endangered := sum(map(attention.is_at_risk, account.users)):
            yield attention.AT_RISK, f"{endangered:,} "
        outcomes = Counter(user.outcome for user in account.users)
        for outcome, word in words.words_of_outcomes(self.report.mode).items():
            if outcomes[outcome] and outcome is not Outcome.NONE:
                yield word, f"{outcomes[outcome]:,} "

    @property
    def longest_open(self) -> int | None:
        """For how many days the user has been without MFA who has been so for longest."""
        return words.longest_open(self.account.users, self.report.finished_at)

    @property
    def unread(self) -> str:
        """Who had no MFA when last read, and could not be read by this run."""
        users, now = sorted(self.account.unread_open_since.items()), self.report.finished_at
        days = ((name, words.days_between(since, now) or 0) for name, since in users[:MAX_USERS])
        named, hidden = [f"{name} (for {words.count(number, 'day')})" for name, number in days], len(users) - MAX_USERS
        return ", ".join([*named, *([f"and {hidden:,} more"] if hidden > 0 else [])])

    @property
    def open_users(self) -> list[UserReport]:
        """The users who are not known to have MFA, or may be locked out, the worst first."""
        users = sorted(self.account.users, key=attention.user_order)
        return [user for user in users if user.verdict is not Verdict.COMPLIANT or attention.is_at_risk(user)]

    def describe(self, user: UserReport) -> str:
        """Return what is to be said of a user beside the name."""
        days, reason = words.days_between(user.open_since, self.report.finished_at), words.reason_of(user)
        facts = [
            words.word_of(user.verdict, self.report.mode).label,
            "" if user.outcome is Outcome.NONE else label_of(user.outcome, self.report.mode),
            "" if days is None else f"for {words.count(days, 'day')}",
            words.guard_of(user),
            words.unused_of(user),
        ]
        return ", ".join(filter(None, facts)) + (f" ({reason})" if reason else "")


def render_data(story: Story) -> Iterator[str]:
    """Yield the JSON of a report, its accounts in the order of the story."""
    writer = _Writer(story)
    yield _dump(_lists(story)).removesuffix("}") + ',"accounts":['
    for index, account in enumerate(story.accounts):
        yield ("," if index else "") + _dump(writer.account(account))
    yield f'],"texts":{_dump(list(writer.texts))}}}'


def _dump(value: object) -> str:
    """Return JSON in ASCII without `<`: it can neither end its element nor open a comment."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _lists(story: Story) -> dict[str, list[Any]]:
    """Return the lists that accounts and users have positions in."""
    mode = story.report.mode
    judges, to_fix, outcomes = mode is not Mode.RELEASE, outcomes_of(OutcomeGroup.TO_FIX), words.words_of_outcomes(mode)
    return {
        "risk": [*attention.AT_RISK],
        "statuses": [(*word, 0, status) for status, word in words.STATUSES.items()],
        "verdicts": [
            (*words.word_of(verdict, mode), int(verdict is Verdict.UNKNOWN and judges), verdict)
            for verdict in words.VERDICTS
        ],
        "outcomes": [(*word, int(outcome in to_fix), outcome) for outcome, word in outcomes.items()],
        "vias": ["", *Via],
        "devices": list(words.DEVICES.values()),
        "causes": [words.visible(format_cause(cause, cause.code)) for cause in story.causes],
    }


class _Writer:
    """Puts accounts into arrays, and collects the texts they share."""

    def __init__(self, story: Story) -> None:
        self._finished_at = story.report.finished_at
        self.texts: dict[str, int] = {"": 0}
        self._causes_of: defaultdict[str, list[int]] = defaultdict(list)
        for position, cause in enumerate(story.causes):
            for member in cause.members:
                self._causes_of[member.account.id].append(position)

    def account(self, account: AccountReport) -> list[Any]:
        error = account.error
        said = (words.STAGES[error.stage], error.code, error.message, error.remedy) if error else ()
        return [
            words.visible(account.id),
            words.visible(account.name),
            words.visible(account.alias or ""),
            self._text(account.ou or ""),
            self._text(account.owner or ""),
            attention.STATUS_RANK[account.status],
            account.failing_runs,
            int(attention.is_root_open(account)),
            self._text(words.list_policy_changes(account)),
            [self._text(text) for text in said] or 0,
            self._causes_of.get(account.id, ()),
            [self._user(user) for user in sorted(account.users, key=attention.user_order)],
            [(words.visible(name), self._days(since)) for name, since in sorted(account.unread_open_since.items())],
        ]

    def _user(self, user: UserReport) -> list[Any]:
        values = [
            words.visible(user.name),
            attention.VERDICT_RANK[user.verdict],
            attention.OUTCOME_RANK[user.outcome],
            _VIA_PLACE[user.via],
            None if user.console_password is None else int(user.console_password),
            user.active_access_keys,
            _day(user.keys_last_used),
            self._days(user.open_since),
            self._text(words.reason_of(user)) or None,
            _DEVICE_PLACE[user.mfa_device] or None,
            _day(user.mfa_enrolled_at),
            self._text(", ".join(user.service_credentials)) or None,
            self._text(words.guard_of(user)) or None,
            self._text(words.unused_of(user)) or None,
            int(attention.is_at_risk(user)) or None,
        ]
        while values[-1] is None:
            values.pop()
        return values

    def _days(self, since: datetime | None) -> int | None:
        return words.days_between(since, self._finished_at)

    def _text(self, text: str) -> int:
        return self.texts.setdefault(words.visible(text), len(self.texts))


def _day(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.astimezone(UTC).timestamp()) // _DAY_SECONDS
