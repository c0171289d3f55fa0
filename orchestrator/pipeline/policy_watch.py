"""Watches the EnforceMFA policy of one account while it is put on users: who may edit it can turn it into a grant."""

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

import structlog

from orchestrator.domain.errors import AwsError
from orchestrator.domain.model import Decision, Enforcement, Outcome, Reason

WRITES_PER_LOOK = 5

log = structlog.get_logger(__name__)


class PolicyWatch:
    """Looks at policy and group again before every five writes of all threads, and after the last one."""

    def __init__(self, look: Callable[[], Enforcement], first: Enforcement, done: list[Decision]) -> None:
        """Take the look that the first five writes go by, and the list to which decisions are added once written."""
        self._look = look
        self._first = first
        self._done = done
        self._good = len(done)
        """How many decisions had been added when the last look began that found nothing changed."""
        self._writes = 0
        self._change: Reason | None = None
        self._lock = Lock()

    def forbid(self) -> Reason | None:
        """Return why nothing more may be written, or None for one write. Raises AwsError where a look fails."""
        with self._lock:
            if self._writes and self._writes % WRITES_PER_LOOK == 0:
                self._compare()
            self._writes += 1
            return self._change

    def settle(self) -> None:
        """Add those enforced after the last good look once more, as failed, unless one more look finds no change."""
        if not self._writes:
            return
        try:
            self._compare()
            why = self._change
        except AwsError as error:
            why = Reason(error.code, f"whether the policy was changed meanwhile could not be read: {error}")
        if why is not None:
            enforced = [one for one in self._done[self._good :] if one.outcome is Outcome.ENFORCED]
            self._done.extend(replace(one, outcome=Outcome.FAILED, via=None, reason=why) for one in enforced)

    def _compare(self) -> None:
        """Look once more, unless a change is known already."""
        good = len(self._done)
        if self._change is None and self._look() != self._first:
            text = f"{self._first.policy_arn} or its group was changed while this run put it on users"
            self._change = Reason("policy_drifted", f"{text}: whoever has it may be granted what it says now")
            log.error("policy_changed", policy_arn=self._first.policy_arn)
        elif self._change is None:
            self._good = good
