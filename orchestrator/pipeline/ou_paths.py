"""OU paths of the accounts of a run, looked up while it goes on: no inspection waits for them, and no run fails.

A path that is not known in time is null in the report.
"""

from contextvars import copy_context
from threading import Thread
from time import monotonic

import structlog

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import AwsError
from orchestrator.domain.model import RunRequest
from orchestrator.domain.remedies import select_remedy
from orchestrator.pipeline.ports import Directory, OuPath

CANCEL_TIMEOUT_SECONDS = 10.0
"""How long a report waits for the OU paths once all else is done: a large tree takes hundreds of calls in a row."""
FEW_ACCOUNTS = 20
"""Up to so many accounts, looking up the parents of each takes fewer calls than listing the whole tree."""
POLL_SECONDS = 0.2

log = structlog.get_logger(__name__)


class OuPathLookup:
    """Looks up OU paths in the directory, on a thread of its own."""

    def __init__(
        self,
        directory: Directory,
        request: RunRequest,
        cancellation: Cancellation,
        *,
        timeout_seconds: float = CANCEL_TIMEOUT_SECONDS,
    ) -> None:
        """Start the lookup; `timeout_seconds` is how long `finish` waits."""
        self._directory = directory
        self._cancellation = cancellation
        self._no_longer_wanted = Cancellation()
        self._timeout_seconds = timeout_seconds
        targets = request.targets
        is_few = len(targets) <= FEW_ACCOUNTS and all(target.isdecimal() for target in targets)
        # A daemon: the process can end while Organizations does not answer.
        self._thread = Thread(
            target=copy_context().run, args=(self._look, targets if is_few else ()), name="ou-survey", daemon=True
        )
        self._thread.start()

    def finish(self) -> OuPath:
        """Return the lookup of a path, once all are known or the wait is over; a cancelled run does not wait."""
        if self._no_longer_wanted.reason:
            return self._directory.ou_path
        end = monotonic() + self._timeout_seconds
        while self._thread.is_alive() and self._cancellation.reason is None and monotonic() < end:
            self._thread.join(POLL_SECONDS)
        if self._thread.is_alive():
            log.warning("ous_not_all_known", message="not all OUs were read in time: some accounts have no ou")
        self._no_longer_wanted.event.set()
        return self._directory.ou_path

    def _look(self, account_ids: tuple[str, ...]) -> None:
        try:
            self._directory.find_ou_paths(account_ids, self._no_longer_wanted)
        except AwsError as error:
            message = f"the report tells no OUs: {error}"
            log.warning("ous_not_known", code=error.code, message=message, remedy=select_remedy(error))
