"""How text, numbers, names and outcomes are put into words. Text from outside goes through `plain`, always."""

import unicodedata
from collections.abc import Iterable, Sequence

from orchestrator.domain.model import Mode, Outcome
from orchestrator.reports.report import AccountReport, ChangedAccount

_PLANNED = {
    Mode.PLAN: "planned",
    Mode.APPLY: "planned but not yet written",
    Mode.RELEASE: "release planned but not yet written",
}
UNKNOWN = "MFA unknown"


def plain(text: str) -> str:
    """Return text from outside on one line, with control, format and unassigned characters as escapes."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char).startswith("C") else char
        for char in " ".join(text.split())
    )


def some_of(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many more there are."""
    hidden = len(names) - most
    return ", ".join(names[:most]) + (f" and {hidden:,} more" if hidden > 0 else "")


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def list_counts(counted: Iterable[tuple[int, str]]) -> str:
    """Return what there is any of, with its number."""
    return ", ".join(f"{number:,} {words}" for number, words in counted if number)


def with_details(number: int, noun: str, details: str) -> str:
    """Return a number with its noun, and what it is made up of."""
    return f"{count_of(number, noun)}: {details}" if details else count_of(number, noun)


def title_of(account: AccountReport | ChangedAccount) -> str:
    """Return what an account is called: its alias, its name, or its ID."""
    return plain(account.alias or "") or plain(account.name) or account.id


def title_and_id(account: AccountReport | ChangedAccount) -> str:
    """Return what an account is called, and its ID."""
    title = title_of(account)
    return title if title == account.id else f"{title} ({account.id})"


def outcome_words(outcome: Outcome, mode: Mode) -> str:
    """Return what an outcome is called in a run of this mode."""
    if outcome is Outcome.PLANNED:
        return _PLANNED[mode]
    return UNKNOWN if outcome is Outcome.NONE else outcome.value.replace("_", " ")
