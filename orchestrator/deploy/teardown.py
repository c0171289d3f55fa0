"""The sequence of taking a deployment down, in the reverse order, and who keeps it from that.

read what exists -> who is still under EnforceMFA? -> ask -> the StackSets' stacks in the accounts -> their own stack ->
central -> the bucket, where it holds nothing but artifacts. The same command continues a removal that failed.

Who is under EnforceMFA is told by the plan of a release of everybody, made as the operator's role and not carried out.
The plan is not archived, so it never appears in the list of runs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

from orchestrator.aws.deployment import SUCCEEDED, ArtifactBucket
from orchestrator.aws.retries import Retrier
from orchestrator.aws.sessions import as_role
from orchestrator.deploy.changes import remove_stack, wait_if_busy, wait_until
from orchestrator.deploy.context import DeployContext
from orchestrator.deploy.function_code import ARTIFACTS
from orchestrator.deploy.messages import DeploymentFailed, Interrupted, first_reasons
from orchestrator.deploy.templates import BOOTSTRAP, BUCKET_OUTPUT, CENTRAL, STACK_SET, STACKS, read_template
from orchestrator.domain.cloudformation import Stack, Standing
from orchestrator.domain.config import EventsConfig
from orchestrator.domain.errors import AwsError, StartError
from orchestrator.domain.model import Mode, Outcome, RunRequest, Status, Trigger
from orchestrator.output.terminal import ProgressView
from orchestrator.output.words import count, some_of, title_and_id
from orchestrator.reports.report import AccountReport, RunReport
from orchestrator.wiring import Hub, build_context, make_run_id, run_once

MAX_NAMES = 10
_UNENTERABLE = frozenset({"suspended", "pending_closure", "closed", "pending_activation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What exists: the stacks by the names of their templates, the stack instances by StackSet, and the bucket.

    `instances` has the names or IDs of the StackSets in the order of their removal: that of the rules for IAM events
    first, so that nothing is sent while the bus goes. `is_bucket_kept`: bucket and stack stay, because of the archive.
    """

    stacks: Mapping[str, Stack]
    instances: Mapping[str, Sequence[tuple[str, str]]]
    bucket: ArtifactBucket | None
    is_bucket_kept: bool

    @property
    def doomed(self) -> tuple[Stack, ...]:
        """The stacks to delete, in this order."""
        names = [STACK_SET, CENTRAL, *([] if self.is_bucket_kept else [BOOTSTRAP])]
        return tuple(self.stacks[name] for name in names if name in self.stacks)


def take_down(context: DeployContext) -> Inventory | None:
    """Delete what exists and return what that was, or None where the user declined. Raises StartError before it starts.

    Raises DeploymentFailed, also where somebody is under EnforceMFA; AwsError, Interrupted.
    """
    found = _read_inventory(context)
    if not found.doomed:
        return found
    if STACK_SET in found.stacks:
        refuse_enforced(context, found.stacks)
    context.view.show_inventory(found)
    if not context.ask("\nDelete all this?"):
        return None
    for number, stack_set in enumerate(found.instances):
        _delete_instances(found, stack_set, context, operation_id=f"{context.token}-{number}")
    for stack in found.doomed:
        remove_stack(stack, context)
    if found.bucket is not None and not found.is_bucket_kept:
        # The bucket outlives its stack, which retains it.
        found.bucket.clear(ARTIFACTS)
        found.bucket.delete()
        context.view.say(f"{found.bucket.name}: deleted")
    return found


def _read_inventory(context: DeployContext) -> Inventory:
    stacks: dict[str, Stack] = {}
    try:
        for name in STACKS:
            stack = wait_if_busy(context.stacks.get_stack(read_template(name).stack_name), context)
            # A stack that is only under review holds nothing.
            if stack is not None and stack.standing is not Standing.ABSENT:
                stacks[name] = stack
        stack_sets = [_events_stack_set_of(stacks.get(STACK_SET)), _stack_set_of(stacks.get(STACK_SET))]
        found = {name: context.stack_sets.list_instances(name) for name in stack_sets if name}
        bucket_name = stacks[BOOTSTRAP].outputs.get(BUCKET_OUTPUT) if BOOTSTRAP in stacks else None
        bucket = ArtifactBucket(context.hub.clients.s3, bucket_name) if bucket_name is not None else None
        return Inventory(
            stacks=stacks,
            instances={name: instances for name, instances in found.items() if instances},
            bucket=bucket,
            # Artifacts can be made again, the archive cannot.
            is_bucket_kept=bucket is not None and not bucket.is_empty(but_for=ARTIFACTS),
        )
    except AwsError as error:
        raise StartError(f"cannot read what stands: {error} ({error.code})") from error


def _stack_set_of(stack: Stack | None) -> str:
    """Return the StackSet of a stack; the stack may lack outputs if its first creation or its deletion failed."""
    return "" if stack is None else stack.outputs.get("StackSetId") or stack.parameters.get("StackSetName", "")


def _events_stack_set_of(stack: Stack | None) -> str:
    """Return the StackSet of the rules for IAM events, where the stack has one."""
    if stack is None or stack.parameters.get("IamEvents") != "on":
        return ""
    return stack.outputs.get("EventsStackSetId") or f"{stack.parameters['StackSetName']}-events"


def _delete_instances(found: Inventory, stack_set: str, context: DeployContext, *, operation_id: str) -> None:
    """Delete the stacks in the accounts before the StackSet's own stack, so that failures are named by account."""
    instances, name = found.instances[stack_set], stack_set.partition(":")[0]
    accounts = f"the stacks of {len(instances):,} accounts"
    context.view.begin(f"{name}: deleting {accounts}")
    context.stack_sets.delete_instances(
        stack_set,
        target_ids=[one.strip() for one in found.stacks[STACK_SET].parameters["TargetIds"].split(",")],
        regions=sorted({region for _, region in instances}),
        operation_id=operation_id,
    )
    goes_on = (
        "Interrupted. The StackSet goes on deleting its stacks in AWS. Run the same command again to go on, or:\n"
        f"  aws cloudformation describe-stack-set-operation --stack-set-name {stack_set} "
        f"--operation-id {operation_id} --region {context.place.region}"
    )
    end = wait_until(
        lambda ended: ended is not None,
        lambda: context.stack_sets.find_end(stack_set, operation_id),
        context.cancellation,
        goes_on=goes_on,
    )
    if failures := context.stack_sets.list_failures(stack_set, operation_id):
        lines = [
            f"The StackSet {name} could not delete its stack in {len(failures):,} accounts; in all others it did:",
            *first_reasons([f"{account_id}: {reason}" for account_id, reason in failures.items()]),
            "Mend the cause there (IAM deletes no policy that is attached), then run the same command again.",
        ]
        raise DeploymentFailed("\n".join(lines))
    if end is None or not end.startswith(SUCCEEDED):
        message = (
            f"The StackSet {name} did not delete {accounts}: {end}. Mend the cause, then run the same command again."
        )
        raise DeploymentFailed(message)
    context.view.say(f"{name}: {accounts} were deleted")


def refuse_enforced(context: DeployContext, stacks: Mapping[str, Stack]) -> None:
    """Raise DeploymentFailed while somebody is under EnforceMFA: IAM deletes no policy that is attached.

    An account that cannot be read counts only if it has the StackSet's stack. Raises StartError or ConfigError where
    nothing could be read, AwsError, Interrupted.
    """
    stack_set = _stack_set_of(stacks.get(STACK_SET))
    reached = {account_id for account_id, _ in context.stack_sets.list_instances(stack_set)} if stack_set else set()
    hub = _as_operator(context, stacks)
    now = hub.now()
    request = RunRequest(run_id=make_run_id(now), mode=Mode.RELEASE, trigger=Trigger.CLI, started_at=now)
    with ProgressView(context.view.progress, Mode.RELEASE) as progress, TemporaryDirectory(prefix="orgmfa-") as folder:
        update = {"archive": hub.config.archive.model_copy(update={"location": folder}), "events": EventsConfig()}
        counting = build_context(
            replace(hub, config=hub.config.model_copy(update=update)),
            request,
            cancellation=context.cancellation,
            observer=progress,
            confirm=lambda _: False,
            send_digest=False,
        )
        report = run_once(counting).report
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
