"""One message a run, worst first, to be read in ten seconds on a phone: header, summary, problems, findings. Pure.

What is listed comes from `problems` and `findings`; `mrkdwn` makes foreign text harmless, `blocks` makes it all fit.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.config import SlackConfig
from orchestrator.output.slack.account_findings import finding_groups
from orchestrator.output.slack.changes import account_change_groups, user_change_groups
from orchestrator.output.slack.limits import BUDGET, context, fit, header, section, size_of_blocks
from orchestrator.output.slack.mrkdwn import mention, plain
from orchestrator.output.slack.problems import failure_groups, hand_groups, note_groups, root_groups
from orchestrator.output.slack.summary import (
    change_lines,
    clean_line,
    headline,
    is_incident,
    keys_line,
    problem_lines,
    small_print,
    total_lines,
)
from orchestrator.output.slack.text import label_order
from orchestrator.reports.report import RunReport

TEXT_WIDTH = 80


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
    keys_stop: bool,
    link: str | None = None,
    notes: Sequence[str] = (),
) -> Digest:
    """Return the digest of a run.

    `keys_stop` is whether EnforceMFA stops access keys (`policy.access_keys: deny`); `link` is where the whole report
    lies. `notes` are plain lines to show under what needs a hand; with `slack.users: counts` they must name no users.
    """
    names, now = settings.users == "names", report.finished_at
    accounts = report.accounts.sorted(label_order)  # whatever came in first: the same run reads the same
    groups = [
        *failure_groups(accounts, names=names),
        *hand_groups(accounts, names=names, now=now),
        *root_groups(accounts),
        *note_groups(notes),
        *user_change_groups(report.changes, names=names),
        *finding_groups(accounts, report.mode, names=names, now=now),
    ]
    has_findings = bool(groups or is_incident(report) or not report.totals.inspected)
    title = headline(report, has_findings=has_findings)
    if has_findings:  # by itself an account that came or went is none, and a line tells of it
        groups += account_change_groups(report.changes)
    lines = [
        *problem_lines(report, names=names),
        *total_lines(report),
        *change_lines(report),
        *keys_line(report, keys_stop=keys_stop),
    ]
    if settings.mention is not None and is_incident(report):
        lines.insert(0, mention(settings.mention))
    top = [header(title), section("\n".join(lines) if has_findings else " ".join(lines))]
    bottom = [section(line) for line in clean_line(report) if has_findings] + [context(small_print(report, link))]
    middle = fit(groups, BUDGET - size_of_blocks([*top, *bottom]), link or None)
    return Digest(f"{title}. {total_lines(report)[0]}", (*top, *middle, *bottom), has_findings)


def render_text(digest: Digest) -> str:
    """Return a digest as plain text, as Slack would show its blocks, for terminals."""
    return "\n\n".join("\n".join(_show(block)) for block in digest.blocks) + "\n"


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
