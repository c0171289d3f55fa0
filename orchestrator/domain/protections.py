"""Remarks on what keeps users from being enforced: entries and accounts of the configuration without effect. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from orchestrator.domain.config import Config, Exemption, UserEntry


class Remark(NamedTuple):
    """A sentence; `is_grave` where the configuration keeps a run from enforcing anybody at all."""

    text: str
    is_grave: bool = False


def check_protections(
    config: Config,
    user_names: Iterable[tuple[str, Sequence[str] | None]],
    now: datetime,
    *,
    names: bool = True,
) -> Iterator[Remark]:
    """Yield a remark on each entry that matches no user or every user, and on each account that does not exist.

    `user_names` holds every account of the organization by ID with the names of its users: none where runs do not
    enter it, None where they could not be read. Without `names`, entries go by their place in the configuration.
    """
    entries = idle = wide = dict(_entries(config, now, names=names))
    account_ids, unread, users = set(), [], 0
    for account_id, found in user_names:
        account_ids.add(account_id)
        users += len(found or ())
        if found is None:
            unread.append(account_id)
        for name in found or ():
            idle = {called: entry for called, entry in idle.items() if not entry.covers(name, account_id)}
            wide = {called: entry for called, entry in wide.items() if entry.covers(name, account_id)}
    for called in wide if users > 1 else ():
        yield Remark(f"{called} matches all {users:,} users: nobody is enforced", is_grave=True)
    for called, entry in idle.items():
        unknown = sum(map(entry.is_for, unread))
        yield Remark(f"{called} matches no user{f' of those read (accounts not read: {unknown:,})' if unknown else ''}")
    named = {"organization.exclude_accounts": config.organization.exclude_accounts}
    for called, ids in (named | {called: entry.accounts for called, entry in entries.items()}).items():
        for account_id in sorted({*ids} - account_ids - {"*"}):
            yield Remark(f"{called} names {account_id}, which is no account of the organization")


def _entries(config: Config, now: datetime, *, names: bool) -> Iterator[tuple[str, UserEntry]]:
    today = now.astimezone(UTC).date()
    for section, entries in (("protected_users", config.protected_users), ("exemptions", config.exemptions)):
        for number, entry in enumerate(entries, 1):
            if not isinstance(entry, Exemption) or entry.is_in_force(today):
                yield f"entry {number} of {section}{f' ({entry.user})' if names else ''}", entry
