"""The accounts of a run as they are listed: those it was asked for, each once; and where each belongs.

Also the state of the listing itself: whether it came to its end, and the error that ended it early. OU paths and owners
are looked up while the run goes on: no inspection waits, no run fails, and what is not known in time is null.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextvars import copy_context
from itertools import chain
from threading import Event, Thread
from time import monotonic

import structlog

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config import OrganizationConfig
from orchestrator.domain.errors import AwsError, ConfigError, NotFound, NothingToDo, StartError
from orchestrator.domain.model import Account, Problem, Trigger
from orchestrator.domain.remedies import explain_select_error, select_remedy
from orchestrator.domain.selection import are_account_ids, is_in_ous, resolve_targets, skip_account
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.ports import Accounts, Places

OU_TIMEOUT_SECONDS = 10.0  # how long a finished report waits for OU paths: a large tree takes hundreds of calls
OWNER_TIMEOUT_SECONDS = 60.0  # the same where owners are looked up too: a call an account, at a rate shared by all
FEW_ACCOUNTS = 20  # up to so many, the parents of each are looked up: fewer calls than listing the whole tree
POLL_SECONDS = 0.2

log = structlog.get_logger(__name__)


class Listing:
    """Iterable of accounts, each once, that records whether the listing came to its end."""

    def __init__(self, accounts: Iterator[Account]) -> None:
        """Take the accounts as they come; an AwsError among them ends the listing."""
        self._accounts = accounts
        self.order: dict[str, int] = {}
        self.is_complete = False
        self.problems: list[Problem] = []

    def __iter__(self) -> Iterator[Account]:
        """Yield the accounts; pages can repeat one when the organization changes meanwhile."""
        try:
            for account in self._accounts:
                if account.id not in self.order:
                    self.order[account.id] = len(self.order)
                    yield account
        except AwsError as error:
            self.problems.append(explain_select_error(error))
            log.error("listing_broke_off", code=error.code, message=str(error), accounts=len(self.order))  # noqa: TRY400 - a known failure, no traceback
        else:
            self.is_complete = True


def list_accounts(context: RunContext) -> Listing:
    """Return the accounts asked for, once the first to enter is there, or raise StartError or ConfigError."""
    request = context.request
    by_event = request.trigger in {Trigger.ONBOARDING, Trigger.IAM_EVENT}
    if request.trigger is Trigger.IAM_EVENT:
        accounts = _named_accounts(context)
    else:
        accounts = requested_accounts(
            context.directory,
            context.config.organization,
            targets=() if by_event else request.targets,
            ou_ids=request.ou_ids,
            alias_by_account_id=context.archive.alias_by_account_id,
        )
    if by_event:  # an account that has left the organization meanwhile is no error
        accounts = (account for account in accounts if account.id in request.targets)
    found: list[Account] = []
    skipped: Counter[str] = Counter()
    try:
        for account in accounts:
            found.append(account)
            problem = skip_account(account, context.organization, context.config)
            if problem is None or by_event:
                return Listing(chain(found, accounts))
            skipped[problem.message] += 1
    except AwsError as error:
        message = f"cannot list the accounts of the organization: {error} ({error.code}). {select_remedy(error)}"
        raise StartError(message) from error
    reasons = "; ".join(f"{number:,} skipped: {reason}" for reason, number in skipped.items())
    nobody = "the organization, or the OUs and accounts named, hold none"
    raise NothingToDo(f"no account to work on: {reasons or nobody}")


def requested_accounts(
    directory: Accounts,
    organization: OrganizationConfig,
    *,
    targets: tuple[str, ...],
    ou_ids: tuple[str, ...],
    alias_by_account_id: Callable[[], Mapping[str, str]],
) -> Iterator[Account]:
    """Yield the accounts that targets and OUs name, or all. Raises ConfigError where one names none or several."""
    watched_ou_ids = _existing_ous(directory, organization, ou_ids)
    if targets and are_account_ids(targets):
        accounts = (_get_account(target, directory, watched_ou_ids) for target in targets)
    else:
        accounts = (account for account in directory.list_accounts(watched_ou_ids))
        if targets:
            listed = list(accounts)
            wanted = resolve_targets(targets, listed, alias_by_account_id())
            accounts = (account for account in listed if account.id in wanted)
    yield from (account for account in accounts if is_in_ous(account, ou_ids))


def _named_accounts(context: RunContext) -> Iterator[Account]:
    """Yield the accounts that IAM events come from, each read alone; one outside the organization is left out."""
    watched_ou_ids = _existing_ous(context.directory, context.config.organization, ())
    for account_id in context.request.targets:
        try:
            yield context.directory.get_account(account_id, watched_ou_ids)
        except NotFound:
            log.error("event_refused", message=f"account {account_id} is none of the organization")  # noqa: TRY400 - a known failure, no traceback


def _existing_ous(
    directory: Accounts, organization: OrganizationConfig, asked_ou_ids: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the OUs that matter, each asked for once. Raises ConfigError: one that is mistyped would spare nobody."""
    named = {
        "--ou": asked_ou_ids,
        "organization.include_ous": organization.include_ous,
        "organization.exclude_ous": organization.exclude_ous,
    }
    key_by_ou_id = {ou_id: key for key, ou_ids in named.items() for ou_id in ou_ids}
    for ou_id, key in key_by_ou_id.items():
        try:
            directory.check_ou(ou_id)
        except NotFound as error:
            raise ConfigError(f"{key}: the organization has no OU {ou_id}") from error
    return tuple(key_by_ou_id)


def _get_account(account_id: str, directory: Accounts, watched_ou_ids: tuple[str, ...]) -> Account:
    try:
        return directory.get_account(account_id, watched_ou_ids)
    except NotFound as error:
        raise ConfigError(f"--account {account_id!r} matches no account of the organization") from error


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
        is_few = len(targets) <= FEW_ACCOUNTS and are_account_ids(targets)
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
        looks: dict[str, Callable[[], None]] = {
            "ous_not_known": lambda: directory.find_ou_paths(account_ids, over),
            "owners_not_known": lambda: directory.find_owners(self._listed(), over),
        }
        for event, look in looks.items():
            try:
                look()
            except AwsError as error:
                log.warning(event, code=error.code, message=f"not in the report: {error}", remedy=select_remedy(error))

    def _listed(self) -> Iterator[str]:
        """Yield the accounts of the run as they are listed, until all are or the run is cancelled."""
        told, is_last = 0, False
        while not is_last and not self._cancellation.reason:
            is_last = self._is_listed.wait(POLL_SECONDS)
            for account_id in list(self._account_ids)[told:]:
                told += 1
                yield account_id
