"""What is to fix, by cause: one cause holds for all accounts and users that have it, with one remedy. Pure.

In order: users who have EnforceMFA and somebody changed it meanwhile, users whom an earlier text of it can lock out,
accounts that failed, accounts that were not reached, users by outcome, accounts with an earlier text, root users
without MFA.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from orchestrator.domain.model import Outcome, Stage, Status, Verdict
from orchestrator.domain.outcomes import OUTCOMES, OutcomeGroup
from orchestrator.domain.remedies import UPDATE_STACKSET
from orchestrator.output.attention import (
    AT_RISK,
    OUTCOME_RANK,
    code_of,
    is_at_risk,
    is_outdated,
    is_root_open,
    is_to_fix,
)
from orchestrator.output.words import STAGES, STATUSES, VERDICTS, count
from orchestrator.reports.report import AccountReport, UserReport


class Subject(StrEnum):
    """Whom a cause holds for."""

    POLICY = "policy"
    ACCOUNT = "account"
    USER = "user"
    ROOT_USER = "root user"


@dataclass(frozen=True, slots=True)
class Member:
    """An account that a cause holds for, without its users, and those of them that it holds for, if any."""

    account: AccountReport
    users: tuple[UserReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing to fix. `label` says what is wrong, `code` names the reason where there is more to name.

    `text` is what was said of all of them, account IDs and ARNs taken out where they differ; it is the first of several
    where `is_example`, and `texts` are all of them as they came. The remedy of a user's cause holds for everybody and
    names nobody: the text can hold its own.
    """

    subject: Subject
    label: str
    code: str = ""
    stage: Stage | None = None
    text: str = ""
    is_example: bool = False
    texts: tuple[str, ...] = ()
    remedy: str = ""
    members: tuple[Member, ...]

    @property
    def users(self) -> int:
        """How many users it holds for."""
        return _users_in(self.members)

    @property
    def state(self) -> str:
        """What is wrong with each of its accounts or users, in a few words."""
        match self.subject:
            case Subject.ACCOUNT:
                is_unread = self.label == STATUSES[Status.FAILED].label and self.stage is not Stage.APPLY
                return "unread" if is_unread else self.label
            case Subject.USER:
                return _STATES.get(self.code, f"{self.label} ({self.code})" if self.code else self.label)
            case Subject.ROOT_USER:
                return f"root user {self.label}"
            case Subject.POLICY:
                return self.label
            case unknown:
                assert_never(unknown)

    @property
    def action(self) -> str:
        """The AWS action that was refused, where AWS says so."""
        found = _ACTION.search(self.text)
        return found["action"] if found else ""


_ROOT_REMEDY = "It has a password or access keys: register an MFA device, or delete the root credentials."
_REMEDIES = {
    "active_key": "An access key in use would stop working: move its caller to a role, or exempt the user; or set "
    "policy.access_keys: allow.",
    "active_credential": "A service-specific credential or SSH key would stop working, or the role may not ask: "
    "deactivate it, or move what uses it to a role; else exempt the user, or update the StackSet.",
    "cannot_enrol": "A permissions boundary, an SCP or another policy stands in the way: allow the user to enrol an "
    "MFA device, or exempt the user. Where it asks for what orgmfa cannot know, such as aws:SourceIp, put the value "
    "into enforcement.context.",
    "cannot_tell": "The policy simulator could not tell whether the user can enrol: put the key that it lacks, such as "
    "aws:SourceIp, into enforcement.context; where it could not be asked, see the message.",
    "not_told": "Nobody could be told, and nudge.required is true: give the user a tag with an address of "
    "nudge.domains, and look at the messages in the report.",
    "over_limit": "A limit of the account is exceeded: read the plan, then allow one run with "
    "--max-changes-per-account; limits.max_share_per_account has no option.",
    "failed policy_drifted": "Whoever has the policy may be granted what it says now: see in CloudTrail who changed "
    "it, put it back, and attach the service control policy (docs/deploy.md).",
    "policy_outdated": f"EnforceMFA has an earlier text. {UPDATE_STACKSET}",
    "policy_drifted": "Policy or group is missing, or not as orgmfa made it: compare with orgmfa policy.",
    "quota_exceeded": "No further policy and no further group fits: detach one, or have the quota raised.",
    "undone_by_others": "Others took EnforceMFA away twice in 24 hours: find out who, and free people with orgmfa "
    "release. The daily run enforces again.",
    "stopped": "enforcement.stop is set, or was not understood: nothing is written until it is cleared.",
}
"""By the code of a user's reason, or by outcome and code; each names nobody, unlike the messages."""
_STATES = {
    "active_key": "key in use",
    "active_credential": "credential in use",
    "cannot_enrol": "would be locked out",
    "cannot_tell": "might be locked out",
    "not_told": "could not be told",
    "over_limit": "over the account's limit",
    "policy_drifted": "policy changed",
    "policy_outdated": "policy outdated",
    "stopped": "stopped",
    "undone_by_others": "undone by others",
}
"""What holds a user, in a few words, by code."""
_ACTION = re.compile(r"is not authorized to perform: (?P<action>[a-z0-9-]+:\w+)")
_ACCOUNT_ID = re.compile(r"(?<!\d)\d{12}(?!\d)")
_ARN = re.compile(r"\barn:aws[a-z-]*:[^\s,;\"'()]+")
_RANKS: Mapping[Outcome, float] = OUTCOME_RANK | {Outcome.NONE: 0.5}
"""A user whose MFA is unknown stands right after one that failed."""

_Reason = tuple[Outcome, str]
_CHANGED_POLICY = (Outcome.FAILED, "policy_drifted")


def group_causes(accounts: Iterable[AccountReport]) -> tuple[Cause, ...]:
    """Return what is to fix in these accounts; they come in order, and keep it in each cause among equals."""
    failed: defaultdict[tuple[str, ...], list[AccountReport]] = defaultdict(list)
    unresolved: defaultdict[_Reason, list[Member]] = defaultdict(list)
    roots, at_risk, outdated = list[Member](), list[Member](), list[Member]()
    for account in accounts:
        bare = account.model_copy(update={"users": ()})
        if account.status in {Status.FAILED, Status.NOT_REACHED}:
            failed[_failure(account)].append(bare)
        for reason, users in users_by_reason(account.users).items():
            unresolved[reason].append(Member(bare, tuple(users)))
        if endangered := tuple(filter(is_at_risk, account.users)):
            at_risk.append(Member(bare, endangered))
        elif is_outdated(account):
            outdated.append(Member(bare))
        if is_root_open(account):
            roots.append(Member(bare))
    failures = sorted(failed.items(), key=lambda item: (item[0][0] != Status.FAILED, -len(item[1]), item[0]))
    reasons = sorted(unresolved.items(), key=lambda item: (_RANKS[item[0][0]], -_users_in(item[1]), item[0][1]))
    of_roots = Cause(subject=Subject.ROOT_USER, label="without MFA", remedy=_ROOT_REMEDY, members=tuple(roots))
    changed = [item for item in reasons if item[0] == _CHANGED_POLICY]
    return (
        *(_cause_of_users(reason, members) for reason, members in changed),
        *_causes_of_policy(AT_RISK.label, at_risk),
        *(_cause_of_accounts(members) for _, members in failures),
        *(_cause_of_users(reason, members) for reason, members in reasons if reason != _CHANGED_POLICY),
        *_causes_of_policy("with an earlier text of EnforceMFA", outdated),
        *((of_roots,) if roots else ()),
    )


def format_cause(cause: Cause, code: str) -> str:
    """Return a cause in one line; the code comes as it may be shown."""
    accounts, reason = count(len(cause.members), "account"), f" ({code})" if code else ""
    match cause.subject:
        case Subject.POLICY:
            users = f"{count(cause.users, 'user')} in " if cause.users else ""
            return f"{users}{accounts} {cause.label}{reason}"
        case Subject.ACCOUNT:
            return f"{accounts} {cause.label}, {STAGES[cause.stage] if cause.stage else 'no reason given'}{reason}"
        case Subject.USER:
            return f"{cause.label[0].upper()}{cause.label[1:]}{reason}: {count(cause.users, 'user')} in {accounts}"
        case Subject.ROOT_USER:
            return f"Root user {cause.label}: {accounts}"
        case unknown:
            assert_never(unknown)


def users_by_reason(users: Iterable[UserReport]) -> dict[_Reason, list[UserReport]]:
    """Return the users that are to fix, but for those at risk, by outcome (`none`: MFA unknown) and code."""
    by_reason: defaultdict[_Reason, list[UserReport]] = defaultdict(list)
    for user in users:
        if is_at_risk(user) or not is_to_fix(user):
            continue
        is_known = OUTCOMES[user.outcome].group is OutcomeGroup.TO_FIX
        by_reason[user.outcome if is_known else Outcome.NONE, code_of(user)].append(user)
    return by_reason


def without_account_ids(text: str) -> str:
    """Return a text with `ID` for each account ID, also in ARNs."""
    return _ACCOUNT_ID.sub("ID", text)


def without_arns(text: str) -> str:
    """Return a text with `ARN` for each ARN, and `ID` for each account ID that is left."""
    return without_account_ids(_ARN.sub("ARN", text))


def share_text(texts: Sequence[str]) -> tuple[str, bool]:
    """Return what texts have in common but for account IDs and ARNs, and False; else the first of them, and True."""
    for rewrite in (str, without_account_ids, without_arns):
        if len(written := set(map(rewrite, texts))) == 1:
            return written.pop(), False
    return (without_account_ids(texts[0]), True) if texts else ("", False)


def _failure(account: AccountReport) -> tuple[str, ...]:
    """Return what accounts that failed alike have in common."""
    error = account.error
    return (account.status, *((error.stage, error.code, without_account_ids(error.remedy)) if error else ()))


def _cause_of_accounts(accounts: Sequence[AccountReport]) -> Cause:
    status, errors = accounts[0].status, [account.error for account in accounts if account.error]
    said = tuple(dict.fromkeys(error.message for error in errors))
    text, is_example = share_text(said)
    return Cause(
        subject=Subject.ACCOUNT,
        label=STATUSES[status].label,
        code=errors[0].code if errors else "",
        stage=errors[0].stage if errors else None,
        text=text,
        is_example=is_example,
        texts=said,
        remedy=share_text([error.remedy for error in errors])[0],
        members=tuple(map(Member, accounts)),
    )


def _causes_of_policy(label: str, members: Sequence[Member]) -> Iterator[Cause]:
    code = "policy_outdated"
    if members:
        yield Cause(subject=Subject.POLICY, label=label, code=code, remedy=_REMEDIES[code], members=tuple(members))


def _cause_of_users(reason: _Reason, members: Sequence[Member]) -> Cause:
    outcome, code = reason
    said = tuple(dict.fromkeys(user.error.message for member in members for user in member.users if user.error))
    text, is_example = share_text(said)
    return Cause(
        subject=Subject.USER,
        label=VERDICTS[Verdict.UNKNOWN].label if outcome is Outcome.NONE else OUTCOMES[outcome].label,
        code="" if code == outcome.value else code,
        text=text,
        is_example=is_example,
        texts=said,
        remedy=_REMEDIES.get(f"{outcome} {code}") or _REMEDIES.get(code, ""),
        members=tuple(sorted(members, key=lambda member: -len(member.users))),
    )


def _users_in(members: Iterable[Member]) -> int:
    return sum(len(member.users) for member in members)
