"""How much of an organization is covered: tiles for the whole of it, and a row for each OU and each owner. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from orchestrator.domain.model import Mode, Outcome, Status, Verdict
from orchestrator.domain.outcomes import ENFORCED, OUTCOMES, label_of
from orchestrator.output.counts import count_devices
from orchestrator.output.ordering import is_to_fix
from orchestrator.output.words import list_counts
from orchestrator.reports.report import AccountReport, RunReport, UserReport

PRINTED_DEPTH = 2
"""The OUs right below the root are printed too; those below them are on the screen alone."""


class Tile(NamedTuple):
    """How much of something is covered."""

    title: str
    number: int
    total: int
    note: str


@dataclass(slots=True)
class Row:
    """The accounts of an OU, those of the OUs below it included, or of an owner."""

    key: str
    name: str
    link: str
    is_deep: bool
    accounts: int = 0
    unread: int = 0
    users: int = 0
    covered: int = 0
    to_fix: int = 0


def list_tiles(report: RunReport) -> Iterator[Tile]:
    """Yield how many accounts were inspected; how many users have MFA or are enforced, and how many do not nor are."""
    totals, users = report.totals, report.totals.users
    left_out = list_counts([(totals.failed, "failed"), (totals.not_reached, "not reached")]) or "none left out"
    skipped = f"; {totals.skipped:,} more skipped" if totals.skipped else ""
    yield Tile("Accounts inspected", totals.inspected, totals.accounts - totals.skipped, left_out + skipped)
    if report.mode is Mode.RELEASE:
        return
    covered = sum(_is_covered(user) for account in report.accounts for user in account.users)
    enforced = [(totals.of(outcome), label_of(outcome, report.mode)) for outcome in OUTCOMES if outcome in ENFORCED]
    others = [outcome for outcome in OUTCOMES if outcome not in ENFORCED | {Outcome.NONE}]
    open_users = [(totals.of(outcome), label_of(outcome, report.mode)) for outcome in others]
    unread = (totals.unknown, "unknown")
    yield Tile(
        "Users with MFA, or enforced",
        covered,
        users,
        "; ".join(
            filter(None, (list_counts([(totals.compliant, "with MFA"), *enforced]) or "none", count_devices(totals)))
        ),
    )
    yield Tile("Users without both", users - covered, users, list_counts([*open_users, unread]) or "none")


def list_ous(accounts: Iterable[AccountReport]) -> list[Row]:
    """Return a row for each OU in the order of the tree, the last for accounts of no known OU; none if none is."""
    rows: dict[str, Row] = {}
    for account in accounts:
        names = (account.ou or "").split("/")
        for depth in range(1, len(names) + 1):
            path = "/".join(names[:depth])
            name = "/".join(names[1:depth]) or path
            _add(rows.setdefault(path, _row("ou", path, name, depth=depth)), account)
    ordered = sorted(rows.values(), key=lambda row: (not row.key, row.key.casefold().split("/")))
    return ordered if any(row.key for row in ordered) else []


def list_owners(accounts: Iterable[AccountReport]) -> list[Row]:
    """Return a row for each owner, who has most users to cover first; none where no owner is known."""
    rows: dict[str, Row] = {}
    for account in accounts:
        owner = account.owner or ""
        _add(rows.setdefault(owner, _row("owner", owner, owner)), account)
    ordered = sorted(rows.values(), key=lambda row: (row.covered - row.users, row.key.casefold()))
    return ordered if any(row.key for row in ordered) else []


def _row(kind: str, key: str, name: str, *, depth: int = 1) -> Row:
    return Row(key, name or "not known", f"#{urlencode({kind: key})}", depth > PRINTED_DEPTH)


def _add(row: Row, account: AccountReport) -> None:
    row.accounts += 1
    row.unread += account.status in {Status.FAILED, Status.NOT_REACHED}
    row.users += len(account.users)
    row.covered += sum(map(_is_covered, account.users))
    row.to_fix += sum(map(is_to_fix, account.users))


def _is_covered(user: UserReport) -> bool:
    return user.verdict is Verdict.COMPLIANT or user.outcome in ENFORCED
