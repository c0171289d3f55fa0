"""Renders the service control policy (SCP) that says what EnforceMFA says, and reads one that is attached. Pure.

Its statements are the denies of EnforceMFA, for IAM users alone: `aws:PrincipalArn` of roles and of the root user is
another, and a service has none. An SCP grants nothing, so the allows of EnforceMFA are left out.

Who is spared where, and until when, becomes copies of these denies: each denies all users but those it names, from a
moment on, in a group of accounts in which the same entries count. Exemptions in force only ever end, so a copy needs a
beginning and no end: one without spares all who are spared now, and at each end comes one for those who are left.
Groups with equal names at a moment share a copy.

A glob is on the name of a user (`aws:username`), in accounts (`aws:PrincipalAccount`): in an ARN it would match paths
too. A name without wildcards in named accounts can also be an ARN, with and without a path, which saves the group. What
cannot be understood in an SCP that is attached is a ValueError, and never taken for an exemption.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any

from orchestrator.domain.config import Config, Exemption
from orchestrator.domain.errors import ConfigError
from orchestrator.domain.policy_document import normalised, read_statements, render_enforcement_policy

SID = "OrgmfaEnforceMFA"  # Sid of the first statement, by which an attached SCP is known as one of these
MAX_CHARACTERS = 10_240  # of an SCP (AWS Organizations User Guide, Quotas)
FORMER_MAX_CHARACTERS = 5_120  # before May 2026

_NAME, _ARN = ("StringNotLike", "aws:username"), ("ArnNotLike", "aws:principalarn")
_HERE, _ELSEWHERE = ("StringEquals", "aws:principalaccount"), ("StringNotEquals", "aws:principalaccount")
_BEGIN = ("DateGreaterThanEquals", "aws:currenttime")
_OF_USERS = {_NAME, _ARN, _HERE, _ELSEWHERE, _BEGIN}
"""Conditions that say whom a statement denies; the others are those of EnforceMFA, and that it is about users."""
_OTHERS = {
    ("BoolIfExists", "aws:multifactorauthpresent"),
    ("Bool", "aws:multifactorauthpresent"),
    ("BoolIfExists", "aws:viaawsservice"),
    ("ArnLike", "aws:principalarn"),
}
_OTHER_ACCOUNTS = "all other accounts"

Statement = Mapping[str, Any]
Condition = dict[str, dict[str, str | list[str]]]


@dataclass(frozen=True, slots=True)
class Entry:
    """Users whom an SCP spares: a glob on the name, the accounts (None: all), and the last day (None: for good)."""

    user: str
    accounts: frozenset[str] | None
    until: date | None

    def covers(self, user_name: str, account_id: str) -> bool:
        """Return whether IAM matches a user with it: upper and lower case count."""
        return (self.accounts is None or account_id in self.accounts) and fnmatchcase(user_name, self.user)

    @property
    def is_name(self) -> bool:
        """Whether it is one name in named accounts, which an ARN can say."""
        return self.accounts is not None and not set(self.user) & {"*", "?"}


@dataclass(frozen=True, slots=True)
class ScpText:
    """A rendered SCP without white space, and what it says otherwise than the configuration, a sentence each."""

    text: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Copy:
    """A deny of everything but enrolling: the values of its conditions by operator and key."""

    values: Mapping[tuple[str, str], list[str]]

    def denies(self, name: str, account_id: str, at: datetime) -> bool:
        """Return whether it denies a user without MFA at a moment."""
        arns = (f":{account_id}:user/{name}", f":{account_id}:user/*/{name}")
        is_spared = any(fnmatchcase(name, glob) for glob in self.get(_NAME)) or any(
            arn.endswith(arns) for arn in self.get(_ARN)
        )
        is_here = account_id in self.values.get(_HERE, [account_id]) and account_id not in self.get(_ELSEWHERE)
        return is_here and not is_spared and all(at >= begin for begin in self.begins)

    def get(self, condition: tuple[str, str]) -> list[str]:
        """Return the values of a condition; none where it has none."""
        return self.values.get(condition, [])

    @property
    def begins(self) -> list[datetime]:
        """From when on it denies; empty: from the beginning."""
        moments = map(datetime.fromisoformat, self.get(_BEGIN))
        return [moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments]


@dataclass(frozen=True, slots=True)
class ReadScp:
    """An SCP of ours as it was read; `plain` are its statements without the conditions that say whom they deny."""

    copies: tuple[_Copy, ...]
    plain: frozenset[str]

    def spares(self, name: str, account_id: str, at: datetime) -> bool:
        """Return whether it lets a user without MFA pass at a moment."""
        return not any(copy.denies(name, account_id, at) for copy in self.copies)


def list_entries(config: Config, now: datetime) -> tuple[Entry, ...]:
    """Return the protected users and the exemptions in force, without those that an SCP cannot say."""
    today = now.astimezone(UTC).date()
    entries = (
        Entry(
            entry.user,
            None if "*" in entry.accounts else frozenset(entry.accounts),
            entry.until if isinstance(entry, Exemption) and entry.until != date.max else None,
        )
        for entry in (*config.protected_users, *(one for one in config.exemptions if one.is_in_force(today)))
    )
    return tuple(dict.fromkeys(one for one in entries if "[" not in one.user))


def render_scp(config: Config, partition: str, now: datetime) -> ScpText:
    """Return the SCP that spares whom the configuration exempts now, as short as it can be said.

    Where it would be too long, fewer exemptions hold for the denies about enrolling and other clients. Raises
    ConfigError for another partition, and where that is too long too, naming the ends and accounts that make it so.
    """
    entries = list_entries(config, now)
    document = render_enforcement_policy(partition=partition, access_keys=config.policy.access_keys)
    denies = [one for one in document["Statement"] if one["Effect"] == "Deny"]
    remarks, text = _list_remarks(config, now), ""
    for lasting in (entries, tuple(one for one in entries if one.until is None), ()):
        texts = (_render(denies, entries, lasting, partition=partition, by_arn=by_arn) for by_arn in (True, False))
        text = min(texts, key=len)
        if len(text) <= MAX_CHARACTERS:
            break
    else:
        raise ConfigError(_too_long(len(text), entries))
    if len(lasting) < len(entries):
        remarks.append(
            f"To keep within {MAX_CHARACTERS:,} characters, {len(entries) - len(lasting)} of {len(entries)} entries "
            "spare their users in part: these may do everything without MFA but enrol by access key or for somebody "
            "else, and sign in with clients other than the console."
        )
    size = f"{len(text):,} of {MAX_CHARACTERS:,} characters."
    if len(text) > FORMER_MAX_CHARACTERS:
        size = f"Warning: {size[:-1]}, more than the {FORMER_MAX_CHARACTERS:,} that some pages of AWS still name."
    return ScpText(text, (*remarks, size))


def is_ours(document: str) -> bool:
    """Return whether a policy is one that `orgmfa policy --scp` printed. Raises ValueError where it cannot be read."""
    return any(isinstance(one, dict) and one.get("Sid") == SID for one in read_statements(document))


def read_scp(document: str) -> ReadScp:
    """Return an SCP of ours as it was read. Raises ValueError for one that cannot be understood."""
    statements = json.loads(normalised(document))["Statement"]
    copies = tuple(_Copy(_read_conditions(one)) for one in statements if "notaction" in map(str.lower, one))
    for copy in copies:
        if unknown := sorted(copy.values.keys() - _OF_USERS - _OTHERS):
            raise ValueError(f"it has a condition that orgmfa does not write: {unknown[0][0]} of {unknown[0][1]}")
        _ = copy.begins
    if not copies:
        raise ValueError("it has no statement that denies everything but enrolling")
    return ReadScp(copies, frozenset(map(_without_users, statements)))


def list_differences(there: ReadScp, wanted: ReadScp, now: datetime) -> list[str]:
    """Return what an SCP says otherwise than another, a sentence each; a glob is tried as if it were a name."""
    copies = (*there.copies, *wanted.copies)
    moments = sorted({now, *(begin for copy in copies for begin in copy.begins if begin > now)})
    arns = [arn for copy in copies for arn in copy.get(_ARN)]
    named = {account_id for copy in copies for account_id in (*copy.get(_HERE), *copy.get(_ELSEWHERE))}
    accounts = [*sorted(named | {arn.split(":")[4] for arn in arns}), _OTHER_ACCOUNTS]
    names = {name for copy in copies for name in copy.get(_NAME)} | {arn.rpartition("/")[2] for arn in arns}
    differing: dict[tuple[str, bool], list[tuple[datetime, str]]] = {}
    for name in sorted(names):
        for moment in moments:
            for account_id in accounts:
                is_exempt = wanted.spares(name, account_id, moment)
                if there.spares(name, account_id, moment) is not is_exempt:
                    differing.setdefault((name, is_exempt), []).append((moment, account_id))
    found = [_tell(*case, places, everywhere=len(accounts), now=now) for case, places in differing.items()]
    return found if there.plain == wanted.plain else [*found, "its denies are not those that this version prints"]


def _render(
    denies: Sequence[Statement], entries: Sequence[Entry], lasting: Sequence[Entry], *, partition: str, by_arn: bool
) -> str:
    """Return an SCP in which `lasting` are the entries that hold for all denies."""
    users: Condition = {"ArnLike": {"aws:PrincipalArn": f"arn:{partition}:iam::*:user/*"}}
    statements = [
        _narrow(deny, users, copy)
        for deny in denies
        for copy in _list_copies(entries if "NotAction" in deny else lasting, partition, by_arn=by_arn)
    ]
    statements[0] = {"Sid": SID, **statements[0]}
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def _narrow(deny: Statement, *conditions: Condition) -> dict[str, Any]:
    narrowed: dict[str, dict[str, Any]] = {}
    for condition in (deny.get("Condition", {}), *conditions):
        for operator, keys in condition.items():
            narrowed[operator] = {**narrowed.get(operator, {}), **keys}
    return {**{key: value for key, value in deny.items() if key != "Sid"}, "Condition": narrowed}


def _list_copies(entries: Sequence[Entry], partition: str, *, by_arn: bool) -> Iterator[Condition]:
    """Yield the conditions of each copy of the denies, the one that holds from now on first."""
    grouped = [one for one in entries if one.accounts is not None and not (by_arn and one.is_name)]
    named = sorted({account_id for entry in grouped for account_id in entry.accounts or ()})
    ends: list[date | None] = [None, *sorted({entry.until for entry in entries if entry.until})]
    known: dict[frozenset[Entry], frozenset[tuple[str, str]] | None] = {}
    for end in ends:
        copies: dict[frozenset[tuple[str, str]], list[str]] = {}
        for counting, accounts in _group_accounts(entries, grouped, named):
            left = [one for one in counting if end is None or one.until is None or one.until > end]
            spared = frozenset(pair for one in left for pair in _name(one, partition, by_arn=by_arn))
            if known.get(counting) != spared:
                copies.setdefault(spared, []).extend(accounts)
            known[counting] = spared
        for spared, accounts in copies.items():
            yield _condition(spared, accounts, end, others=sorted(set(named).difference(accounts)))


def _group_accounts(
    entries: Sequence[Entry], grouped: Sequence[Entry], named: Sequence[str]
) -> Iterator[tuple[frozenset[Entry], list[str]]]:
    """Yield the entries that count in each group of accounts, and these accounts; `*` is every account not named."""

    def counting(account_id: str) -> list[Entry]:
        return [one for one in entries if one not in grouped or account_id in (one.accounts or ())]

    by_group = sorted(["*", *named], key=lambda account_id: [entries.index(one) for one in counting(account_id)])
    for found, accounts in groupby(by_group, key=counting):
        yield frozenset(found), list(accounts)


def _name(entry: Entry, partition: str, *, by_arn: bool) -> Iterator[tuple[str, str]]:
    """Yield the operator, and the values for it, that leave out the users of an entry."""
    if not (by_arn and entry.is_name):
        yield "StringNotLike", entry.user
        return
    for account_id in entry.accounts or ():
        for path in ("", "*/"):
            yield "ArnNotLike", f"arn:{partition}:iam::{account_id}:user/{path}{entry.user}"


def _condition(
    spared: Iterable[tuple[str, str]], accounts: Sequence[str], end: date | None, *, others: list[str]
) -> Condition:
    """Return when a copy denies: `others` are the accounts of other groups."""
    keys = {"StringNotLike": "aws:username", "ArnNotLike": "aws:PrincipalArn"}
    condition: Condition = {}
    for operator, key in keys.items():
        if values := sorted(value for kind, value in spared if kind == operator):
            condition[operator] = {key: _short(values)}
    if "*" not in accounts:
        condition["StringEquals"] = {"aws:PrincipalAccount": _short(sorted(accounts))}
    elif others:
        condition["StringNotEquals"] = {"aws:PrincipalAccount": _short(others)}
    if end is not None:
        begins = f"{end + timedelta(days=1)}T00:00:00Z"
        condition["DateGreaterThanEquals"] = {"aws:CurrentTime": begins}
    return condition


def _short(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _list_remarks(config: Config, now: datetime) -> list[str]:
    enforcement, organization = config.enforcement, config.organization
    entries = (*config.protected_users, *config.exemptions)
    ended = sum(not one.is_in_force(now.astimezone(UTC).date()) for one in config.exemptions)
    said = {
        "enforcement.users: console cannot be said: an SCP does not know who has a console password, and blocks users "
        "who have access keys alone too.": enforcement.users == "console" and config.policy.blocks_access_keys,
        "enforcement.grace_period cannot be said: an SCP waits for nobody.": enforcement.grace_period,
        "enforcement.notice cannot be said: an SCP waits for nobody.": enforcement.notice,
        "organization.include_ous, exclude_ous and exclude_accounts cannot be said: an SCP holds in all accounts under "
        "what it is attached to.": (organization.include_ous, organization.exclude_ous, organization.exclude_accounts)
        != ((), (), ()),
        **{
            f"{entry.user} cannot be said: IAM knows * and ? alone, so these users are not spared.": "[" in entry.user
            for entry in entries
        },
        "Upper and lower case count: a user whose name differs in case from the configuration is not spared.": any(
            entry.user.lower() != entry.user.upper() for entry in entries
        ),
        f"{ended} of {len(config.exemptions)} exemptions have ended and are left out.": ended,
    }
    return [text for text, is_said in said.items() if is_said]


def _too_long(size: int, entries: Sequence[Entry]) -> str:
    ends = sorted({str(entry.until) for entry in entries if entry.until})
    groups = sorted({", ".join(sorted(entry.accounts)) for entry in entries if entry.accounts})
    return (
        f"the SCP would have {size:,} characters and may have {MAX_CHARACTERS:,}: {len(entries)} exemptions and "
        f"protected users with {len(ends)} ends ({'; '.join(ends) or 'none'}), groups of accounts: {len(groups)} "
        f"({'; '.join(groups) or 'none'}). Let more of them end on the same day, or count in the same accounts"
    )


def _tell(name: str, is_exempt: bool, places: list[tuple[datetime, str]], *, everywhere: int, now: datetime) -> str:  # noqa: FBT001 - part of a key
    first = places[0][0]
    where = [account_id for moment, account_id in places if moment == first]
    told = "" if len(where) == everywhere else f" in {', '.join(where)}"
    begins = "" if first == now else f" from {first:%Y-%m-%d} on"
    ends = "whom the configuration exempts" if is_exempt else "whom the configuration does not exempt"
    return f"it {'blocks' if is_exempt else 'spares'} {name}{told}{begins}, {ends}"


def _read_conditions(statement: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    conditions = statement.get("Condition", {})
    return {(operator, key): values for operator, keys in conditions.items() for key, values in keys}


def _without_users(statement: Mapping[str, Any]) -> str:
    kept = {case: values for case, values in _read_conditions(statement).items() if case not in _OF_USERS}
    return json.dumps({**statement, "Condition": sorted(map(list, kept.items()))}, sort_keys=True)
