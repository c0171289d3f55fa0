"""Text helpers for the digest: account labels, user lists, quoted messages and remedies. Pure."""

import re
from collections.abc import Iterable
from datetime import datetime

from orchestrator.output.slack.mrkdwn import code, literal, prose
from orchestrator.output.words import STAGES, Named, age, count, some_of
from orchestrator.reports.report import ProblemReport, UserReport

MAX_NAMES = 8
"""User names shown of one account under one title; the rest is counted."""
MAX_NAME = 80
MAX_CODE = 60
MAX_MESSAGE = 240
MAX_REMEDY = 300

_NAMES_A_USER = re.compile(r"(:user/|\bresource: user |\bwith name |\bhas a user )\S+")


def label(account: Named) -> str:
    """Return what an account is called: its alias, else its Organizations name; the ID always."""
    name = literal(account.alias or "", MAX_NAME) or literal(account.name, MAX_NAME)
    account_id = literal(account.id, MAX_NAME)
    return f"*{name}* ({account_id})" if name else f"*{account_id}*"


def name_users(users: Iterable[UserReport], room: int, now: datetime) -> str:
    """Return the names of users, at most `room` of them, each with its age, and how many more there are."""
    ordered = sorted(users, key=lambda user: (user.name.casefold(), user.name))
    if not room:
        return count(len(ordered), "user")
    return some_of([name_user(user.name, age(user, now)) for user in ordered[:room]], room, total=len(ordered))


def name_user(name: str, remark: str) -> str:
    """Return the name of a user, with a remark where there is one."""
    return (code(name, MAX_NAME) or "(no name)") + (f" ({remark})" if remark else "")


def format_message(text: str, limit: int, *, names: bool) -> str:
    """Return a message as a sentence of the digest; without the user names that AWS puts into it, where asked for."""
    return prose(text if names else _NAMES_A_USER.sub(r"\1…", text), limit)


def format_remedy(remedy: str, *, names: bool) -> str:
    """Return what to try; nothing where nobody knows."""
    text = format_message(remedy, MAX_REMEDY, names=names)
    return f"Try: {text}" if text else ""


def format_problem(problem: ProblemReport, *, names: bool) -> str:
    """Return a problem of the run itself: stage, code and message, and on a second line what to try."""
    message = format_message(problem.message, MAX_MESSAGE, names=names)
    what = f"*Error {STAGES[problem.stage]}* ({literal(problem.code, MAX_CODE)})"
    said = f"{what}: {message}" if message else what
    return "\n".join(filter(None, (said, format_remedy(problem.remedy, names=names))))
