"""The accounts of a run as they are listed: those it was asked for, each once.

Also the state of the listing itself: whether it came to its end, and the error that ended it early.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

import structlog

from orchestrator.domain.config import OrganizationConfig
from orchestrator.domain.errors import AwsError, ConfigError, NotFound, NothingToDo, StartError
from orchestrator.domain.model import Account, Problem, Trigger
from orchestrator.domain.remedies import explain_select_error, select_remedy
from orchestrator.domain.selection import is_in_ous, resolve_targets
from orchestrator.pipeline.context import RunContext
from orchestrator.pipeline.ports import Accounts

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
    """Return the accounts that a run was asked for, once the first has arrived.

    Raises StartError or ConfigError where none does: then nothing can start.
    """
    request = context.request
    is_onboarding = request.trigger is Trigger.ONBOARDING
    accounts = requested_accounts(
        context.directory,
        context.config.organization,
        targets=() if is_onboarding else request.targets,
        ou_ids=request.ou_ids,
        alias_by_account_id=context.archive.alias_by_account_id,
    )
    if is_onboarding:  # an account that has left the organization meanwhile is no error
        accounts = (account for account in accounts if account.id in request.targets)
    try:
        first = next(accounts)
    except AwsError as error:
        message = f"cannot list the accounts of the organization: {error} ({error.code}). {select_remedy(error)}"
        raise StartError(message) from error
    except StopIteration:
        message = "no account to work on: the organization, or the OUs and accounts named, hold none"
        raise NothingToDo(message) from None
    return Listing(chain([first], accounts))


def requested_accounts(
    directory: Accounts,
    organization: OrganizationConfig,
    *,
    targets: tuple[str, ...],
    ou_ids: tuple[str, ...],
    alias_by_account_id: Callable[[], Mapping[str, str]],
) -> Iterator[Account]:
    """Yield the accounts that the targets name and that are in the OUs; without targets or OUs, all accounts.

    Raises ConfigError where a target matches no account, or more than one.
    """
    watched_ou_ids = (*organization.include_ous, *organization.exclude_ous, *ou_ids)
    if targets and all(target.isdecimal() for target in targets):
        accounts = (_get_account(target, directory, watched_ou_ids) for target in targets)
    else:
        accounts = (account for account in directory.list_accounts(watched_ou_ids))
        if targets:
            listed = list(accounts)
            wanted = resolve_targets(targets, listed, alias_by_account_id())
            accounts = (account for account in listed if account.id in wanted)
    yield from (account for account in accounts if is_in_ous(account, ou_ids))


def _get_account(account_id: str, directory: Accounts, watched_ou_ids: tuple[str, ...]) -> Account:
    try:
        return directory.get_account(account_id, watched_ou_ids)
    except NotFound as error:
        raise ConfigError(f"--account {account_id!r} matches no account of the organization") from error
