"""What `orgmfa release` does beside a run: ends releases (`--for 0d`), tells whom an SCP of orgmfa still blocks."""

from collections.abc import Callable, Container, Iterator, Sequence
from datetime import datetime
from itertools import groupby, takewhile
from operator import itemgetter

import click

from orchestrator.aws.doctor_reads import HubChecks
from orchestrator.aws.organizations import Directory
from orchestrator.aws.retries import Retrier
from orchestrator.cli.process import note_writing
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.doctor.control_policies import WAY_OUT, Lock, find_locks
from orchestrator.domain.errors import AwsError, StartError
from orchestrator.domain.model import Account, AccountResult, Outcome, Problem, RunRequest, Stage, Status
from orchestrator.domain.records import Release
from orchestrator.output.words import count, plain, some_of, title_and_id, title_of
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.listing import list_accounts
from orchestrator.reports.build import build_report, report_account
from orchestrator.reports.report import ReleasedUser, RunReport
from orchestrator.wiring import Hub, build_context, describe_organization

_MAX_NAMES = 20


def end_releases(
    hub: Hub,
    request: RunRequest,
    *,
    confirm: Callable[[str, int], bool],
    in_words: bool,
    cancellation: Cancellation,
) -> RunReport | None:
    """End the releases that the request names, say whom the next run may enforce, and return a report of it.

    The report has the accounts in question, all skipped; `in_words` they go to standard output. None: the person
    declined, or it was interrupted before anything was written. Raises StartError or ConfigError.
    """
    context = build_context(hub, request, cancellation=cancellation, send_digest=False)
    listing = list_accounts(context)
    accounts = {account.id: account for account in takewhile(lambda _: cancellation.reason is None, listing)}
    if cancellation.reason is not None:
        return None
    if not listing.is_complete:
        raise StartError(f"{listing.problems[0].message}. No release was ended.")
    asked = request.user_names or frozenset()
    in_force = sorted(context.rules.released_until.items(), key=itemgetter(0))
    ended = [
        (accounts[account_id], release)
        for (account_id, _), release in in_force
        if account_id in accounts and (release.user_name in asked or not asked)
    ]
    report = _report(ended, context, missing=sorted(asked.difference(release.user_name for _, release in ended)))
    for account in report.accounts:
        told = plain(account.error.message) if account.error else ""
        click.echo(f"{title_and_id(account)}: {told}", err=not in_words)
    for error in report.errors:
        click.echo(f"{plain(error.message)}. {error.remedy}", err=True)
    if ended:
        if not confirm(f"End {count(len(ended), 'release')}?", len(ended)):
            return None
        users = (
            ReleasedUser(account_id=account.id, user_name=release.user_name, user_id=release.user_id)
            for account, release in ended
        )
        note_writing()
        context.archive.note_release(request.run_id, users, report.finished_at, now=report.finished_at)
    return report


def _report(ended: Sequence[tuple[Account, Release]], context: RunContext, *, missing: Sequence[str]) -> RunReport:
    accounts = []
    for account, found in groupby(ended, itemgetter(0)):
        message = f"released no longer: the next run may enforce {', '.join(release.user_name for _, release in found)}"
        problem = Problem(Stage.SELECT, "release_ended", message, "")
        accounts.append(report_account(AccountResult(account, Status.SKIPPED, problem=problem)))
    nobody = f"no release is in force of {', '.join(map(repr, missing)) or 'anybody in these accounts'}"
    remedy = "orgmfa doctor lists them; upper and lower case count."
    return build_report(
        context.request,
        context.organization.id,
        accounts,
        errors=[Problem(Stage.SELECT, "no_release", nobody, remedy)] if missing or not ended else [],
        is_complete=True,
        finished_at=context.now(),
    )


def tell_locks(report: RunReport, hub: Hub, cancellation: Cancellation) -> None:
    """Say on standard error whom an SCP of ours still blocks; nothing where the caller may not read SCPs."""
    if not report.totals.of(Outcome.RELEASED):
        return
    retrier = Retrier(cancellation)
    reader = HubChecks(hub.clients, retrier)
    try:
        locks = tuple(find_locks(reader.list_control_policies(), reader))
        if not locks:
            return
        management = describe_organization(hub).management_account_id
        watched = sorted({ou_id for lock in locks for ou_id in lock.ou_ids})
        accounts = tuple(Directory(hub.clients.organizations, retrier).list_accounts(watched))
    except (AwsError, StartError):
        return
    for lock in locks:
        reached = {account.id for account in accounts if lock.reaches(account, management)}
        if names := list(_blocked(report, lock, reached, at=hub.now())):
            click.echo(
                f"The SCP {plain(lock.name)} ({plain(lock.where)}) still blocks without MFA: "
                f"{some_of(names, _MAX_NAMES)}. orgmfa release frees nobody from an SCP. {WAY_OUT} (docs/scp.md).",
                err=True,
            )


def _blocked(report: RunReport, lock: Lock, reached: Container[str], *, at: datetime) -> Iterator[str]:
    for account in report.accounts:
        for user in account.users if account.id in reached else ():
            if user.outcome is Outcome.RELEASED and not lock.spares(user.name, account.id, at):
                yield f"{plain(user.name)} ({title_of(account)})"
