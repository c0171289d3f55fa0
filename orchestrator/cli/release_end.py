"""`orgmfa release --for 0d`: ends releases before their time. It enters no account: only a note is written."""

from collections.abc import Callable, Iterator

import click

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import StartError
from orchestrator.domain.model import AccountResult, Problem, RunRequest, Stage, Status
from orchestrator.output.words import plain, title_and_id
from orchestrator.pipeline.listing import list_accounts
from orchestrator.reports.build import build_report, report_account
from orchestrator.reports.report import RunReport
from orchestrator.wiring import Hub, build_context

_REMEDY = "orgmfa doctor lists the releases in force; upper and lower case count."


def end_releases(hub: Hub, request: RunRequest, *, confirm: Callable[[str], bool], as_json: bool) -> RunReport | None:
    """End the releases that the request names, say whom the next run may enforce, and return a report of it.

    The report has the accounts in question, all skipped. None: the person declined. Raises StartError or ConfigError.
    """
    context = build_context(hub, request, cancellation=Cancellation(), send_digest=False)
    listing = list_accounts(context)
    accounts = {account.id: account for account in listing}
    if not listing.is_complete:
        raise StartError(f"{listing.problems[0].message}. No release was ended.")
    ended = [
        (account_id, name)
        for account_id, name in sorted(context.rules.released_until)
        if account_id in accounts and (request.user_names is None or name in request.user_names)
    ]
    results = (
        AccountResult(
            accounts[one], Status.SKIPPED, problem=_tell([name for account_id, name in ended if account_id == one])
        )
        for one in dict(ended)
    )
    report = build_report(
        request,
        context.organization.id,
        map(report_account, results),
        errors=_unmatched(request, {name for _, name in ended}),
        is_complete=True,
        finished_at=hub.now(),
    )
    for line in _lines(report):
        click.echo(line, err=as_json)
    if ended and not confirm(f"End {len(ended)} releases?"):
        return None
    if ended:
        context.archive.note_release(request.run_id, ended, report.finished_at, now=report.finished_at)
    return report


def _tell(names: list[str]) -> Problem:
    message = f"the release is over: the next run may enforce {', '.join(names)}"
    return Problem(Stage.SELECT, "release_ended", message, "")


def _unmatched(request: RunRequest, found: set[str]) -> Iterator[Problem]:
    """Yield a problem for each user named who is not released, or one where nobody is."""
    for name in sorted(request.user_names or ()):
        if name not in found:
            yield Problem(Stage.SELECT, "no_release", f"no release of a user {name!r} is in force", _REMEDY)
    if not found and not request.user_names:
        yield Problem(Stage.SELECT, "no_release", "no release is in force in these accounts", _REMEDY)


def _lines(report: RunReport) -> Iterator[str]:
    for account in report.accounts:
        yield f"{title_and_id(account)}: {plain(account.error.message if account.error else '')}"
    yield from (f"{plain(error.message)}: {error.remedy}" for error in report.errors)
