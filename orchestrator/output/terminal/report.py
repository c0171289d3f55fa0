"""A report on a screen: what is to fix, the accounts in a table, what all of it comes to, what to do next.

Also the list of the archived runs, a line a run.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import chain

from rich.console import Console
from rich.text import Text

from orchestrator.domain.model import Mode
from orchestrator.domain.outcomes import OutcomeGroup, Tone, label_of, outcomes_of
from orchestrator.output.causes import Cause, Member, Subject, format_cause
from orchestrator.output.change_summary import ChangeGroup, account_of, describe_changed_user
from orchestrator.output.story import Story
from orchestrator.output.terminal.console import make_lines, make_theme, print_lines, tidy
from orchestrator.output.terminal.table import make_table
from orchestrator.output.words import (
    STAGES,
    count,
    format_minute,
    list_counts,
    plain,
    seconds_taken,
    some_of,
    title_and_id,
    title_of,
)
from orchestrator.reports.report import ChangedAccount, RunReport

MAX_LINES = 100
"""About how many lines a report takes at any size, unless all is wanted."""
MIN_TABLE_LINES = 20
MAX_CAUSES = 8
"""Also of the errors of the run."""
MAX_NAMED = 3
"""How many accounts of a cause are named, and users of one account."""
MAX_CHANGED = 10
"""Also of the notes."""
MAX_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How much of a report is shown, and the commands that it names.

    `every_row` lists all accounts, causes and names; `whole_texts` shows AWS's messages as they came; `brief` is a line
    for each cause and for what was done. `address` is
    where the report is archived: without one no command is named. `options` are those that such a command needs;
    `narrowing` are those by which the next run is over the same accounts, `limit` is its limit. `next_step` is what to
    do next, in place of what the report says.
    """

    every_row: bool = False
    whole_texts: bool = False
    brief: bool = False
    address: str | None = None
    options: str = ""
    narrowing: str = ""
    limit: str = ""
    next_step: str = ""

    def most(self, number: int) -> int:
        """Return how many of something are shown."""
        return sys.maxsize if self.every_row else number


def print_report(
    report: RunReport,
    console: Console,
    shown: Shown = Shown(),
    *,
    blocks_access_keys: bool = True,
    notes: Iterable[str] = (),
) -> None:
    """Print a report; `blocks_access_keys` is whether EnforceMFA stops access keys, `notes` are remarks on the run."""
    story = Story(report, blocks_access_keys=blocks_access_keys, notes=notes)
    width = console.width
    top = [*_head(story, shown, width), *_to_fix(story, shown, width)]
    bottom = [*_changes(story, shown, width), *_summary(story, shown, width)]
    with console.use_theme(make_theme(console)), tidy(console):
        if shown.brief:
            print_lines(
                chain(_head(story, shown, width), _in_brief(story, shown, width), _last_lines(story, shown)), console
            )
            return
        most_lines = max(MIN_TABLE_LINES, MAX_LINES - len(top) - len(bottom) - 6)
        table, listed, total = make_table(
            story, console, most_lines, blocks_access_keys=blocks_access_keys, show_all=shown.every_row
        )
        print_lines(top, console)
        if listed:
            console.print(table)
        print_lines(_more(total - listed, "account", story, shown=shown, width=width), console)
        print_lines(chain([Text()] if total else [], bottom, _last_lines(story, shown)), console)


def _head(story: Story, shown: Shown, width: int) -> Iterator[Text]:
    report = story.report
    if story.gate:
        yield from make_lines(story.gate, width, tone=Tone.BAD)
        yield Text()
    title = f"{report.mode.capitalize()} run {report.run_id} of {report.organization_id}"
    yield from make_lines(f"{title}, {format_minute(report.started_at)}, {seconds_taken(report):,} s", width)
    yield from make_lines(", ".join(story.sentence), width)
    yield Text()
    if story.incomplete:
        yield from make_lines(f"INCOMPLETE: {story.incomplete}", width, tone=Tone.BAD)
        yield Text()
    if report.errors:
        yield from make_lines("ERRORS OF THE RUN", width, tone=Tone.BAD)
        most = shown.most(MAX_CAUSES)
        for error in report.errors[:most]:
            yield from make_lines(f"{STAGES[error.stage]} ({error.code})", width, by=2)
            yield from _indented(error.message, width)
            yield from _indented(error.remedy and f"Remedy: {error.remedy}", width)
        yield from _more(len(report.errors) - most, "error", story, shown=shown, width=width, by=2)
        yield Text()


def _to_fix(story: Story, shown: Shown, width: int) -> Iterator[Text]:
    """Yield a few lines for each cause: what is wrong, where, why, and what to do about it."""
    if not story.causes:
        return
    yield from make_lines(f"TO FIX ({len(story.causes):,})", width, tone=Tone.BAD)
    most = shown.most(MAX_CAUSES)
    for cause in story.causes[:most]:
        action = "" if shown.whole_texts else cause.action
        code = ", ".join(filter(None, (plain(cause.code), action)))
        yield from make_lines(format_cause(cause, code), width, by=2, tone=Tone.WARN)
        yield from _indented(_members(cause.members, shown), width)
        for reason in _reasons(cause, shown):
            yield from _indented(reason, width)
        remedy = cause.remedy if cause.subject is not Subject.USER or cause.is_example else ""
        yield from _indented(remedy and f"Remedy: {remedy}", width)
    yield from _more(len(story.causes) - most, "cause", story, shown=shown, width=width, by=2)
    yield Text()


def _in_brief(story: Story, shown: Shown, width: int) -> Iterator[Text]:
    """Yield a line for each cause, and one for each outcome that changes something."""
    most = shown.most(MAX_CAUSES)
    for cause in story.causes[:most]:
        yield from make_lines(
            f"to fix: {format_cause(cause, plain(cause.code))}: {_members(cause.members, shown)}", width
        )
    if len(story.causes) > most:
        yield from make_lines(f"to fix: {count(len(story.causes) - most, 'more cause')}", width)
    for outcome in outcomes_of(OutcomeGroup.CHANGED):
        names = [
            f"{plain(user.name)} ({title_of(account)})"
            for account in story.accounts
            for user in account.users
            if user.outcome is outcome
        ]
        if names:
            yield from make_lines(f"{label_of(outcome, story.report.mode)}: {some_of(names, most)}", width)
    yield Text()


def _reasons(cause: Cause, shown: Shown) -> Iterator[str]:
    """Yield what was said of a cause; where AWS refused an action the title tells it, unless all is wanted."""
    if shown.whole_texts:
        yield from cause.texts[: shown.most(MAX_NAMED)]
    elif cause.text and not cause.action and not (cause.is_example and cause.remedy):
        more = "... (-v: the whole text)" if len(cause.text) > MAX_TEXT else ""
        yield f"{'for example: ' if cause.is_example else ''}{cause.text[:MAX_TEXT]}{more}"


def _members(members: Sequence[Member], shown: Shown) -> str:
    most = shown.most(MAX_NAMED)
    named = []
    for account, users in ((member.account, member.users) for member in members[:most]):
        if users:
            named.append(f"{title_of(account)}: {some_of([plain(user.name) for user in users], most)}")
        else:
            runs = f" for {account.failing_runs:,} runs" if account.failing_runs > 1 else ""
            named.append(f"{title_and_id(account)}{runs}")
    separator = "; " if any(member.users for member in members) else ", "
    return some_of(named, most, "account", total=len(members), separator=separator)


def _changes(story: Story, shown: Shown, width: int) -> Iterator[Text]:
    """Yield what changed since the last run: counted, then the users and accounts by name."""
    if story.changes is None:
        return
    yield from make_lines(story.changes.sentence, width)
    for group in story.changes.groups:
        if group.is_finding or not group.is_of_users:
            names = some_of(list(_changed(group)), shown.most(MAX_CHANGED))
            yield from make_lines(f"{group.title}: {names}", width, by=2)
            yield from _indented(group.note, width)
    yield Text()


def _changed(group: ChangeGroup) -> Iterator[str]:
    for changed in group.changed:
        if isinstance(changed, ChangedAccount):
            yield title_and_id(changed)
        else:
            note = describe_changed_user(changed)
            yield f"{plain(changed.name)} ({title_of(account_of(changed))}{note and f'; {note}'})"


def _summary(story: Story, shown: Shown, width: int) -> Iterator[Text]:
    """Yield a line for all clean accounts and one for those skipped, the notes, and what all of it comes to."""
    skipped, most = sum(number for number, _ in story.skipped), shown.most(MAX_CHANGED)
    if story.clean:
        yield from make_lines(story.clean, width)
    if skipped:
        yield from make_lines(f"{count(skipped, 'account')} skipped: {list_counts(story.skipped)}.", width)
    for note in story.notes[:most]:
        yield from make_lines(f"Note: {note}", width)
    yield from _more(len(story.notes) - most, "note", story, shown=shown, width=width)
    if story.clean or skipped or story.notes:
        yield Text()
    said = (*story.totals, story.written, story.open_for, story.keys, story.guards, story.unused)
    yield from make_lines(" ".join(filter(None, said)), width)


def _last_lines(story: Story, shown: Shown) -> Iterator[Text]:
    """Yield where the report is, the command that makes its page, and the next step; each is there to be copied."""
    if shown.address is None:
        return
    yield Text(f"Report: {plain(shown.address)}")
    yield Text(f"Page:   orgmfa report {plain(story.report.run_id)}{shown.options} --html orgmfa.html")
    if next_step := shown.next_step or _next_step(story, shown):
        yield Text(f"Next:   {next_step}")


def _more(number: int, noun: str, story: Story, *, shown: Shown, width: int, by: int = 0) -> Iterator[Text]:
    """Yield how many are left out, if any, and what lists them."""
    where = f"orgmfa report {plain(story.report.run_id)}{shown.options} --all" if shown.address else "--all lists them"
    return make_lines(f"and {count(number, f'more {noun}')}: {where}", width, by=by) if number > 0 else iter(())


def _next_step(story: Story, shown: Shown) -> str:
    """Return what to do now; of a run that did not get to every account only that it is to be made again."""
    report, options = story.report, f"{shown.narrowing}{shown.options}"
    if report.gate and not story.limit:
        return plain(report.gate.remedy)
    if report.mode is not Mode.RELEASE and (report.totals.not_reached or not report.complete):
        return f"orgmfa {report.mode}{shown.limit}{options} (again: this run did not get to every account)"
    if report.gate:
        return f"read the plan, then orgmfa apply --max-changes {report.gate.planned}{options}"
    if report.mode is Mode.PLAN and report.totals.planned:
        accounts = sum(any(user.outcome == "planned" for user in account.users) for account in report.accounts)
        where = f"{count(report.totals.planned, 'user')} in {count(accounts, 'account')}"
        return f"orgmfa apply{shown.limit}{options} (enforces MFA on {where}, after asking)"
    return f"fix what stands under TO FIX, then orgmfa plan{shown.limit}{options}" if story.causes else ""


def _indented(text: str, width: int) -> Iterator[Text]:
    return make_lines(text, width, by=4) if text else iter(())


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
            console.print(Text(f"and {count(more, 'older run')}: --output json lists all"))


def _run_line(head: RunReport) -> str:
    totals = head.totals
    without = "" if head.mode is Mode.RELEASE else f"{totals.non_compliant:,}"
    counts = f"{without:>6}  {totals.accounts:>8,}  {totals.failed + totals.not_reached:>6,}"
    remarks = ["nothing written" if head.gate and head.mode is not Mode.PLAN else ""]
    remarks += ["" if head.complete else "incomplete", count(len(head.errors), "error") if head.errors else ""]
    remark = ", ".join(filter(None, remarks))
    when = f"{head.finished_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    return f"{when}  {head.mode.value:7}  {counts}  {plain(head.run_id)}{f' ({remark})' if remark else ''}"
