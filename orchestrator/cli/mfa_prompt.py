"""Asks on the terminal for the MFA code of a profile with `mfa_serial`, before a run and while one goes on."""

import os
import re
import select
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from orchestrator.aws.caller_credentials import Asking
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import LocalFault

Pause = Callable[[], AbstractContextManager[object]]

_POLL_SECONDS = 0.2
"""How often the prompt looks for a cancellation: the signal may go to another thread than the one that asks."""


class MfaPrompt(Asking):
    """Asks for MFA codes. Once nobody answered, it asks no more: each call of a run would ask again."""

    def __init__(self, pause: Pause = nullcontext, cancellation: Cancellation | None = None) -> None:
        """Take what keeps all that is drawn off the screen meanwhile, and the cancellation that ends the prompt."""
        self._pause = pause
        self._cancellation = cancellation or Cancellation()
        self._used = ""
        self._given_up: LocalFault | None = None

    def quiet(self) -> AbstractContextManager[object]:
        """Context manager: nothing is drawn."""
        return self._pause()

    def __call__(self, prompt: str) -> str:
        """Return a code of six digits that was not given before. Raises LocalFault where nobody gives one."""
        if self._given_up is None:
            try:
                self._used = self._ask(prompt)
            except (EOFError, KeyboardInterrupt):
                self._given_up = LocalFault("no MFA code was given", code="NoMfaCode")
            except (OSError, ImportError):  # Windows has no termios
                self._given_up = LocalFault("there is no terminal to ask for an MFA code on", code="NoTerminal")
        if self._given_up is not None:
            raise self._given_up
        return self._used

    def _ask(self, prompt: str) -> str:
        terminal = _open_terminal()
        try:
            while True:
                code = self._read_line(terminal, prompt).strip()
                if not code:
                    told = "Nothing was typed."
                elif not re.fullmatch("[0-9]{6}", code):
                    told = "That is no MFA code: it has six digits."
                elif code == self._used:
                    told = "This MFA code was used already. Wait until your device shows the next one."
                else:
                    return code
                os.write(terminal, f"{told}\n".encode())
        finally:
            os.close(terminal)

    def _read_line(self, terminal: int, prompt: str) -> str:
        """Return a line that is typed without being shown. Raises EOFError, and KeyboardInterrupt on a cancellation."""
        import termios  # noqa: PLC0415 - Windows has no such module

        before = termios.tcgetattr(terminal)
        hidden = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
        termios.tcsetattr(terminal, termios.TCSAFLUSH, hidden)
        try:
            os.write(terminal, prompt.encode())
            while not select.select([terminal], [], [], _POLL_SECONDS)[0]:
                if self._cancellation.event.is_set():
                    raise KeyboardInterrupt
            typed = os.read(terminal, 1024)
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
            os.write(terminal, b"\n")
        if not typed:
            raise EOFError
        return typed.decode(errors="replace")


def _open_terminal() -> int:
    """Return a descriptor of the terminal, also where a standard stream is redirected. Raises OSError."""
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        if not os.isatty(0):
            raise
        return os.dup(0)
