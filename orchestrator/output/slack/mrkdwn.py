"""Slack's mrkdwn: foreign text made harmless, links, mentions, and mrkdwn read back as plain text. Pure.

Every text that is not ours goes through `literal`, `prose` or `code`, so that it can neither mention anybody, nor
format, nor forge what stands around it. Nothing here knows what a digest says.
"""

import html
import json
import re
import unicodedata
from collections.abc import Callable

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_BY_CATEGORY = {
    "Cc": " ",  # control characters: NUL, tabs, line ends
    "Cf": "",  # formatting: right-to-left marks, zero-width characters
    "Cn": _REPLACEMENT,
    "Cs": _REPLACEMENT,  # half of a surrogate pair is no character
    "Zl": " ",
    "Zp": " ",
}
_LOW_MACRON = "\N{MODIFIER LETTER LOW MACRON}"
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BACKTICKS = {"`": "'", "\N{FULLWIDTH GRAVE ACCENT}": "'"}
# Slack has no way to escape its formatting signs; characters that look alike keep a name readable.
_LOOK_ALIKES = {
    "*": "\N{ASTERISK OPERATOR}",
    "\N{FULLWIDTH ASTERISK}": "\N{ASTERISK OPERATOR}",
    "~": "\N{TILDE OPERATOR}",
    "\N{FULLWIDTH LOW LINE}": _LOW_MACRON,
}
_IN_CODE = str.maketrans(_ENTITIES | _BACKTICKS)
_IN_TEXT = str.maketrans(_ENTITIES | _BACKTICKS | _LOOK_ALIKES)
_IN_CELL = str.maketrans(
    {"<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"}
)
_ARN = re.compile(r"\b(arn:aws[a-z-]*:[^\s,;\"'()]+)")
_EMOJI = re.compile(r":(?=[\w'+-]+:)")
_ITALIC = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_IN_LINK = {" ": "%20", "|": "%7C", "<": "%3C", ">": "%3E", "&": "&amp;"}
_MARKUP = re.compile(
    r"`(?P<code>[^`\n]+)`"
    r"|\*(?P<bold>[^*\n]+)\*"
    r"|<(?P<url>https?:[^|<>\n]+)\|(?P<label>[^<>\n]+)>"
    r"|<(?:!subteam\^|[!@])(?P<who>\w+)>"
)


def size(text: str) -> int:
    """Return how much of Slack's limits a text uses up at the most: in JSON and UTF-16, as Slack does not say."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-16-le")) // 2 - 2


def clean(text: str) -> str:
    """Return a text on one line, without characters that cannot be seen or turn the order of reading."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(_BY_CATEGORY.get(unicodedata.category(sign), sign) for sign in text)
    return " ".join(text.split())


def literal(text: str, limit: int) -> str:
    """Return a foreign name as mrkdwn that shows it literally, cut between characters to at most `limit`."""
    return _write(text, _literal, limit)


def prose(text: str, limit: int) -> str:
    """Return a foreign sentence as mrkdwn that shows it literally, cut between characters to at most `limit`.

    ARNs become code spans: they hold `*` and `:name:`, and are there to be copied.
    """
    return _write(text, _prose, limit)


def code(text: str, limit: int) -> str:
    """Return a foreign text as a code span, cut between characters to at most `limit`; nothing visible is empty."""
    return _write(text, _code, limit)


def raw(text: str, limit: int) -> str:
    """Return a foreign text for a cell of a table, which Slack shows as it is: on one line, cut to at most `limit`."""
    return _write(text, lambda said: said.translate(_IN_CELL), limit)


def link_to(url: str, label: str) -> str:
    """Return a link; signs that would end its address early are percent-encoded."""
    address = "".join(_IN_LINK.get(sign, sign) for sign in clean(url))
    return f"<{address}|{label}>"


def mention(who: str) -> str:
    """Return the mention of `here`, `channel`, a user (U..., W...) or a user group (S...)."""
    if who in {"here", "channel"}:
        return f"<!{who}>"
    return f"<!subteam^{who}>" if who.startswith("S") else f"<@{who}>"


def plain(text: str) -> str:
    """Return mrkdwn as Slack shows it: without formatting signs and escapes, links and mentions in words."""
    return html.unescape(_MARKUP.sub(_show, text))


def _show(match: re.Match[str]) -> str:
    if match["url"]:
        return f"{match['label']}: {match['url']}"
    if match["who"]:
        return f"@{match['who']}"
    return match["code"] or _MARKUP.sub(_show, match["bold"])


def _prose(text: str) -> str:
    parts = _ARN.split(text)  # one capturing group, so every second part is an ARN
    return "".join(_code(part) if index % 2 else _literal(part) for index, part in enumerate(parts))


def _literal(text: str) -> str:
    return _ITALIC.sub(_LOW_MACRON, _EMOJI.sub("\N{RATIO}", text)).translate(_IN_TEXT)


def _code(text: str) -> str:
    return f"`{text.translate(_IN_CODE)}`"


def _write(text: str, write: Callable[[str], str], limit: int) -> str:
    """Return a text as written by `write`, shortened before it is written: an escape is never cut in two."""
    text = clean(text[: 4 * limit])
    if not text:
        return ""
    text = text if len(text) <= limit else f"{text[: limit - 1].rstrip(' …')}…"
    written = write(text)
    while size(written) > limit:
        excess = size(written) - limit
        text = text[: len(text) - max(1, excess // 6)].rstrip(" …")
        written = write(f"{text}…")
    return written
