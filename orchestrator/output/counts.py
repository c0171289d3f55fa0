"""The numbers of a run in sentences: totals, what was written, access keys, days open, clean accounts. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator

from orchestrator.domain.model import Mode, Outcome, PolicyState, Status, Verdict
from orchestrator.domain.outcomes import OUTCOMES, OutcomeGroup, label_of, outcomes_of
from orchestrator.domain.selection import MANAGEMENT_ACCOUNT
from orchestrator.output.attention import has_finding, is_clean, is_covered
from orchestrator.output.words import VERDICTS, count, days_between, list_counts
from orchestrator.reports.report import AccountReport, RunReport, Totals

_VERDICT_WORDS = {verdict: word.label for verdict, word in VERDICTS.items()} | {Verdict.UNKNOWN: "unknown"}
_ASKED = frozenset({Outcome.PLANNED, Outcome.ENFORCED, Outcome.GUARDED})
_STOP = {Mode.PLAN: (Outcome.PLANNED, "would stop"), Mode.APPLY: (Outcome.ENFORCED, "stopped")}


def count_totals(totals: Totals, mode: Mode) -> Iterator[str]:
    """Yield the totals in words: accounts, users, and what became of the users."""
    by_status = [(getattr(totals, status), status.value.replace("_", " ")) for status in Status]
    words = [(number, word) for number, word in by_status if number]
    listed = list_counts(words) if len(words) > 1 else ""
    accounts = count(totals.accounts, "account")
    yield f"{accounts}: {listed}." if listed else f"{accounts} {words[0][1] if words else 'listed'}."
    if totals.users and mode is Mode.RELEASE:
        yield f"{count(totals.users, 'user')}, whose MFA a release does not look at."
    elif totals.users:
        verdicts = (Verdict.COMPLIANT, Verdict.NON_COMPLIANT, Verdict.UNKNOWN)
        by_verdict = list_counts((getattr(totals, verdict), _VERDICT_WORDS[verdict]) for verdict in verdicts)
        yield f"{count(totals.users, 'user')}: {by_verdict}."
    outcomes = (outcome for outcome in OUTCOMES if outcome is not Outcome.NONE)
    if counted := list_counts((totals.of(outcome), label_of(outcome, mode)) for outcome in outcomes):
        yield f"{counted}."


def tell_written(report: RunReport) -> str:
    """Return how many users were written to, in a sentence."""
    if report.mode is Mode.PLAN:
        return "Nothing was written."
    outcome = Outcome.RELEASED if report.mode is Mode.RELEASE else Outcome.ENFORCED
    users = report.totals.of(outcome)
    return f"{count(users, 'user') if users else 'No user'} {'were' if users > 1 else 'was'} {outcome}."


def stopping_outcome(report: RunReport) -> Outcome | None:
    """Return the outcome of the users whose access keys stop by this run, or would; None in a release."""
    mode = Mode.PLAN if report.gate else report.mode
    return _STOP[mode][0] if report.mode in _STOP else None


def count_keys(report: RunReport) -> tuple[str, tuple[str, ...]]:
    """Return in sentences how many access keys stop by this run, or would, and what else; and whose the keys are."""
    outcome, known, unread, others, names = stopping_outcome(report), 0, 0, 0, []
    if outcome is None:
        return "", ()
    for user in (user for account in report.accounts for user in account.users):
        others += len(user.service_credentials)
        if user.outcome is outcome and user.active_access_keys != 0:
            known += user.active_access_keys or 0
            unread += user.active_access_keys is None
            names.append(user.name)
    more = f", and those of {count(unread, 'user')} that could not be read" if unread else ""
    stop = _STOP[Mode.PLAN if report.gate else report.mode][1]
    said = [f"{count(known, 'access key')} {stop} working without MFA{more}."] if names else []
    if others:
        said.append(f"Service credentials and SSH keys that would stop, of users held for it: {others:,}.")
    return " ".join(said), tuple(names)


def count_covered(accounts: Iterable[AccountReport]) -> int:
    """Return how many users have MFA or are enforced."""
    return sum(is_covered(user) for account in accounts for user in account.users)


def count_guarded(report: RunReport) -> str:
    """Return in a sentence how many of the users to be enforced others deny without MFA already, or nothing."""
    asked = whole = part = 0
    for user in (user for account in report.accounts for user in account.users):
        asked += user.guarded is not None or user.outcome in _ASKED
        whole += user.guarded is not None and not user.guarded.partial
        part += user.guarded is not None and user.guarded.partial
    if not whole + part:
        return ""
    more = f", {part:,} more in part" if part else ""
    return f"Denied without MFA by others already: {whole:,} of {count(asked, 'user')} to be enforced{more}."


def count_unused(report: RunReport) -> str:
    """Return in a sentence how many users without MFA have not signed in for long and what is cheaper, or nothing."""
    unused = sum(user.unused for account in report.accounts for user in account.users)
    if not unused:
        return ""
    who = "1 user without MFA has" if unused == 1 else f"{unused:,} users without MFA have"
    return (
        f"{who} not signed in for enforcement.unused_after, or never: remove the password first "
        "(aws iam delete-login-profile --user-name NAME), or the user."
    )


def count_devices(totals: Totals) -> str:
    """Return by which kind of device users have MFA, as far as the bulk reads tell, or nothing."""
    kinds = (
        (totals.mfa_virtual, "by an app (not phishing-resistant)"),
        (totals.mfa_other, "by a passkey or security key (phishing-resistant) or a hardware token"),
    )
    return list_counts(kinds)


def count_open(report: RunReport) -> str:
    """Return in a sentence how many users have been without MFA for a day or more, the longest one told; or nothing.

    Who is left alone on purpose, for good, is not counted.
    """
    alone = outcomes_of(OutcomeGroup.LEFT_ALONE)
    users = (user for account in report.accounts for user in account.users if user.outcome not in alone)
    days = [number for user in users if (number := days_between(user.open_since, report.finished_at))]
    if not days:
        return ""
    who = "1 user has" if len(days) == 1 else f"{len(days):,} users have"
    longest = "" if len(days) == 1 else "the longest "
    return f"{who} been without MFA for a day or more, {longest}for {count(max(days), 'day')}."


def count_clean(accounts: Iterable[AccountReport], mode: Mode) -> tuple[str, int]:
    """Return a sentence for all accounts that ask for nothing, where there are any, and how many have findings."""
    clean, findings, outcomes = 0, 0, Counter[Outcome]()
    for account in accounts:
        findings += has_finding(account, mode)
        if is_clean(account, mode):
            clean += 1
            outcomes.update(user.outcome for user in account.users)
    if not clean:
        return "", findings
    if mode is Mode.RELEASE:
        return f"{count(clean, 'account')} with nothing to release.", findings
    alone = list_counts(
        (outcomes[outcome], label_of(outcome, mode)) for outcome in outcomes_of(OutcomeGroup.LEFT_ALONE)
    )
    left_alone = f" or is left alone ({alone})" if alone else ""
    return f"{count(clean, 'account')} clean: every user has MFA{left_alone}.", findings


def tell_not_deployed(accounts: Iterable[AccountReport]) -> Iterator[str]:
    """Yield what a plan says before anything is deployed: where EnforceMFA is not, and which account was not read."""
    missing = 0
    for account in accounts:
        missing += account.policy is PolicyState.NOT_DEPLOYED
        if account.error and account.error.code == MANAGEMENT_ACCOUNT:
            yield f"The management account {account.id} was not read. {account.error.message}."
    if missing:
        yield f"EnforceMFA is not deployed in {count(missing, 'account')}: the plan tells what it would do once it is."


def count_skipped(accounts: Iterable[AccountReport]) -> tuple[tuple[int, str], ...]:
    """Return how many accounts were skipped for which reason, the most frequent first."""
    reasons = Counter(
        account.error.code.replace("_", " ") if account.error else "no reason given"
        for account in accounts
        if account.status is Status.SKIPPED
    )
    return tuple((number, reason) for reason, number in sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
