"""OU paths and owners of the accounts of a run, looked up while it goes on: no inspection waits, and no run fails.

What is not known in time is null in the report.
"""

from collections.abc import Callable, Collection, Iterator
from contextvars import copy_context
from threading import Event, Thread
from time import monotonic

import structlog

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import AwsError
from orchestrator.domain.remedies import select_remedy
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.ports import Places

OU_TIMEOUT_SECONDS = 10.0
"""How long a report waits for the OU paths once all else is done: a large tree takes hundreds of calls in a row."""
OWNER_TIMEOUT_SECONDS = 60.0
"""How long it waits where owners are looked up too: one call an account, and all callers share the rate limit."""
FEW_ACCOUNTS = 20
"""Up to so many accounts, looking up the parents of each takes fewer calls than listing the whole tree."""
POLL_SECONDS = 0.2

log = structlog.get_logger(__name__)


class PlaceLookup:
    """Looks up OU paths and owners in the directory, on a thread of its own."""

    def __init__(
        self, context: RunContext, account_ids: Collection[str] = (), *, timeout_seconds: float | None = None
    ) -> None:
        """Start the lookup; `account_ids` may grow until `finish`, which waits for `timeout_seconds`."""
        by_default = OWNER_TIMEOUT_SECONDS if context.config.organization.owner_tag else OU_TIMEOUT_SECONDS
        self._timeout_seconds = by_default if timeout_seconds is None else timeout_seconds
        self._directory, self._cancellation = context.directory, context.cancellation
        self._account_ids = account_ids
        self._is_listed = Event()
        self._no_longer_wanted = Cancellation()
        targets = context.request.targets
        is_few = len(targets) <= FEW_ACCOUNTS and all(target.isdecimal() for target in targets)
        # A daemon: the process can end while Organizations does not answer.
        self._thread = Thread(
            target=copy_context().run, args=(self._look, targets if is_few else ()), name="places", daemon=True
        )
        self._thread.start()

    def finish(self) -> Places:
        """Return the lookup of an account, once all are known or the wait is over; a cancelled run does not wait."""
        if self._no_longer_wanted.reason:
            return self._directory.placement
        self._is_listed.set()
        end = monotonic() + self._timeout_seconds
        while self._thread.is_alive() and self._cancellation.reason is None and monotonic() < end:
            self._thread.join(POLL_SECONDS)
        if self._thread.is_alive():
            log.warning("ous_not_all_known", message="OUs or owners were not all read in time: some accounts have none")
        self._no_longer_wanted.event.set()
        return self._directory.placement

    def _look(self, account_ids: tuple[str, ...]) -> None:
        directory, over = self._directory, self._no_longer_wanted
        _try("ous_not_known", lambda: directory.find_ou_paths(account_ids, over))
        _try("owners_not_known", lambda: directory.find_owners(self._listed(), over))

    def _listed(self) -> Iterator[str]:
        """Yield the accounts of the run as they are listed, until all are or the run is cancelled."""
        told, is_last = 0, False
        while not is_last and not self._cancellation.reason:
            is_last = self._is_listed.wait(POLL_SECONDS)
            for account_id in list(self._account_ids)[told:]:
                told += 1
                yield account_id


def _try(event: str, look: Callable[[], None]) -> None:
    try:
        look()
    except AwsError as error:
        log.warning(event, code=error.code, message=f"not in the report: {error}", remedy=select_remedy(error))
