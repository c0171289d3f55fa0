"""The story of a report: what is said of a run, in which order and in which words. The views only lay it out. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.domain.model import Mode, Outcome, Stage, Trigger
from orchestrator.domain.outcomes import OutcomeGroup, label_of, outcomes_of
from orchestrator.output.attention import account_order
from orchestrator.output.causes import Cause, group_causes
from orchestrator.output.change_summary import ChangeSummary, summarize_changes
from orchestrator.output.counts import (
    count_clean,
    count_covered,
    count_guarded,
    count_keys,
    count_open,
    count_skipped,
    count_totals,
    count_unused,
    tell_not_deployed,
    tell_written,
)
from orchestrator.output.words import count
from orchestrator.reports.compressed import CompressedList
from orchestrator.reports.report import AccountReport, RunReport, Totals, failures

READ_AS = (
    "This is what a service control policy would do (plan --scp), not a plan of orgmfa: read 'would be enforced' as "
    "'would be blocked by it', and 'held' as 'look at it before it is attached'."
)
_CUT = {"interrupted": "The run was interrupted", "deadline": "The run came near its deadline"}
_NOTHING = {Mode.PLAN: "nothing to enforce", Mode.APPLY: "nothing to enforce", Mode.RELEASE: "nobody to release"}
_Counted = tuple[int, str, str]
"""A number, its noun, and what is said of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is said of a run. `accounts` are all of them, in the order in which they need a person.

    `sentence` says what the run came to, `news` the same with the worst first; both in parts. `clean` and `skipped` are
    a sentence each, or nothing; `notes` are remarks of others.
    """

    report: RunReport
    accounts: CompressedList[AccountReport]
    sentence: tuple[str, ...]
    news: tuple[str, ...]
    gate: str
    """Why the run as a whole wrote nothing, or nothing."""
    incomplete: str
    """Why accounts are missing, or nothing."""
    causes: tuple[Cause, ...]
    changes: ChangeSummary | None
    totals: tuple[str, ...]
    written: str
    keys: str
    key_users: tuple[str, ...]
    covered: int
    """How many users have MFA or are enforced."""
    open_for: str
    guards: str
    unused: str
    clean: str
    skipped: tuple[tuple[int, str], ...]
    notes: tuple[str, ...]
    findings: int
    """How many accounts have changes, or users still without MFA."""

    @property
    def is_incident(self) -> bool:
        """Whether something failed, so that somebody is to be told at once; findings alone are everyday."""
        report, totals = self.report, self.report.totals
        failed = totals.failed + totals.not_reached + totals.of(Outcome.FAILED)
        return bool(failures(report) or not report.complete or failed)

    @property
    def has_findings(self) -> bool:
        """Whether there is more to tell than of a clean run."""
        changed = any(group.is_finding for group in self.changes.groups) if self.changes else False
        is_empty = not self.report.totals.inspected
        return bool(self.gate or self.causes or self.notes or self.findings or changed or self.is_incident or is_empty)


def tell_story(report: RunReport, *, blocks_access_keys: bool, notes: Iterable[str] = ()) -> Story:
    """Return the story of a report; `blocks_access_keys` is that of `policy`, `notes` are remarks on the run."""
    accounts = report.accounts.sorted(account_order)
    causes = group_causes(accounts)
    clean, findings = count_clean(accounts, report.mode)
    totals, changes = report.totals, report.changes
    keys, key_users = count_keys(report) if blocks_access_keys else ("", ())
    return Story(
        report=report,
        accounts=accounts,
        sentence=tuple(_sentence(report, causes)),
        news=tuple(_news(report, causes)) or (_NOTHING[report.mode],),
        gate=_tell_gate(report),
        incomplete=_tell_incomplete(report),
        causes=causes,
        changes=summarize_changes(changes, totals, complete=report.complete) if changes else None,
        totals=tuple(count_totals(totals, report.mode)),
        written=tell_written(report),
        keys=keys,
        key_users=key_users,
        covered=count_covered(accounts),
        open_for=count_open(report),
        guards=count_guarded(report),
        unused=count_unused(report),
        clean=clean,
        skipped=count_skipped(accounts),
        notes=(
            *([READ_AS] if report.preflight else []),
            *notes,
            *(() if report.preflight else tell_not_deployed(accounts)),
            *dict.fromkeys(note for account in report.accounts for note in account.notes),
        ),
        findings=findings,
    )


def _sentence(report: RunReport, causes: Sequence[Cause]) -> Iterator[str]:
    """Yield the parts of: 214 accounts, 41 users without MFA, 17 enforced today, 3 accounts failed."""
    totals = report.totals
    yield from _held(report)
    yield count(totals.accounts, "account")
    if totals.users and totals.compliant == totals.users and report.complete and not totals.failed + totals.not_reached:
        yield "every user has MFA"
    elif report.mode is not Mode.RELEASE:
        yield f"{count(totals.non_compliant, 'user')} without MFA"
    for outcome in outcomes_of(OutcomeGroup.CHANGED):
        if number := totals.of(outcome):
            today = "" if outcome is Outcome.PLANNED else " today"
            yield f"{number:,} {label_of(outcome, report.mode)}{today}"
    yield from _counted((_users_to_fix(causes), "user", "to fix"), *_unfinished(totals))


def _news(report: RunReport, causes: Sequence[Cause]) -> Iterator[str]:
    """Yield what a run came to, the worst first, in counts."""
    totals, changes = report.totals, report.changes
    to_fix = sum(cause.users or len(cause.members) for cause in causes)
    yield from _held(report)
    if not report.complete:
        yield "incomplete"
    yield from _counted((len(report.errors), "error", ""))
    if to_fix:
        yield f"{to_fix:,} to fix"
    yield from _counted((len(changes.enforcement_undone) if changes else 0, "enforcement", "undone by others"))
    for outcome in outcomes_of(OutcomeGroup.CHANGED):
        newly = "newly " if outcome is Outcome.ENFORCED else ""
        yield from _counted((totals.of(outcome), "user", f"{newly}{label_of(outcome, report.mode)}"))
    yield from _counted((len(changes.enrolled) if changes else 0, "new device", ""))


def _users_to_fix(causes: Iterable[Cause]) -> int:
    return sum(cause.users for cause in causes)


def _tell_gate(report: RunReport) -> str:
    gate = report.gate
    if gate is None:
        return ""
    is_told = gate.limit is None or report.trigger is Trigger.IAM_EVENT  # what events enforced before counts too
    why = gate.message if is_told else f"{gate.planned:,} changes planned, the limit is {gate.limit:,}"
    return f"{next(_held(report)).upper()}: {why}. {gate.remedy}"


def _held(report: RunReport) -> Iterator[str]:
    """Yield that the run as a whole wrote nothing, or of a plan that apply would not, where it was held."""
    if report.gate:
        yield "apply would write nothing" if report.mode is Mode.PLAN else "nothing was written"


def _tell_incomplete(report: RunReport) -> str:
    """Return why accounts are missing, in a sentence, or nothing: AWS broke off the listing, or the run ended early."""
    if report.complete:
        return ""
    cut = [_CUT[error.code] for error in report.errors if error.stage is Stage.SELECT and error.code in _CUT]
    if cut:
        return f"{cut[0]} while accounts were still being listed: some may be missing here."
    return "The organization could not be listed to its end: accounts are missing here."


def _unfinished(totals: Totals) -> tuple[_Counted, ...]:
    return (totals.failed, "account", "failed"), (totals.not_reached, "account", "not reached")


def _counted(*numbers: _Counted) -> Iterator[str]:
    return (f"{count(number, noun)} {words}".rstrip() for number, noun, words in numbers if number)
