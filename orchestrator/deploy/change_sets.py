"""Creates, executes and discards the change set of one stack; deletes a stack."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.deploy.context import DeployContext
from orchestrator.deploy.messages import DeploymentFailed, remedy
from orchestrator.deploy.parameters import list_differences
from orchestrator.deploy.templates import Template
from orchestrator.deploy.waiters import wait_if_busy, wait_until, watch_stack
from orchestrator.domain.cloudformation import IN_REVIEW, ChangeSet, Stack, Standing
from orchestrator.domain.errors import AwsError


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedChange:
    """The change of one stack, not made yet. `before` is None for a new stack, `change_set` where nothing changes.

    `differences` are the parameters whose value changes: name, before, after.
    """

    template: Template
    before: Stack | None
    change_set: ChangeSet | None
    differences: tuple[tuple[str, str, str], ...]


def make_updatable(stack: Stack | None, context: DeployContext) -> Stack | None:
    """Return a stack that can be updated, or None where it has to be created.

    Waits for work that was begun before, and deletes what a failed creation left. Raises DeploymentFailed where the
    stack has to be repaired by hand, Interrupted.
    """
    stack = wait_if_busy(stack, context)
    if stack is None or stack.standing is Standing.ABSENT:
        return None
    if stack.standing is Standing.READY:
        return stack
    if stack.standing is Standing.UNRECOVERABLE:
        context.view.say(f"{stack.name}: its first creation failed and was rolled back; what is left of it is deleted.")
        remove_stack(stack, context)
        return None
    raise DeploymentFailed(f"{stack.name}: {stack.status}\n{remedy(stack, region=context.place.region)}")


def prepare_change(
    template: Template, source: str, values: Mapping[str, str | None], *, before: Stack | None, context: DeployContext
) -> PreparedChange:
    """Return the change of a stack, computed by CloudFormation; `source` is the template's text or address.

    Raises DeploymentFailed where CloudFormation cannot compute it, Interrupted.
    """
    context.view.begin(f"working out what changes in {template.stack_name}")
    change_set_id = context.stacks.create_change_set(
        name=context.token,
        stack_name=template.stack_name,
        is_creation=before is None,
        source=source,
        parameters=values,
    )
    found = wait_until(
        lambda seen: not seen.is_under_way, lambda: context.stacks.get_change_set(change_set_id), context.cancellation
    )
    if not found.has_failed:
        differences = list_differences(template, values, before.parameters if before else None)
        return PreparedChange(template=template, before=before, change_set=found, differences=differences)
    discard_change(found, context)
    if not found.is_empty:
        raise DeploymentFailed(f"{template.stack_name}: CloudFormation cannot work out the change: {found.reason}")
    return PreparedChange(template=template, before=before, change_set=None, differences=())


def discard_change(change_set: ChangeSet, context: DeployContext) -> None:
    """Delete a change set that is not executed, and the empty stack that CloudFormation made for it."""
    # A change set that is left over does not disturb the next deployment.
    with suppress(AwsError):
        context.stacks.delete_change_set(change_set.id)
        stack = context.stacks.get_stack(change_set.stack_id)
        if stack is not None and stack.status == IN_REVIEW:
            _delete(stack, context)


def execute_change(name: str, change_set: ChangeSet, context: DeployContext) -> Stack:
    """Return the stack of this name after its change. Raises DeploymentFailed with the reasons, Interrupted."""
    since = context.stacks.get_newest_event_id(change_set.stack_id)
    try:
        context.stacks.execute_change_set(change_set.id, f"{context.token}-{name}-execute")
    except AwsError:
        discard_change(change_set, context)
        raise
    begun = Stack(id=change_set.stack_id, name=name, status=IN_REVIEW)
    return watch_stack(begun, context, since=since, resources=len(change_set.changes))


def remove_stack(stack: Stack, context: DeployContext) -> None:
    """Delete a stack. Raises DeploymentFailed with the reasons where that failed, Interrupted."""
    since = context.stacks.get_newest_event_id(stack.id)
    _delete(stack, context)
    watch_stack(stack, context, since=since)


def _delete(stack: Stack, context: DeployContext) -> None:
    context.stacks.delete_stack(stack.id, f"{context.token}-{stack.name}-delete")
