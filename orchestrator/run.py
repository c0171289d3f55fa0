"""One run from beginning to end; the one place where the story is told.

select -> inspect -> assess -> plan -> gate -> apply -> report. Accounts are inspected while the next page of them is
being listed. Everything is planned before anything is written: the gate counts the plans, a stop switch or a person may
refuse, and only then is the same plan, account by account, carried out. Whatever happens to an account, it is in the
report once; the report is archived, findings are imported, then the digest goes out. Failures become data: those of AWS
in `inspection`, `application` and `closing`, unexpected ones here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import structlog

from orchestrator.application import apply_account, failed, unfinished
from orchestrator.changes import add_history
from orchestrator.closing import archive_report, import_findings, send_digest
from orchestrator.desk import RUN_AGAIN, Desk
from orchestrator.errors import ArchiveError, AwsError, ConfigError, NotFound, NothingToDo, StartError
from orchestrator.inspection import inspect_account
from orchestrator.model import (
    Account,
    AccountResult,
    Decision,
    Mode,
    Outcome,
    Problem,
    RunRequest,
    Stage,
    Status,
    Trigger,
)
from orchestrator.planning import count_planned, hold, hold_at_gate
from orchestrator.pool import Halt, Worked, work_through
from orchestrator.ports import Finished, Ports
from orchestrator.remedies import explain_defect, explain_select_error, select_remedy
from orchestrator.remembering import history_problems, recall_earlier_runs
from orchestrator.reporting import RunReport, amend_report, build_report, report_account
from orchestrator.selection import is_in_ous, resolve_targets, skip_account

log = structlog.get_logger(__name__)


def run(desk: Desk, ports: Ports) -> Finished:
    """Carry out one run and return its report.

    Raises StartError or ConfigError where nothing could start; after that every failure is in the report.
    """
    request = desk.request
    log.info("run_started", mode=request.mode.value, trigger=request.trigger.value)
    listing = _Listing(_started(_select(desk, ports)))
    desk = recall_earlier_runs(desk, ports.archive)
    results = _gate(_plan_all(listing, desk, ports), desk)
    errors = [*listing.problems, *history_problems(desk), *_unmatched_users(request, results)]

    def report() -> RunReport:
        found = build_report(
            request,
            desk.organization.id,
            map(report_account, results),
            errors=errors,
            is_complete=listing.is_complete,
            finished_at=desk.now(),
        )
        return add_history(found, desk.history)

    if request.mode is not Mode.PLAN and any(map(_has_changes, results)):
        if not ports.halt.reason:
            plan = report()
            if not ports.confirm(plan):
                return Finished(plan, None, was_declined=True)
            if request.mode is Mode.RELEASE:
                _remember_release(plan, desk, ports)
        results = _apply_all(results, desk, ports)  # after a halt nothing is applied, and each account says so
    errors += _unreached(results, ports.halt)
    finished = report()
    address = archive_report(finished, desk, ports, errors=errors)
    import_findings(finished, desk, ports, errors=errors)
    send_digest(amend_report(finished, errors, desk.now()), desk, ports, errors=errors)
    finished = amend_report(finished, errors, desk.now())
    log.info("run_finished", complete=finished.complete, **finished.totals.model_dump())
    return Finished(finished, address)


class _Listing:
    """The accounts as they are listed, each once, with what is known of the listing itself."""

    def __init__(self, accounts: Iterator[Account]) -> None:
        self._accounts = accounts
        self.order: dict[str, int] = {}
        self.is_complete = False
        self.problems: list[Problem] = []

    def __iter__(self) -> Iterator[Account]:
        try:
            for account in self._accounts:
                if account.id not in self.order:  # pages can repeat an account when the organization changes meanwhile
                    self.order[account.id] = len(self.order)
                    yield account
        except AwsError as error:
            self.problems.append(explain_select_error(error))
            log.error("listing_broke_off", code=error.code, message=str(error), accounts=len(self.order))  # noqa: TRY400 - a known failure, no traceback
        else:
            self.is_complete = True


def _plan_all(listing: _Listing, desk: Desk, ports: Ports) -> list[AccountResult]:
    """Return the plan of every account that was listed and asked for, in the order of the listing."""

    def work(account: Account) -> AccountResult:
        if problem := skip_account(account, desk.organization, desk.config.organization):
            return AccountResult(account, Status.SKIPPED, problem=problem)
        return inspect_account(account, desk)

    results: list[AccountResult] = []
    ports.observer.phase("inspecting", None)
    for worked in work_through(listing, work, workers=desk.config.concurrency.workers, halt=ports.halt):
        result = worked.result or _uninspected(worked, ports.halt)
        results.append(result)
        ports.observer.found(len(listing.order))
        ports.observer.done(changes=count_planned(result), failed=result.status is Status.FAILED)
    return sorted(results, key=lambda result: listing.order[result.account.id])


def _select(desk: Desk, ports: Ports) -> Iterator[Account]:
    """Yield the accounts that the run was asked for."""
    request, organization = desk.request, desk.config.organization
    watched = (*organization.include_ous, *organization.exclude_ous, *request.ou_ids)
    if request.trigger is Trigger.ONBOARDING:
        wanted = frozenset(request.targets)  # one that has left the organization meanwhile is no error
        accounts = (account for account in ports.directory.list_accounts(watched) if account.id in wanted)
    elif request.targets and all(target.isdecimal() for target in request.targets):
        accounts = (_get_account(target, ports, watched) for target in request.targets)
    elif request.targets:
        listed = list(ports.directory.list_accounts(watched))
        wanted = resolve_targets(request.targets, listed, ports.archive.alias_by_account_id())
        accounts = (account for account in listed if account.id in wanted)
    else:
        accounts = (account for account in ports.directory.list_accounts(watched))
    yield from (account for account in accounts if is_in_ous(account, request.ou_ids))


def _get_account(account_id: str, ports: Ports, watched: tuple[str, ...]) -> Account:
    try:
        return ports.directory.get_account(account_id, watched)
    except NotFound as error:
        message = f"--account {account_id!r} matches no account of the organization"
        raise ConfigError(message) from error


def _started(accounts: Iterator[Account]) -> Iterator[Account]:
    """Return the accounts once the first has arrived; where none does, nothing can start."""
    try:
        first = next(accounts)
    except AwsError as error:
        message = f"cannot list the accounts of the organization: {error} ({error.code}). {select_remedy(error)}"
        raise StartError(message) from error
    except StopIteration:
        message = "no account to work on: the organization, or the OUs and accounts named, hold none"
        raise NothingToDo(message) from None
    return chain([first], accounts)


def _gate(results: list[AccountResult], desk: Desk) -> list[AccountResult]:
    """Return the plans, all of them held where the run as a whole must not write."""
    planned = sum(map(count_planned, results))
    if desk.request.mode is Mode.RELEASE or not any(map(_has_changes, results)):
        return results
    reason = hold_at_gate(planned, desk.config.limits, is_stopped=desk.is_stopped())
    if reason is None:
        return results
    log.warning("run_held", code=reason.code, message=reason.message, planned=planned)
    return [hold(result, reason) for result in results]


@dataclass(frozen=True, slots=True)
class _Work:
    """The plan of one account on its way through apply, and the decisions settled so far."""

    plan: AccountResult
    done: list[Decision] = field(default_factory=list)


def _apply_all(plans: list[AccountResult], desk: Desk, ports: Ports) -> list[AccountResult]:
    """Return the results after every account with changes had them made."""
    work = [_Work(plan) for plan in plans if _has_changes(plan)]
    results = {plan.account.id: plan for plan in plans}
    unsettled = {item.plan.account.id: item for item in work}
    ports.observer.phase("applying", len(work))
    for worked in work_through(
        work,
        lambda item: apply_account(item.plan, desk, item.done),
        workers=desk.config.concurrency.workers,
        halt=ports.halt,
    ):
        account_id = worked.item.plan.account.id
        result = results[account_id] = worked.result or _unapplied(worked, ports.halt)
        del unsettled[account_id]
        written = sum(decision.outcome in _WRITTEN for decision in result.decisions)
        ports.observer.done(changes=written, failed=result.status is Status.FAILED)
    for account_id, item in unsettled.items():
        results[account_id] = unfinished(item.plan, item.done, ports.halt.reason or "interrupted")
    return list(results.values())


def _uninspected(worked: Worked[Account, AccountResult], halt: Halt) -> AccountResult:
    """Return the result of an account whose inspection never returned one."""
    account, reason = worked.item, halt.reason or "interrupted"
    if worked.error is not None:
        _log_defect(worked.error, account)
        problem = explain_defect(worked.error, Stage.INSPECT, account)
        return AccountResult(account, Status.FAILED, problem=problem)
    problem = Problem(Stage.INSPECT, reason, "the run ended before the account was inspected", RUN_AGAIN[reason])
    return AccountResult(account, Status.NOT_REACHED, problem=problem)


def _unapplied(worked: Worked[_Work, AccountResult], halt: Halt) -> AccountResult:
    """Return the result of an account whose changes never came to an end."""
    item = worked.item
    if worked.error is None:
        return unfinished(item.plan, item.done, halt.reason or "interrupted")
    _log_defect(worked.error, item.plan.account)
    return failed(item.plan, item.done, explain_defect(worked.error, Stage.APPLY, item.plan.account))


def _log_defect(error: BaseException, account: Account) -> None:
    log.error("unexpected_error", account_id=account.id, exc_info=error)


def _unreached(results: list[AccountResult], halt: Halt) -> list[Problem]:
    """Return the problem of a run that ended early, if it did."""
    left = sum(result.status is Status.NOT_REACHED for result in results)
    reason = halt.reason
    if reason is None or not left:
        return []
    stage = Stage.APPLY if any(result.decisions for result in results) else Stage.INSPECT
    return [Problem(stage, reason, f"the run ended early; {left} accounts were not reached", RUN_AGAIN[reason])]


def _unmatched_users(request: RunRequest, results: list[AccountResult]) -> list[Problem]:
    """Return a problem for each user whose release was asked for and who is in none of the accounts."""
    names = request.user_names or frozenset()
    missing = names - {decision.user.name for result in results for decision in result.decisions}
    return [
        Problem(
            Stage.SELECT,
            "user_not_found",
            f"no account of this run has a user {name!r}",
            "Check the name; upper and lower case count.",
        )
        for name in sorted(missing)
    ]


def _remember_release(plan: RunReport, desk: Desk, ports: Ports) -> None:
    """Note in the archive, before anybody is released, whom later runs must leave alone."""
    try:
        ports.archive.remember_release(plan, desk.now() + desk.request.release_for)
    except ArchiveError as error:
        message = f"{error}. Nobody was released: the next run would have undone it unknowingly."
        raise StartError(message) from error


def _has_changes(result: AccountResult) -> bool:
    return bool(count_planned(result) or result.policy_changes)


_WRITTEN = frozenset({Outcome.ENFORCED, Outcome.RELEASED})
