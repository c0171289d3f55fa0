"""Block Kit within Slack's limits at any size: what does not fit is counted. Pure.

The other modules decide what is said and in which order; this one how much of it fits. Foreign text comes in escaped.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.output.slack.mrkdwn import link_to, size

BUDGET = 10_000
"""Characters over all blocks, counted as JSON. Slack refuses about 12,000 (`msg_blocks_too_long`) without documenting
what it counts; messages with 11,300 characters of text have been refused (slackapi/bolt-js #2509, #2867). Slack's 50
blocks are out of reach with it: twenty groups at most, and a section ends only when it is well filled."""
MAX_HEADER = 150
MAX_SECTION = 3_000
MAX_LINKS = 1_200
"""Characters spent on repeating the link where something is left out; a longer one stands in the last line alone."""
MAX_ENTRIES = 250
"""Entries of a group that are worth writing: more do not fit into the budget, and are only counted."""

SECTION_COST = len(json.dumps({"type": "section", "text": {"type": "mrkdwn", "text": "", "verbatim": True}})) + 2


@dataclass(frozen=True, slots=True)
class Group:
    """Entries under one title. The title is always shown; details, then entries, follow as far as there is room.

    `total` counts the entries that were never written too.
    """

    title: str
    details: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    total: int = 0
    noun: str = "account"
    joiner: str = "\n"


def header(text: str) -> dict[str, Any]:
    """Return a header block; Slack takes no mrkdwn there, and nothing foreign belongs into it."""
    return {"type": "header", "text": {"type": "plain_text", "text": text[:MAX_HEADER]}}


def section(text: str) -> dict[str, Any]:
    """Return a section; verbatim, so that Slack makes no links, channels or mentions of its own out of plain text."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def context(elements: Iterable[str]) -> dict[str, Any]:
    """Return a context block, the footer of a message."""
    return {
        "type": "context",
        "elements": [{"type": "mrkdwn", "text": text, "verbatim": True} for text in elements],
    }


def size_of_blocks(blocks: Sequence[dict[str, Any]]) -> int:
    """Return how much of the budget these blocks use up."""
    return len(json.dumps(blocks, ensure_ascii=False).encode("utf-16-le")) // 2


def fit_to_budget(groups: Sequence[Group], room: int, link: str | None) -> list[dict[str, Any]]:
    """Return the sections of these groups, in order, within `room`: shared so that none is crowded out by another."""
    words = f": {link_to(link, 'whole report')}" if link is not None else ""
    writers = [SectionWriter(group, words if size(words) * len(groups) <= MAX_LINKS else "") for group in groups]
    shares = fair_shares(room, [writer.wanted() for writer in writers])
    return [section(text) for writer, share in zip(writers, shares, strict=True) for text in writer.fill(share)]


def fair_shares(room: int, wants: Sequence[int]) -> list[int]:
    """Return what each gets: all it wants where that is little, else an equal part of what the modest leave."""
    shares = [0] * len(wants)
    for position, index in enumerate(sorted(range(len(wants)), key=wants.__getitem__)):
        shares[index] = min(wants[index], room // (len(wants) - position))
        room -= shares[index]
    return shares


class SectionWriter:
    """Writes the sections of one group, as many entries as its share of the budget allows."""

    def __init__(self, group: Group, link: str) -> None:
        """Take the group, and what follows the count of the entries that are left out."""
        self._group = group
        self._link = link
        # Kept free for the line that counts what does not fit.
        self._reserve = size(self._more(max(2, group.total))) + 2 if group.total else 0
        self._texts = [group.title]
        self._sizes = [size(group.title)]

    def wanted(self) -> int:
        """Return what the whole group costs, or a little more."""
        length = sum(size(text) + 2 for text in (self._group.title, *self._group.details, *self._group.entries))
        return length + self._reserve + SECTION_COST * (2 + length // (MAX_SECTION // 2))

    def fill(self, share: int) -> list[str]:
        """Return the texts of the sections that cost no more than the share; the last line counts what is left out."""
        left = self._group.total
        for position, detail in enumerate((*self._group.details, *self._group.entries)):
            is_entry = position >= len(self._group.details)
            joiner = self._group.joiner if is_entry and left < self._group.total else "\n"
            cost = sum(self._sizes) + SECTION_COST * (len(self._sizes) + 1)
            if cost + size(joiner + detail) + self._reserve > share:
                break
            self._add(joiner, detail)
            left -= is_entry
        if left:
            self._add(" " if self._group.joiner != "\n" and left < self._group.total else "\n", self._more(left))
        return self._texts

    def _add(self, joiner: str, text: str) -> None:
        added = size(joiner + text)
        if self._sizes[-1] + added + self._reserve > MAX_SECTION:
            self._texts.append(text)
            self._sizes.append(size(text))
        else:
            self._texts[-1] += joiner + text
            self._sizes[-1] += added

    def _more(self, number: int) -> str:
        return f"and {number:,} more {self._group.noun}{'s' if number > 1 else ''}{self._link}"
