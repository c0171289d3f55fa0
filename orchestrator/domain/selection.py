"""Selection of accounts: which of the listed ones a run enters. Pure; no AWS, no files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from orchestrator.domain.config import Config
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.model import Account, AccountState, Organization, Problem, Stage

_UNENTERABLE = {
    AccountState.PENDING_ACTIVATION: "AWS has not finished creating the account",
    AccountState.SUSPENDED: "the account is suspended",
    AccountState.PENDING_CLOSURE: "the account is being closed",
    AccountState.CLOSED: "the account is closed",
}

MANAGEMENT_ACCOUNT = "management_account"
"""Code of the management account where accounts are read through a role that trusts it: it has none itself."""
_NOTHING_TO_BORROW = (
    "--role reads through a role that trusts the management account, and that account has none itself: to have it "
    "read, deploy stackset/management.yaml there (docs/deploy.md, step 6)"
)

_STATE_UNKNOWN = Problem(
    Stage.SELECT,
    "unknown_state",
    "AWS Organizations gives a state of the account that this version does not know",
    "Look at it with `aws organizations describe-account`, and update orgmfa. To leave it out: "
    "organization.exclude_accounts.",
)


def is_in_ous(account: Account, ou_ids: Sequence[str]) -> bool:
    """Return whether an account is under one of these OUs, at any depth; true for no OUs."""
    return not ou_ids or not (account.ou_ids or frozenset()).isdisjoint(ou_ids)


def skip_account(account: Account, organization: Organization, settings: Config) -> Problem | None:
    """Return why a run must not enter an account, or None where it may; a reason with a remedy is one to fix."""
    config = settings.organization
    if account.state in _UNENTERABLE:
        return _skip(account.state.value.lower(), _UNENTERABLE[account.state])
    if account.id in config.exclude_accounts:
        return _skip("excluded_account", "organization.exclude_accounts names it")
    if account.id == organization.management_account_id and (reason := _spare_management_account(settings)):
        return _skip(*reason)
    if config.exclude_ous and is_in_ous(account, config.exclude_ous):
        return _skip("excluded_ou", "it is in an OU that organization.exclude_ous names")
    if not is_in_ous(account, config.include_ous):
        return _skip("not_in_included_ou", "it is in no OU that organization.include_ous names")
    return _STATE_UNKNOWN if account.state is None else None


def are_account_ids(targets: Iterable[str]) -> bool:
    """Return whether all of these are account IDs; any other number may be the name of an account, or an alias."""
    return all(re.fullmatch("[0-9]{12}", target) for target in targets)


def resolve_targets(
    targets: Sequence[str], accounts: Iterable[Account], alias_by_account_id: Mapping[str, str]
) -> frozenset[str]:
    """Return the accounts named by ID, name or alias. Raises ConfigError where one names none or several."""
    known = {account.id: account for account in accounts}
    return frozenset(_resolve_target(target, known, alias_by_account_id) for target in targets)


def _resolve_target(target: str, known: Mapping[str, Account], alias_by_account_id: Mapping[str, str]) -> str:
    if target in known:
        return target
    matches = sorted(
        account.id for account in known.values() if target in (account.name, alias_by_account_id.get(account.id))
    )
    if len(matches) == 1:
        return matches[0]
    if matches:
        message = f"--account {target!r} matches {len(matches)} accounts ({', '.join(matches)}): name one by its ID"
        raise ConfigError(message)
    names = (name for one in known.values() for name in (one.name, alias_by_account_id.get(one.id)) if name)
    folded = {name: name.casefold() for name in sorted(names)}
    nearest = get_close_matches(target.casefold(), set(folded.values()))
    near = ", ".join(repr(name) for one in nearest for name in folded if folded[name] == one)
    raise ConfigError(
        f"--account {target!r} matches no account{f'; near it: {near}' if near else ''}: give an account ID, "
        "the account's name in AWS Organizations, or an alias that an earlier run has seen; upper and lower case count"
    )


def _spare_management_account(settings: Config) -> tuple[str, str] | None:
    """Return code and reason for not entering the management account, or None where it may be entered."""
    if not settings.organization.include_management_account:
        return "excluded_management_account", "organization.include_management_account is false"
    return (MANAGEMENT_ACCOUNT, _NOTHING_TO_BORROW) if settings.member_role.is_borrowed else None


def _skip(code: str, message: str) -> Problem:
    return Problem(stage=Stage.SELECT, code=code, message=message, remedy="")
