"""A signal to the process of the tests, at the moment when it calls AWS."""

import os
import signal

from tests.aws_server import Answer, AwsServer, Call


def interrupt_at(aws: AwsServer, action: str) -> None:
    """Have this process interrupted when AWS is first called with this action."""
    actions = [action]

    def fault(call: Call) -> Answer | None:
        if call.action in actions:
            actions.clear()
            os.kill(os.getpid(), signal.SIGINT)
        return None

    aws.faults.append(fault)
