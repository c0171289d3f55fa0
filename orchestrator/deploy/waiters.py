"""Waits for CloudFormation by polling, shows stack events meanwhile, and ends at once when the user interrupts."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_result, sleep_using_event, wait_exponential

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.deploy.context import DeployContext
from orchestrator.deploy.messages import DeploymentFailed, Interrupted, explain_failure
from orchestrator.domain.cloudformation import STACK_TYPE, Stack, StackEvent

FIRST_WAIT_SECONDS = 0.25
MAX_WAIT_SECONDS = 5.0

T = TypeVar("T")


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
