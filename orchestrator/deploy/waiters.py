"""Waits for CloudFormation: looks again and again, tells what happens, and ends at once where the user wants it to."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from tenacity import Retrying, retry_if_result, sleep_using_event, wait_exponential

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.deploy.ports import Tools
from orchestrator.domain.cloudformation import STACK_TYPE, Stack, StackEvent
from orchestrator.domain.errors import OrgmfaError

FIRST_WAIT_SECONDS = 0.25
MAX_WAIT_SECONDS = 5.0

T = TypeVar("T")


class Interrupted(OrgmfaError):
    """The user ended the waiting; what was waited for goes on in AWS."""


def wait_until(is_over: Callable[[T], bool], look: Callable[[], T], cancellation: Cancellation) -> T:
    """Return what a look saw when that was the end. Raises Interrupted where the user did not wait for it."""
    attempts = Retrying(
        retry=retry_if_result(lambda seen: not is_over(seen) and not cancellation.event.is_set()),
        wait=wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=MAX_WAIT_SECONDS),
        sleep=sleep_using_event(cancellation.event),
    )
    seen = attempts(look)
    if not is_over(seen):
        raise Interrupted("interrupted")
    return seen


def watch_stack(
    stack: Stack, tools: Tools, *, since: str | None, resources: int | None = None
) -> tuple[Stack, Sequence[StackEvent]]:
    """Return a stack when the work on it has ended, and what happened after the event named.

    Raises Interrupted, which says how to follow the work from then on.
    """
    seen: list[StackEvent] = []
    with tools.view.follow(stack.name, resources) as tell:

        def look() -> Stack:
            now = tools.stacks.get_stack(stack.id) or stack
            for event in tools.stacks.list_events(stack.id, since=seen[-1].id if seen else since):
                seen.append(event)
                tell(event)
            return now

        def is_over(now: Stack) -> bool:
            # Right after a call the status can still be the one before it, so the end is an event of the stack's own.
            return not now.is_under_way and any(
                event.type == STACK_TYPE and event.logical_id == stack.name and not event.is_under_way for event in seen
            )

        try:
            return wait_until(is_over, look, tools.cancellation), seen
        except Interrupted as error:
            message = (
                f"Interrupted. The work on {stack.name} goes on in AWS. Run the same command again to go on, or:\n"
                f"  aws cloudformation describe-stack-events --stack-name {stack.name} --region {tools.region}"
            )
            raise Interrupted(message) from error


def wait_for_others(stack: Stack, tools: Tools) -> Stack | None:
    """Return a stack once work that was begun before is over; None where that was its deletion.

    Raises Interrupted.
    """
    tools.view.begin(f"{stack.name} is {stack.status}: waiting for what was begun before")
    over = wait_until(
        lambda now: now is None or not now.is_under_way, lambda: tools.stacks.get_stack(stack.id), tools.cancellation
    )
    return None if over is None or over.status == "DELETE_COMPLETE" else over
