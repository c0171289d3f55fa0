"""The page of a run taken apart for its tests."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from orchestrator.domain.model import Outcome
from orchestrator.output.html import render_page
from orchestrator.reports.report import (
    RootUserReport,
    RunReport,
    UserReport,
)
from tests.browser.samples import (
    make_run_report,
    make_small_report,
    make_trend,
    make_user_report,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROOT_OPEN = RootUserReport(has_credentials=True, has_mfa=False)


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, the text of each kind, all that can be read of it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = text
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        if tag not in {"meta", "link", "input", "wbr"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self._open.pop(), "elements are nested as they are closed"

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data
        if not {"script", "style"} & set(self._open):
            self.words.append(data)

    @property
    def readable(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> Any:
        return json.loads(self.texts["script"][0])


def page_of(report: RunReport, trend: Sequence[RunReport] = (), *, blocks_access_keys: bool = True) -> Page:
    return Page("".join(render_page(report, trend=trend, blocks_access_keys=blocks_access_keys)))


SMALL = make_small_report()
SMALL_PAGE = page_of(SMALL, make_trend(30))
EMPTY_PAGE = page_of(make_run_report())


def users_of(outcome: Outcome, count: int, **changes: Any) -> list[UserReport]:
    return [make_user_report(f"{outcome}-{index}", outcome, **changes) for index in range(count)]
