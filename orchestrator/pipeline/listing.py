"""The accounts of a run as they are listed: those it was asked for, each once, the first page before the last.

Also what is known of the listing itself: whether it came to its end, and what broke it off.
"""

from collections.abc import Iterator
from itertools import chain

import structlog

from orchestrator.domain.errors import AwsError, ConfigError, NotFound, NothingToDo, StartError
from orchestrator.domain.model import Account, Problem, Trigger
from orchestrator.domain.remedies import explain_select_error, select_remedy
from orchestrator.domain.selection import is_in_ous, resolve_targets
from orchestrator.pipeline.context import RunContext

log = structlog.get_logger(__name__)


class Listing:
    """The accounts as they are listed, each once, with what is known of the listing itself."""

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
    accounts = _requested_accounts(context)
    try:
        first = next(accounts)
    except AwsError as error:
        message = f"cannot list the accounts of the organization: {error} ({error.code}). {select_remedy(error)}"
        raise StartError(message) from error
    except StopIteration:
        message = "no account to work on: the organization, or the OUs and accounts named, hold none"
        raise NothingToDo(message) from None
    return Listing(chain([first], accounts))


def _requested_accounts(context: RunContext) -> Iterator[Account]:
    """Yield the accounts that the run was asked for."""
    request, organization = context.request, context.config.organization
    watched = (*organization.include_ous, *organization.exclude_ous, *request.ou_ids)
    if request.trigger is Trigger.ONBOARDING:
        wanted = frozenset(request.targets)  # one that has left the organization meanwhile is no error
        accounts = (account for account in context.directory.list_accounts(watched) if account.id in wanted)
    elif request.targets and all(target.isdecimal() for target in request.targets):
        accounts = (_get_account(target, context, watched) for target in request.targets)
    elif request.targets:
        listed = list(context.directory.list_accounts(watched))
        wanted = resolve_targets(request.targets, listed, context.archive.alias_by_account_id())
        accounts = (account for account in listed if account.id in wanted)
    else:
        accounts = (account for account in context.directory.list_accounts(watched))
    yield from (account for account in accounts if is_in_ous(account, request.ou_ids))


def _get_account(account_id: str, context: RunContext, watched: tuple[str, ...]) -> Account:
    try:
        return context.directory.get_account(account_id, watched)
    except NotFound as error:
        message = f"--account {account_id!r} matches no account of the organization"
        raise ConfigError(message) from error
