"""Changes one stack by a change set, or deletes it, and waits: polls, shows events, ends at once when interrupted."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from tenacity import Retrying, retry_if_result, sleep_using_event, wait_exponential

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.deploy.context import DeployContext
from orchestrator.deploy.messages import DeploymentFailed, Interrupted, explain_failure, remedy
from orchestrator.deploy.parameters import list_differences
from orchestrator.deploy.templates import Template
from orchestrator.domain.cloudformation import IN_REVIEW, STACK_TYPE, ChangeSet, Stack, StackEvent, Standing
from orchestrator.domain.errors import AwsError

FIRST_WAIT_SECONDS = 0.25
MAX_WAIT_SECONDS = 5.0

T = TypeVar("T")


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
    """Return the change of a stack; `source` is the template or its address. Raises DeploymentFailed, Interrupted."""
    context.view.begin(f"working out what changes in {template.stack_name}")
    change_set_id = context.stacks.create_change_set(
        name=context.token, stack_name=template.stack_name, is_creation=before is None, source=source, parameters=values
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


def wait_until(
    is_over: Callable[[T], bool], poll: Callable[[], T], cancellation: Cancellation, *, goes_on: str = "interrupted"
) -> T:
    """Return the first polled value that satisfies `is_over`. Raises Interrupted, with `goes_on` as its message."""
    attempts = Retrying(
        retry=retry_if_result(lambda seen: not is_over(seen) and not cancellation.event.is_set()),
        wait=wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=MAX_WAIT_SECONDS),
        sleep=sleep_using_event(cancellation.event),
    )
    seen = attempts(poll)
    if not is_over(seen):
        raise Interrupted(goes_on)
    return seen


def watch_stack(stack: Stack, context: DeployContext, *, since: str | None, resources: int | None = None) -> Stack:
    """Return a stack once the work on it has succeeded, and show its events after the one with ID `since`.

    Raises DeploymentFailed with the reasons where the work failed, and Interrupted with how to follow it.
    """
    seen: list[StackEvent] = []
    region = context.place.region
    with context.view.follow(stack.name, resources) as show:

        def poll() -> Stack:
            now = context.stacks.get_stack(stack.id) or stack
            for event in context.stacks.list_events(stack.id, since=seen[-1].id if seen else since):
                seen.append(event)
                show(event)
            return now

        def is_over(now: Stack) -> bool:
            # Right after a call the status can still be the one before it, so the end is an event of the stack's own.
            return not now.is_under_way and any(
                event.type == STACK_TYPE and event.logical_id == stack.name and not event.is_under_way for event in seen
            )

        goes_on = (
            f"Interrupted. The work on {stack.name} goes on in AWS. Run the same command again to go on, or:\n"
            f"  aws cloudformation describe-stack-events --stack-name {stack.name} --region {region}"
        )
        after = wait_until(is_over, poll, context.cancellation, goes_on=goes_on)
    if not after.has_succeeded:
        raise DeploymentFailed(explain_failure(after, seen, region=region))
    context.view.say(f"{stack.name}: {after.status}")
    return after


def wait_if_busy(stack: Stack | None, context: DeployContext) -> Stack | None:
    """Return a stack, read again once work that was begun before has ended. Raises Interrupted."""
    if stack is None or not stack.is_under_way:
        return stack
    context.view.begin(f"{stack.name} is {stack.status}: waiting for what was begun before")
    stack_id = stack.id
    return wait_until(
        lambda now: now is None or not now.is_under_way,
        lambda: context.stacks.get_stack(stack_id),
        context.cancellation,
    )
