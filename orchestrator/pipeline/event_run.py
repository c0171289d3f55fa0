"""What a run of IAM events does beside the others: limits over a day, what it notes, and when it tells of itself.

It never gets around a limit: what event runs enforced in the last 24 hours counts with its own plan, by account first.
Over the limit of a run, events write nothing more until a whole run has passed its gate. Whom it is about to enforce is
noted before the first write, so that a run that is killed counts all the same.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

import structlog

from orchestrator.domain.config import LimitsConfig
from orchestrator.domain.errors import ArchiveError, StartError
from orchestrator.domain.model import (
    AccountResult,
    Decision,
    Gate,
    Mode,
    Outcome,
    PolicyState,
    Problem,
    Reason,
    Stage,
    Status,
)
from orchestrator.domain.planning import OVER_LIMIT, hold, hold_decision
from orchestrator.domain.records import record_key
from orchestrator.output.words import count
from orchestrator.pipeline.context import Finished, RunContext
from orchestrator.pipeline.publishing import archive_report, finish_run, notify_channels, report_and_tell
from orchestrator.pipeline.results import Results
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.build import count_totals
from orchestrator.reports.event_ledger import DAY, EventLedger, EventRunNote, Undone, UserKey
from orchestrator.reports.report import AccountReport, Enrolment, EventSummary, FirstSight, RunReport, pack_accounts

UNDONE_BY_OTHERS = "undone_by_others"
MESSAGE_EVERY = timedelta(minutes=1)
LEAST_SHARE = 5  # users of one account whom events may enforce in a day, however small the limit of a run is
MAX_TOLD = 50  # users of one account in one message, and new devices of one account in one note
_WRITTEN = frozenset({Outcome.ENFORCED, Outcome.FAILED})
_TOLD = frozenset({Outcome.ENFORCED, Outcome.HELD, Outcome.FAILED, Outcome.QUOTA_EXCEEDED})

log = structlog.get_logger(__name__)


def limit_events(results: Results, context: RunContext) -> Gate | None:
    """Hold what events may not write; return why they may write nothing, if so. Raises StartError without ledger."""
    ledger, limits = _ledger(context), context.config.limits
    used = ledger.enforced_since(context.now() - DAY)
    share = _share(limits)
    for result in list(results):
        held = _hold_undone(result, ledger, context)
        if share is not None and used[result.account.id] + len(held.planned) > share:
            text = (
                f"events enforced {used[result.account.id]} users of the account in 24 hours and name "
                f"{len(held.planned)} more, and may enforce {share}: left to the daily run"
            )
            held = hold(held, Reason(OVER_LIMIT, text))
        results.put(held if held.planned else replace(held, policy_changes=()))
    return _close(results.planned, used.total(), context)


def reserve(results: Results, context: RunContext) -> None:
    """Note whom this run is about to enforce. Raises ArchiveError, and then nothing may be written."""
    planned = [(one.account.id, user.user.id) for one in results for user in one.planned]
    note = _note(results, context, enforced=planned)
    context.archive.write_ledger(_ledger(context).with_note(note))


def close_event_run(
    results: Results, context: RunContext, *, errors: list[Problem], is_complete: bool, gate: Gate | None
) -> Finished:
    """Return the finished run: archived apart from the others, told of where there is something to say, noted."""
    report = report_and_tell(results, context, errors, is_complete=is_complete, gate=gate)
    noted = (_with_note(account, results[account.id], context) for account in report.accounts)
    report = report.model_copy(update={"accounts": pack_accounts(noted)})
    addresses = archive_report(report, context, errors=errors)
    ledger = _tell(report, _updated(report, results, context), context, errors=errors)
    try:
        context.archive.write_ledger(ledger.pruned(context.now(), _whole_at(context)))
    except ArchiveError as error:
        errors.append(Problem(Stage.ARCHIVE, "archive_failed", str(error), "Make archive.location writable."))
    return finish_run(report, context, addresses, errors=errors)


def _with_note(account: AccountReport, result: AccountResult, context: RunContext) -> AccountReport:
    """Return an account whose policy or group events changed with how both stand, and how many that concerns."""
    changed = {
        event.name for event in context.request.events if event.kind == "policy" and event.account_id == account.id
    }
    now, base = result.enforcement, context.history.base
    if not changed or now is None or {now.policy, now.group} == {PolicyState.OURS}:
        return account
    before = base.accounts.get(account.id) if base else None
    concerned = sum(user.is_enforced for user in before.users) if before else 0
    text = (
        f"{account.alias or account.name}: after {', '.join(sorted(changed))} the policy EnforceMFA is "
        f"{now.policy.value} now, its group {now.group.value}; "
        f"enforced there at the last whole run: {count(concerned, 'user')}"
    )
    return account.model_copy(update={"notes": (*account.notes, text)})


def leave_to_daily_run(archive: RunArchive, run_id: str, *, now: datetime, left: int) -> None:
    """Note that events were left to the daily run, since other runs were writing for too long. Raises ArchiveError."""
    log.warning("events_left", events=left)
    ledger = archive.read_ledger()
    note = next((one for one in ledger.runs if one.run_id == run_id), EventRunNote(run_id=run_id, at=now))
    archive.write_ledger(ledger.with_note(note.model_copy(update={"left": note.left + left})))


def _ledger(context: RunContext) -> EventLedger:
    if context.history.events is None:
        raise StartError("the ledger of event runs cannot be read: events write nothing, the daily run does")
    return context.history.events


def _whole_at(context: RunContext) -> datetime | None:
    return context.history.base.started_at if context.history.base else None


def _share(limits: LimitsConfig) -> int | None:
    """Return how many users of one account events may enforce in a day; None: any number."""
    of_run, of_account = limits.max_changes_per_run, limits.max_changes_per_account
    share = None if of_run is None else max(LEAST_SHARE, of_run // 10)
    return min((one for one in (share, of_account) if one is not None), default=None)


def _closed_at(context: RunContext) -> datetime | None:
    """Return when the limit of a run was reached, unless a whole run has passed its gate since."""
    closed_at = _ledger(context).closed_at
    is_open = closed_at is None or context.archive.has_passed(context.organization.id, closed_at)
    return None if is_open else closed_at


def _close(planned: int, used: int, context: RunContext) -> Gate | None:
    most, closed_at = context.config.limits.max_changes_per_run, _closed_at(context) if planned else None
    if most is not None and planned and used + planned > most:
        why = f"enforced {used} users in 24 hours and name {planned} more, limits.max_changes_per_run is {most}"
    elif closed_at is not None:
        why = f"reached limits.max_changes_per_run at {closed_at:%Y-%m-%d %H:%M} UTC"
    else:
        return None
    message = f"events {why}: events write nothing more until a whole run has passed its gate"
    remedy = "Find out what makes so many users; the daily run goes on as ever."
    return Gate(code="over_limit", planned=planned, limit=most, message=message, remedy=remedy)


def _hold_undone(result: AccountResult, ledger: EventLedger, context: RunContext) -> AccountResult:
    before: dict[UserKey, list[datetime]] = {}
    for one, at in ledger.undone_since(context.now() - DAY):
        before.setdefault(one.user, []).append(at)
    now = {one.user for one in _undone(result, ledger, context)}
    whole_at = _whole_at(context)

    def is_held(decision: Decision) -> bool:
        key = (result.account.id, decision.user.id)
        times = before.get(key, [])
        is_new = key in now
        is_since = bool(times) and (whole_at is None or max(times) >= whole_at)
        return len(times) + is_new >= 2 and (is_new or is_since)  # noqa: PLR2004 - twice, as the rule says

    text = "others took EnforceMFA away twice in 24 hours: find out who, free people with `orgmfa release`"
    reason = Reason(UNDONE_BY_OTHERS, f"{text}; the daily run enforces again")
    decisions = tuple(hold_decision(one, reason) if is_held(one) else one for one in result.decisions)
    return replace(result, decisions=decisions)


def _undone(result: AccountResult, ledger: EventLedger, context: RunContext) -> Iterator[Undone]:
    """Yield the users of a result whom an event of this batch names as undone, and who are open: each once."""
    known = {one.event_id for note in ledger.runs for one in note.undone}
    events = [event for event in context.request.events if event.kind == "undone" and event.id not in known]
    here = [event for event in events if event.account_id == result.account.id]
    by_name = {event.user_name.casefold(): event.id for event in here if event.user_name}
    for decision in result.decisions:
        event_id = by_name.get(decision.user.name.casefold())
        if event_id and decision.outcome in {Outcome.PLANNED, Outcome.HELD, *_WRITTEN}:
            yield Undone(user=(result.account.id, decision.user.id), event_id=event_id)


def _note(results: Results, context: RunContext, *, enforced: Iterable[UserKey]) -> EventRunNote:
    ledger, outcomes = _ledger(context), [one.outcome for result in results for one in result.decisions]
    missing = [name for result in results for name in _missing(result, context)]
    if missing:
        log.warning("users_not_found", user_names=missing)
    return EventRunNote(
        run_id=context.request.run_id,
        at=context.request.started_at,
        enforced=tuple(enforced),
        undone=tuple(one for result in results for one in _undone(result, ledger, context)),
        planned=outcomes.count(Outcome.PLANNED),
        held=outcomes.count(Outcome.HELD),
        left=len(missing),
        enrolments=tuple(one for result in results for one in islice(_enrolments(result, context), MAX_TOLD)),
    )


def _enrolments(result: AccountResult, context: RunContext) -> Iterator[Enrolment]:
    for event in context.request.events:
        if event.kind == "enrolled" and event.user_name and event.account_id == result.account.id:
            yield Enrolment(
                account_id=event.account_id,
                account_alias=result.alias,
                account_name=result.account.name,
                user_name=event.user_name,
                at=event.at,
                device=event.device,
                address=event.address,
            )


def _missing(result: AccountResult, context: RunContext) -> Iterator[str]:
    """Yield the users whom events name and who were not found in an account that was read."""
    if result.status is Status.INSPECTED:
        found = {one.user.name.casefold() for one in result.decisions}
        yield from (name for name in context.request.users_of(result.account.id) if name.casefold() not in found)


def _updated(report: RunReport, results: Results, context: RunContext) -> EventLedger:
    ledger, request = _ledger(context), context.request
    written = [
        (account.id, user.id or "") for account in report.accounts for user in account.users if user.outcome in _WRITTEN
    ]
    ledger = ledger.with_note(_note(results, context, enforced=written))
    for account in report.accounts:
        known = context.history.sights.get(account.id, {})
        seen = (
            FirstSight(id=user.id, name=user.name, since=user.open_since)
            for user in account.users
            if user.open_since is not None and record_key(user.id, user.name) not in known
        )
        ledger = ledger.with_sights(account.id, seen)
    is_over = report.gate is not None and report.gate.code == OVER_LIMIT
    closed_at = _closed_at(context) or (request.started_at if is_over else None)
    seen_at = {event.account_id: request.started_at for event in request.events}
    return ledger.model_copy(update={"closed_at": closed_at, "seen": ledger.seen | seen_at})


def _tell(report: RunReport, ledger: EventLedger, context: RunContext, *, errors: list[Problem]) -> EventLedger:
    """Tell of this run and of what waited, at most once a minute, and return the ledger that says so."""
    if report.mode is not Mode.APPLY:
        return ledger
    now, told = context.now(), dict(ledger.told)
    news = [found for account in report.accounts if (found := _news(account, told, now))]
    gate_key = f"gate/{report.gate.code}" if report.gate else ""
    gate = None if gate_key in told else report.gate
    devices = _new_devices(ledger, context)
    enrolments = tuple(one for found in devices.values() for one in found)
    accounts = _merged([*ledger.waiting, *news])
    ledger = ledger.model_copy(update={"told": told})
    if not (accounts or gate or enrolments):
        return ledger
    is_early = ledger.told_at is not None and now - ledger.told_at < MESSAGE_EVERY
    if not is_early:
        shown = [one.model_copy(update={"users": one.users[:MAX_TOLD]}) for one in accounts]
        rest = [one.model_copy(update={"users": one.users[MAX_TOLD:]}) for one in accounts if one.users[MAX_TOLD:]]
        message = report.model_copy(
            update={
                "gate": gate,
                "accounts": pack_accounts(shown),
                "totals": count_totals(shown),
                "events": EventSummary(enrolments=enrolments) if enrolments else None,
            }
        )
        before = len(errors)
        notify_channels(message, context, errors=errors)
        if len(errors) == before:
            told |= dict.fromkeys([gate_key, *devices] if gate else devices, now)
            waiting = {"waiting": tuple(rest), "waiting_since": now if rest else None}
            return ledger.model_copy(update={"told": told, "told_at": now} | waiting)
    return ledger.model_copy(update={"waiting": tuple(accounts), "waiting_since": ledger.waiting_since or now})


def _new_devices(ledger: EventLedger, context: RunContext) -> dict[str, tuple[Enrolment, ...]]:
    """Return the new devices that no message told of yet, by a key for `told`; none where they are not told at once."""
    whole_at, notes = _whole_at(context), ledger.runs if context.config.slack.enrolments == "at_once" else ()
    found = {f"enrolments/{note.run_id}": note.enrolments for note in notes if not whole_at or note.at >= whole_at}
    return {key: enrolments for key, enrolments in found.items() if enrolments and key not in ledger.told}


def _news(account: AccountReport, told: dict[str, datetime], now: datetime) -> AccountReport | None:
    """Return an account with the users to tell of, once each but for new writes; None where there are none."""
    users = []
    for user in account.users:
        key = f"{account.id}/{user.id}/{user.outcome}/{user.error.code if user.error else ''}"
        if user.outcome in _TOLD and (user.outcome is Outcome.ENFORCED or key not in told):
            users.append(user)
            told[key] = now
    key = f"{account.id}/{account.error.code if account.error else ''}/{' '.join(account.notes)}"
    is_news = bool(account.notes or account.error) and key not in told
    if is_news:
        told[key] = now
    return account.model_copy(update={"users": tuple(users)}) if users or is_news else None


def _merged(accounts: Iterable[AccountReport]) -> list[AccountReport]:
    """Return accounts, each once: the last state of each, and of each of its users."""
    merged: dict[str, AccountReport] = {}
    for account in accounts:
        before = merged[account.id].users if account.id in merged else ()
        users = {user.name: user for user in (*before, *account.users)}
        merged[account.id] = account.model_copy(update={"users": tuple(users.values())})
    return list(merged.values())
