"""Whom of the released users an attached SCP of orgmfa blocks all the same, said after `orgmfa release`."""

from collections.abc import Container, Iterator
from datetime import datetime

import click

from orchestrator.aws.doctor_reads import HubChecks
from orchestrator.aws.organizations import Directory
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.doctor.control_policies import WAY_OUT, Lock, find_locks
from orchestrator.domain.errors import AwsError, StartError
from orchestrator.domain.model import Outcome
from orchestrator.output.words import plain, some_of, title_of
from orchestrator.reports.report import RunReport
from orchestrator.wiring import Hub, describe_organization

_MAX_NAMES = 20


def tell_locks(report: RunReport, hub: Hub) -> None:
    """Say on standard error whom an SCP of ours still blocks; nothing where the caller may not read SCPs."""
    if not report.totals.of(Outcome.RELEASED):
        return
    retrier = Retrier(Cancellation())
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
