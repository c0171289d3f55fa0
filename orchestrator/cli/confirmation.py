"""Asks before a run writes, and handles SIGINT and SIGTERM: the first cancels the run, the second ends it at once."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Self

import click

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.model import Mode, Outcome
from orchestrator.output.terminal.console import make_lines
from orchestrator.output.words import count, title_of
from orchestrator.reports.report import RunReport

MAX_NAMED = 3
"""How many accounts are named; of more their number is."""
ANSWERS = " [y/N]: "
MAX_UNTYPED = 20
"""To how many users a y agrees; of more the number is to be typed."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Context manager that turns signals into a cancellation. For the main thread of a command."""

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._is_prompting = False
        self._before: list[object] = []

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, self._handle) for number in _SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in zip(_SIGNALS, self._before, strict=True):
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned, it takes back

    def ask(self, question: str, users: int = 0) -> bool:
        """Return whether the user says yes, or types the number of users where they are many; a signal means no."""
        if self._cancellation.event.is_set():
            return False
        self._is_prompting = True
        try:
            # `input` swallows a KeyboardInterrupt that comes while it flushes its prompt: a yes alone is not enough.
            said = click.confirm(question, err=True) if users <= MAX_UNTYPED else _has_typed(question, users)
            return said and not self._cancellation.event.is_set()
        except click.Abort:
            return False
        finally:
            self._is_prompting = False

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the shape of a signal handler
        if self._cancellation.event.is_set():
            os._exit(128 + number)
        self._cancellation.event.set()
        if self._is_prompting:
            raise KeyboardInterrupt
        with suppress(RuntimeError):  # the signal came amid a write to this stream, which takes no other meanwhile
            sys.stderr.write("\nInterrupted: finishing what is under way, then reporting. Once more to end at once.\n")


def _has_typed(question: str, users: int) -> bool:
    click.echo(question, err=True)
    typed: str = click.prompt(f"Type {users} to agree", default="", show_default=False, err=True)
    return typed.strip() in {str(users), f"{users:,}"}


def make_question(plan: RunReport, *, blocks_access_keys: bool, width: int) -> tuple[str, int]:
    """Return the question whether to carry a plan out, wrapped to the width, and the number of users."""
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
