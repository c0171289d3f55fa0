"""Lists the users under EnforceMFA, from the plan of a release of everybody that is made but not carried out.

The plan is not archived, so it never appears in the list of runs. The operator's role makes it.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from tempfile import TemporaryDirectory

from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import as_role
from orchestrator.deploy.context import DeployContext
from orchestrator.deploy.messages import DeploymentFailed, Interrupted
from orchestrator.deploy.templates import CENTRAL
from orchestrator.domain.cloudformation import Stack
from orchestrator.domain.config import EventsConfig
from orchestrator.domain.errors import AwsError, StartError
from orchestrator.domain.model import Mode, Outcome, RunRequest, Status, Trigger
from orchestrator.output.terminal import ProgressView
from orchestrator.output.words import count, some_of, title_and_id
from orchestrator.reports.report import AccountReport, RunReport
from orchestrator.wiring import Hub, make_run_id, run_once

MAX_NAMES = 10
_UNENTERABLE = frozenset({"suspended", "pending_closure", "closed", "pending_activation"})


def refuse_enforced(context: DeployContext, stacks: Mapping[str, Stack], reached: Collection[str]) -> None:
    """Raise DeploymentFailed while somebody is under EnforceMFA: IAM deletes no policy that is attached.

    An account that cannot be read counts only if it is in `reached`: the accounts that have the StackSet's stack.
    Raises StartError or ConfigError where nothing could be read, Interrupted.
    """
    hub = _as_operator(context, stacks)
    now = hub.now()
    request = RunRequest(run_id=make_run_id(now), mode=Mode.RELEASE, trigger=Trigger.CLI, started_at=now)
    with ProgressView(context.view.progress, Mode.RELEASE) as progress, TemporaryDirectory(prefix="orgmfa-") as folder:
        update = {"archive": hub.config.archive.model_copy(update={"location": folder}), "events": EventsConfig()}
        report = run_once(
            replace(hub, config=hub.config.model_copy(update=update)),
            request,
            cancellation=context.cancellation,
            observer=progress,
            confirm=lambda _: False,
            send_digest=False,
        ).report
    if context.cancellation.reason:
        raise Interrupted("Interrupted while counting who is under EnforceMFA. Nothing was changed.")
    if told := format_enforced_users(report, reached):
        raise DeploymentFailed(told)


def _as_operator(context: DeployContext, stacks: Mapping[str, Stack]) -> Hub:
    """Return a hub with the credentials of the operator's role, where the stacks have one."""
    hub, role = context.hub, stacks[CENTRAL].outputs.get("OperatorRoleArn") if CENTRAL in stacks else None
    if role is None:
        return hub
    try:
        retrier = Retrier(context.cancellation)
        return replace(hub, clients=as_role(hub.clients, retrier, role_arn=role, session_name=make_run_id(hub.now())))
    except AwsError as error:
        message = (
            f"cannot become {role}, which the member roles trust, to see who is under EnforceMFA: {error} "
            f"({error.code}). Name yourself: orgmfa deploy --parameter OperatorPrincipalArns=ARN"
        )
        raise StartError(message) from error


def format_enforced_users(report: RunReport, reached: Collection[str]) -> str:
    """Return why nothing can be taken down, from the plan of a release of everybody; empty where it can be."""
    enforced = [account for account in report.accounts if _enforced_names(account)]
    unseen = [account for account in report.accounts if account.id in reached and _is_unseen(account)]
    lines: list[str] = []
    if enforced:
        users = sum(len(_enforced_names(account)) for account in enforced)
        lines.append(f"{count(users, 'user')} in {count(len(enforced), 'account')} still under EnforceMFA:")
        lines += (f"  {title_and_id(one)}: {some_of(_enforced_names(one), MAX_NAMES)}" for one in enforced)
        lines.append("Release them, as the operator's role: orgmfa release")
    if unseen:
        number = count(len(unseen), "account")
        lines.append(f"{number} of the StackSet could not be looked at; users may be enforced there:")
        for one in unseen:
            lines.append(f"  {title_and_id(one)}: {one.error.message if one.error else one.status}")
            lines += [f"    {one.error.remedy}"] if one.error and one.error.remedy else []
        lines.append(
            "The member roles trust the operator's role: name who you are in OperatorPrincipalArns (orgmfa deploy "
            "--parameter OperatorPrincipalArns=ARN). An account that the configuration excludes has to be included."
        )
    if not report.complete:
        lines.append("The organization could not be listed to its end: run again.")
    return "\n".join([*lines, "Nothing was changed."]) if lines else ""


def _is_unseen(account: AccountReport) -> bool:
    code = account.error.code if account.error else ""
    return account.status is not Status.INSPECTED and code not in _UNENTERABLE


def _enforced_names(account: AccountReport) -> list[str]:
    return [user.name for user in account.users if user.outcome is Outcome.PLANNED]
