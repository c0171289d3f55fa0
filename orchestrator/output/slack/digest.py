"""The digest of a run: one message to be read in ten seconds on a phone, and what goes into its thread. Pure.

`brief` says what is in the message and `thread` what is below it; `mrkdwn` makes foreign text harmless, `layout` makes
blocks of it.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.config import SlackConfig
from orchestrator.output.slack.brief import make_brief
from orchestrator.output.slack.layout import Blocks, context, header, sections
from orchestrator.output.slack.mrkdwn import link_to, mention, plain, size
from orchestrator.output.slack.thread import Reply, make_thread
from orchestrator.output.story import tell_story
from orchestrator.reports.report import RunReport

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
    story, names = tell_story(report, blocks_access_keys=blocks_access_keys, notes=notes), settings.users == "names"
    brief = make_brief(story, names=names)
    if settings.mention is not None and story.is_incident:
        brief.top[0] = f"{mention(settings.mention)} {brief.top[0]}"
    blocks = (
        header(brief.headline),
        *sections(brief.top),
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
