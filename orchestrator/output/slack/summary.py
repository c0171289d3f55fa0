"""The first and the last lines of a digest: headline, problems of the run, totals, clean and skipped accounts. Pure."""

from collections import Counter
from collections.abc import Iterator

from orchestrator.domain.model import Mode, Outcome, Status
from orchestrator.output.change_summary import count_changes, count_open
from orchestrator.output.slack.account_findings import STATES, describe_state, is_clean
from orchestrator.output.slack.limits import MAX_HEADER
from orchestrator.output.slack.mrkdwn import code, link_to, literal, size
from orchestrator.output.slack.problems import has_root_finding, needs_hand
from orchestrator.output.slack.text import MAX_CODE, MAX_NAME, count, say_problem
from orchestrator.reports.report import RunReport, Totals

MAX_ERRORS = 3
MAX_SKIP_REASONS = 5
MAX_LINK = 500

_TITLES = {
    Mode.PLAN: "orgmfa plan (nothing was written)",
    Mode.APPLY: "orgmfa apply",
    Mode.RELEASE: "orgmfa release",
}
_NOTHING = {Mode.PLAN: "nothing to enforce", Mode.APPLY: "nothing to enforce", Mode.RELEASE: "nobody to release"}
_STOP = {Mode.PLAN: (Outcome.PLANNED, "would stop"), Mode.APPLY: (Outcome.ENFORCED, "stop")}
_LEFT_ALONE = (Outcome.EXEMPT, Outcome.OUT_OF_SCOPE)


def is_incident(report: RunReport) -> bool:
    """Return whether something failed, so that somebody is to be mentioned; findings alone are everyday."""
    totals = report.totals
    return bool(report.errors or not report.complete or totals.failed or totals.not_reached or totals.failed_users)


def headline(report: RunReport, *, has_findings: bool) -> str:
    """Return mode and outcome of a run in one line of text, worst first."""
    title = _TITLES[report.mode]
    if not has_findings:
        return f"{title}: {'nobody to release' if report.mode is Mode.RELEASE else 'all clean'}"
    if not report.totals.inspected and not is_incident(report):
        return f"{title}: no account was inspected"
    news = list(_news(report)) or [_NOTHING[report.mode]]
    while len(line := f"{title}: {', '.join(news)}") > MAX_HEADER:
        news.pop()
    return line


def problem_lines(report: RunReport, *, names: bool) -> list[str]:
    """Return what is wrong with the run as a whole: listing cut short, archive or other errors."""
    lines = [] if report.complete else ["*The accounts could not be listed to the end: some are missing here.*"]
    lines += [say_problem(error, names=names) for error in report.errors[:MAX_ERRORS]]
    if len(report.errors) > MAX_ERRORS:
        lines.append(f"and {count(len(report.errors) - MAX_ERRORS, 'more error')}")
    return lines


def total_lines(report: RunReport) -> list[str]:
    """Return the totals in words: accounts, users, and what became of the users."""
    totals = report.totals
    users = [_count_verdicts(totals), _count_outcomes(totals, report.mode)] if totals.users else []
    return [_count_accounts(totals), *filter(None, users)]


def keys_line(report: RunReport, *, keys_stop: bool) -> list[str]:
    """Return how many access keys stop working because of this run, where there are any."""
    if not keys_stop or report.mode is Mode.RELEASE:
        return []
    outcome, stop = _STOP[report.mode]
    keys = [user.active_access_keys for account in report.accounts for user in account.users if user.outcome is outcome]
    total, unknown = sum(filter(None, keys)), keys.count(None)
    more = f", and those of {count(unknown, 'user')} that could not be read" if unknown else ""
    return [f"Access keys that {stop} working without an MFA session: *{total:,}*{more}."] if total or unknown else []


def change_lines(report: RunReport) -> list[str]:
    """Return what changed since the last run, counted, and for how long users have been without MFA."""
    changed = [count_changes(report.changes)] if report.changes else []
    return [*changed, *filter(None, [count_open(report)])]


def clean_line(report: RunReport) -> Iterator[str]:
    """Yield one line for all accounts that ask for nothing, where there are any."""
    clean, outcomes = 0, Counter[Outcome]()
    for account in report.accounts:
        if is_clean(account, report.mode):
            clean += 1
            outcomes.update(user.outcome for user in account.users)
    if not clean:
        return
    if report.mode is Mode.RELEASE:
        yield f"*{count(clean, 'account')}* with nothing to release."
        return
    alone = ", ".join(f"{outcomes[outcome]:,} {STATES[outcome]}" for outcome in _LEFT_ALONE if outcomes[outcome])
    left_alone = f" or is left alone ({alone})" if alone else ""
    yield f"*{count(clean, 'account')} clean*: every user has MFA{left_alone}."


def small_print(report: RunReport, link: str | None) -> list[str]:
    """Return the parts of the last line: skipped accounts with their reasons, the run, the link to the whole report."""
    elements = [f"run {code(report.run_id, MAX_NAME)}, {literal(report.trigger, MAX_CODE)}"]
    reasons = Counter(
        account.error.code.replace("_", " ") if account.error else "no reason given"
        for account in report.accounts
        if account.status is Status.SKIPPED
    )
    if reasons:
        ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        words = [f"{number:,} {literal(reason, MAX_CODE)}" for reason, number in ordered[:MAX_SKIP_REASONS]]
        others = sum(number for _, number in ordered[MAX_SKIP_REASONS:])
        words += [f"{others:,} for other reasons"] if others else []
        elements.insert(0, f"{count(reasons.total(), 'account')} skipped: {', '.join(words)}")
    if link:
        written = link_to(link, "whole report")
        elements.append(written if size(written) <= MAX_LINK else "its link is too long for Slack")
    return elements


def _news(report: RunReport) -> Iterator[str]:
    totals, mode = report.totals, report.mode
    hands = sum(needs_hand(user) is not None for account in report.accounts for user in account.users)
    roots = sum(map(has_root_finding, report.accounts))
    changed = totals.enforced + totals.released + totals.planned
    changes = report.changes
    numbers = {
        "error{s}": len(report.errors),
        "account{s} failed": totals.failed,
        "account{s} not reached": totals.not_reached,
        f"user{{s}} need{'s' if hands == 1 else ''} a hand": hands,
        "root user{s} without MFA": roots,
        "enforcement{s} undone by others": len(changes.enforcement_undone) if changes else 0,
        "user{s} enforced": totals.enforced,
        "user{s} released": totals.released,
        "user{s} enrolled": len(changes.enrolled) if changes else 0,
        f"user{{s}} {describe_state(Outcome.PLANNED, mode)}": totals.planned,
        f"user{{s}} {describe_state(Outcome.ALREADY_ENFORCED, mode)}": 0 if changed else totals.already_enforced,
    }
    if not report.complete:
        yield "incomplete"
    for words, number in numbers.items():
        if number:
            yield f"{number:,} {words.format(s='' if number == 1 else 's')}"


def _count_accounts(totals: Totals) -> str:
    numbers = {status.replace("_", " "): getattr(totals, status) for status in Status}
    words = [
        status if number == totals.accounts else f"{number:,} {status}" for status, number in numbers.items() if number
    ]
    accounts = count(totals.accounts, "account")
    return f"{accounts}: {', '.join(words)}." if len(words) > 1 else f"{accounts} {''.join(words) or 'listed'}."


def _count_verdicts(totals: Totals) -> str:
    numbers = {"with MFA": totals.compliant, "without MFA": totals.non_compliant, "unknown": totals.unknown}
    words = [f"{number:,} {verdict}" for verdict, number in numbers.items() if number]
    return f"{count(totals.users, 'user')}: {', '.join(words)}."


def _count_outcomes(totals: Totals, mode: Mode) -> str:
    numbers = {
        describe_state(outcome, mode): getattr(totals, outcome) for outcome in STATES if outcome is not Outcome.NONE
    }
    numbers |= {"held": totals.held, "over quota": totals.quota_exceeded, "failed": totals.failed_users}
    words = ", ".join(f"{number:,} {state}" for state, number in numbers.items() if number)
    return f"{words[:1].upper()}{words[1:]}." if words else ""
