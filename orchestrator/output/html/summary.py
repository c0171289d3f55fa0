"""The top of the page: the sentence, the facts of the run, what to notice, and how much of all is covered. Pure."""

from collections.abc import Iterator

from orchestrator.domain.model import Mode, Outcome, Verdict
from orchestrator.output.html.markup import Html, element, join
from orchestrator.output.html.text import (
    STAGES,
    count,
    is_root_open,
    list_counts,
    needs_hand,
    outcome_words,
    say_time,
    title_of,
)
from orchestrator.reports.report import ProblemReport, RunReport, Totals, UserReport

MAX_ERRORS = 20
MAX_ROOTS = 5
_TRIGGERS = {
    "cli": "the command line",
    "schedule": "the schedule",
    "on_demand": "a request",
    "onboarding": "a new account",
    "map": "the state machine",
}
_STOP = {Mode.PLAN: (Outcome.PLANNED, "would stop"), Mode.APPLY: (Outcome.ENFORCED, "stop")}


def say_sentence(report: RunReport) -> str:
    """Return the run in one sentence: 214 accounts, 41 users without MFA, 17 enforced today, 3 accounts failed."""
    return ", ".join(_sentence(report))


def render_sentence(report: RunReport) -> Html:
    """Return the sentence with its parts marked, so that a line breaks between them."""
    parts = list(_sentence(report))
    marks = [*(f"{part}," for part in parts[:-1]), parts[-1]]
    return Html(" ".join(element("span", mark, class_="part") for mark in marks))


def say_run(report: RunReport) -> str:
    """Return which run of which organization this is, and when it ended."""
    return f"orgmfa {report.mode} · {report.organization_id} · {say_time(report.finished_at)}"


def render_facts(report: RunReport) -> Html:
    """Return the line below the sentence: run ID, what started it, how long it took, whether it wrote anything."""
    seconds = max(0, round((report.finished_at - report.started_at).total_seconds()))
    minutes, rest = divmod(seconds, 60)
    took = f"{count(minutes, 'minute')} {rest} s" if minutes else f"{rest} s"
    started = f", started by {_TRIGGERS[report.trigger]}, took {took}."
    plan = " A plan: nothing was written." if report.mode is Mode.PLAN else ""
    part = " Only some accounts were asked for." if report.narrowed else ""
    return element("p", "Run ", element("code", report.run_id), started, plan, part, class_="facts")


def render_notices(report: RunReport, *, keys_stop: bool) -> Html:
    """Return what somebody should know before reading on, or nothing."""
    notices = [element("li", text, class_=tone) for tone, text in _notices(report, keys_stop=keys_stop)]
    return element("ul", *notices, class_="notices") if notices else Html()


def render_coverage(report: RunReport) -> Html:
    """Return how many accounts were inspected, how many users have MFA, and how many more are enforced."""
    totals, words = report.totals, outcome_words(report.mode)
    entered = totals.accounts - totals.skipped
    left_out = [(totals.failed, "failed"), (totals.not_reached, "not reached"), (totals.skipped, "skipped")]
    verdicts = [(totals.non_compliant, "without"), (totals.unknown, "unknown")]
    enforced = totals.enforced + totals.already_enforced
    uncovered = [
        (_count_of(totals, outcome), word.label)
        for outcome, word in words.items()
        if outcome not in {Outcome.NONE, Outcome.ENFORCED, Outcome.ALREADY_ENFORCED}
    ]
    return join(
        (
            _tile("Accounts inspected", totals.inspected, entered, note=list_counts(left_out) or "none left out"),
            _tile("Users with MFA", totals.compliant, totals.users, note=list_counts(verdicts) or "all that were read"),
            _tile(
                "Users with MFA or enforced",
                sum(_is_covered(user) for account in report.accounts for user in account.users),
                totals.users,
                note=list_counts([(enforced, "enforced"), *uncovered]) or "nothing to enforce",
            ),
        )
    )


def _sentence(report: RunReport) -> Iterator[str]:
    totals = report.totals
    hands = sum(needs_hand(user) for account in report.accounts for user in account.users)
    yield count(totals.accounts, "account")
    if totals.users and totals.compliant == totals.users and report.complete and not totals.failed + totals.not_reached:
        yield "every user has MFA"
    else:
        yield f"{count(totals.non_compliant, 'user')} without MFA"
    yield from filter(
        None,
        (
            list_counts([(totals.enforced, "enforced today"), (totals.released, "released today")]),
            list_counts([(totals.planned, outcome_words(report.mode)[Outcome.PLANNED].label)]),
            f"{count(hands, 'user')} {'needs' if hands == 1 else 'need'} a hand" if hands else "",
            f"{count(totals.failed, 'account')} failed" if totals.failed else "",
            f"{count(totals.not_reached, 'account')} not reached" if totals.not_reached else "",
        ),
    )


def _notices(report: RunReport, *, keys_stop: bool) -> Iterator[tuple[str, Html]]:
    if not report.complete:
        yield "bad", Html("The accounts could not be listed to the end: some are missing here.")
    for error in report.errors[:MAX_ERRORS]:
        yield "bad", _describe(error)
    if len(report.errors) > MAX_ERRORS:
        yield "bad", Html(f"{count(len(report.errors) - MAX_ERRORS, 'more error')} of the run.")
    if roots := [title_of(account) for account in report.accounts if is_root_open(account)]:
        more = f" and {len(roots) - MAX_ROOTS:,} more" if len(roots) > MAX_ROOTS else ""
        yield "warn", join(("Root user without MFA, but with a password or keys: ", ", ".join(roots[:MAX_ROOTS]), more))
    if keys_stop and report.mode in _STOP:
        yield from _keys(report)


def _describe(error: ProblemReport) -> Html:
    what = element("strong", f"Error {STAGES[error.stage]} ({error.code})")
    remedy = f" Try: {error.remedy}" if error.remedy else ""
    return join((what, f": {error.message}" if error.message else "", remedy))


def _keys(report: RunReport) -> Iterator[tuple[str, Html]]:
    outcome, stop = _STOP[report.mode]
    keys = [user.active_access_keys for account in report.accounts for user in account.users if user.outcome is outcome]
    known, unread = sum(filter(None, keys)), keys.count(None)
    more = f", and those of {count(unread, 'user')} that could not be read" if unread else ""
    if known or unread:
        yield "warn", Html(f"Access keys that {stop} working without an MFA session: {known:,}{more}.")


def _tile(title: str, number: int, total: int, *, note: str) -> Html:
    if not total:
        return element("div", element("h3", title), element("p", "none", class_="figure"), class_="tile")
    tenths = number * 1000 // total  # rounded down: 100 % means all
    share = element("strong", f"{tenths / 10:g} %")
    return element(
        "div",
        element("h3", title),
        element("p", share, element("span", f"{number:,} of {total:,}"), class_="figure"),
        element("meter", f"{number:,} of {total:,}", aria_label=title, min=0, max=total, value=number),
        element("p", note, class_="note"),
        class_="tile",
    )


def _is_covered(user: UserReport) -> bool:
    return user.verdict is Verdict.COMPLIANT or user.outcome in {Outcome.ENFORCED, Outcome.ALREADY_ENFORCED}


def _count_of(totals: Totals, outcome: Outcome) -> int:
    number: int = totals.failed_users if outcome is Outcome.FAILED else getattr(totals, outcome.value)
    return number
