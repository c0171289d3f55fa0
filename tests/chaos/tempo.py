"""The waiting of the program, made short: nothing here waits for real for what it waits for in service.

The proportions stay: a call may be silent for longer than an endpoint is tried, and than a halt has patience.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from orchestrator import wiring
from orchestrator.aws import clients, iam, retries, sessions, stop_switch
from orchestrator.concurrency import pool
from orchestrator.output.slack import client as slack
from orchestrator.pipeline import gate, inspection, lease

READ_TIMEOUT_IN_SERVICE = float(clients.READ_TIMEOUT_SECONDS)
READ_TIMEOUT_SECONDS = 2.0
TOO_SLOW_SECONDS = 2.3
"""How late an answer comes that nobody waits for any more."""

_CONSTANTS: tuple[tuple[Any, str, Any], ...] = (
    (clients, "CONNECT_TIMEOUT_SECONDS", 1.0),
    (clients, "READ_TIMEOUT_SECONDS", READ_TIMEOUT_SECONDS),
    (retries, "FIRST_WAIT_SECONDS", 0.01),
    (retries, "MAX_WAIT_SECONDS", 0.2),
    (retries, "UNREACHABLE_SECONDS", 1.5),
    (sessions, "WAIT_SECONDS", 0.05),
    (wiring, "ONBOARDING_TIMEOUT_SECONDS", 2.0),
    (stop_switch, "FRESH_SECONDS", 0.0),
    (lease, "FRESH_SECONDS", 0.0),
    (lease, "POLL_SECONDS", 0.02),
    (lease, "ERROR_SECONDS", 0.3),
    (lease, "REPEAT_SECONDS", 1.0),
    (lease, "HANDOVER_SECONDS", 3.0),
    (inspection, "NEW_USER_WAITS", (0.0, 0.02)),
    (gate, "PATIENCE_SECONDS", 1.0),
    (slack, "FIRST_WAIT_SECONDS", 0.01),
)
_DEFAULTS: tuple[tuple[Any, str, float], ...] = (
    (iam.MemberIam.__init__, "report_wait_seconds", 1.0),
    (pool.map_unordered, "timeout_seconds", 1.2),
    (lease.Lease.__init__, "keep_every", 0.1),
    (slack.SlackClient.__init__, "timeout_seconds", 1),
)
"""Those that a function holds as the default of a parameter."""


@contextmanager
def in_a_hurry() -> Iterator[None]:
    """Have the program in this process wait for a fraction of what it waits for in service."""
    with ExitStack() as undo:
        for module, name, seconds in _CONSTANTS:
            undo.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, seconds)
        for function, name, seconds in _DEFAULTS:
            undo.callback(function.__kwdefaults__.__setitem__, name, function.__kwdefaults__[name])
            function.__kwdefaults__[name] = seconds
        yield
