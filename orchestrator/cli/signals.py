"""Handles SIGINT and SIGTERM: the first signal cancels the run, the second ends the process at once."""

import os
import signal
import sys
from types import FrameType
from typing import Self

import click

from orchestrator.concurrency.cancellation import Cancellation

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
MAX_UNTYPED = 20
"""To how many users a y agrees; of more the number is to be typed."""


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
        sys.stderr.write("\nInterrupted: finishing what is under way, then reporting. Once more to end at once.\n")


def _has_typed(question: str, users: int) -> bool:
    """Ask for a number of users to be typed, and return whether it was."""
    click.echo(question, err=True)
    typed: str = click.prompt(f"Type {users} to agree", default="", show_default=False, err=True)
    return typed.strip() in {str(users), f"{users:,}"}
