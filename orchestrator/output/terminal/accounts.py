"""The accounts of a report that there is something to say about, by level, with their users."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.domain.model import Mode, Outcome, Status, Verdict, Via
from orchestrator.output.change_summary import age
from orchestrator.output.terminal.layout import Cells, explain, indented, make_grid, make_heading, style_of
from orchestrator.output.terminal.ordering import (
    CHANGES,
    Level,
    kind_of,
    level_of_account,
    level_of_user,
    list_shown_users,
)
from orchestrator.output.terminal.text import UNKNOWN, count_of, outcome_words, plain, some_of, title_and_id, title_of
from orchestrator.reports.report import AccountReport, UserReport

_HEADINGS = {
    Level.FAILED: "ACCOUNTS THAT FAILED OR WERE NOT REACHED",
    Level.NEEDS_A_HAND: "ACCOUNTS WITH USERS THAT NEED A HAND",
    Level.CHANGED: "ACCOUNTS WITH CHANGES PLANNED OR MADE",
    Level.LEFT_ALONE: "ACCOUNTS WITH USERS LEFT AS THEY ARE",
}
_SHARED_BY = 3  # accounts: a reason that so many have is written once, as a note


@dataclass(frozen=True, slots=True)
class View:
    """How this report is to be shown; `notes` numbers the reasons that are written once for many accounts."""

    mode: Mode
    keys_stop: bool
    most_users: int
    notes: Mapping[str, int]
    now: datetime
    shows_ous: bool = False


def number_shared_reasons(accounts: Iterable[AccountReport]) -> dict[str, int]:
    """Return the reasons that many accounts have, each with the number of the note that says it."""
    counts = Counter(
        reason for account in accounts for reason in dict.fromkeys(map(_reason, list_shown_users(account))) if reason
    )
    shared = (reason for reason, count in counts.items() if count >= _SHARED_BY)
    return {reason: number for number, reason in enumerate(shared, start=1)}


def list_accounts(accounts: Sequence[AccountReport], view: View, width: int) -> Iterator[RenderableType]:
    """Yield the accounts that there is something to say about, under a heading for each level."""
    listed = [account for account in accounts if level_of_account(account) in _HEADINGS]
    longest = max((cell_len(name) for account in listed for name in _names(account, view)), default=0)
    title_width = max(len("111122223333"), min(longest, width // 3))
    for level, group in groupby(listed, key=level_of_account):
        members = list(group)
        yield make_heading(level, _HEADINGS[level], len(members))
        rows = _failed_rows(members, view) if level is Level.FAILED else (_row(account, view) for account in members)
        yield make_grid(title_width, rows)
        yield Text()


def _failed_rows(accounts: Iterable[AccountReport], view: View) -> Iterator[Cells]:
    """Yield a row a failure: accounts that failed alike, with no user to show, stand together."""
    groups: dict[object, list[AccountReport]] = defaultdict(list)
    for account in accounts:
        error = account.error
        alike = (account.status, error and (error.stage, error.code, error.remedy))
        groups[account.id if list_shown_users(account) else alike].append(account)
    for members in groups.values():
        yield _row(members[0], view) if len(members) == 1 else _shared_row(members)


def _shared_row(accounts: Sequence[AccountReport]) -> Cells:
    by_message: dict[str, list[str]] = defaultdict(list)
    for account in accounts:
        title = f"{title_and_id(account)}{_for_long(account)}"
        by_message[account.error.message if account.error else ""].append(title)
    parts: list[RenderableType] = [_failed_as(accounts[0])]
    for message, titles in by_message.items():
        parts.append(indented(Text(", ".join(titles))))
        parts += explain(message, "", by=4)
    parts += explain("", accounts[0].error.remedy if accounts[0].error else "", by=2)
    return Text(count_of(len(accounts), "account")), Group(*parts)


def _row(account: AccountReport, view: View) -> Cells:
    return Text("\n".join(_names(account, view))), Group(
        *_problem(account), *_policy_changes(account), *_users(account, view)
    )


def _names(account: AccountReport, view: View) -> list[str]:
    """Return what stands beside the news of an account: its title, its ID, and its OU where there is room."""
    ou = plain(account.ou or "") if view.shows_ous else ""
    return list(filter(None, dict.fromkeys((title_of(account), account.id, ou))))


def _problem(account: AccountReport) -> Iterator[RenderableType]:
    if account.status is Status.FAILED or account.status is Status.NOT_REACHED:
        yield _failed_as(account).append(_for_long(account))
        if account.error:
            yield from explain(account.error.message, account.error.remedy, by=2)


def _failed_as(account: AccountReport) -> Text:
    error = account.error
    words = account.status.value.replace("_", " ")
    return Text(f"{words} at {error.stage} ({plain(error.code)})" if error else words, style_of(Level.FAILED))


def _for_long(account: AccountReport) -> str:
    return f" for {account.failing_runs:,} runs" if account.failing_runs > 1 else ""


def _policy_changes(account: AccountReport) -> Iterator[RenderableType]:
    if account.policy_changes:
        changes = ", ".join(change.value.replace("_", " ") for change in account.policy_changes)
        yield Text.assemble(("policy and group: ", style_of(Level.CHANGED)), changes)


def _users(account: AccountReport, view: View) -> Iterator[RenderableType]:
    """Yield the users of an account, worst first, those of one outcome and reason together."""
    for _, same_kind in groupby(list_shown_users(account), key=kind_of):
        members = list(same_kind)
        groups: dict[tuple[str, str], list[UserReport]] = defaultdict(list)
        for user in members:
            groups[_label(user, view.mode), _reason(user)].append(user)
        seen = 0
        for users in groups.values():
            if seen >= view.most_users:
                yield Text(f"and {len(members) - seen:,} more {outcome_words(members[0].outcome, view.mode)}")
                break
            yield from _user_lines(users, view.most_users - seen, view)
            seen += len(users)


def _user_lines(users: Sequence[UserReport], room: int, view: View) -> Iterator[RenderableType]:
    """Yield the names of users with one outcome and reason; of those left alone the reason stands on the same line."""
    level, reason = level_of_user(users[0]), _reason(users[0])
    note = view.notes.get(reason)
    is_aside = level is Level.LEFT_ALONE and reason and not note
    yield Text.assemble(
        (f"{len(users):,} {_label(users[0], view.mode)}: ", style_of(level)),
        some_of([_name(user, view) for user in users], room),
        f" [{note}]" if note else "",
        f" - {plain(reason)}" if is_aside else "",
    )
    if not note and not is_aside:
        yield from explain(reason, "", by=2)


def _label(user: UserReport, mode: Mode) -> str:
    words = [outcome_words(user.outcome, mode)]
    if user.outcome in CHANGES and user.via is Via.GROUP:
        words[0] += " through the group"
    if user.verdict is Verdict.UNKNOWN and user.outcome is not Outcome.NONE:
        words.append(UNKNOWN)
    code = user.error.code if user.error else user.outcome.value
    return ", ".join(words) + (f" ({plain(code)})" if code != user.outcome.value else "")


def _reason(user: UserReport) -> str:
    return user.error.message if user.error else user.reason or ""


def _name(user: UserReport, view: View) -> str:
    remarks = list(filter(None, (_keys_of(user, view), age(user, view.now))))
    return f"{plain(user.name)} ({', '.join(remarks)})" if remarks else plain(user.name)


def _keys_of(user: UserReport, view: View) -> str:
    keys = user.active_access_keys
    if not view.keys_stop or view.mode is Mode.RELEASE or user.outcome not in CHANGES or keys == 0:
        return ""
    return "keys unknown" if keys is None else count_of(keys, "key")
