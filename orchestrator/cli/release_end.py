"""`orgmfa release --for 0d`: ends releases before their time. It enters no account: only a note is written."""

from collections.abc import Callable
from itertools import groupby
from operator import attrgetter, itemgetter

import click

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import StartError
from orchestrator.domain.model import AccountResult, Problem, RunRequest, Stage, Status
from orchestrator.output.words import plain, title_and_id
from orchestrator.pipeline.listing import list_accounts
from orchestrator.reports.archive import ReleasedUser
from orchestrator.reports.build import build_report, report_account
from orchestrator.reports.report import RunReport
from orchestrator.wiring import Hub, build_context


def end_releases(hub: Hub, request: RunRequest, *, confirm: Callable[[str], bool], as_json: bool) -> RunReport | None:
    """End the releases that the request names, say whom the next run may enforce, and return a report of it.

    The report has the accounts in question, all skipped. None: the person declined. Raises StartError or ConfigError.
    """
    context = build_context(hub, request, cancellation=Cancellation(), send_digest=False)
    listing = list_accounts(context)
    accounts = {account.id: account for account in listing}
    if not listing.is_complete:
        raise StartError(f"{listing.problems[0].message}. No release was ended.")
    asked = request.user_names or frozenset()
    ended = [
        ReleasedUser(account_id=account_id, user_name=release.user_name, user_id=release.user_id)
        for (account_id, _), release in sorted(context.rules.released_until.items(), key=itemgetter(0))
        if account_id in accounts and (release.user_name in asked or not asked)
    ]
    missing = sorted(asked.difference(user.user_name for user in ended))
    results = (
        AccountResult(accounts[one], Status.SKIPPED, problem=_tell([user.user_name for user in users]))
        for one, users in groupby(ended, key=attrgetter("account_id"))
    )
    report = build_report(
        request,
        context.organization.id,
        map(report_account, results),
        errors=[_not_released(missing)] if missing or not ended else [],
        is_complete=True,
        finished_at=hub.now(),
    )
    for account in report.accounts:
        click.echo(f"{title_and_id(account)}: {plain(account.error.message if account.error else '')}", err=as_json)
    for error in report.errors:
        click.echo(f"{plain(error.message)}. {error.remedy}", err=True)
    if ended and not confirm(f"End {len(ended)} releases?"):
        return None
    if ended:
        context.archive.note_release(request.run_id, ended, report.finished_at, now=report.finished_at)
    return report


def _tell(names: list[str]) -> Problem:
    message = f"the release is over: the next run may enforce {', '.join(names)}"
    return Problem(Stage.SELECT, "release_ended", message, "")


def _not_released(names: list[str]) -> Problem:
    message = f"no release is in force of {', '.join(map(repr, names)) or 'anybody in these accounts'}"
    return Problem(Stage.SELECT, "no_release", message, "orgmfa doctor lists them; upper and lower case count.")
