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
from orchestrator.output import words
from orchestrator.output.causes import Cause, Member, Subject, format_cause
from orchestrator.output.change_summary import account_of, describe_changed_user
from orchestrator.output.story import Story
from orchestrator.output.terminal.console import make_lines, make_theme, print_lines, tidy
from orchestrator.output.terminal.table import make_table
from orchestrator.reports.report import ChangedAccount, ChangedUser, RunReport

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
    for each cause and for what was done. `address` is where the report is archived: without one no command is named.
    `options` are those of such a command, `narrowing` and `limit` those of the next run over the same accounts.
    `next_step` is what to do next, in place of what the report says.
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
    lines = _Lines(story, shown, console.width)
    with console.use_theme(make_theme(console)), tidy(console):
        if shown.brief:
            print_lines(chain(lines.head(), lines.in_brief(), lines.last()), console)
            return
        top, bottom = [*lines.head(), *lines.to_fix()], [*lines.changes(), *lines.summary()]
        most_lines = max(MIN_TABLE_LINES, MAX_LINES - len(top) - len(bottom) - 6)
        table, listed, total = make_table(story, console, most_lines, show_all=shown.every_row)
        print_lines(top, console)
        if listed:
            console.print(table)
        print_lines(lines.more(total - listed, "account"), console)
        print_lines(chain([Text()] if total else [], bottom, lines.last()), console)


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of a report above and below its table, at most `width` columns long."""

    story: Story
    shown: Shown
    width: int

    def say(self, text: str, *, by: int = 0, tone: Tone | None = None) -> Iterator[Text]:
        return make_lines(text, self.width, by=by, tone=tone) if text else iter(())

    def head(self) -> Iterator[Text]:
        story, report = self.story, self.story.report
        if story.gate:
            yield from self.say(story.gate, tone=Tone.BAD)
            yield Text()
        title = f"{report.mode.capitalize()} run {report.run_id} of {report.organization_id}"
        yield from self.say(f"{title}, {words.format_minute(report.started_at)}, {words.seconds_taken(report):,} s")
        yield from self.say(", ".join(story.sentence))
        yield Text()
        if story.incomplete:
            yield from self.say(f"INCOMPLETE: {story.incomplete}", tone=Tone.BAD)
            yield Text()
        if report.errors:
            yield from self.say("ERRORS OF THE RUN", tone=Tone.BAD)
            most = self.shown.most(MAX_CAUSES)
            for error in report.errors[:most]:
                yield from self.say(f"{words.STAGES[error.stage]} ({error.code})", by=2)
                yield from self.say(error.message, by=4)
                yield from self.say(error.remedy and f"Remedy: {error.remedy}", by=4)
            yield from self.more(len(report.errors) - most, "error", by=2)
            yield Text()

    def to_fix(self) -> Iterator[Text]:
        """Yield a few lines for each cause: what is wrong, where, why, and what to do about it."""
        causes, most = self.story.causes, self.shown.most(MAX_CAUSES)
        if not causes:
            return
        yield from self.say(f"TO FIX ({len(causes):,})", tone=Tone.BAD)
        for cause in causes[:most]:
            action = "" if self.shown.whole_texts else cause.action
            code = ", ".join(filter(None, (words.plain(cause.code), action)))
            yield from self.say(format_cause(cause, code), by=2, tone=Tone.WARN)
            yield from self.say(self._name(cause.members), by=4)
            for reason in self._reasons(cause):
                yield from self.say(reason, by=4)
            remedy = cause.remedy if cause.subject is not Subject.USER or cause.is_example else ""
            yield from self.say(remedy and f"Remedy: {remedy}", by=4)
        yield from self.more(len(causes) - most, "cause", by=2)
        yield Text()

    def in_brief(self) -> Iterator[Text]:
        """Yield a line for each cause, and one for each outcome that changes something."""
        story, most = self.story, self.shown.most(MAX_CAUSES)
        for cause in story.causes[:most]:
            yield from self.say(f"to fix: {format_cause(cause, words.plain(cause.code))}: {self._name(cause.members)}")
        if len(story.causes) > most:
            yield from self.say(f"to fix: {words.count(len(story.causes) - most, 'more cause')}")
        for outcome in outcomes_of(OutcomeGroup.CHANGED):
            names = [
                f"{words.plain(user.name)} ({words.title_of(account)})"
                for account in story.accounts
                for user in account.users
                if user.outcome is outcome
            ]
            if names:
                yield from self.say(f"{label_of(outcome, story.report.mode)}: {words.some_of(names, most)}")
        yield Text()

    def _reasons(self, cause: Cause) -> Iterator[str]:
        """Yield what was said of a cause; where AWS refused an action the title tells it, unless all is wanted."""
        if self.shown.whole_texts:
            yield from cause.texts[: self.shown.most(MAX_NAMED)]
        elif cause.text and not cause.action and not (cause.is_example and cause.remedy):
            more = "... (-v: the whole text)" if len(cause.text) > MAX_TEXT else ""
            yield f"{'for example: ' if cause.is_example else ''}{cause.text[:MAX_TEXT]}{more}"

    def _name(self, members: Sequence[Member]) -> str:
        most = self.shown.most(MAX_NAMED)
        named = []
        for account, users in ((member.account, member.users) for member in members[:most]):
            if users:
                named.append(
                    f"{words.title_of(account)}: {words.some_of([words.plain(user.name) for user in users], most)}"
                )
            else:
                runs = f" for {account.failing_runs:,} runs" if account.failing_runs > 1 else ""
                named.append(f"{words.title_and_id(account)}{runs}")
        separator = "; " if any(member.users for member in members) else ", "
        return words.some_of(named, most, "account", total=len(members), separator=separator)

    def changes(self) -> Iterator[Text]:
        """Yield what changed since the last run: counted, then the users and accounts by name."""
        if self.story.changes is None:
            return
        yield from self.say(self.story.changes.sentence)
        for group in self.story.changes.groups:
            if group.is_finding or not group.is_of_users:
                names = words.some_of(list(map(_describe, group.changed)), self.shown.most(MAX_CHANGED))
                yield from self.say(f"{group.title}: {names}", by=2)
                yield from self.say(group.note, by=4)
        yield Text()

    def summary(self) -> Iterator[Text]:
        """Yield a line for all clean accounts and one for those skipped, the notes, and what all of it comes to."""
        story, most = self.story, self.shown.most(MAX_CHANGED)
        yield from self.say(story.clean)
        if skipped := sum(number for number, _ in story.skipped):
            yield from self.say(f"{words.count(skipped, 'account')} skipped: {words.list_counts(story.skipped)}.")
        for note in story.notes[:most]:
            yield from self.say(f"Note: {note}")
        yield from self.more(len(story.notes) - most, "note")
        if story.clean or skipped or story.notes:
            yield Text()
        said = (*story.totals, story.written, story.open_for, story.keys, story.guards, story.unused)
        yield from self.say(" ".join(filter(None, said)))

    def last(self) -> Iterator[Text]:
        """Yield where the report is, the command that makes its page, and the next step; each is there to be copied."""
        if self.shown.address is None:
            return
        yield Text(f"Report: {words.plain(self.shown.address)}")
        yield Text(f"Page:   {self._command} --html orgmfa.html")
        if next_step := self.shown.next_step or self._next_step():
            yield Text(f"Next:   {next_step}")

    def more(self, number: int, noun: str, *, by: int = 0) -> Iterator[Text]:
        """Yield how many are left out, if any, and what lists them."""
        where = f"{self._command} --all" if self.shown.address else "--all lists them"
        return self.say(f"and {words.count(number, f'more {noun}')}: {where}" if number > 0 else "", by=by)

    @property
    def _command(self) -> str:
        return f"orgmfa report {words.plain(self.story.report.run_id)}{self.shown.options}"

    def _next_step(self) -> str:
        """Return what to do now; of a run that did not get to every account only that it is to be made again."""
        report, limit, options = self.story.report, self.shown.limit, f"{self.shown.narrowing}{self.shown.options}"
        if report.gate and not self.story.limit:
            return words.plain(report.gate.remedy)
        if report.mode is not Mode.RELEASE and (report.totals.not_reached or not report.complete):
            return f"orgmfa {report.mode}{limit}{options} (again: this run did not get to every account)"
        if report.gate:
            return f"read the plan, then orgmfa apply --max-changes {report.gate.planned}{options}"
        if report.mode is Mode.PLAN and report.totals.planned:
            accounts = sum(any(user.outcome == "planned" for user in account.users) for account in report.accounts)
            where = f"{words.count(report.totals.planned, 'user')} in {words.count(accounts, 'account')}"
            return f"orgmfa apply{limit}{options} (enforces MFA on {where}, after asking)"
        return f"fix what stands under TO FIX, then orgmfa plan{limit}{options}" if self.story.causes else ""


def _describe(changed: ChangedUser | ChangedAccount) -> str:
    if isinstance(changed, ChangedAccount):
        return words.title_and_id(changed)
    note = describe_changed_user(changed)
    return f"{words.plain(changed.name)} ({words.title_of(account_of(changed))}{note and f'; {note}'})"


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
            console.print(Text(f"and {words.count(more, 'older run')}: --output json lists all"))


def _run_line(head: RunReport) -> str:
    totals = head.totals
    without = "" if head.mode is Mode.RELEASE else f"{totals.non_compliant:,}"
    counts = f"{without:>6}  {totals.accounts:>8,}  {totals.failed + totals.not_reached:>6,}"
    remarks = ["nothing written" if head.gate and head.mode is not Mode.PLAN else ""]
    remarks += ["" if head.complete else "incomplete", words.count(len(head.errors), "error") if head.errors else ""]
    remark = ", ".join(filter(None, remarks))
    when = f"{head.finished_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    return f"{when}  {head.mode.value:7}  {counts}  {words.plain(head.run_id)}{f' ({remark})' if remark else ''}"
