"""The sequence of taking a deployment down, in the reverse order.

read what exists -> who is still under EnforceMFA? -> ask -> the StackSets' stacks in the accounts -> their own stack ->
central -> the bucket, where it holds nothing but artifacts. The same command continues a removal that failed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.aws.deployment import ArtifactBucket
from orchestrator.deploy.changes import remove_stack, wait_if_busy, wait_until
from orchestrator.deploy.context import DeployContext
from orchestrator.deploy.enforced_users import refuse_enforced
from orchestrator.deploy.function_code import ARTIFACTS
from orchestrator.deploy.messages import DeploymentFailed, first_reasons
from orchestrator.deploy.templates import BOOTSTRAP, BUCKET_OUTPUT, CENTRAL, STACK_SET, STACKS, read_template
from orchestrator.domain.cloudformation import Stack, Standing
from orchestrator.domain.errors import AwsError, StartError


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
    """Delete what exists and return what that was, or None where the user declined.

    Raises StartError where nothing could start; DeploymentFailed, also where somebody is under EnforceMFA; AwsError,
    Interrupted.
    """
    found = _read_inventory(context)
    if not found.doomed:
        return found
    if STACK_SET in found.stacks:
        of_members = found.instances.get(_stack_set_of(found.stacks[STACK_SET]), ())
        refuse_enforced(context, found.stacks, {account_id for account_id, _ in of_members})
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
        bucket = context.open_bucket(bucket_name) if bucket_name is not None else None
        return Inventory(
            stacks=stacks,
            instances={name: instances for name, instances in found.items() if instances},
            bucket=bucket,
            # Artifacts can be made again, the archive cannot.
            is_bucket_kept=bucket is not None and not bucket.is_empty(but_for=ARTIFACTS),
        )
    except AwsError as error:
        raise StartError(f"cannot read what stands: {error} ({error.code})") from error


def list_reached(stacks: Mapping[str, Stack], context: DeployContext) -> frozenset[str]:
    """Return the IDs of the accounts that the StackSet of the member roles has reached."""
    stack_set = _stack_set_of(stacks.get(STACK_SET))
    instances = context.stack_sets.list_instances(stack_set) if stack_set else ()
    return frozenset(account_id for account_id, _ in instances)


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
    wait_until(
        bool,
        lambda: context.stack_sets.is_operation_over(stack_set, operation_id),
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
    context.view.say(f"{name}: {accounts} were deleted")
