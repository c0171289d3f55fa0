"""The story of taking down what a deployment put up, in the reverse order.

look -> who is still under EnforceMFA? -> ask -> the StackSet's stacks in the accounts -> its own stack -> central ->
the bucket, where it holds nothing but artifacts. The same command goes on where an earlier one ended.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NoReturn

from orchestrator.deploy.change_sets import remove_stack
from orchestrator.deploy.function_code import ARTIFACTS
from orchestrator.deploy.messages import MAX_REASONS, DeploymentFailed
from orchestrator.deploy.ports import Bucket, Tools
from orchestrator.deploy.rollout import BUCKET_OUTPUT
from orchestrator.deploy.templates import BOOTSTRAP, CENTRAL, STACK_SET, STACKS, Template
from orchestrator.deploy.waiters import Interrupted, wait_for_others, wait_until
from orchestrator.domain.cloudformation import InstanceFailure, Stack, StackInstance, Standing
from orchestrator.domain.errors import AwsError, StartError


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What stands: the stacks by the names of their templates, the StackSet's stacks, and the bucket.

    `is_bucket_kept`: with its stack it stays, because the archive is in it.
    """

    stacks: Mapping[str, Stack]
    instances: tuple[StackInstance, ...]
    bucket: Bucket | None
    is_bucket_kept: bool

    @property
    def doomed(self) -> tuple[Stack, ...]:
        """The stacks that are to go, in this order."""
        names = [STACK_SET, CENTRAL, *([] if self.is_bucket_kept else [BOOTSTRAP])]
        return tuple(self.stacks[name] for name in names if name in self.stacks)


def take_down(
    templates: Mapping[str, Template],
    tools: Tools,
    *,
    check: Callable[[Mapping[str, Stack], Collection[str]], None],
    confirm: Callable[[Inventory], bool],
) -> Inventory | None:
    """Take down what stands and return what that was, or None where the user declined.

    `check` is given the stacks and the accounts that the StackSet has reached, and raises DeploymentFailed where
    somebody is under EnforceMFA there. Raises StartError where nothing could start; DeploymentFailed, AwsError,
    Interrupted.
    """
    found = _look(templates, tools)
    if not found.doomed:
        return found
    if STACK_SET in found.stacks:
        check(found.stacks, {one.account_id for one in found.instances})
    if not confirm(found):
        return None
    if found.instances:
        _delete_instances(found, tools)
    for stack in found.doomed:
        remove_stack(stack, tools)
    if found.bucket is not None and not found.is_bucket_kept:
        # Its stack retained it.
        found.bucket.clear(ARTIFACTS)
        found.bucket.delete()
        tools.view.say(f"{found.bucket.name}: deleted")
    return found


def _look(templates: Mapping[str, Template], tools: Tools) -> Inventory:
    stacks: dict[str, Stack] = {}
    try:
        for name in STACKS:
            stack = tools.stacks.get_stack(templates[name].stack_name)
            if stack is not None and stack.standing is Standing.BUSY:
                stack = wait_for_others(stack, tools)
            # One that is only under review holds nothing.
            if stack is not None and stack.standing is not Standing.ABSENT:
                stacks[name] = stack
        bucket = _open_bucket(stacks.get(BOOTSTRAP), tools)
        return Inventory(
            stacks=stacks,
            instances=_list_instances(stacks.get(STACK_SET), tools),
            bucket=bucket,
            # Artifacts can be made again.
            is_bucket_kept=bucket is not None and not bucket.is_empty(but_for=ARTIFACTS),
        )
    except AwsError as error:
        raise StartError(f"cannot read what stands: {error} ({error.code})") from error


def _list_instances(stack: Stack | None, tools: Tools) -> tuple[StackInstance, ...]:
    name = _stack_set_of(stack)
    return tools.stack_sets.list_instances(name) if name else ()


def _stack_set_of(stack: Stack | None) -> str:
    """Return the StackSet of a stack; one whose first creation or deletion failed may not tell its outputs."""
    return "" if stack is None else stack.outputs.get("StackSetId") or stack.parameters.get("StackSetName", "")


def _open_bucket(stack: Stack | None, tools: Tools) -> Bucket | None:
    if stack is None or BUCKET_OUTPUT not in stack.outputs:
        return None
    return tools.open_bucket(stack.outputs[BUCKET_OUTPUT])


def _delete_instances(found: Inventory, tools: Tools) -> None:
    """Delete the stacks in the accounts first, and apart: who fails there is told by account."""
    stack = found.stacks[STACK_SET]
    stack_set = _stack_set_of(stack)
    tools.view.begin(f"deleting the stacks of {len(found.instances):,} accounts")
    tools.stack_sets.delete_instances(
        stack_set,
        target_ids=[one.strip() for one in stack.parameters["TargetIds"].split(",")],
        regions=sorted({one.region for one in found.instances}),
        operation_id=tools.token,
    )
    try:
        wait_until(bool, lambda: tools.stack_sets.is_operation_over(stack_set, tools.token), tools.cancellation)
    except Interrupted as error:
        message = (
            "Interrupted. The StackSet goes on deleting its stacks in AWS. Run the same command again to go on, or:\n"
            f"  aws cloudformation describe-stack-set-operation --stack-set-name {stack_set} "
            f"--operation-id {tools.token} --region {tools.region}"
        )
        raise Interrupted(message) from error
    if failures := tools.stack_sets.list_failures(stack_set, tools.token):
        _raise_failures(failures)
    tools.view.say(f"{stack_set.partition(':')[0]}: the stacks of {len(found.instances):,} accounts were deleted")


def _raise_failures(failures: tuple[InstanceFailure, ...]) -> NoReturn:
    lines = [f"  {one.account_id}: {one.reason}" for one in failures[:MAX_REASONS]]
    if len(failures) > MAX_REASONS:
        lines.append(f"  and {len(failures) - MAX_REASONS} more")
    message = (
        f"The StackSet could not delete its stack in {len(failures):,} accounts; in all others it did:\n"
        + "\n".join(lines)
        + "\nMend the cause there (IAM deletes no policy that is attached), then run the same command again."
    )
    raise DeploymentFailed(message)
