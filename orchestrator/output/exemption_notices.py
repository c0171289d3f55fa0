"""Remarks on a run for people: exemptions that end soon or have ended, and protections without effect. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from orchestrator.domain.assessment import find_exemption
from orchestrator.domain.config import Config, Exemption
from orchestrator.domain.model import Mode, Outcome, Status
from orchestrator.domain.protections import check_protections
from orchestrator.output.words import count, some_of
from orchestrator.reports.history import is_whole
from orchestrator.reports.report import AccountReport, RunReport
from orchestrator.reports.stored_run import was_read

ANNOUNCED_AROUND_END = timedelta(days=14)
"""How long before its end an exemption is announced, and how long after it is still said to have ended."""
_NAMES_SHOWN = 5


def run_notes(config: Config, report: RunReport, *, names: bool = True) -> tuple[str, ...]:
    """Return all remarks on a run; without `names` they name no users."""
    now = report.finished_at
    notes = exemption_notes(config.exemptions, report, now, names=names)
    if report.mode is Mode.RELEASE or not is_whole(report):
        return notes
    remarks = check_protections(config, map(_user_names, report.accounts), now, names=names)
    return (*notes, *(remark.text for remark in remarks))


def _user_names(account: AccountReport) -> tuple[str, list[str] | None]:
    is_known = was_read(account) or account.status is Status.SKIPPED
    return account.id, [user.name for user in account.users] if is_known else None


def exemption_notes(
    exemptions: Sequence[Exemption], report: RunReport, now: datetime, *, names: bool = True
) -> tuple[str, ...]:
    """Return a line for each exemption that ends within 14 days, or has lately ended, with the users it matched.

    Without `names` the users are counted, and an exemption, which can name one, goes by its place in the configuration.
    """
    if report.mode is Mode.RELEASE:
        return ()  # a release judges nobody by exemptions
    today = now.astimezone(UTC).date()
    known = tuple(exemptions)
    near = [entry for entry in known if entry.until is not None and abs(entry.until - today) <= ANNOUNCED_AROUND_END]
    return tuple(_note(entry, known, report, now=now, names=names) for entry in near)


def _note(exemption: Exemption, known: tuple[Exemption, ...], report: RunReport, *, now: datetime, names: bool) -> str:
    called = exemption.user if names else f"{known.index(exemption) + 1} of the configuration"
    if exemption.until is not None and exemption.until < now.astimezone(UTC).date():
        return f"exemption {called} ended on {exemption.until:%Y-%m-%d} and no longer counts: remove it"
    matched = list(_matched(exemption, known, report, now=now))
    shown = some_of(matched, _NAMES_SHOWN) or "nobody" if names else count(len(matched), "user")
    ends = f"exemption {called} ends on {exemption.until:%Y-%m-%d} ({exemption.reason})"
    return f"{ends}; in this run it matched {shown}"


def _matched(
    exemption: Exemption, exemptions: tuple[Exemption, ...], report: RunReport, *, now: datetime
) -> Iterator[str]:
    for account in report.accounts:
        for user in account.users:
            is_exempt = user.outcome is Outcome.EXEMPT
            if is_exempt and find_exemption(user.name, account.id, exemptions, now=now) is exemption:
                yield f"{user.name} ({account.alias or account.name})"
