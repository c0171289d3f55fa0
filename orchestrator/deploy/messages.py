"""What is said about stacks and calls that failed, and what to do about it. Pure."""

from collections.abc import Iterator, Sequence

from orchestrator.domain.cloudformation import STACK_TYPE, Stack, StackEvent
from orchestrator.domain.errors import AwsError, NoCredentials, OrgmfaError, Throttled, Unavailable
from orchestrator.domain.remedies import select_remedy

MAX_REASONS = 20
_REMEDIES = {
    "ROLLBACK_COMPLETE": (
        "The new stack was rolled back: nothing of it stands. Mend the cause and run the same command again; what is "
        "left of the stack is deleted then."
    ),
    "UPDATE_ROLLBACK_COMPLETE": (
        "The stack was rolled back to what it was before. Mend the cause and run the same command again."
    ),
    "UPDATE_ROLLBACK_FAILED": (
        "The way back failed too. Mend the cause, then take it back, and run the same command again:\n"
        "  aws cloudformation continue-update-rollback --stack-name {name} --region {region}"
    ),
    "DELETE_FAILED": "Mend the cause, then delete again: orgmfa deploy --delete",
}
_DELETE_FIRST = (
    "Its first creation failed and parts of it stand. Delete it, then deploy again:\n"
    "  aws cloudformation delete-stack --stack-name {name} --region {region}"
)


class DeploymentFailed(OrgmfaError):
    """A deployment did not come to its end; the message says what stands, why, and what to do."""


def explain_failure(stack: Stack, events: Sequence[StackEvent], *, region: str) -> str:
    """Return why the work on a stack failed, resource by resource, and what to do."""
    return "\n".join([f"{stack.name}: {stack.status}", *_reasons(events), remedy(stack, region=region)])


def remedy(stack: Stack, *, region: str) -> str:
    """Return what to do about a stack that stands as it does."""
    return _REMEDIES.get(stack.status, _DELETE_FIRST).format(name=stack.name, region=region)


def explain_refusal(error: AwsError) -> str:
    """Return what AWS answered to a call on the way, and what to do."""
    is_passing = isinstance(error, NoCredentials | Throttled | Unavailable)
    advice = select_remedy(error) if is_passing else f"AWS refused {error.operation or 'the call'}: mend the cause."
    return (
        f"{error} ({error.code}). {advice}\n"
        "What CloudFormation had begun goes on. Run the same command again to go on from there."
    )


def _reasons(events: Sequence[StackEvent]) -> Iterator[str]:
    """Yield the reasons of the resources that failed by themselves, the first first."""
    failed = [event for event in events if event.has_failed]
    own = [event for event in failed if event.type != STACK_TYPE] or failed
    for event in own[:MAX_REASONS]:
        yield f"  {event.logical_id} ({event.type}): {event.reason or event.status}"
    if len(own) > MAX_REASONS:
        yield f"  and {len(own) - MAX_REASONS} more"
