"""What a run came to in at most fifteen lines, the worst first, to be read in ten seconds. Pure.

A line holds our own words as text. What came from outside, and what stands out, is `Said`: a view makes it harmless.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from orchestrator.domain.model import Mode, Outcome, Trigger
from orchestrator.output.causes import Cause, Member, Subject, without_arns
from orchestrator.output.change_summary import ChangeGroup, account_of
from orchestrator.output.story import Story
from orchestrator.output.words import STAGES, count, in_brief, title_of
from orchestrator.reports.report import ChangedUser, EnrolledUser

MAX_LINES = 15
"""Of the whole message, with its headline, the title of what is to fix, and the link."""
MAX_HEADLINE = 150
FEW = 3
"""Up to so many accounts of a cause have a line each."""
MAX_SURE = 3
"""Up to so many lines of what else is to know stand, however much is to fix."""
MAX_NAMED = 2
MAX_ERRORS = 2


class Kind(StrEnum):
    """How a part of a line is shown."""

    STRONG = "strong"
    USER = "user"
    TEXT = "text"
    NOTE = "note"
    """A sentence of its own, which may be longer."""


class Said(NamedTuple):
    """A part of a line that stands out, or is not ours."""

    text: str
    kind: Kind = Kind.TEXT


Line = tuple[str | Said, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """A run in a few lines: what comes before, after and beside what is to fix."""

    headline: str
    top: Sequence[Line]
    to_fix: Sequence[Line]
    bottom: Sequence[Line]
    asides: Sequence[Line]


def make_brief(story: Story, *, names: bool) -> Brief:
    """Return a run in at most 15 lines; without `names` users are counted."""
    keys, asides = list(_keys(story, names=names)), list(_asides(story, names=names))
    bottom = [*_coverage(story), *_since(story)] if story.gate else []
    top = [*_problems(story), *(keys if story.gate else [*_coverage(story), *keys, *_since(story)])]
    causes = [_lines_of(cause, story, names=names) for cause in story.causes]
    room = MAX_LINES - 2 - bool(causes) - len(top) - len(bottom)
    for_causes, _ = fair_shares(room, [sum(map(len, causes)), min(MAX_SURE, len(asides))])
    least_first = list(zip(story.causes, causes, strict=True))[::-1]
    for cause, lines in sorted(least_first, key=lambda pair: -len(pair[1])):
        if sum(map(len, causes)) > for_causes:
            lines[:] = [_line(cause, cause.members, story, names=names)]
    return Brief(
        headline=_headline(story),
        top=top,
        to_fix=_cut([line for lines in causes for line in lines], for_causes, "more cause"),
        bottom=bottom,
        asides=_cut(asides, room - for_causes, "more remark"),
    )


def fair_shares(room: int, wants: Sequence[int]) -> list[int]:
    """Return what each gets: all it wants where that is little, else an equal part of what the modest leave."""
    shares = [0] * len(wants)
    for position, index in enumerate(sorted(range(len(wants)), key=wants.__getitem__)):
        shares[index] = min(wants[index], room // (len(wants) - position))
        room -= shares[index]
    return shares


def _cut(lines: list[Line], most: int, noun: str) -> list[Line]:
    """Return the first lines, the last of them a count of those that are left out."""
    hidden = len(lines) - most
    return lines if hidden <= 0 else [*lines[: most - 1], (f"and {count(hidden + 1, noun)}",)]


def _headline(story: Story) -> str:
    """Return mode and outcome of a run, worst first; nothing foreign is in it."""
    report, gate, news = story.report, story.report.gate, list(story.news)
    if gate:
        limit = "" if gate.limit is None else f": {gate.planned:,} changes planned, the limit is {gate.limit:,}"
        return f"{news[0].upper()}{limit}"
    if not story.has_findings:
        news = ["nobody to release" if report.mode is Mode.RELEASE else "all clean"]
    elif not report.totals.inspected and not story.is_incident:
        news = ["no account was inspected"]
    while len(line := f"{report.mode.capitalize()}: {' · '.join(news)}") > MAX_HEADLINE:
        news.pop()
    return line


def _problems(story: Story) -> Iterator[Line]:
    """Yield what is wrong with the run as a whole, each with what to do."""
    gate, errors = story.report.gate, story.report.errors
    if gate:
        why = f"{gate.message}. " if gate.limit is None else ""
        yield Said("Decide:", Kind.STRONG), " ", Said(f"{why}{gate.remedy}", Kind.NOTE)
    if story.incomplete:
        yield (Said(story.incomplete, Kind.STRONG),)
    told = [(Said(f"Error {STAGES[one.stage]}", Kind.STRONG), *_step(": ", one.remedy)) for one in errors]
    yield from _cut([*told], MAX_ERRORS, "more error")


def _coverage(story: Story) -> Iterator[Line]:
    """Yield how many users are covered, and how many were before the run, or would be after it."""
    totals, mode, covered = story.report.totals, story.report.mode, story.covered
    if not totals.users:
        yield (story.totals[0].rstrip("."),)
        return
    share = f"{100 * covered // totals.users} %"
    if mode is Mode.APPLY and (enforced := totals.of(Outcome.ENFORCED)):
        share = f"was {covered - enforced:,}"
    elif mode is Mode.PLAN and not story.gate and (planned := totals.of(Outcome.PLANNED)):
        share = f"would be {covered + planned:,}"
    yield (f"{covered:,} of {totals.users:,} users have MFA or are enforced ({share})",)


def _keys(story: Story, *, names: bool) -> Iterator[Line]:
    """Yield how many access keys stop, whose they are where those are few, and what else would."""
    said, _, others = story.keys.rstrip(".").partition(". ")
    users = story.key_users if names and len(story.key_users) <= MAX_NAMED else ()
    if said:
        named = _listed((Said(user, Kind.USER),) for user in users)
        yield said, ": " if users else "", *named, f". {others}" if others else ""


def _since(story: Story) -> Iterator[Line]:
    """Yield what changed since the last run, in counts."""
    changes, summary = story.report.changes, story.changes
    if changes and summary:
        since, now = changes.since.astimezone(UTC), story.report.finished_at.astimezone(UTC)
        when = {0: f"{since:%H:%M} UTC", 1: "yesterday"}.get((now.date() - since.date()).days, _day(since))
        where = "" if summary.is_whole else ", where accounts were read"
        yield (f"Since {when}{where}: {summary.words}",)


def _lines_of(cause: Cause, story: Story, *, names: bool) -> list[Line]:
    """Return a line for each account of a cause that has few, else one for all of them."""
    groups = [(member,) for member in cause.members] if len(cause.members) <= FEW else [cause.members]
    return [_line(cause, members, story, names=names) for members in groups]


def _line(cause: Cause, members: Sequence[Member], story: Story, *, names: bool) -> Line:
    """Return where something is to fix, what, since how many runs, and what to do in a dozen words."""
    users, accounts = [user for member in members for user in member.users], count(len(members), "account")
    titles = [(Said(title_of(member.account), Kind.STRONG),) for member in members]
    named = _listed((Said(user.name, Kind.USER),) for user in users) if names and len(users) <= MAX_NAMED else ()
    runs = {member.account.failing_runs for member in members}
    share = 100 * len(members) // max(1, story.report.totals.accounts)
    detail = f", {'up to ' * (len(runs) > 1)}{count(max(runs), 'run')}" if max(runs) > 1 and not users else ""
    where: Line = titles[0]
    if len(members) > 1:
        where = (Said(f"{count(len(users), 'user')} in {accounts}" if users else accounts, Kind.STRONG),)
        where += (f" ({share} %)",) if share and cause.subject is Subject.ACCOUNT else ()
        where += (" (", *_listed(titles), ")") if len(members) <= FEW else ()
    elif users and not named:
        detail += f", {count(len(users), 'user')}"
    who = (*named, ": ") if named and len(members) == 1 else ()
    sign = "✗ " if cause.subject is Subject.ACCOUNT else "! "
    return sign, *where, " - ", *who, Said(cause.state), detail, *_step(", " if who else ": ", cause.remedy)


def _step(joiner: str, remedy: str) -> Line:
    return joiner, Said(in_brief(without_arns(remedy or "See the report.")))


def _asides(story: Story, *, names: bool) -> Iterator[Line]:
    """Yield what else somebody should know, a line each. The place for a new kind of such lines."""
    if story.report.trigger is Trigger.IAM_EVENT:
        yield from _enforced(story, names=names)
    for group in story.changes.groups if story.changes else ():
        if group.note:
            yield f"{group.title}: ", *_changed(group, names=names), " - ", in_brief(group.note)
    yield from ((Said(note, Kind.NOTE),) for note in (story.guards, story.unused, *story.notes) if note)


def _enforced(story: Story, *, names: bool) -> Iterator[Line]:
    """Yield whom a run of events enforced, a line an account: it has no others to be counted among."""
    for account in story.accounts:
        users = [user.name for user in account.users if user.outcome is Outcome.ENFORCED]
        if users:
            hidden = f" and {len(users) - MAX_NAMED:,} more" if len(users) > MAX_NAMED else ""
            named = (*_listed((Said(name, Kind.USER),) for name in users[:MAX_NAMED]), hidden)
            yield (
                Said(title_of(account), Kind.STRONG),
                ": enforced ",
                *(named if names else (count(len(users), "user"),)),
            )


def _changed(group: ChangeGroup, *, names: bool) -> Line:
    if group.users and not names:
        return (count(len(group.users), "user"),)
    users: list[Line] = [
        (Said(user.name, Kind.USER), " (", Said(title_of(account_of(user)), Kind.STRONG), _enrolled_on(user), ")")
        for user in group.users
    ]
    parts = users or [(Said(title_of(account), Kind.STRONG),) for account in group.accounts]
    hidden = len(parts) - MAX_NAMED
    return *_listed(parts[:MAX_NAMED]), f" and {hidden:,} more" if hidden > 0 else ""


def _enrolled_on(user: ChangedUser) -> str:
    moment = user.enrolled_at if isinstance(user, EnrolledUser) else None
    return f", {_day(moment.astimezone(UTC))}" if moment else ""


def _listed(parts: Iterable[Line]) -> Line:
    """Return parts with commas between them."""
    return tuple(part for index, line in enumerate(parts) for part in ((", ", *line) if index else line))


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b}"
