"""Remarks on a run for people: exemptions near their end, protections without effect, what IAM events did. Pure.

Also whom the run told in person, and the message that the first user of a plan would get.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from orchestrator.domain.assessment import find_exemption
from orchestrator.domain.config import Config, Exemption
from orchestrator.domain.model import Mode, Outcome, Status, Trigger
from orchestrator.domain.nudges import FIRST, Nudge, read_text, write_text
from orchestrator.domain.protections import check_protections
from orchestrator.output.words import count, format_minute, list_counts, plain, some_of, title_of
from orchestrator.reports.history import is_whole, was_read
from orchestrator.reports.report import RunReport

ANNOUNCED_AROUND_END = timedelta(days=14)
"""How long before its end an exemption is announced, and how long after it is still said to have ended."""
_NAMES_SHOWN = 5
_RELEASED_SHOWN = 20


def run_notes(config: Config, report: RunReport, *, names: bool = True) -> tuple[str, ...]:
    """Return all remarks on a run; without `names` they name no users."""
    now = report.finished_at
    notes = (
        *exemption_notes(config.exemptions, report, now, names=names),
        *_release_notes(report, names=names),
        *_event_notes(report, names=names),
        *_nudge_notes(report, names=names),
    )
    if report.mode is Mode.RELEASE or not is_whole(report):
        return notes
    known = (
        (one.id, [user.name for user in one.users] if was_read(one) or one.status is Status.SKIPPED else None)
        for one in report.accounts
    )
    remarks = check_protections(config, known, now, names=names)
    return (*notes, *(remark.text for remark in remarks))


def _event_notes(report: RunReport, *, names: bool) -> Iterator[str]:
    """Yield what the runs of IAM events did since the last whole run, and the new MFA devices of which events told."""
    events = report.events
    if events is None:
        return
    did = (events.enforced, "enforced"), (events.planned, "planned"), (events.held, "held")
    if events.runs:
        said = [count(events.runs, "run"), list_counts((*did, (events.left, "left to this run")))]
        yield f"IAM events since the last run: {', '.join(filter(None, said))}"
    if not names and events.enrolments:
        yield f"{count(len(events.enrolments), 'new MFA device')} by IAM events"
        return
    for one in events.enrolments[:_NAMES_SHOWN]:
        whose = f"{one.user_name} ({one.account_alias or one.account_name})"
        yield f"new MFA device of {whose}, {format_minute(one.at)}{_origin(one.address)}: ask if it was them"
    if len(events.enrolments) > _NAMES_SHOWN:
        yield f"and {count(len(events.enrolments) - _NAMES_SHOWN, 'more new MFA device')}"


def _nudge_notes(report: RunReport, *, names: bool) -> Iterator[str]:
    """Yield how many users were told in person, or would be, and why others were not."""
    told, untold, is_ahead = Counter[str](), defaultdict[str, list[str]](list), report.mode is Mode.PLAN
    for account in report.accounts:
        for user in account.users:
            for message in user.messages:
                if message.problem is None:
                    told[message.via] += 1
                    is_ahead |= message.at is None  # a person is asked about this plan
                else:
                    untold[message.problem].append(f"{user.name} ({title_of(account)})")
    did, did_not = ("would be told", "could not be told") if is_ahead else ("told", "not told")
    yield from (f"{count(number, 'user')} {did} by {via}" for via, number in told.items())
    for problem, users in untold.items():
        shown = some_of(users, _NAMES_SHOWN) if names else count(len(users), "user")
        yield f"{did_not}, {problem}: {shown}"


def _origin(address: str | None) -> str:
    """Return where a call came from, if that is an IP address; CloudTrail also gives names of services."""
    try:
        return f", from {ip_address(address or '')}"
    except ValueError:
        return ""


def _release_notes(report: RunReport, *, names: bool) -> Iterator[str]:
    if not report.releases:
        return
    titles = {account.id: title_of(account) for account in report.accounts}
    released = ((one.user_name, titles.get(one.account_id, one.account_id), one.until) for one in report.releases)
    yield from describe_releases(released, names=names)


def describe_releases(released: Iterable[tuple[str, str, datetime]], *, names: bool = True) -> Iterator[str]:
    """Yield a line for each moment at which releases end: who, and in which account; without `names`, how many."""
    by_end: defaultdict[datetime, list[str]] = defaultdict(list)
    for user_name, account, until in released:
        by_end[until].append(f"{user_name} ({account})")
    for until, users in sorted(by_end.items()):
        shown = some_of(sorted(users), _RELEASED_SHOWN) if names else count(len(users), "user")
        yield f"released until {format_minute(until)}: {shown}"


def exemption_notes(
    exemptions: tuple[Exemption, ...], report: RunReport, now: datetime, *, names: bool = True
) -> tuple[str, ...]:
    """Return a line for each exemption that ends within 14 days, with the users it matched, or has lately ended.

    Without `names` users are counted, and an exemption, which can name one, goes by its place in the configuration.
    """
    if report.mode is Mode.RELEASE or report.trigger in {Trigger.ONBOARDING, Trigger.IAM_EVENT}:
        return ()  # a release judges nobody by exemptions; of a new account or user they are no news
    today, notes = now.astimezone(UTC).date(), list[str]()
    for number, entry in enumerate(exemptions, start=1):
        if entry.until is None or abs(entry.until - today) > ANNOUNCED_AROUND_END:
            continue
        called = entry.user if names else f"{number} of the configuration"
        if entry.until < today:
            notes.append(f"exemption {called} ended on {entry.until} and no longer counts: remove it")
            continue
        matched = [
            f"{user.name} ({title_of(account)})"
            for account in report.accounts
            for user in account.users
            if user.outcome is Outcome.EXEMPT and find_exemption(user.name, account.id, exemptions, now=now) is entry
        ]
        shown = some_of(matched, _NAMES_SHOWN) or "nobody" if names else count(len(matched), "user")
        notes.append(f"exemption {called} ends on {entry.until} ({entry.reason}); in this run it matched {shown}")
    return tuple(notes)


def show_sample(report: RunReport, config: Config) -> str:
    """Return the message of the first user who would be told; nothing where nobody would be. Raises ConfigError."""
    told = (
        (account, user, message)
        for account in report.accounts
        for user in account.users
        for message in user.messages
        if message.problem is None
    )
    if (first := next(told, None)) is None:
        return ""
    account, user, message = first
    until, settings = user.grace_ends, config.nudge
    if message.kind == FIRST and settings.required:  # the days count from this message
        until = max(until or report.finished_at, report.finished_at + config.enforcement.notice)
    nudge = Nudge(
        account_id=account.id,
        alias=account.alias,
        user_id=user.id or "",
        user_name=user.name,
        kind=message.kind,
        day="",
        covers=(),
        until=until,
        address=None,
        has_password=user.console_password is not False,
    )
    text = write_text(read_text(settings), [nudge], partition=user.arn.split(":")[1], contact=settings.contact)
    return f"The message to {plain(user.name)} ({plain(account.alias or account.id)}) would say:\n\n{text}"
