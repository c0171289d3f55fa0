"""The digest of a run: one message to be read in ten seconds on a phone, and what goes into its thread. Pure.

The message has at most fifteen lines of mrkdwn, the worst first; `thread` says what is below it. What came from outside
goes through `_strong`, `_user` or `prose`, which make it harmless; `layout` makes blocks of the lines.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.config import SlackConfig
from orchestrator.domain.model import Mode, Outcome
from orchestrator.output.causes import Cause, Member, Subject, without_arns
from orchestrator.output.change_summary import ChangeGroup, account_of
from orchestrator.output.slack.layout import Blocks, context, header, sections
from orchestrator.output.slack.mrkdwn import code, link_to, literal, mention, plain, prose, size
from orchestrator.output.slack.thread import Reply, make_thread
from orchestrator.output.story import Story
from orchestrator.output.words import STAGES, count, in_brief, some_of, title_of
from orchestrator.reports.report import EnrolledUser, RunReport

MAX_LINES = 15
"""Of the whole message, with its headline, the title of what is to fix, and the link."""
MAX_HEADLINE = 150
FEW = 3
"""Up to so many accounts of a cause have a line each."""
MAX_SURE = 3
"""Up to so many lines of what else is to know stand, however much is to fix."""
MAX_NAMED = 2
MAX_ERRORS = 2
MAX_STRONG = 80
MAX_USER = 48
MAX_TEXT = 100
MAX_NOTE = 240
"""Characters of a sentence of its own."""
TEXT_WIDTH = 80
MAX_LINK = 500


@dataclass(frozen=True, slots=True)
class Digest:
    """A message for Slack: the text of its notification, its blocks, whether it tells of more than a clean run."""

    text: str
    blocks: Blocks
    has_findings: bool
    thread: tuple[Reply, ...] = ()


def render_digest(
    report: RunReport,
    settings: SlackConfig,
    *,
    blocks_access_keys: bool,
    link: str | None = None,
    notes: Sequence[str] = (),
    has_thread: bool = True,
) -> Digest:
    """Return the digest of a run; a clean one has no thread.

    `blocks_access_keys` is that of `policy`; `link` is where the whole report lies. `notes` are plain lines to show
    beside what is to fix; with `slack.users: counts` they must name no users.
    """
    story, names = Story(report, blocks_access_keys=blocks_access_keys, notes=notes), settings.users == "names"
    brief = Brief(story, names=names)
    top = brief.top
    if settings.mention is not None and story.is_incident:
        top = [f"{mention(settings.mention)} {top[0]}", *top[1:]]
    blocks = (
        header(brief.headline),
        *sections(top),
        *sections(["*To fix*", *brief.to_fix] if brief.to_fix else []),
        *sections(brief.bottom),
        *sections(brief.asides, context),
        *sections([_last_line(link)]),
    )
    short = link if link and _fits(link) else None
    thread = make_thread(story, names=names, link=short) if has_thread and story.has_findings else ()
    return Digest(f"{brief.headline}. {story.totals[0]}", blocks, story.has_findings, thread)


def render_text(digest: Digest) -> str:
    """Return a digest with its thread as plain text, as Slack would show its blocks, for terminals."""
    blocks = [*digest.blocks, *(block for reply in digest.thread for block in reply.otherwise)]
    return "\n\n".join("\n".join(_show(block)) for block in blocks) + "\n"


class Brief:
    """A run in at most 15 lines: what comes before, after and beside what is to fix."""

    def __init__(self, story: Story, *, names: bool) -> None:
        """Lay out a story; without `names` users are counted."""
        self._story, self._names = story, names
        self.headline = self._headline()
        keys, asides = list(self._keys()), list(self._asides())
        self.bottom = [*self._coverage(), *self._since()] if story.gate else []
        self.top = [*self._problems(), *(keys if story.gate else [*self._coverage(), *keys, *self._since()])]
        causes = [self._lines_of(cause) for cause in story.causes]
        room = MAX_LINES - 2 - bool(causes) - len(self.top) - len(self.bottom)
        for_causes, _ = fair_shares(room, [sum(map(len, causes)), min(MAX_SURE, len(asides))])
        least_first = list(zip(story.causes, causes, strict=True))[::-1]
        for cause, lines in sorted(least_first, key=lambda pair: -len(pair[1])):
            if sum(map(len, causes)) > for_causes:
                lines[:] = [self._line(cause, cause.members)]
        self.to_fix = _cut([line for lines in causes for line in lines], for_causes, "more cause")
        self.asides = _cut(asides, room - for_causes, "more remark")

    def _headline(self) -> str:
        """Return mode and outcome of a run, worst first; nothing foreign is in it."""
        report, news = self._story.report, list(self._story.news)
        if report.gate:
            return ": ".join(filter(None, (news[0].upper(), self._story.limit)))
        if not self._story.has_findings:
            news = ["nobody to release" if report.mode is Mode.RELEASE else "all clean"]
        elif not report.totals.inspected and not self._story.is_incident:
            news = ["no account was inspected"]
        while len(line := f"{report.mode.capitalize()}: {' · '.join(news)}") > MAX_HEADLINE:
            news.pop()
        return line

    def _problems(self) -> Iterator[str]:
        """Yield what is wrong with the run as a whole, each with what to do."""
        gate, errors = self._story.report.gate, self._story.report.errors
        if gate:
            why = "" if self._story.limit else f"{gate.message}. "
            yield f"{_strong('Decide:')} {prose(f'{why}{gate.remedy}', MAX_NOTE)}"
        if self._story.incomplete:
            yield _strong(self._story.incomplete)
        told = [f"{_strong(f'Error {STAGES[error.stage]}')}: {_step(error.remedy)}" for error in errors]
        yield from _cut(told, MAX_ERRORS, "more error")

    def _coverage(self) -> Iterator[str]:
        """Yield how many users are covered, and how many were before the run, or would be after it."""
        totals, mode, covered = self._story.report.totals, self._story.report.mode, self._story.covered
        if not totals.users or mode is Mode.RELEASE or self._story.names_users:  # a release looks at nobody's MFA
            yield " ".join(self._story.totals).rstrip(".")
            return
        share = f"{100 * covered // totals.users} %"
        if mode is Mode.APPLY and (enforced := totals.of(Outcome.ENFORCED)):
            share = f"was {covered - enforced:,}"
        elif mode is Mode.PLAN and not self._story.gate and (planned := totals.of(Outcome.PLANNED)):
            share = f"would be {covered + planned:,}"
        yield f"{covered:,} of {totals.users:,} users have MFA or are enforced ({share})"

    def _keys(self) -> Iterator[str]:
        """Yield how many access keys stop, whose they are where those are few, and what else would."""
        said, _, others = self._story.keys.rstrip(".").partition(". ")
        users = self._story.key_users if self._names and len(self._story.key_users) <= MAX_NAMED else ()
        named = ", ".join(_user(user.name) for user in users)
        if said:
            yield f"{said}{named and f': {named}'}{others and f'. {others}'}"

    def _since(self) -> Iterator[str]:
        changes, summary = self._story.report.changes, self._story.changes
        if changes and summary:
            since, now = changes.since.astimezone(UTC), self._story.report.finished_at.astimezone(UTC)
            when = {0: f"{since:%H:%M} UTC", 1: "yesterday"}.get((now.date() - since.date()).days, _day(since))
            where = "" if summary.is_whole else ", where accounts were read"
            yield f"Since {when}{where}: {summary.words}"

    def _lines_of(self, cause: Cause) -> list[str]:
        """Return a line for each account of a cause that has few, else one for all of them."""
        groups = [(member,) for member in cause.members] if len(cause.members) <= FEW else [cause.members]
        return [self._line(cause, members) for members in groups]

    def _line(self, cause: Cause, members: Sequence[Member]) -> str:
        """Return where something is to fix, what, since how many runs, and what to do in a dozen words."""
        users, accounts = [user for member in members for user in member.users], count(len(members), "account")
        titles = [_strong(title_of(member.account)) for member in members]
        named = ", ".join(_user(user.name) for user in users) if self._names and len(users) <= MAX_NAMED else ""
        runs = {member.account.failing_runs for member in members}
        share = 100 * len(members) // max(1, self._story.report.totals.accounts)
        detail = f", {'up to ' * (len(runs) > 1)}{count(max(runs), 'run')}" if max(runs) > 1 and not users else ""
        where = titles[0]
        if len(members) > 1:
            where = _strong(f"{count(len(users), 'user')} in {accounts}" if users else accounts)
            where += f" ({share} %)" if share and cause.subject is Subject.ACCOUNT else ""
            where += f" ({', '.join(titles)})" if len(members) <= FEW else ""
        elif users and not named:
            detail += f", {count(len(users), 'user')}"
        who = f"{named}: " if named and len(members) == 1 else ""
        sign = "✗" if cause.subject is Subject.ACCOUNT else "!"
        what = f"{prose(cause.state, MAX_TEXT)}{detail}"
        return f"{sign} {where} - {who}{what}{', ' if who else ': '}{_step(cause.remedy)}"

    def _asides(self) -> Iterator[str]:
        """Yield what else somebody should know, a line each. The place for a new kind of such lines."""
        story = self._story
        if story.names_users:
            yield from self._enforced()
        for group in story.changes.groups if story.changes else ():
            if group.note:
                yield f"{group.title}: {self._changed(group)} - {in_brief(group.note)}"
        yield from (prose(note, MAX_NOTE) for note in (story.guards, story.unused, *story.notes) if note)

    def _enforced(self) -> Iterator[str]:
        """Yield whom a run of events enforced, a line an account: it has no others to be counted among."""
        for account in self._story.accounts:
            users = [_user(user.name) for user in account.users if user.outcome is Outcome.ENFORCED]
            if users:
                told = some_of(users, MAX_NAMED) if self._names else count(len(users), "user")
                yield f"{_strong(title_of(account))}: enforced {told}"

    def _changed(self, group: ChangeGroup) -> str:
        """Return whom a change happened to: users with their account, or accounts."""
        if group.is_of_users and not self._names:
            return count(len(group.changed), "user")
        named = []
        for changed in group.changed[:MAX_NAMED]:
            where = _strong(title_of(account_of(changed)))
            if isinstance(changed, EnrolledUser) and changed.enrolled_at:
                where += f", {_day(changed.enrolled_at.astimezone(UTC))}"
            named.append(f"{_user(changed.name)} ({where})" if group.is_of_users else where)
        return some_of(named, MAX_NAMED, total=len(group.changed))


def fair_shares(room: int, wants: Sequence[int]) -> list[int]:
    """Return what each gets: all it wants where that is little, else an equal part of what the modest leave."""
    shares = [0] * len(wants)
    for position, index in enumerate(sorted(range(len(wants)), key=wants.__getitem__)):
        shares[index] = min(wants[index], room // (len(wants) - position))
        room -= shares[index]
    return shares


def _cut(lines: list[str], most: int, noun: str) -> list[str]:
    """Return the first lines, the last of them a count of those that are left out."""
    hidden = len(lines) - most
    return lines if hidden <= 0 else [*lines[: most - 1], f"and {count(hidden + 1, noun)}"]


def _step(remedy: str) -> str:
    return prose(in_brief(without_arns(remedy or "See the report.")), MAX_TEXT)


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b}"


def _strong(text: str) -> str:
    return f"*{literal(text, MAX_STRONG) or '(no name)'}*"


def _user(name: str) -> str:
    return code(name, MAX_USER) or "(no name)"


def _last_line(link: str | None) -> str:
    """Return the link to the report. Not a button: Slack warns of a click that no server of ours answers."""
    if not link:
        return "Details: `orgmfa report`"
    return f"*{link_to(link, 'Open the report')}*" if _fits(link) else "The link to the report is too long for Slack"


def _fits(link: str) -> bool:
    return size(link_to(link, "")) <= MAX_LINK


def _show(block: dict[str, Any]) -> Iterator[str]:
    match block["type"]:
        case "header":
            lines = _wrap(block["text"]["text"])
            yield from lines
            yield "=" * max(map(len, lines), default=0)
        case kind:
            text = block["elements"][0]["text"] if kind == "context" else block["text"]["text"]
            for line in text.splitlines():
                yield from _wrap(plain(line))


def _wrap(line: str) -> list[str]:
    indent = "  " if line.startswith("• ") else ""
    return textwrap.wrap(line, TEXT_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
