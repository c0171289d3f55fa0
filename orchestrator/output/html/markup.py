"""HTML by construction: what is not `Html` already is escaped, so nothing foreign becomes markup. Pure."""

import html
import unicodedata
from collections.abc import Iterable


class Html(str):
    """A piece of HTML that may stand in the page as it is."""

    __slots__ = ()


def visible(text: str) -> str:
    """Return text from outside on one line, with control, format and unassigned characters as escapes."""
    return text if text.isascii() and text.isprintable() else "".join(map(_show, text))


def escape(text: str) -> Html:
    """Return a text as HTML that shows it literally; what is HTML stays as it is."""
    return text if isinstance(text, Html) else Html(html.escape(visible(text)))


def element(name: str, *children: str, **attributes: str | int | None) -> Html:
    """Return an element. `class_` stands for class, `aria_label` for aria-label; None leaves an attribute out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Html:
    """Return parts as one piece of HTML, each escaped unless it is HTML."""
    return Html("".join(map(escape, parts)))


def _show(sign: str) -> str:
    if sign.isspace():
        return " "
    return sign.encode("unicode_escape").decode() if unicodedata.category(sign).startswith("C") else sign
