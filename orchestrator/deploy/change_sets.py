"""One stack's change: worked out by CloudFormation as a change set, and then carried out or dropped."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.deploy.messages import DeploymentFailed, explain_failure, remedy
from orchestrator.deploy.parameters import list_differences
from orchestrator.deploy.ports import Tools
from orchestrator.deploy.templates import Template
from orchestrator.deploy.waiters import wait_for_others, wait_until, watch_stack
from orchestrator.domain.cloudformation import IN_REVIEW, ChangeSet, ChangeSetRequest, ParameterValue, Stack, Standing
from orchestrator.domain.errors import AwsError


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedChange:
    """What would change in a stack: `before` is None where it is to be made, `change_set` where nothing changes.

    `differences` are the parameters with another value than before: name, before, after.
    """

    template: Template
    before: Stack | None
    change_set: ChangeSet | None
    differences: tuple[tuple[str, str, str], ...]


def settle_stack(stack: Stack | None, tools: Tools) -> Stack | None:
    """Return a stack that can be updated, or None where it is to be made; waits and tidies up for that.

    Raises DeploymentFailed where it needs a hand, Interrupted.
    """
    if stack is not None and stack.standing is Standing.BUSY:
        stack = wait_for_others(stack, tools)
    if stack is None or stack.standing is Standing.ABSENT:
        return None
    if stack.standing is Standing.READY:
        return stack
    if stack.standing is Standing.UNRECOVERABLE:
        tools.view.say(f"{stack.name}: its first creation failed and was rolled back; what is left of it is deleted.")
        remove_stack(stack, tools)
        return None
    raise DeploymentFailed(f"{stack.name}: {stack.status}\n{remedy(stack, region=tools.region)}")


def prepare_change(
    template: Template, source: str, values: tuple[ParameterValue, ...], *, before: Stack | None, tools: Tools
) -> PreparedChange:
    """Return what would change in a stack; `source` is the template's text or address.

    Raises DeploymentFailed where CloudFormation cannot work it out, Interrupted.
    """
    tools.view.begin(f"working out what changes in {template.stack_name}")
    change_set_id = tools.stacks.create_change_set(
        ChangeSetRequest(
            name=tools.token,
            stack_name=template.stack_name,
            is_creation=before is None,
            template=source,
            parameters=values,
        )
    )
    found = wait_until(
        lambda seen: not seen.is_under_way, lambda: tools.stacks.get_change_set(change_set_id), tools.cancellation
    )
    differences = list_differences(template, values, before.parameters if before else None)
    change = PreparedChange(template=template, before=before, change_set=found, differences=differences)
    if not found.has_failed:
        return change
    drop_change(change, tools)
    if not found.is_empty:
        raise DeploymentFailed(f"{template.stack_name}: CloudFormation cannot work out the change: {found.reason}")
    return PreparedChange(template=template, before=before, change_set=None, differences=())


def drop_change(change: PreparedChange, tools: Tools) -> None:
    """Delete a change set that is not carried out, and the empty stack that CloudFormation made for it."""
    if change.change_set is None:
        return
    # Left over it does no harm: the next deployment does not mind it.
    with suppress(AwsError):
        tools.stacks.delete_change_set(change.change_set.id)
        stack = tools.stacks.get_stack(change.change_set.stack_id)
        if stack is not None and stack.status == IN_REVIEW:
            tools.stacks.delete_stack(stack.id, f"{tools.token}-{stack.name}-delete")


def carry_out(change: PreparedChange, change_set: ChangeSet, tools: Tools) -> Stack:
    """Return a stack after its change. Raises DeploymentFailed with the reasons where it failed, Interrupted."""
    since = tools.stacks.get_newest_event_id(change_set.stack_id)
    try:
        tools.stacks.execute_change_set(change_set.id, f"{tools.token}-{change.template.stack_name}-execute")
    except AwsError:
        drop_change(change, tools)
        raise
    name = change.template.stack_name
    begun = Stack(id=change_set.stack_id, name=name, status=IN_REVIEW)
    after, events = watch_stack(begun, tools, since=since, resources=len(change_set.changes))
    if not after.has_succeeded:
        raise DeploymentFailed(explain_failure(after, events, region=tools.region))
    tools.view.say(f"{name}: {after.status}")
    return after


def remove_stack(stack: Stack, tools: Tools) -> None:
    """Delete a stack. Raises DeploymentFailed with the reasons where that failed, Interrupted."""
    since = tools.stacks.get_newest_event_id(stack.id)
    tools.stacks.delete_stack(stack.id, f"{tools.token}-{stack.name}-delete")
    after, events = watch_stack(stack, tools, since=since)
    if not after.has_succeeded:
        raise DeploymentFailed(explain_failure(after, events, region=tools.region))
    tools.view.say(f"{stack.name}: {after.status}")


def changes_of(prepared: Sequence[PreparedChange]) -> list[tuple[PreparedChange, ChangeSet]]:
    """Return the changes that there are, each with its change set."""
    return [(one, one.change_set) for one in prepared if one.change_set is not None]
