"""The words that all parts of a digest share: counts, account labels, user lists, sentences of others. Pure."""

import re
from collections.abc import Iterable
from datetime import datetime

from orchestrator.domain.model import Stage
from orchestrator.output.change_summary import age
from orchestrator.output.slack.mrkdwn import code, literal, prose
from orchestrator.reports.report import AccountReport, ChangedAccount, ProblemReport, UserReport

MAX_NAMES = 8
"""User names shown of one account under one title; the rest is counted."""
MAX_NAME = 80
MAX_CODE = 60
MAX_MESSAGE = 240
MAX_REMEDY = 300

STAGES = {
    Stage.SELECT: "selecting accounts",
    Stage.ASSUME_ROLE: "assuming the role",
    Stage.INSPECT: "reading IAM",
    Stage.APPLY: "writing to IAM",
    Stage.ARCHIVE: "archiving the report",
    Stage.FINDINGS: "importing findings into Security Hub",
    Stage.DIGEST: "sending the digest",
}
_NAMES_A_USER = re.compile(r"(:user/|\bresource: user |\bwith name |\bhas a user )\S+")


def count(number: int, noun: str) -> str:
    """Return a number and its noun: 1 account, 1,200 accounts."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def label(account: AccountReport | ChangedAccount) -> str:
    """Return what an account is called: its alias, else its Organizations name; the ID always."""
    name = literal(account.alias or "", MAX_NAME) or literal(account.name, MAX_NAME)
    account_id = literal(account.id, MAX_NAME)
    return f"*{name}* ({account_id})" if name else f"*{account_id}*"


def label_order(account: AccountReport) -> tuple[str, str]:
    """Return the sort key of an account among its equals."""
    return (account.alias or account.name or account.id).casefold(), account.id


def name_users(users: Iterable[UserReport], room: int, now: datetime) -> str:
    """Return the names of users, at most `room` of them, each with its age, and how many more there are."""
    ordered = sorted(users, key=lambda user: (user.name.casefold(), user.name))
    shown = [_name(user, now) for user in ordered[:room]]
    if not shown:
        return count(len(ordered), "user")
    more = f" and {len(ordered) - room:,} more" if len(ordered) > room else ""
    return ", ".join(shown) + more


def _name(user: UserReport, now: datetime) -> str:
    name, time = code(user.name, MAX_NAME) or "(no name)", age(user, now)
    return f"{name} ({time})" if time else name


def say(text: str, limit: int, *, names: bool) -> str:
    """Return a message as a sentence of the digest; without the user names that AWS puts into it, where asked for."""
    return prose(text if names else _NAMES_A_USER.sub(r"\1…", text), limit)


def say_problem(problem: ProblemReport, *, names: bool) -> str:
    """Return a problem of the run itself: stage, code and message, and on a second line what to try."""
    message = say(problem.message, MAX_MESSAGE, names=names)
    what = f"*Error {STAGES[problem.stage]}* ({literal(problem.code, MAX_CODE)})"
    return "\n".join(filter(None, (f"{what}: {message}" if message else what, say_remedy(problem.remedy, names=names))))


def say_remedy(remedy: str, *, names: bool) -> str:
    """Return what to try; nothing where nobody knows."""
    text = say(remedy, MAX_REMEDY, names=names)
    return f"Try: {text}" if text else ""
