"""ListAccounts as AWS pages it, and worse: small pages, empty ones with a token, accounts twice, states of tomorrow."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.backends import get_backend

from tests.aws_server import MANAGEMENT, Call
from tests.chaos.book import Page
from tests.chaos.wire import Served

_HEADERS = [("Content-Type", "application/x-amz-json-1.1")]


@dataclass(frozen=True, slots=True)
class AccountPages:
    """How the accounts are paged: so many a page, with empty pages before these, and repeating the last of each."""

    size: int = 20
    empty_before: frozenset[int] = field(default_factory=frozenset)
    repeats: bool = False
    odd_states: Mapping[str, str] = field(default_factory=dict)
    """The state of an account, by ID, where it is not the one that moto tells."""

    def answer(self, call: Call) -> Served | None:
        """Return the answer to ListAccounts, and None to any other call."""
        if call.action != "ListAccounts":
            return None
        pages = list(self._pages())
        number = int(call.parameters.get("NextToken") or 0)
        page: dict[str, Any] = {"Accounts": pages[number]}
        if number + 1 < len(pages):
            page["NextToken"] = str(number + 1)
        return Served("200 OK", _HEADERS, json.dumps(page, default=str).encode())

    def read(self, content: bytes) -> Page | None:
        """Return what a page holds."""
        try:
            page = json.loads(content)
        except ValueError:
            return None
        if "Accounts" not in page:
            return None
        return Page(tuple(account["Id"] for account in page["Accounts"]), bool(page.get("NextToken")))

    def _pages(self) -> Iterator[list[dict[str, Any]]]:
        organizations: Any = get_backend("organizations")[MANAGEMENT]["aws"]
        accounts = [account.describe() for account in organizations.accounts]
        for account in accounts:
            if odd := self.odd_states.get(account["Id"]):
                account |= {"State": odd, "Status": odd}
        for number, start in enumerate(range(0, len(accounts), self.size)):
            if number in self.empty_before:
                yield []
            first = max(0, start - 1) if self.repeats else start
            yield accounts[first : start + self.size]
