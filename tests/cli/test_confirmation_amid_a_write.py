"""What a signal does to a write to standard error that it comes amid."""

import io
import signal
import sys

import pytest

from orchestrator.cli.confirmation import Interrupts
from orchestrator.concurrency.cancellation import Cancellation


class Interrupted(io.RawIOBase):
    """A stream at whose first write a signal comes, as where its reader is slow and the write waits."""

    def __init__(self) -> None:
        self.signals = [signal.SIGTERM]
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, content: bytes, /) -> int:  # type: ignore[override]  # any buffer
        if self.signals:
            signal.raise_signal(self.signals.pop())
        self.written += bytes(content)
        return len(content)


def test_signal_amid_a_write_to_standard_error_cancels_and_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, cancellation = Interrupted(), Cancellation()
    buffer = io.BufferedWriter(stream)  # type: ignore[type-var]  # it is raw
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(buffer, write_through=True))

    with Interrupts(cancellation):
        sys.stderr.write("a line of the log\n")
        sys.stderr.flush()

    assert cancellation.reason == "interrupted"
    assert stream.written == b"a line of the log\n"
