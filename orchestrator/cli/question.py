"""The question before a run writes: how many users, in which accounts, and how many access keys stop. Pure."""

from orchestrator.cli.signals import MAX_UNTYPED
from orchestrator.domain.model import Mode, Outcome
from orchestrator.output.terminal.layout import make_lines
from orchestrator.output.words import count, title_of
from orchestrator.reports.report import RunReport

MAX_NAMED = 3
"""How many accounts are named; of more their number is."""
ANSWERS = " [y/N]: "


def make_question(plan: RunReport, *, blocks_access_keys: bool, width: int) -> tuple[str, int]:
    """Return the question whether to carry a plan out, and the number of users: one line, wrapped where it is wider.

    `blocks_access_keys` is that of `policy`. Users whose keys could not be read make their number a least one.
    """
    titles, changed, keys = list[str](), 0, list[int | None]()
    for account in plan.accounts:
        found = [user.active_access_keys for user in account.users if user.outcome is Outcome.PLANNED]
        titles += [title_of(account)] if found else []
        changed += bool(account.policy_changes)
        keys += found
    parts = [f"changing policy or group in {count(changed, 'account')}"] if changed else []
    if plan.mode is Mode.APPLY and blocks_access_keys and keys:
        known, least = sum(number or 0 for number in keys), "at least " if None in keys else ""
        stop = f"{least}{count(known, 'access key')} stop{'s' if known == 1 else ''}"
        parts.append(stop if known or least else "no access key stops")
    what = f"{'Release' if plan.mode is Mode.RELEASE else 'Enforce MFA on'} {count(len(keys), 'user')}"
    where = " and ".join(filter(None, (", ".join(titles[:-1]), *titles[-1:])))
    if len(titles) > MAX_NAMED:
        where = count(len(titles), "account")
    text = ", ".join([f"{what} in {where}" if where else what, *parts]) + "?"
    room = width if len(keys) > MAX_UNTYPED else width - len(ANSWERS)  # a number is typed on a line of its own
    return "\n".join(line.plain for line in make_lines(text, room)), len(keys)
