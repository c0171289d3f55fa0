"""A report, worst first: its head, its accounts, what all of it comes to."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC

from rich.console import Console, RenderableType
from rich.text import Text

from orchestrator.domain.model import Mode, Outcome, Status, Verdict
from orchestrator.output.change_summary import count_changes, count_open, describe_user, list_user_news
from orchestrator.output.terminal.accounts import View, list_accounts, number_shared_reasons
from orchestrator.output.terminal.layout import explain, indented, make_heading, make_theme, style_of, tidy
from orchestrator.output.terminal.ordering import (
    ORDER,
    Level,
    badness,
    is_root_open,
    kind_of,
    level_of_account,
    list_shown_users,
)
from orchestrator.output.terminal.text import (
    count_of,
    list_counts,
    outcome_words,
    plain,
    some_of,
    title_and_id,
    with_details,
)
from orchestrator.reports.report import AccountReport, ChangedUser, Changes, RunReport, UserReport

MOST_USERS = 20
"""How many users of one outcome are named in an account; the rest is counted."""
_WIDE = 100
"""From so many columns on there is room for the OU below the ID of an account."""


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
    accounts = report.accounts.sorted(badness)
    most_users = sys.maxsize if show_all else MOST_USERS
    view = View(
        report.mode, keys_stop, most_users, number_shared_reasons(accounts), report.finished_at, console.width >= _WIDE
    )
    with console.use_theme(make_theme(console)), tidy(console):
        for part in (*_top(report), *list_accounts(accounts, view, console.width), *_bottom(report, accounts, view)):
            console.print(part)
        if address is not None:
            # Never broken into lines: it is there to be copied.
            console.print(Text(f"Report: {plain(address)}"), soft_wrap=True)


def _top(report: RunReport) -> Iterator[RenderableType]:
    seconds = max(0, round((report.finished_at - report.started_at).total_seconds()))
    started = report.started_at.astimezone(UTC)
    organization, run_id = plain(report.organization_id), plain(report.run_id)
    title = f"{report.mode.capitalize()} run {run_id} of {organization}"
    yield Text(f"{title}, {started:%Y-%m-%d %H:%M} UTC, {seconds:,} s\n")
    if not report.complete:
        words = "The organization could not be listed to its end: accounts are missing from this report.\n"
        yield Text.assemble(("INCOMPLETE: ", style_of(Level.FAILED)), words)
    if report.errors:
        yield Text("ERRORS OF THE RUN", style_of(Level.FAILED))
        for error in report.errors:
            yield indented(Text(f"{error.stage} ({plain(error.code)})"))
            yield from explain(error.message, error.remedy, by=4)
        yield Text()


def _bottom(report: RunReport, accounts: Sequence[AccountReport], view: View) -> Iterator[RenderableType]:
    if view.notes:
        yield Text("NOTES")
        yield from (indented(Text(f"[{number}] {plain(note)}")) for note, number in view.notes.items())
        yield Text()
    if open_roots := [account for account in accounts if is_root_open(account)]:
        yield make_heading(Level.NEEDS_A_HAND, "ROOT USERS WITH CREDENTIALS BUT NO MFA", len(open_roots))
        yield indented(Text(", ".join(map(title_and_id, open_roots))))
        yield indented(Text("Remedy: give the root user an MFA device, or delete its credentials.\n"))
    if report.changes is not None:
        yield from _changes(report.changes, view)
    yield from _one_liners(accounts, view)
    yield Text()
    yield Text(" ".join(_summary(report, accounts, view)))


def _changes(changes: Changes, view: View) -> Iterator[RenderableType]:
    """Yield what changed since the last run: counted, then the users and accounts by name."""
    yield Text(count_changes(changes))
    for news in list_user_news(changes):
        names = some_of([_changed_user(user) for user in news.users], view.most_users)
        yield indented(Text.assemble((f"{news.title}: ", style_of(Level.CHANGED)), names))
        yield from explain(news.note, "", by=4)
    for title, accounts in (("New accounts", changes.new_accounts), ("Accounts gone", changes.gone_accounts)):
        if accounts:
            names = some_of([title_and_id(account) for account in accounts], view.most_users)
            yield indented(Text.assemble((f"{title}: ", style_of(Level.CHANGED)), names))
    yield Text()


def _changed_user(user: ChangedUser) -> str:
    note = describe_user(user)
    where = plain(user.account_alias or "") or plain(user.account_name) or user.account_id
    return f"{plain(user.name)} ({where}{'; ' if note else ''}{note})"


def _one_liners(accounts: Sequence[AccountReport], view: View) -> Iterator[Text]:
    """Yield a line for all clean accounts, one for those without anything to do, and one for those skipped."""
    idle = [account for account in accounts if level_of_account(account) is Level.CLEAN and not is_root_open(account)]
    clean = sum(all(user.verdict is Verdict.COMPLIANT for user in account.users) for account in idle)
    if clean:
        yield Text(f"{count_of(clean, 'account')}: clean, every user has MFA.")
    if len(idle) > clean:
        yield Text(f"{count_of(len(idle) - clean, 'account')}: nothing to do.")
    if skipped := [account for account in accounts if account.status is Status.SKIPPED]:
        yield _skipped_line(skipped, view)
    if any(
        max(Counter(map(kind_of, list_shown_users(account))).values(), default=0) > view.most_users
        for account in accounts
    ):
        yield Text(f"Lists end after {view.most_users} users; --output json names all.")


def _skipped_line(accounts: Sequence[AccountReport], view: View) -> Text:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for account in accounts:
        by_reason[account.error.message if account.error else "no reason given"].append(title_and_id(account))
    reasons = (f"{some_of(titles, view.most_users)} - {plain(reason)}" for reason, titles in by_reason.items())
    return Text(f"{count_of(len(accounts), 'account')} skipped: {'; '.join(reasons)}.")


def _summary(report: RunReport, accounts: Sequence[AccountReport], view: View) -> Iterator[str]:
    """Yield the sentences a run ends in: the totals, what was written, what becomes of access keys."""
    totals = report.totals
    statuses = [(getattr(totals, status.value), status.value.replace("_", " ")) for status in Status]
    verdicts = [(totals.compliant, "with MFA"), (totals.non_compliant, "without"), (totals.unknown, "unknown")]
    outcomes = [
        (
            totals.failed_users if outcome is Outcome.FAILED else getattr(totals, outcome.value),
            outcome_words(outcome, view.mode),
        )
        for outcome in ORDER
        if outcome is not Outcome.NONE
    ]
    accounts_seen = with_details(totals.accounts, "account", list_counts(statuses))
    users_in_detail = "; ".join(filter(None, [list_counts(verdicts), list_counts(outcomes)]))
    yield f"{accounts_seen}; {with_details(totals.users, 'user', users_in_detail)}."
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
    return f"{count_of(users, 'user') if users else 'No user'} {'were' if users > 1 else 'was'} {outcome}."


def _keys(users: Iterable[UserReport], outcome: Outcome, verb: str) -> Iterator[str]:
    keys = [user.active_access_keys for user in users if user.outcome is outcome]
    if stopping := sum(filter(None, keys)):
        yield f"{count_of(stopping, 'access key')} {verb} working without MFA."
    if unknown := keys.count(None):
        yield f"The access keys of {count_of(unknown, f'{outcome} user')} could not be read."
