"""The thread below the digest: what AWS said, then tables by OU and by account, the worst first. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import add

from orchestrator.domain.model import Mode, Outcome, Stage, Status, Verdict
from orchestrator.domain.outcomes import CANNOT_ENROL, OUTCOMES, OutcomeGroup
from orchestrator.output import attention, words
from orchestrator.output.causes import Cause, Subject, format_cause
from orchestrator.output.slack.layout import (
    BUDGET,
    Blocks,
    Table,
    as_sections,
    as_table,
    context,
    paragraphs,
    size_of_blocks,
)
from orchestrator.output.slack.mrkdwn import code, link_to, literal, prose
from orchestrator.output.story import Story
from orchestrator.reports.history import was_read
from orchestrator.reports.report import AccountReport, UserReport

MAX_REPLIES = 3
FROM_ACCOUNTS = 200
"""From so many accounts on the first table is one by OU."""
MAX_LISTED = 300
"""Rows of accounts that are worth making: three tables hold fewer."""
MAX_NAMES = 5
"""Users named in a cell."""
MAX_ACCOUNTS = 20
"""Accounts named below a cause that has no users."""
MAX_TEXT = 300
_OF_OU = ("OU", "Accounts", "Unread", "Would be locked out", "Else to fix", "{done}", "Keys that stop", "Without MFA")
_OF_ACCOUNT = ("Account", "ID", "To fix", "{done}", "New", "Open for", "Left alone")


@dataclass(frozen=True, slots=True)
class Reply:
    """A message of the thread: the text of its notification, its blocks, and those to send where Slack refuses them."""

    text: str
    blocks: Blocks
    otherwise: Blocks


def make_thread(story: Story, *, names: bool, link: str | None) -> tuple[Reply, ...]:
    """Return the messages of the thread: three at most, each with one table at most; what does not fit is counted."""
    lead: Blocks = (paragraphs(list(_texts(story, names=names)), "more paragraph"),)
    replies: list[Reply] = []
    for table, most in _tables(story, names=names):
        at = 0
        while at < len(table.rows) and len(replies) < most:
            room = BUDGET - size_of_blocks(lead)
            blocks, end = as_table(table, at, room)
            sections, told = as_sections(table, at, end, room=room)
            later = 0 if len(replies) + 1 < most else table.total - end
            more = [_more(table, number, link) for number in (later, end - told + later)]
            replies.append(Reply(table.title, (*lead, *blocks, *more[0]), (*lead, *sections, *more[1])))
            lead, at = (), end
    return tuple(replies) or (Reply("Details of the run", lead, lead),)


def _more(table: Table, number: int, link: str | None) -> Blocks:
    where = f": {link_to(link, 'open the report')}" if link else ""
    return (context(f"and {words.count(number, f'more {table.noun}')}{where}"),) if number else ()


def _texts(story: Story, *, names: bool) -> Iterator[str]:
    """Yield the totals, the errors of the run, each cause with what AWS said and what to do, and the notes."""
    report = story.report
    skipped = words.list_counts((number, literal(reason, MAX_TEXT)) for number, reason in story.skipped[:MAX_NAMES])
    said = (*story.totals, story.written, story.open_for, story.keys, story.clean, skipped and f"Skipped: {skipped}.")
    run = (
        f"Run {code(report.run_id, MAX_TEXT)} ({literal(report.mode, MAX_TEXT)}, {literal(report.trigger, MAX_TEXT)})."
    )
    yield " ".join(filter(None, (*said, run)))
    for error in report.errors:
        title = f"*Error {words.STAGES[error.stage]}* ({literal(error.code, MAX_TEXT)})"
        yield "\n".join((title, *_quote(error.message, error.remedy, names=names)))
    for cause in story.causes:
        yield "\n".join(_explain(cause, names=names))
    yield from filter(None, (prose(note, MAX_TEXT) for note in story.notes))


def _explain(cause: Cause, *, names: bool) -> Iterator[str]:
    yield f"*{format_cause(cause, literal(cause.code, MAX_TEXT))}*"
    # While IAM is read or written, what AWS says can be about one user, by name.
    is_about_users = cause.subject is not Subject.ACCOUNT or cause.stage in {Stage.INSPECT, Stage.APPLY}
    text = cause.text if names or not is_about_users else ""
    # What is said of a user holds the remedy.
    remedy = "" if text and cause.subject is Subject.USER and not cause.is_example else cause.remedy
    yield from _quote(f"For example: {text}" if text and cause.is_example else text, remedy, names=names)
    if not cause.users:
        titles = [literal(words.title_and_id(member.account), MAX_TEXT) for member in cause.members[:MAX_ACCOUNTS]]
        yield words.some_of(titles, MAX_ACCOUNTS, total=len(cause.members))


def _quote(message: str, remedy: str, *, names: bool) -> Iterator[str]:
    for said in filter(None, (message, remedy and f"Try: {remedy}")):
        yield prose(said if names else words.without_users(said), MAX_TEXT)


def _tables(story: Story, *, names: bool) -> list[tuple[Table, int]]:
    """Return the tables, each with how many messages there may be in all once it is sent."""
    mode, changes = story.report.mode, story.report.changes
    outcome, _ = story.stopping
    new: defaultdict[str, list[str]] = defaultdict(list)
    for user in changes.newly_without_mfa if changes else ():
        new[user.account_id].append(user.name)
    ous: dict[str, list[int]] = {}
    rows: list[tuple[str, ...]] = []
    total = 0
    for account in story.accounts:
        ou, numbers = account.ou or "(not known)", _count(account, outcome)
        ous[ou] = list(map(add, ous.get(ou, [0] * len(numbers)), numbers))
        if row := _row(account, new.get(account.id, ()), story, names=names):
            total += 1
            rows += [row] if len(rows) < MAX_LISTED else []
    done = "Would be done" if mode is Mode.PLAN else "Done"
    heads = [tuple(name.format(done=done) for name in head) for head in (_OF_OU, _OF_ACCOUNT)]
    by_ou = [
        (ou, *(f"{number:,}" if number else "" for number in numbers))
        for ou, numbers in sorted(ous.items(), key=lambda item: (-sum(item[1][1:4]), item[0]))  # unread, and to fix
    ]
    tables = [(Table("By OU", "OU", heads[0], by_ou, len(by_ou)), 1)] if len(story.accounts) >= FROM_ACCOUNTS else []
    return [*tables, (Table("Accounts, the worst first", "account", heads[1], rows, total), MAX_REPLIES)]


def _count(account: AccountReport, outcome: Outcome | None) -> tuple[int, ...]:
    """Return the numbers of an account in the columns of the table by OU."""
    users, to_fix = account.users, list(filter(attention.is_to_fix, account.users))
    locked_out = sum(attention.code_of(user) == CANNOT_ENROL for user in to_fix)
    return (
        1,
        account.status in {Status.FAILED, Status.NOT_REACHED},
        locked_out,
        len(to_fix) - locked_out,
        sum(OUTCOMES[user.outcome].group is OutcomeGroup.CHANGED for user in users),
        sum(user.active_access_keys or 0 for user in users if user.outcome is outcome),
        attention.count_without_mfa(account),
    )


def _row(account: AccountReport, new: Sequence[str], story: Story, *, names: bool) -> tuple[str, ...] | None:
    """Return an account as a row, or None where there is nothing to say, or no user was read: its cause tells that."""
    cells: tuple[defaultdict[str, list[UserReport]], ...] = (defaultdict(list), defaultdict(list), defaultdict(list))
    for user in sorted(account.users, key=attention.user_order):
        if user.outcome is Outcome.NONE and user.verdict is Verdict.COMPLIANT and not attention.is_at_risk(user):
            continue
        is_changed = OUTCOMES[user.outcome].group is OutcomeGroup.CHANGED
        label, code = attention.state_of(user, story.report.mode).label, attention.code_of(user)
        label += f" ({code})" if code not in {"", user.outcome.value} else ""
        cells[0 if attention.is_to_fix(user) else 1 if is_changed else 2][label].append(user)
    to_fix, done, alone = (
        [f"{label}: {_name(users, story, names=names)}" for label, users in cell.items()] for cell in cells
    )
    to_fix += ["root user without MFA"] if attention.is_root_open(account) else []
    done += [f"policy and group: {words.list_policy_changes(account)}"] if account.policy_changes else []
    is_idle = story.report.mode is Mode.RELEASE and all(user.outcome is Outcome.NONE for user in account.users)
    if not was_read(account) or not (to_fix or done or (alone and not is_idle)):
        return None
    days = words.longest_open(account.users, story.report.finished_at)
    news = words.some_of(new, MAX_NAMES) if names else f"{len(new):,}" if new else ""
    said = (
        words.title_of(account),
        account.id,
        *map("; ".join, (to_fix, done)),
        news,
        words.count(days, "day") if days else "",
    )
    return *said, "; ".join(alone)


def _name(users: Sequence[UserReport], story: Story, *, names: bool) -> str:
    if not names:
        return words.count(len(users), "user")
    now = story.report.finished_at
    left = [words.age(user, now) if user.grace_ends else "" for user in users[:MAX_NAMES]]
    shown = [f"{user.name} ({days})" if days else user.name for user, days in zip(users, left, strict=False)]
    return words.some_of(shown, MAX_NAMES, total=len(users))
