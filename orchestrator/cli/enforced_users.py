"""Who is still under EnforceMFA: the plan of a release of everybody, made as any run makes it, and not carried out.

Nothing is archived: a run that only counts is no run that anybody looks for.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.deploy.waiters import Interrupted
from orchestrator.domain.model import Mode, Outcome, RunRequest, Status, Trigger
from orchestrator.pipeline.ports import Observer
from orchestrator.reports.report import AccountReport, RunReport
from orchestrator.wiring import Hub, make_run_id, run_once

MAX_NAMES = 10
_UNENTERABLE = frozenset({"suspended", "pending_closure", "closed", "pending_activation"})


@dataclass(frozen=True, slots=True)
class Census:
    """The accounts in which users are under EnforceMFA, and those that could not be looked at, with the reason.

    `is_complete`: the organization could be listed to its end.
    """

    enforced: tuple[AccountReport, ...]
    unseen: tuple[AccountReport, ...]
    is_complete: bool

    @property
    def is_clear(self) -> bool:
        """Whether nobody is under EnforceMFA, as far as it can matter."""
        return self.is_complete and not self.enforced and not self.unseen


def take_census(hub: Hub, reached: Collection[str], *, cancellation: Cancellation, observer: Observer) -> Census:
    """Return who is under EnforceMFA in the accounts of the organization.

    Of the accounts that cannot be looked at, those count that the StackSet has reached. Raises StartError or
    ConfigError where nobody could be asked, Interrupted.
    """
    now = hub.now()
    request = RunRequest(run_id=make_run_id(now), mode=Mode.RELEASE, trigger=Trigger.CLI, started_at=now)
    with TemporaryDirectory(prefix="orgmfa-") as folder:
        archive = hub.config.archive.model_copy(update={"location": folder})
        unarchived = replace(hub, config=hub.config.model_copy(update={"archive": archive}))
        report = run_once(
            unarchived,
            request,
            cancellation=cancellation,
            observer=observer,
            confirm=lambda _: False,
            send_digest=False,
        ).report
    if cancellation.reason:
        raise Interrupted("Interrupted while counting who is under EnforceMFA. Nothing was changed.")
    return count_enforced(report, reached)


def count_enforced(report: RunReport, reached: Collection[str]) -> Census:
    """Return what a plan of a release says about who is under EnforceMFA."""
    return Census(
        enforced=tuple(account for account in report.accounts if _enforced_names(account)),
        unseen=tuple(account for account in report.accounts if account.id in reached and _is_unseen(account)),
        is_complete=report.complete,
    )


def explain_census(census: Census) -> str:
    """Return why nothing can be taken down yet, and what to do."""
    incomplete = [] if census.is_complete else ["The organization could not be listed to its end: run again."]
    told = [*_tell_enforced(census.enforced), *_tell_unseen(census.unseen), *incomplete]
    return "\n".join([*told, "Nothing was changed."])


def _tell_enforced(accounts: tuple[AccountReport, ...]) -> Iterator[str]:
    if not accounts:
        return
    users = sum(len(_enforced_names(account)) for account in accounts)
    yield f"{_count(users, 'user')} in {_count(len(accounts), 'account')} still under EnforceMFA:"
    for account in accounts:
        names = _enforced_names(account)
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        yield f"  {_title(account)}: {', '.join(names[:MAX_NAMES])}{more}"
    yield "Release them, as the operator's role: orgmfa release"


def _tell_unseen(accounts: tuple[AccountReport, ...]) -> Iterator[str]:
    if not accounts:
        return
    yield f"{_count(len(accounts), 'account')} of the StackSet could not be looked at; users may be enforced there:"
    for account in accounts:
        yield f"  {_title(account)}: {account.error.message if account.error else account.status}"
        if account.error is not None and account.error.remedy:
            yield f"    {account.error.remedy}"
    yield (
        "The member roles trust the operator's role: name who you are in OperatorPrincipalArns (orgmfa deploy "
        "--parameter OperatorPrincipalArns=ARN). An account that the configuration excludes has to be included."
    )


def _is_unseen(account: AccountReport) -> bool:
    code = account.error.code if account.error else ""
    return account.status is not Status.INSPECTED and code not in _UNENTERABLE


def _enforced_names(account: AccountReport) -> list[str]:
    return [user.name for user in account.users if user.outcome is Outcome.PLANNED]


def _title(account: AccountReport) -> str:
    return f"{account.alias or account.name} ({account.id})"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
