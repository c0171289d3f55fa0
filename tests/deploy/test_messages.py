"""Error texts about stacks that failed."""

from orchestrator.deploy.messages import explain_failure
from orchestrator.domain.cloudformation import Stack, StackEvent

CENTRAL = "orgmfa-central"


def test_very_many_reasons_are_counted() -> None:
    stack = Stack(id="i", name=CENTRAL, status="DELETE_FAILED")
    events = [
        StackEvent(id=str(number), logical_id=f"R{number}", type="AWS::X::Y", status="DELETE_FAILED", reason="why")
        for number in range(25)
    ]

    told = explain_failure(stack, events, region="eu-central-1").splitlines()

    assert told[0] == f"{CENTRAL}: DELETE_FAILED"
    assert told[20:22] == ["  R19 (AWS::X::Y): why", "  and 5 more"]
