"""What an operator reads in a terminal or a CI log: a RunReport, worst first, ending in one sentence; the list of runs.

Rich renders; nothing is decided here. Text from outside passes through `plain`: never markup, no control characters.
Words say all that colour says. A run that is still going on is shown by `progress`.
"""

import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from itertools import groupby
from typing import assert_never

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from orchestrator.model import Mode, Outcome, Status, Verdict, Via
from orchestrator.news import age, count_changes, count_open, describe_user, list_user_news
from orchestrator.progress import ProgressView
from orchestrator.reporting import (
    NEEDS_A_HAND,
    AccountReport,
    ChangedAccount,
    ChangedUser,
    Changes,
    RunReport,
    UserReport,
)

__all__ = ["MOST_USERS", "ProgressView", "print_notes", "print_report", "print_runs"]

MOST_USERS = 20
"""How many users of one outcome are named in an account; the rest is counted."""

_WIDE = 100
"""From so many columns on there is room for the OU below the ID of an account."""
_SHARED_BY = 3  # accounts: a reason that so many have is written once, as a note


class _Level(IntEnum):
    FAILED = 0
    NEEDS_A_HAND = 1
    CHANGED = 2
    LEFT_ALONE = 3
    CLEAN = 4
    SKIPPED = 5


_HEADINGS = {
    _Level.FAILED: "ACCOUNTS THAT FAILED OR WERE NOT REACHED",
    _Level.NEEDS_A_HAND: "ACCOUNTS WITH USERS THAT NEED A HAND",
    _Level.CHANGED: "ACCOUNTS WITH CHANGES PLANNED OR MADE",
    _Level.LEFT_ALONE: "ACCOUNTS WITH USERS LEFT AS THEY ARE",
}
_COLOURS = {
    _Level.FAILED: "bold red",
    _Level.NEEDS_A_HAND: "bold yellow",
    _Level.CHANGED: "bold green",
    _Level.LEFT_ALONE: "cyan",
}
_ORDER = (
    Outcome.FAILED,
    Outcome.HELD,
    Outcome.QUOTA_EXCEEDED,
    Outcome.NONE,
    Outcome.PLANNED,
    Outcome.ENFORCED,
    Outcome.RELEASED,
    Outcome.EXEMPT,
    Outcome.IN_GRACE,
    Outcome.OUT_OF_SCOPE,
    Outcome.ALREADY_ENFORCED,
)
_CHANGES = frozenset({Outcome.PLANNED, Outcome.ENFORCED, Outcome.RELEASED})
_PLANNED = {
    Mode.PLAN: "planned",
    Mode.APPLY: "planned but not yet written",
    Mode.RELEASE: "release planned but not yet written",
}
_UNKNOWN = "MFA unknown"

_Cells = tuple[RenderableType, RenderableType]


@dataclass(frozen=True, slots=True)
class _View:
    """How this report is to be shown; `notes` numbers the reasons that are written once for many accounts."""

    mode: Mode
    keys_stop: bool
    most_users: int
    notes: Mapping[str, int]
    now: datetime
    shows_ous: bool = False


def print_report(
    report: RunReport,
    console: Console,
    *,
    address: str | None = None,
    keys_stop: bool = True,
    show_all: bool = False,
) -> None:
    """Print a report worst first; `address` is where it is kept, `keys_stop` whether EnforceMFA stops access keys.

    At most MOST_USERS users of one outcome are named in an account, unless `show_all`.
    """
    accounts = report.accounts.sorted(_badness)
    most_users = sys.maxsize if show_all else MOST_USERS
    view = _View(
        report.mode, keys_stop, most_users, _shared_reasons(accounts), report.finished_at, console.width >= _WIDE
    )
    with console.use_theme(_theme(console)), tidy(console):
        for part in (*_top(report), *_sections(accounts, view, console.width), *_bottom(report, accounts, view)):
            console.print(part)
        if address is not None:
            # Never broken into lines: it is there to be copied.
            console.print(Text(f"Report: {plain(address)}"), soft_wrap=True)


def print_notes(notes: Iterable[str], console: Console) -> None:
    """Print remarks on a run, each on lines of its own."""
    with tidy(console):
        for note in notes:
            console.print(Text(f"Note: {plain(note)}"))


def print_runs(heads: Sequence[RunReport], console: Console, *, more: int = 0) -> None:
    """Print a line a run, in the order given; `more` is how many are left out."""
    with tidy(console):
        if not heads:
            console.print(Text("The archive holds no run yet."))
            return
        console.print(Text("finished (UTC)    mode     no MFA  accounts  failed  run"))
        for head in heads:
            console.print(Text(_run_line(head)), soft_wrap=True)
        if more:
            console.print(Text(f"and {_count(more, 'older run')}: --output json lists all"))


def _run_line(head: RunReport) -> str:
    totals = head.totals
    counts = f"{totals.non_compliant:>6,}  {totals.accounts:>8,}  {totals.failed + totals.not_reached:>6,}"
    remarks = ["" if head.complete else "incomplete", _count(len(head.errors), "error") if head.errors else ""]
    remark = ", ".join(filter(None, remarks))
    when = f"{head.finished_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    return f"{when}  {head.mode.value:7}  {counts}  {plain(head.run_id)}{f' ({remark})' if remark else ''}"


def _theme(console: Console) -> Theme:
    """Return the styles of the levels; with NO_COLOR none at all, where rich alone would still write bold."""
    return Theme({_style(level): "none" if console.no_color else style for level, style in _COLOURS.items()})


def _style(level: _Level) -> str:
    return f"orgmfa.{level.name.lower()}"


@contextmanager
def tidy(console: Console) -> Iterator[None]:
    """Off a terminal, leave no blanks at the ends of lines; write what the encoding lacks as escapes anywhere."""
    if console.is_terminal and not console.options.ascii_only:
        yield
        return
    with console.capture() as captured:
        yield
    lines = captured.get().splitlines(keepends=True)
    text = "".join(line if console.is_terminal else f"{line.rstrip()}\n" for line in lines)
    console.file.write(text.encode(console.encoding, "backslashreplace").decode(console.encoding))


def _top(report: RunReport) -> Iterator[RenderableType]:
    seconds = max(0, round((report.finished_at - report.started_at).total_seconds()))
    started = report.started_at.astimezone(UTC)
    organization, run_id = plain(report.organization_id), plain(report.run_id)
    title = f"{report.mode.capitalize()} run {run_id} of {organization}"
    yield Text(f"{title}, {started:%Y-%m-%d %H:%M} UTC, {seconds:,} s\n")
    if not report.complete:
        words = "The organization could not be listed to its end: accounts are missing from this report.\n"
        yield Text.assemble(("INCOMPLETE: ", _style(_Level.FAILED)), words)
    if report.errors:
        yield Text("ERRORS OF THE RUN", _style(_Level.FAILED))
        for error in report.errors:
            yield _indented(Text(f"{error.stage} ({plain(error.code)})"))
            yield from _explanation(error.message, error.remedy, by=4)
        yield Text()


def _bottom(report: RunReport, accounts: Sequence[AccountReport], view: _View) -> Iterator[RenderableType]:
    if view.notes:
        yield Text("NOTES")
        yield from (_indented(Text(f"[{number}] {plain(note)}")) for note, number in view.notes.items())
        yield Text()
    if open_roots := [account for account in accounts if _is_root_open(account)]:
        yield _heading(_Level.NEEDS_A_HAND, "ROOT USERS WITH CREDENTIALS BUT NO MFA", len(open_roots))
        yield _indented(Text(", ".join(map(_title_and_id, open_roots))))
        yield _indented(Text("Remedy: give the root user an MFA device, or delete its credentials.\n"))
    if report.changes is not None:
        yield from _changes(report.changes, view)
    yield from _one_liners(accounts, view)
    yield Text()
    yield Text(" ".join(_summary(report, accounts, view)))


def _changes(changes: Changes, view: _View) -> Iterator[RenderableType]:
    """Yield what changed since the last run: counted, then the users and accounts by name."""
    yield Text(count_changes(changes))
    for news in list_user_news(changes):
        names = _some([_changed_user(user) for user in news.users], view.most_users)
        yield _indented(Text.assemble((f"{news.title}: ", _style(_Level.CHANGED)), names))
        yield from _explanation(news.note, "", by=4)
    for title, accounts in (("New accounts", changes.new_accounts), ("Accounts gone", changes.gone_accounts)):
        if accounts:
            names = _some([_title_and_id(account) for account in accounts], view.most_users)
            yield _indented(Text.assemble((f"{title}: ", _style(_Level.CHANGED)), names))
    yield Text()


def _changed_user(user: ChangedUser) -> str:
    note = describe_user(user)
    where = plain(user.account_alias or "") or plain(user.account_name) or user.account_id
    return f"{plain(user.name)} ({where}{'; ' if note else ''}{note})"


def _one_liners(accounts: Sequence[AccountReport], view: _View) -> Iterator[Text]:
    """Yield a line for all clean accounts, one for those without anything to do, and one for those skipped."""
    idle = [account for account in accounts if _account_level(account) is _Level.CLEAN and not _is_root_open(account)]
    clean = sum(all(user.verdict is Verdict.COMPLIANT for user in account.users) for account in idle)
    if clean:
        yield Text(f"{_count(clean, 'account')}: clean, every user has MFA.")
    if len(idle) > clean:
        yield Text(f"{_count(len(idle) - clean, 'account')}: nothing to do.")
    if skipped := [account for account in accounts if account.status is Status.SKIPPED]:
        yield _skipped_line(skipped, view)
    if any(
        max(Counter(map(_kind, _shown_users(account))).values(), default=0) > view.most_users for account in accounts
    ):
        yield Text(f"Lists end after {view.most_users} users; --output json names all.")


def _skipped_line(accounts: Sequence[AccountReport], view: _View) -> Text:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for account in accounts:
        by_reason[account.error.message if account.error else "no reason given"].append(_title_and_id(account))
    reasons = (f"{_some(titles, view.most_users)} - {plain(reason)}" for reason, titles in by_reason.items())
    return Text(f"{_count(len(accounts), 'account')} skipped: {'; '.join(reasons)}.")


def _summary(report: RunReport, accounts: Sequence[AccountReport], view: _View) -> Iterator[str]:
    """Yield the sentences a run ends in: the totals, what was written, what becomes of access keys."""
    totals = report.totals
    statuses = [(getattr(totals, status.value), status.value.replace("_", " ")) for status in Status]
    verdicts = [(totals.compliant, "with MFA"), (totals.non_compliant, "without"), (totals.unknown, "unknown")]
    outcomes = [
        (
            totals.failed_users if outcome is Outcome.FAILED else getattr(totals, outcome.value),
            _words(outcome, view.mode),
        )
        for outcome in _ORDER
        if outcome is not Outcome.NONE
    ]
    users = "; ".join(filter(None, [_counts(verdicts), _counts(outcomes)]))
    yield f"{_named(totals.accounts, 'account', _counts(statuses))}; {_named(totals.users, 'user', users)}."
    yield _written(report)
    if open_for_days := count_open(report):
        yield open_for_days
    if view.keys_stop and view.mode is not Mode.RELEASE:
        users_seen = [user for account in accounts for user in account.users]
        yield from _keys(users_seen, Outcome.PLANNED, "will stop")
        yield from _keys(users_seen, Outcome.ENFORCED, "stopped")


def _written(report: RunReport) -> str:
    if report.mode is Mode.PLAN:
        return "Nothing was written."
    outcome = Outcome.RELEASED if report.mode is Mode.RELEASE else Outcome.ENFORCED
    users = getattr(report.totals, outcome.value)
    return f"{_count(users, 'user') if users else 'No user'} {'were' if users > 1 else 'was'} {outcome}."


def _keys(users: Iterable[UserReport], outcome: Outcome, verb: str) -> Iterator[str]:
    keys = [user.active_access_keys for user in users if user.outcome is outcome]
    if stopping := sum(filter(None, keys)):
        yield f"{_count(stopping, 'access key')} {verb} working without MFA."
    if unknown := keys.count(None):
        yield f"The access keys of {_count(unknown, f'{outcome} user')} could not be read."


def _sections(accounts: Sequence[AccountReport], view: _View, width: int) -> Iterator[RenderableType]:
    listed = [account for account in accounts if _account_level(account) in _HEADINGS]
    longest = max((cell_len(name) for account in listed for name in _names(account, view)), default=0)
    title_width = max(len("111122223333"), min(longest, width // 3))
    for level, group in groupby(listed, key=_account_level):
        members = list(group)
        yield _heading(level, _HEADINGS[level], len(members))
        rows = _failed_rows(members, view) if level is _Level.FAILED else (_row(account, view) for account in members)
        yield _grid(title_width, rows)
        yield Text()


def _heading(level: _Level, words: str, count: int) -> Text:
    return Text(f"{words} ({count:,})", _style(level))


def _grid(first_width: int, rows: Iterable[_Cells]) -> Padding:
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(width=first_width, overflow="fold")
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*row)
    return _indented(grid)


def _failed_rows(accounts: Iterable[AccountReport], view: _View) -> Iterator[_Cells]:
    """Yield a row a failure: accounts that failed alike, with no user to show, stand together."""
    groups: dict[object, list[AccountReport]] = defaultdict(list)
    for account in accounts:
        error = account.error
        alike = (account.status, error and (error.stage, error.code, error.remedy))
        groups[account.id if _shown_users(account) else alike].append(account)
    for members in groups.values():
        yield _row(members[0], view) if len(members) == 1 else _shared_row(members)


def _shared_row(accounts: Sequence[AccountReport]) -> _Cells:
    by_message: dict[str, list[str]] = defaultdict(list)
    for account in accounts:
        title = f"{_title_and_id(account)}{_for_long(account)}"
        by_message[account.error.message if account.error else ""].append(title)
    parts: list[RenderableType] = [_failed_as(accounts[0])]
    for message, titles in by_message.items():
        parts.append(_indented(Text(", ".join(titles))))
        parts += _explanation(message, "", by=4)
    parts += _explanation("", accounts[0].error.remedy if accounts[0].error else "", by=2)
    return Text(_count(len(accounts), "account")), Group(*parts)


def _row(account: AccountReport, view: _View) -> _Cells:
    return Text("\n".join(_names(account, view))), Group(
        *_problem(account), *_policy_changes(account), *_users(account, view)
    )


def _names(account: AccountReport, view: _View) -> list[str]:
    """Return what stands beside the news of an account: its title, its ID, and its OU where there is room."""
    ou = plain(account.ou or "") if view.shows_ous else ""
    return list(filter(None, dict.fromkeys((_title(account), account.id, ou))))


def _problem(account: AccountReport) -> Iterator[RenderableType]:
    if account.status is Status.FAILED or account.status is Status.NOT_REACHED:
        yield _failed_as(account).append(_for_long(account))
        if account.error:
            yield from _explanation(account.error.message, account.error.remedy, by=2)


def _failed_as(account: AccountReport) -> Text:
    error = account.error
    words = account.status.value.replace("_", " ")
    return Text(f"{words} at {error.stage} ({plain(error.code)})" if error else words, _style(_Level.FAILED))


def _for_long(account: AccountReport) -> str:
    return f" for {account.failing_runs:,} runs" if account.failing_runs > 1 else ""


def _explanation(message: str, remedy: str, *, by: int) -> Iterator[RenderableType]:
    if message:
        yield _indented(Text(plain(message)), by)
    if remedy:
        yield _indented(Text(f"Remedy: {plain(remedy)}"), by)


def _policy_changes(account: AccountReport) -> Iterator[RenderableType]:
    if account.policy_changes:
        changes = ", ".join(change.value.replace("_", " ") for change in account.policy_changes)
        yield Text.assemble(("policy and group: ", _style(_Level.CHANGED)), changes)


def _users(account: AccountReport, view: _View) -> Iterator[RenderableType]:
    """Yield the users of an account, worst first, those of one outcome and reason together."""
    for _, same_kind in groupby(_shown_users(account), key=_kind):
        members = list(same_kind)
        groups: dict[tuple[str, str], list[UserReport]] = defaultdict(list)
        for user in members:
            groups[_label(user, view.mode), _reason(user)].append(user)
        seen = 0
        for users in groups.values():
            if seen >= view.most_users:
                yield Text(f"and {len(members) - seen:,} more {_words(members[0].outcome, view.mode)}")
                break
            yield from _user_lines(users, view.most_users - seen, view)
            seen += len(users)


def _user_lines(users: Sequence[UserReport], room: int, view: _View) -> Iterator[RenderableType]:
    """Yield the names of users with one outcome and reason; of those left alone the reason stands on the same line."""
    level, reason = _user_level(users[0]), _reason(users[0])
    note = view.notes.get(reason)
    is_aside = level is _Level.LEFT_ALONE and reason and not note
    yield Text.assemble(
        (f"{len(users):,} {_label(users[0], view.mode)}: ", _style(level)),
        _some([_name(user, view) for user in users], room),
        f" [{note}]" if note else "",
        f" - {plain(reason)}" if is_aside else "",
    )
    if not note and not is_aside:
        yield from _explanation(reason, "", by=2)


def _words(outcome: Outcome, mode: Mode) -> str:
    if outcome is Outcome.PLANNED:
        return _PLANNED[mode]
    return _UNKNOWN if outcome is Outcome.NONE else outcome.value.replace("_", " ")


def _label(user: UserReport, mode: Mode) -> str:
    words = [_words(user.outcome, mode)]
    if user.outcome in _CHANGES and user.via is Via.GROUP:
        words[0] += " through the group"
    if user.verdict is Verdict.UNKNOWN and user.outcome is not Outcome.NONE:
        words.append(_UNKNOWN)
    code = user.error.code if user.error else user.outcome.value
    return ", ".join(words) + (f" ({plain(code)})" if code != user.outcome.value else "")


def _reason(user: UserReport) -> str:
    return user.error.message if user.error else user.reason or ""


def _name(user: UserReport, view: _View) -> str:
    remarks = list(filter(None, (_keys_of(user, view), age(user, view.now))))
    return f"{plain(user.name)} ({', '.join(remarks)})" if remarks else plain(user.name)


def _keys_of(user: UserReport, view: _View) -> str:
    keys = user.active_access_keys
    if not view.keys_stop or view.mode is Mode.RELEASE or user.outcome not in _CHANGES or keys == 0:
        return ""
    return "keys unknown" if keys is None else _count(keys, "key")


def plain(text: str) -> str:
    """Return text from outside on one line, with control, format and unassigned characters as escapes."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char).startswith("C") else char
        for char in " ".join(text.split())
    )


def _some(names: Sequence[str], most: int) -> str:
    hidden = len(names) - most
    return ", ".join(names[:most]) + (f" and {hidden:,} more" if hidden > 0 else "")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _counts(counted: Iterable[tuple[int, str]]) -> str:
    return ", ".join(f"{number:,} {words}" for number, words in counted if number)


def _named(number: int, noun: str, details: str) -> str:
    return f"{_count(number, noun)}: {details}" if details else _count(number, noun)


def _title(account: AccountReport | ChangedAccount) -> str:
    return plain(account.alias or "") or plain(account.name) or account.id


def _title_and_id(account: AccountReport | ChangedAccount) -> str:
    title = _title(account)
    return title if title == account.id else f"{title} ({account.id})"


def _indented(part: RenderableType, by: int = 2) -> Padding:
    return Padding(part, (0, 0, 0, by), expand=False)


def _account_level(account: AccountReport) -> _Level:
    match account.status:
        case Status.FAILED | Status.NOT_REACHED:
            return _Level.FAILED
        case Status.SKIPPED:
            return _Level.SKIPPED
        case Status.INSPECTED:
            levels = {_user_level(user) for user in account.users}
            return min(levels | ({_Level.CHANGED} if account.policy_changes else set()), default=_Level.CLEAN)
        case unknown:
            assert_never(unknown)


def _user_level(user: UserReport) -> _Level:
    if user.outcome in NEEDS_A_HAND or user.verdict is Verdict.UNKNOWN:
        return _Level.NEEDS_A_HAND
    if user.outcome in _CHANGES:
        return _Level.CHANGED
    return _Level.CLEAN if user.outcome is Outcome.NONE else _Level.LEFT_ALONE


def _kind(user: UserReport) -> tuple[_Level, int]:
    return _user_level(user), _ORDER.index(user.outcome)


def _shown_users(account: AccountReport) -> list[UserReport]:
    shown = (user for user in account.users if _user_level(user) is not _Level.CLEAN)
    return sorted(shown, key=lambda user: (_kind(user), user.name.casefold()))


def _badness(account: AccountReport) -> tuple[object, ...]:
    level = _account_level(account)
    worst = min(map(_kind, account.users), default=None) if level is not _Level.FAILED else None
    alike = sum(_kind(user) == worst for user in account.users)
    return (
        level,
        account.status is Status.NOT_REACHED,
        worst or (level, 0),
        -alike,
        _title(account).casefold(),
        account.id,
    )


def _is_root_open(account: AccountReport) -> bool:
    root = account.root_user
    return root is not None and root.has_credentials and not root.has_mfa


def _shared_reasons(accounts: Iterable[AccountReport]) -> dict[str, int]:
    """Return the reasons that many accounts have, each with the number of the note that says it."""
    counts = Counter(
        reason for account in accounts for reason in dict.fromkeys(map(_reason, _shown_users(account))) if reason
    )
    shared = (reason for reason, count in counts.items() if count >= _SHARED_BY)
    return {reason: number for number, reason in enumerate(shared, start=1)}
