"""The parts of a digest between its first and last lines: what is to fix, notes, changes, findings. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import nsmallest

from orchestrator.domain.model import Outcome, Stage, Verdict
from orchestrator.domain.outcomes import OUTCOMES, OutcomeGroup, label_of
from orchestrator.output.causes import Cause, Member, Subject, format_cause
from orchestrator.output.change_summary import ChangeGroup, account_of, describe_changed_user
from orchestrator.output.findings import has_finding, list_findings
from orchestrator.output.slack.limits import MAX_ENTRIES, Group
from orchestrator.output.slack.mrkdwn import literal, prose
from orchestrator.output.slack.text import (
    MAX_CODE,
    MAX_MESSAGE,
    MAX_NAMES,
    format_message,
    format_remedy,
    label,
    name_user,
    name_users,
)
from orchestrator.output.story import Story
from orchestrator.output.words import VERDICTS, count, list_policy_changes, some_of
from orchestrator.reports.report import AccountReport, ChangedAccount, ChangedUser

MAX_CAUSES = {Subject.POLICY: 2, Subject.ACCOUNT: 4, Subject.USER: 6, Subject.ROOT_USER: 1}
"""Causes shown apart; the accounts of further ones follow under one title."""
MAX_NOTE = 300
_UNFINISHED = "not finished for other reasons"
_OPEN = frozenset({OutcomeGroup.CHANGED, OutcomeGroup.WAITING, OutcomeGroup.NOTHING})


@dataclass(frozen=True, slots=True)
class SectionMaker:
    """Makes the groups of a story; with `names` the users are named, else counted."""

    story: Story
    names: bool

    @property
    def now(self) -> datetime:
        """The time that ages are told by."""
        return self.story.report.finished_at

    def list_groups(self) -> list[Group]:
        """Return all groups, the worst first; accounts that came or went are no news by themselves."""
        changes = self.story.changes.groups if self.story.changes else ()
        return [
            *self._causes(),
            *self._notes(),
            *(self._changed_users(group) for group in changes if group.is_finding),
            *self._findings(),
            *(_changed_accounts(group) for group in changes if group.accounts and self.story.has_findings),
        ]

    def _causes(self) -> Iterator[Group]:
        for subject, most in MAX_CAUSES.items():
            causes = [cause for cause in self.story.causes if cause.subject is subject]
            for cause in causes[:most]:
                details = self._of_users(cause) if subject is Subject.USER else self._of_accounts(cause)
                title = f"*{format_cause(cause, literal(cause.code, MAX_CODE))}*"
                yield self._members(title, tuple(filter(None, details)), cause.members)
            if others := _merge(causes[most:]):
                users, accounts = sum(len(member.users) for member in others), count(len(others), "account")
                title = f"Other reasons: {count(users, 'user')} in {accounts}" if users else f"{accounts} {_UNFINISHED}"
                yield self._members(f"*{title}*", (), others)

    def _of_accounts(self, cause: Cause) -> Iterator[str]:
        # While IAM is read or written, what AWS says can be about one user, by name.
        if self.names or cause.stage not in {Stage.INSPECT, Stage.APPLY}:
            yield self._quote(cause)
        yield format_remedy(cause.remedy, names=self.names) if cause.subject is Subject.ACCOUNT else cause.remedy

    def _of_users(self, cause: Cause) -> Iterator[str]:
        is_same = self.names and cause.text and not cause.is_example
        yield cause.remedy if cause.remedy and not is_same else self._quote(cause) if self.names else ""

    def _quote(self, cause: Cause) -> str:
        text = format_message(cause.text, MAX_MESSAGE, names=self.names)
        return f"For example: {text}" if cause.is_example and text else text

    def _members(self, title: str, details: tuple[str, ...], members: Sequence[Member]) -> Group:
        if not any(member.users for member in members):
            entries = tuple(label(member.account) + _for_long(member.account) for member in members[:MAX_ENTRIES])
            return Group(title, details, entries, len(members), joiner=", ")
        room = MAX_NAMES if self.names else 0
        entries = tuple(
            f"• {label(each.account)}: {name_users(each.users, room, self.now)}" for each in members[:MAX_ENTRIES]
        )
        return Group(title, details, entries, len(members))

    def _notes(self) -> Iterator[Group]:
        entries = tuple(f"• {text}" for note in self.story.notes if (text := prose(note, MAX_NOTE)))
        if entries:
            yield Group("*Please note*", (), entries[:MAX_ENTRIES], len(entries), "note")

    def _changed_users(self, group: ChangeGroup) -> Group:
        """Return who enrolled, lost MFA or had enforcement undone, the account with most of them first."""
        by_account: defaultdict[ChangedAccount, list[ChangedUser]] = defaultdict(list)
        for user in group.users:
            by_account[account_of(user)].append(user)
        members = sorted(by_account.items(), key=lambda member: (-len(member[1]), member[0].id))
        where = f"{count(len(group.users), 'user')} in {count(len(members), 'account')}"
        entries = tuple(f"• {label(account)}: {self._name_changed(users)}" for account, users in members[:MAX_ENTRIES])
        return Group(f"*{group.title}: {where}*", (group.note,) if group.note else (), entries, len(members))

    def _name_changed(self, users: Sequence[ChangedUser]) -> str:
        if not self.names:
            return count(len(users), "user")
        shown = [name_user(user.name, describe_changed_user(user)) for user in users[:MAX_NAMES]]
        return some_of(shown, MAX_NAMES, total=len(users))

    def _findings(self) -> Iterator[Group]:
        """Yield the accounts with changes or with users still without MFA, most changes first."""
        mode = self.story.report.mode
        found = (account for account in self.story.accounts if has_finding(account, mode))
        entries = tuple(map(self._describe, nsmallest(MAX_ENTRIES, found, key=_weight)))
        if entries:
            title = f"*Changes and findings: {count(self.story.findings, 'account')}*"
            yield Group(title, (), entries, self.story.findings)

    def _describe(self, account: AccountReport) -> str:
        mode = self.story.report.mode
        room, parts = MAX_NAMES if self.names else 0, []
        for outcome, users in list_findings(account, mode).items():
            is_open = outcome is Outcome.NONE
            state = VERDICTS[Verdict.NON_COMPLIANT].label if is_open else label_of(outcome, mode)
            parts.append(f"{state}: {name_users(users, room, self.now)}")
            room = max(0, room - len(users))
        if account.policy_changes:
            parts.append(f"policy and group: {list_policy_changes(account)}")
        return f"• {label(account)}: {'; '.join(parts)}"


def _changed_accounts(group: ChangeGroup) -> Group:
    entries = tuple(map(label, group.accounts[:MAX_ENTRIES]))
    return Group(f"*{group.title}: {len(group.changed):,}*", (), entries, len(group.changed), joiner=", ")


def _merge(causes: Iterable[Cause]) -> list[Member]:
    """Return the accounts of several causes, each once with all its users, the account with most users first."""
    merged: dict[str, Member] = {}
    for member in (member for cause in causes for member in cause.members):
        known = merged.setdefault(member.account.id, replace(member, users=()))
        merged[member.account.id] = replace(known, users=(*known.users, *member.users))
    return sorted(merged.values(), key=lambda member: -len(member.users))


def _for_long(account: AccountReport) -> str:
    return f" (failing for {account.failing_runs:,} runs)" if account.failing_runs > 1 else ""


def _weight(account: AccountReport) -> tuple[int, int]:
    groups = [(OUTCOMES[user.outcome].group, user.verdict) for user in account.users]
    changed = sum(group is OutcomeGroup.CHANGED for group, _ in groups)
    still_open = sum(group in _OPEN and verdict is not Verdict.COMPLIANT for group, verdict in groups)
    return -changed, -still_open
