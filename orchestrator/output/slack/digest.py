"""One message a run, worst first, to be read in ten seconds on a phone: header, what is to fix, findings. Pure.

`sections` lays out the parts of the story; `mrkdwn` makes foreign text harmless, `limits` makes it all fit.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.config import SlackConfig
from orchestrator.domain.model import Mode
from orchestrator.output.slack.limits import (
    BUDGET,
    MAX_HEADER,
    context,
    fit_to_budget,
    header,
    section,
    size_of_blocks,
)
from orchestrator.output.slack.mrkdwn import code, link_to, literal, mention, plain, size
from orchestrator.output.slack.sections import SectionMaker
from orchestrator.output.slack.text import MAX_CODE, MAX_MESSAGE, MAX_NAME, format_problem
from orchestrator.output.story import Story, tell_story
from orchestrator.output.words import count
from orchestrator.reports.report import RunReport

TEXT_WIDTH = 80
MAX_ERRORS = 3
MAX_SKIP_REASONS = 5
MAX_LINK = 500

_TITLES = {
    Mode.PLAN: "orgmfa plan (nothing was written)",
    Mode.APPLY: "orgmfa apply",
    Mode.RELEASE: "orgmfa release",
}


@dataclass(frozen=True, slots=True)
class Digest:
    """A message for Slack: the text of its notification, its blocks, and whether it tells of more than a clean run."""

    text: str
    blocks: tuple[dict[str, Any], ...]
    has_findings: bool


def render_digest(
    report: RunReport,
    settings: SlackConfig,
    *,
    blocks_access_keys: bool,
    link: str | None = None,
    notes: Sequence[str] = (),
) -> Digest:
    """Return the digest of a run.

    `blocks_access_keys` is that of `policy`; `link` is where the whole report lies. `notes` are plain lines to show
    under what is to fix; with `slack.users: counts` they must name no users.
    """
    story, names = tell_story(report, blocks_access_keys=blocks_access_keys, notes=notes), settings.users == "names"
    has_findings = story.has_findings
    title = _headline(story)
    lines = [*_problems(story, names=names), *_counts(story)]
    if settings.mention is not None and story.is_incident:
        lines.insert(0, mention(settings.mention))
    top = [header(title), section("\n".join(lines) if has_findings else " ".join(lines))]
    clean = [section(story.clean)] if has_findings and story.clean else []
    bottom = [*clean, context(_footer(story, link))]
    groups = SectionMaker(story, names).list_groups()
    middle = fit_to_budget(groups, BUDGET - size_of_blocks([*top, *bottom]), link or None)
    return Digest(f"{title}. {story.totals[0]}", (*top, *middle, *bottom), has_findings)


def render_text(digest: Digest) -> str:
    """Return a digest as plain text, as Slack would show its blocks, for terminals."""
    return "\n\n".join("\n".join(_show(block)) for block in digest.blocks) + "\n"


def _headline(story: Story) -> str:
    """Return mode and outcome of a run in one line of text, worst first."""
    report = story.report
    title = _TITLES[report.mode]
    if not story.has_findings:
        return f"{title}: {'nobody to release' if report.mode is Mode.RELEASE else 'all clean'}"
    if not report.totals.inspected and not story.is_incident:
        return f"{title}: no account was inspected"
    news = list(story.news)
    while len(line := f"{title}: {', '.join(news)}") > MAX_HEADER:
        news.pop()
    return line


def _problems(story: Story, *, names: bool) -> Iterator[str]:
    """Yield what is wrong with the run as a whole: held by its limit, listing cut short, archive or other errors."""
    report = story.report
    if story.gate:
        yield f"*{literal(story.gate, MAX_MESSAGE)}*"
    if story.incomplete:
        yield f"*{story.incomplete}*"
    for error in report.errors[:MAX_ERRORS]:
        yield format_problem(error, names=names)
    if len(report.errors) > MAX_ERRORS:
        yield f"and {count(len(report.errors) - MAX_ERRORS, 'more error')}"


def _counts(story: Story) -> Iterator[str]:
    """Yield the totals, what changed since the last run, for how long users have been open, what becomes of keys."""
    changed = story.changes.sentence if story.changes else ""
    yield from filter(None, (*story.totals, changed, story.open_for, story.keys, story.guards, story.unused))


def _footer(story: Story, link: str | None) -> Iterator[str]:
    """Yield the parts of the last line: skipped accounts with their reasons, the run, the link to the whole report."""
    if story.skipped:
        words = [f"{number:,} {literal(reason, MAX_CODE)}" for number, reason in story.skipped[:MAX_SKIP_REASONS]]
        others = sum(number for number, _ in story.skipped[MAX_SKIP_REASONS:])
        words += [f"{others:,} for other reasons"] if others else []
        yield f"{count(story.report.totals.skipped, 'account')} skipped: {', '.join(words)}"
    yield f"run {code(story.report.run_id, MAX_NAME)}, {literal(story.report.trigger, MAX_CODE)}"
    if link:
        written = link_to(link, "whole report")
        yield written if size(written) <= MAX_LINK else "its link is too long for Slack"


def _show(block: dict[str, Any]) -> Iterator[str]:
    match block["type"]:
        case "header":
            lines = _wrap(block["text"]["text"])
            yield from lines
            yield "=" * max(map(len, lines), default=0)
        case "context":
            yield from _wrap(" · ".join(plain(element["text"]) for element in block["elements"]))
        case _:
            for line in block["text"]["text"].splitlines():
                yield from _wrap(plain(line))


def _wrap(line: str) -> list[str]:
    indent = "  " if line.startswith("• ") else ""
    return textwrap.wrap(line, TEXT_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
