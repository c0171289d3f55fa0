"""What went wrong or needs a hand, each reason and its remedy said once, then the accounts it holds for. Pure.

In order: accounts that failed, accounts that were not reached, users by reason, root users, notes. Accounts come
sorted, and keep their order among equals.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from orchestrator.domain.model import Outcome, Stage, Status, Verdict
from orchestrator.domain.outcomes import OutcomeGroup, outcomes_of
from orchestrator.output.slack.limits import MAX_ENTRIES, Group
from orchestrator.output.slack.mrkdwn import literal, prose
from orchestrator.output.slack.text import (
    MAX_CODE,
    MAX_MESSAGE,
    MAX_NAMES,
    STAGES,
    count,
    label,
    name_users,
    say,
    say_remedy,
)
from orchestrator.reports.report import AccountReport, UserReport

MAX_FAILURES = 4
MAX_HANDS = 6
"""Reasons shown apart; the accounts of further ones follow under one title."""
MAX_NOTE = 300

_HANDS = {
    Outcome.FAILED: "Failed",
    Outcome.NONE: "MFA unknown",
    Outcome.QUOTA_EXCEEDED: "Over quota",
    Outcome.HELD: "Held",
}
"""What needs a hand, worst first; `none` stands for a user whose MFA could not be read."""
_WORDS = {
    "active_key": "An access key in use would stop working: move its caller to a role, exempt the user, or set "
    "policy.access_keys: allow.",
    "cannot_enrol": "A permissions boundary or an SCP would keep the user from enrolling an MFA device.",
    "over_limit": "A limit of the configuration is exceeded: read the plan, then allow one run with --max-changes.",
    "policy_drifted": "Policy or group is missing, or not as orgmfa made it: compare with orgmfa policy.",
    "quota_exceeded": "No further policy and no further group fits: detach one, or have the quota raised.",
    "stopped": "enforcement.stop is set, or was not understood: nothing is written.",
}
"""For reasons whose messages differ from user to user, or may not be shown because they can name users."""

_UsersOf = tuple[AccountReport, list[UserReport]]
_Reason = tuple[Outcome, str]
_Said = tuple[AccountReport, str]


def failure_groups(accounts: Iterable[AccountReport], *, names: bool) -> list[Group]:
    """Return the accounts that failed or were not reached, by reason."""
    by_reason: defaultdict[tuple[str, ...], list[AccountReport]] = defaultdict(list)
    for account in accounts:
        if account.status in {Status.FAILED, Status.NOT_REACHED}:
            error = account.error
            reason = (error.stage, error.code, _general(error.remedy, account)) if error else ()
            by_reason[(account.status, *reason)].append(account)
    ordered = sorted(by_reason.items(), key=lambda item: (item[0][0] != Status.FAILED, -len(item[1]), item[0]))
    groups = [_failures(members, names=names) for _, members in ordered[:MAX_FAILURES]]
    others = [account for _, members in ordered[MAX_FAILURES:] for account in members]
    if others:
        groups.append(_list_accounts(f"*{count(len(others), 'account')} not finished for other reasons*", (), others))
    return groups


def hand_groups(accounts: Sequence[AccountReport], *, names: bool, now: datetime) -> list[Group]:
    """Return the users whom only a person can help, by reason, then by account."""
    by_reason: defaultdict[_Reason, list[_UsersOf]] = defaultdict(list)
    for account in accounts:
        for reason, users in _by_reason(account).items():
            by_reason[reason].append((account.model_copy(update={"users": ()}), users))
    rank = list(_HANDS)
    ordered = sorted(by_reason.items(), key=lambda item: (rank.index(item[0][0]), -_users_in(item[1]), item[0][1]))
    groups = [_hands(reason, members, names=names, now=now) for reason, members in ordered[:MAX_HANDS]]
    rest = {reason for reason, _ in ordered[MAX_HANDS:]}
    others = [(account, users) for account in accounts if rest and (users := _users_of(account, rest))]
    return [*groups, _list_users("Other reasons", "", others, names=names, now=now)] if others else groups


def needs_hand(user: UserReport) -> Outcome | None:
    """Return why only a person can help a user (`none`: whether it has MFA is unknown), or None."""
    if user.outcome in outcomes_of(OutcomeGroup.TO_FIX):
        return user.outcome
    return Outcome.NONE if user.verdict is Verdict.UNKNOWN else None


def has_root_finding(account: AccountReport) -> bool:
    """Return whether the root user can sign in, and has no MFA."""
    root = account.root_user
    return root is not None and root.has_credentials and not root.has_mfa


def root_groups(accounts: Iterable[AccountReport]) -> list[Group]:
    """Return the accounts whose root user can sign in without MFA, or nothing."""
    found = [account for account in accounts if has_root_finding(account)]
    detail = "It has a password or access keys: register an MFA device, or delete the root credentials."
    return (
        [_list_accounts(f"*Root user without MFA: {count(len(found), 'account')}*", (detail,), found)] if found else []
    )


def note_groups(notes: Sequence[str]) -> list[Group]:
    """Return the notes, or nothing."""
    entries = tuple(f"• {text}" for note in notes if (text := prose(note, MAX_NOTE)))
    return [Group("*Please note*", (), entries[:MAX_ENTRIES], len(entries), "note")] if entries else []


def _failures(members: Sequence[AccountReport], *, names: bool) -> Group:
    first = members[0]
    what = f"{count(len(members), 'account')} {'failed' if first.status is Status.FAILED else 'not reached'}"
    error = first.error
    if error is None:
        return _list_accounts(f"*{what}, no reason given*", (), members)
    said = [(account, account.error.message) for account in members if account.error]
    # While IAM is read or written, what AWS says can be about one user, by name.
    is_shown = names or error.stage not in {Stage.INSPECT, Stage.APPLY}
    remedy = _in_common([(account, account.error.remedy) for account in members if account.error])
    details = (_sum_up(said, names=names) if is_shown else "", say_remedy(remedy, names=names))
    return _list_accounts(f"*{what}, {STAGES[error.stage]}* ({literal(error.code, MAX_CODE)})", details, members)


def _hands(reason: _Reason, members: Sequence[_UsersOf], *, names: bool, now: datetime) -> Group:
    outcome, code = reason
    title = _HANDS[outcome] + (f" ({literal(code, MAX_CODE)})" if code not in {"", outcome.value} else "")
    said = [(account, user.error.message) for account, users in members for user in users if user.error]
    if code in _WORDS and not (names and _is_same(said)):
        return _list_users(title, _WORDS[code], members, names=names, now=now)
    return _list_users(title, _sum_up(said, names=names) if names else "", members, names=names, now=now)


def _by_reason(account: AccountReport) -> dict[_Reason, list[UserReport]]:
    users_by_reason: defaultdict[_Reason, list[UserReport]] = defaultdict(list)
    for user in account.users:
        if (outcome := needs_hand(user)) is not None:
            users_by_reason[outcome, user.error.code if user.error else ""].append(user)
    return users_by_reason


def _users_of(account: AccountReport, reasons: set[_Reason]) -> list[UserReport]:
    return [user for reason, users in _by_reason(account).items() if reason in reasons for user in users]


def _list_users(title: str, detail: str, members: Sequence[_UsersOf], *, names: bool, now: datetime) -> Group:
    ordered = sorted(members, key=lambda member: -len(member[1]))
    room = MAX_NAMES if names else 0
    entries = tuple(f"• {label(account)}: {name_users(users, room, now)}" for account, users in ordered[:MAX_ENTRIES])
    where = f"{count(_users_in(members), 'user')} in {count(len(members), 'account')}"
    return Group(f"*{title}: {where}*", (detail,) if detail else (), entries, len(members))


def _list_accounts(title: str, details: Iterable[str], accounts: Sequence[AccountReport]) -> Group:
    entries = tuple(f"{label(account)}{_for_long(account)}" for account in accounts[:MAX_ENTRIES])
    return Group(title, tuple(filter(None, details)), entries, len(accounts), joiner=", ")


def _for_long(account: AccountReport) -> str:
    return f" (failing for {account.failing_runs:,} runs)" if account.failing_runs > 1 else ""


def _general(text: str, account: AccountReport) -> str:
    """Return a text in the words that hold for every account: with `ID` in place of the account's own."""
    return text.replace(account.id, "ID") if account.id else text


def _is_same(said: Sequence[_Said]) -> bool:
    return len({_general(message, account) for account, message in said}) == 1


def _sum_up(said: Sequence[_Said], *, names: bool) -> str:
    """Return what is said of all, in its own words where they are the same; else the first as an example."""
    if not said:
        return ""
    text = say(_in_common(said), MAX_MESSAGE, names=names)
    return text if _is_same(said) or not text else f"For example: {text}"


def _in_common(said: Sequence[_Said]) -> str:
    account, text = said[0]
    return text if all(other == text for _, other in said) else _general(text, account)


def _users_in(members: Iterable[_UsersOf]) -> int:
    return sum(len(users) for _, users in members)
