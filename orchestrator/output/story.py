"""The story of a report: what is said of a run, in which order and in which words. The views only lay it out. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.domain.model import Mode, Outcome, PolicyState, Stage, Status, Trigger
from orchestrator.domain.outcomes import OUTCOMES, OutcomeGroup, label_of, outcomes_of
from orchestrator.domain.selection import MANAGEMENT_ACCOUNT
from orchestrator.output.attention import account_order, has_finding, is_clean, is_covered
from orchestrator.output.causes import Cause, group_causes
from orchestrator.output.change_summary import ChangeSummary, summarize_changes
from orchestrator.output.words import count, days_between, list_counts
from orchestrator.reports.compressed import CompressedList
from orchestrator.reports.report import AccountReport, RunReport, Totals, UserReport, failures

READ_AS = (
    "This is what a service control policy would do (plan --scp), not a plan of orgmfa: read 'would be enforced' as "
    "'would be blocked by it', and 'held' as 'look at it before it is attached'."
)
_CUT = {"interrupted": "The run was interrupted", "deadline": "The run came near its deadline"}
_NOTHING = {Mode.PLAN: "nothing to enforce", Mode.APPLY: "nothing to enforce", Mode.RELEASE: "nobody to release"}
_ASKED = frozenset({Outcome.PLANNED, Outcome.ENFORCED, Outcome.GUARDED})


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
    clean, findings = _count_clean(accounts, report)
    totals, changes = report.totals, report.changes
    keys, key_users = _count_keys(report) if blocks_access_keys else ("", ())
    return Story(
        report=report,
        accounts=accounts,
        sentence=tuple(_sentence(report, causes)),
        news=tuple(_news(report, causes)) or (_NOTHING[report.mode],),
        gate=_tell_gate(report),
        incomplete=_tell_incomplete(report),
        causes=causes,
        changes=summarize_changes(changes, totals, complete=report.complete) if changes else None,
        totals=tuple(_count_totals(totals, report.mode)),
        written=_tell_written(report),
        keys=keys,
        key_users=key_users,
        covered=sum(map(is_covered, _users(accounts))),
        open_for=_count_open(report),
        guards=_count_guarded(report),
        unused=_count_unused(report),
        clean=clean,
        skipped=_count_skipped(accounts),
        notes=(
            *([READ_AS] if report.preflight else []),
            *notes,
            *(() if report.preflight else _tell_not_deployed(accounts)),
            *dict.fromkeys(note for account in report.accounts for note in account.notes),
        ),
        findings=findings,
    )


def stopping_keys(report: RunReport) -> tuple[Outcome | None, str]:
    """Return the outcome of users whose access keys stop by this run, or would, and the words; None in a release."""
    if report.mode is Mode.RELEASE:
        return None, ""
    is_plan = report.mode is Mode.PLAN or report.gate
    return (Outcome.PLANNED, "would stop") if is_plan else (Outcome.ENFORCED, "stopped")


def _sentence(report: RunReport, causes: Sequence[Cause]) -> Iterator[str]:
    """Yield the parts of: 214 accounts, 41 users without MFA, 17 enforced today, 3 accounts failed."""
    totals = report.totals
    yield from _held(report)
    yield count(totals.accounts, "account")
    is_whole = report.complete and not totals.failed + totals.not_reached and not names_users(report)
    if totals.users and totals.compliant == totals.users and is_whole:
        yield "every user has MFA"
    elif report.mode is not Mode.RELEASE:
        yield f"{count(totals.non_compliant, 'user')} without MFA"
    for outcome in outcomes_of(OutcomeGroup.CHANGED):
        if number := totals.of(outcome):
            today = "" if outcome is Outcome.PLANNED else " today"
            yield f"{number:,} {label_of(outcome, report.mode)}{today}"
    yield from _counted(sum(cause.users for cause in causes), "user", "to fix")
    yield from _counted(totals.failed, "account", "failed")
    yield from _counted(totals.not_reached, "account", "not reached")


def _news(report: RunReport, causes: Sequence[Cause]) -> Iterator[str]:
    """Yield what a run came to, the worst first, in counts."""
    totals, changes = report.totals, report.changes
    to_fix = sum(cause.users or len(cause.members) for cause in causes)
    yield from _held(report)
    if not report.complete:
        yield "incomplete"
    yield from _counted(len(report.errors), "error")
    if to_fix:
        yield f"{to_fix:,} to fix"
    yield from _counted(len(changes.enforcement_undone) if changes else 0, "enforcement", "undone by others")
    for outcome in outcomes_of(OutcomeGroup.CHANGED):
        newly = "newly " if outcome is Outcome.ENFORCED else ""
        yield from _counted(totals.of(outcome), "user", f"{newly}{label_of(outcome, report.mode)}")
    yield from _counted(len(changes.enrolled) if changes else 0, "new device")


def tell_limit(report: RunReport) -> str:
    """Return in words which limit held the run as a whole; nothing where the message of its gate has to say why."""
    gate = report.gate
    if gate is None or gate.limit is None or report.trigger is Trigger.IAM_EVENT:  # what events enforced before counts
        return ""
    return f"{gate.planned:,} changes planned, the limit is {gate.limit:,}"


def names_users(report: RunReport) -> bool:
    """Return whether a report has the users that events named alone, and says nothing of the others."""
    return report.trigger is Trigger.IAM_EVENT


def _tell_gate(report: RunReport) -> str:
    gate = report.gate
    return f"{next(_held(report)).upper()}: {tell_limit(report) or gate.message}. {gate.remedy}" if gate else ""


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


def _counted(number: int, noun: str, words: str = "") -> Iterator[str]:
    if number:
        yield f"{count(number, noun)} {words}".rstrip()


def _users(accounts: Iterable[AccountReport]) -> Iterator[UserReport]:
    return (user for account in accounts for user in account.users)


def _count_totals(totals: Totals, mode: Mode) -> Iterator[str]:
    """Yield the totals in words: accounts, users, and what became of the users."""
    by_status = [(getattr(totals, status), status.value.replace("_", " ")) for status in Status]
    words = [word for number, word in by_status if number] or ["listed"]
    yield count(totals.accounts, "account") + (f": {list_counts(by_status)}." if len(words) > 1 else f" {words[0]}.")
    if totals.users and mode is Mode.RELEASE:
        yield f"{count(totals.users, 'user')}, whose MFA a release does not look at."
    elif totals.users:
        by_verdict = (totals.compliant, "with MFA"), (totals.non_compliant, "without MFA"), (totals.unknown, "unknown")
        yield f"{count(totals.users, 'user')}: {list_counts(by_verdict)}."
    outcomes = (outcome for outcome in OUTCOMES if outcome is not Outcome.NONE)
    if counted := list_counts((totals.of(outcome), label_of(outcome, mode)) for outcome in outcomes):
        yield f"{counted}."


def _tell_written(report: RunReport) -> str:
    if report.mode is Mode.PLAN:
        return "Nothing was written."
    outcome = Outcome.RELEASED if report.mode is Mode.RELEASE else Outcome.ENFORCED
    users = report.totals.of(outcome)
    return f"{count(users, 'user') if users else 'No user'} {'were' if users > 1 else 'was'} {outcome}."


def _count_keys(report: RunReport) -> tuple[str, tuple[str, ...]]:
    """Return in sentences how many access keys stop by this run, or would, and what else; and whose the keys are."""
    (outcome, stop), known, unread, others, names = stopping_keys(report), 0, 0, 0, []
    if outcome is None:
        return "", ()
    for user in _users(report.accounts):
        others += len(user.service_credentials)
        if user.outcome is outcome and user.active_access_keys != 0:
            known += user.active_access_keys or 0
            unread += user.active_access_keys is None
            names.append(user.name)
    more = f", and those of {count(unread, 'user')} that could not be read" if unread else ""
    said = [f"{count(known, 'access key')} {stop} working without MFA{more}."] if names else []
    if others:
        said.append(f"Service credentials and SSH keys that would stop, of users held for it: {others:,}.")
    return " ".join(said), tuple(names)


def _count_guarded(report: RunReport) -> str:
    """Return in a sentence how many of the users to be enforced others deny without MFA already, or nothing."""
    asked = whole = part = 0
    for user in _users(report.accounts):
        asked += user.guarded is not None or user.outcome in _ASKED
        whole += user.guarded is not None and not user.guarded.partial
        part += user.guarded is not None and user.guarded.partial
    if not whole + part:
        return ""
    more = f", {part:,} more in part" if part else ""
    return f"Denied without MFA by others already: {whole:,} of {count(asked, 'user')} to be enforced{more}."


def _count_unused(report: RunReport) -> str:
    """Return in a sentence how many users without MFA have not signed in for long and what is cheaper, or nothing."""
    unused = sum(user.unused for user in _users(report.accounts))
    if not unused:
        return ""
    have = "has" if unused == 1 else "have"
    return (
        f"{count(unused, 'user')} without MFA {have} not signed in for enforcement.unused_after, or never: "
        "remove the password first (aws iam delete-login-profile --user-name NAME), or the user."
    )


def _count_open(report: RunReport) -> str:
    """Return in a sentence how many users have been without MFA for a day or more, the longest one told; or nothing.

    Who is left alone on purpose, for good, is not counted.
    """
    alone = outcomes_of(OutcomeGroup.LEFT_ALONE)
    users = (user for user in _users(report.accounts) if user.outcome not in alone)
    days = [number for user in users if (number := days_between(user.open_since, report.finished_at))]
    if not days:
        return ""
    have, longest = ("has", "") if len(days) == 1 else ("have", "the longest ")
    return (
        f"{count(len(days), 'user')} {have} been without MFA for a day or more, {longest}for {count(max(days), 'day')}."
    )


def _count_clean(accounts: Iterable[AccountReport], report: RunReport) -> tuple[str, int]:
    """Return a sentence for all accounts that ask for nothing, where there are any, and how many have findings."""
    mode, clean, findings, outcomes = report.mode, 0, 0, Counter[Outcome]()
    for account in accounts:
        findings += has_finding(account, mode)
        if is_clean(account, mode):
            clean += 1
            outcomes.update(user.outcome for user in account.users)
    if not clean or names_users(report):
        return "", findings
    if mode is Mode.RELEASE:
        return f"{count(clean, 'account')} with nothing to release.", findings
    alone = list_counts(
        (outcomes[outcome], label_of(outcome, mode)) for outcome in outcomes_of(OutcomeGroup.LEFT_ALONE)
    )
    left_alone = f" or is left alone ({alone})" if alone else ""
    return f"{count(clean, 'account')} clean: every user has MFA{left_alone}.", findings


def _tell_not_deployed(accounts: Iterable[AccountReport]) -> Iterator[str]:
    """Yield what a plan says before anything is deployed: where EnforceMFA is not, and which account was not read."""
    missing = 0
    for account in accounts:
        missing += account.policy is PolicyState.NOT_DEPLOYED
        if account.error and account.error.code == MANAGEMENT_ACCOUNT:
            yield f"The management account {account.id} was not read. {account.error.message}."
    if missing:
        yield f"EnforceMFA is not deployed in {count(missing, 'account')}: the plan tells what it would do once it is."


def _count_skipped(accounts: Iterable[AccountReport]) -> tuple[tuple[int, str], ...]:
    """Return how many accounts were skipped for which reason, the most frequent first."""
    reasons = Counter(
        account.error.code.replace("_", " ") if account.error else "no reason given"
        for account in accounts
        if account.status is Status.SKIPPED
    )
    return tuple((number, reason) for reason, number in sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
