"""Draws Block Kit messages much as Slack does: header, section, context, divider, table, with mrkdwn. For pictures.

The text of mrkdwn comes escaped (`&amp; &lt; &gt;`), which is what HTML wants too.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

_STYLE = """
body { margin: 0; padding: 16px; background: #fff; color: #1d1c1d; font: 15px/22px Lato, Arial, sans-serif; }
main { display: grid; grid-template-columns: 36px minmax(0, 1fr); column-gap: 8px; }
.avatar { width: 36px; height: 36px; border-radius: 8px; background: #1264a3; color: #fff; text-align: center;
  font-weight: 900; line-height: 36px; }
.sender i { padding: 1px 4px; margin: 0 6px; border-radius: 2px; background: #1d1c1d21; color: #616061;
  font-style: normal; font-weight: 700; font-size: 10px; }
.sender time { font-size: 12px; color: #616061; }
h3 { margin: 8px 0 4px; font-size: 18px; line-height: 24px; font-weight: 900; }
section { margin: 4px 0 8px; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; margin: 8px 0; }
dd { margin: 0; white-space: pre-wrap; }
aside { margin: 8px 0; color: #616061; font-size: 13px; line-height: 20px; white-space: pre-wrap; }
table { border-collapse: collapse; font-size: 13px; line-height: 18px; margin: 4px 0 8px; }
td { border: 1px solid #1d1c1d21; padding: 4px 8px; vertical-align: top; overflow-wrap: anywhere; min-width: 60px; }
.whole { white-space: nowrap; }
tr:first-child td { background: #1d1c1d0a; font-weight: 700; }
hr { border: 0; border-top: 1px solid #1d1c1d21; margin: 12px 0; }
code { padding: 2px 3px 1px; border: 1px solid #1d1c1d21; border-radius: 3px; background: #1d1c1d0a; color: #c01343;
  font: 12px/1.5 Monaco, Menlo, "DejaVu Sans Mono", monospace; }
a { color: #1264a3; text-decoration: none; }
mark { padding: 0 2px 1px; border-radius: 3px; background: #fff3c9; color: #1264a3; }
"""
_CODE = re.compile(r"(`[^`\n]+`)")
_MARKS = (
    (re.compile(r"<(https?:[^|<>\n]+)\|([^<>\n]+)>"), r'<a href="\1">\2</a>'),
    (re.compile(r"<!subteam\^(\w+)>|<[!@](\w+)>"), r"<mark>@\1\2</mark>"),
    (re.compile(r"(?<!\w)\*([^*\n]+)\*(?!\w)"), r"<b>\1</b>"),
    (re.compile(r"(?<!\w)_([^_\n]+)_(?!\w)"), r"<em>\1</em>"),
    (re.compile(r"(?<!\w)~([^~\n]+)~(?!\w)"), r"<s>\1</s>"),
)


def draw_messages(messages: Iterable[Sequence[dict[str, Any]]], *, sender: str, time: str) -> Iterator[str]:
    """Yield the page that shows messages one below the other."""
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Slack</title><style>{_STYLE}</style><main>'
    for blocks in messages:
        yield f'<div class="avatar">{escape(sender[0])}</div>'
        yield f'<div><div class="sender"><b>{escape(sender)}</b><i>APP</i><time>{escape(time)}</time></div>'
        for block in blocks:
            yield from _draw_block(block)
        yield "</div>"
    yield "</main></html>"


def _draw_block(block: dict[str, Any]) -> Iterator[str]:
    match block["type"]:
        case "header":
            yield f"<h3>{_draw_text(block['text'])}</h3>"
        case "section":
            if "text" in block:
                yield f"<section>{_draw_text(block['text'])}</section>"
            if "fields" in block:
                yield f"<dl>{''.join(f'<dd>{_draw_text(text)}</dd>' for text in block['fields'])}</dl>"
        case "context":
            yield f"<aside>{''.join(f'<span>{_draw_text(text)}</span>' for text in block['elements'])}</aside>"
        case "table":
            kinds = ["" if column["is_wrapped"] else " class=whole" for column in block["column_settings"]]
            rows = (
                "".join(f"<td{kind}>{escape(cell['text'])}</td>" for kind, cell in zip(kinds, row, strict=True))
                for row in block["rows"]
            )
            yield f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
        case "divider":
            yield "<hr>"
        case other:
            message = f"{other} is not drawn here"
            raise ValueError(message)


def _draw_text(text: dict[str, Any]) -> str:
    if text["type"] == "plain_text":
        return escape(text["text"], quote=False)
    parts = _CODE.split(text["text"])  # one capturing group, so every second part is a code span
    return "".join(f"<code>{part[1:-1]}</code>" if index % 2 else _draw_marks(part) for index, part in enumerate(parts))


def _draw_marks(text: str) -> str:
    for pattern, written in _MARKS:
        text = pattern.sub(written, text)
    return text
