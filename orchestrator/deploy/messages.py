"""Error texts about stacks and AWS calls that failed, with what to do next. Pure."""

from collections.abc import Sequence

from orchestrator.domain.cloudformation import STACK_TYPE, Stack, StackEvent
from orchestrator.domain.errors import AwsError, LocalFault, NoCredentials, OrgmfaError, Throttled, Unavailable
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
    """A deployment or removal failed; the message says what remains in AWS, why it failed, and what to do."""


class Interrupted(OrgmfaError):
    """The user interrupted a wait; the awaited work goes on in AWS."""


def explain_failure(stack: Stack, events: Sequence[StackEvent], *, region: str) -> str:
    """Return which resources of a stack failed and why, and what to do."""
    failed = [event for event in events if event.has_failed]
    # The stack's own event only repeats what its resources say.
    own = [event for event in failed if event.type != STACK_TYPE] or failed
    reasons = [f"{event.logical_id} ({event.type}): {event.reason or event.status}" for event in own]
    return "\n".join([f"{stack.name}: {stack.status}", *first_reasons(reasons), remedy(stack, region=region)])


def first_reasons(reasons: Sequence[str]) -> list[str]:
    """Return the first reasons as indented lines, and how many more there are."""
    hidden = len(reasons) - MAX_REASONS
    shown = [*reasons[:MAX_REASONS], *([f"and {hidden} more"] if hidden > 0 else [])]
    return [f"  {reason}" for reason in shown]


def remedy(stack: Stack, *, region: str) -> str:
    """Return what to do about a stack with this status."""
    return _REMEDIES.get(stack.status, _DELETE_FIRST).format(name=stack.name, region=region)


def explain_refusal(error: AwsError) -> str:
    """Return the error of an AWS call made during a deployment, and what to do."""
    is_passing = isinstance(error, LocalFault | NoCredentials | Throttled | Unavailable)
    advice = select_remedy(error) if is_passing else f"AWS refused {error.operation or 'the call'}: mend the cause."
    return (
        f"{error} ({error.code}). {advice}\n"
        "What CloudFormation had begun goes on. Run the same command again to go on from there."
    )
