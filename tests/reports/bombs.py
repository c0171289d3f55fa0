"""Files in the place of a run, small when packed, that would fill the memory of who reads them without bounds."""

import gzip
from collections.abc import Callable

from orchestrator.reports.report_json import write_lines
from tests.builders import make_run_report

MIB = 1024 * 1024
# What stands before the accounts is sound in some, so that the trend, which reads no further, has them.
_HEAD = next(iter(write_lines(make_run_report(run_id="bomb"))))


def _of(member: bytes, times: int = 1) -> bytes:
    """Return a gzip file that holds this so many times, packed once: gzip files may be joined."""
    return gzip.compress(member, mtime=0) * times


BOMBS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: _of(bytes(16 * MIB), 80),
    "line breaks": lambda: _of(b"\n" * (16 * MIB), 80),
    "an account without an end": lambda: _of(_HEAD + b'{"id": "') + _of(b"x" * (16 * MIB), 80),
    "arrays": lambda: _of(b'{"errors":[' + b"[]," * (5 * MIB) + b"[]]}"),
    "objects": lambda: _of(b'{"accounts":[' + b'{"":0},' * (2 * MIB) + b"{}]}"),
    "users": lambda: _of(_HEAD + b'{"users":[' + b"{}," * (5 * MIB) + b"{}]}\n]}"),
    "keys": lambda: _of(b"{" + b",".join(b'"%d":0' % (number % 1000) for number in range(MIB)) + b"}"),
    "depth": lambda: _of(b'{"errors":' + b"[" * 400_000 + b"]" * 400_000 + b"}"),
}
