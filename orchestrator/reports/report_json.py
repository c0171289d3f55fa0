"""The JSON of a report: written one account at a time, and read in bounded memory, wholly or in part. Pure.

A report of ten thousand accounts is large, so its text is never whole in memory; `read_head` reads what comes before
the accounts from the first bytes of the file. Anybody who can write the archive may have written a file: what is longer
than anything orgmfa writes is refused before it is whole in memory. A gzip file of 13 MB can hold 13 GB, and a JSON
text of 8 MB objects that take 8 GB.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from orchestrator.reports.report import AccountReport, RunReport, pack_accounts

MAX_UNPACKED_BYTES = 640 * 1024 * 1024
"""Six times the report of 10,000 accounts with 20 users each."""
MAX_LINE_BYTES = 40 * 1024 * 1024
"""Sixteen times the line of an account with 5,000 users, which is IAM's quota."""
MAX_JSON_VALUES = 720_000
"""Six times what the line of such an account holds; counted from the signs between values, so never too few."""
MAX_HEAD_BYTES = 8 * 1024 * 1024

_ACCOUNTS = b'"accounts":['
"""The start of the accounts in the JSON of a report; inside a string its quotes would be escaped."""
_END = b"]}"
"""The end of a report's JSON; in the archive a line of its own."""


def write_lines(report: RunReport) -> Iterator[bytes]:
    """Yield a report for the archive, one account a line, so that it can be read one account at a time."""
    yield without_accounts(report).model_dump_json().encode().removesuffix(_END) + b"\n"
    for number, text in enumerate(report.accounts.texts()):
        yield (b",\n" if number else b"") + text
    yield (b"\n" if report.accounts else b"") + _END


def write_indented(report: RunReport) -> Iterator[str]:
    """Yield a report as JSON with an indent of two and a final line break, for standard output."""
    if not report.accounts:
        yield report.model_dump_json(indent=2) + "\n"
        return
    yield without_accounts(report).model_dump_json(indent=2).removesuffix("]\n}")
    for number, account in enumerate(report.accounts):
        yield (",\n    " if number else "\n    ") + account.model_dump_json(indent=2).replace("\n", "\n    ")
    yield "\n  ]\n}\n"


def write_accounts(report: RunReport) -> Iterator[str]:
    """Yield the accounts of a report as JSON, one a line, each with ID and mode of the run and the code of its gate."""
    head = {"run_id": report.run_id, "mode": report.mode.value, "gate": report.gate and report.gate.code}
    run = json.dumps(head, separators=(",", ":")).removesuffix("}")
    for text in report.accounts.texts():
        yield f"{run},{text.decode().removeprefix('{')}\n"


def unpack_lines(packed: bytes) -> Iterator[bytes]:
    """Yield the lines of a gzip file. Raises ValueError where it is none, or longer than anything orgmfa writes."""
    left = MAX_UNPACKED_BYTES
    try:
        with gzip.open(BytesIO(packed)) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                left -= len(line)
                if len(line) > MAX_LINE_BYTES or left < 0:
                    raise ValueError("the file is longer than anything orgmfa writes")
                yield line
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"the file cannot be unpacked: {error}") from error


def unpack(packed: bytes) -> bytes:
    """Return the content of a gzip file. Raises ValueError as `unpack_lines` does."""
    return b"".join(unpack_lines(packed))


def load_json(text: bytes) -> Any:  # noqa: ANN401 - whatever the text holds
    """Return the value of a JSON text. Raises ValueError where it is none, or has more values than orgmfa writes."""
    if len(text) > MAX_LINE_BYTES or sum(map(text.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
        raise ValueError("the JSON has more values than any that orgmfa writes")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the text is no valid JSON: {error}") from error


def read_report(lines: Iterable[bytes]) -> RunReport:
    """Return a report from its JSON, its accounts packed one at a time. Raises ValueError where it is none."""
    head, texts = split_report(lines)
    return head.model_copy(
        update={"accounts": pack_accounts(AccountReport.model_validate(load_json(text)) for text in texts)}
    )


def split_report(lines: Iterable[bytes]) -> tuple[RunReport, Iterator[bytes]]:
    """Return a report without its accounts, and the JSON of each account.

    A report that does not have an account a line is read at once. Raises ValueError, here or from the accounts, where
    it is no report or breaks off.
    """
    rest = iter(lines)
    start = next(rest, b"")
    if start.endswith(_ACCOUNTS + b"\n"):
        return RunReport.model_validate(load_json(start + _END)), _read_accounts(rest)
    report = RunReport.model_validate(load_json(start))
    return without_accounts(report), report.accounts.texts()


def read_head(start: bytes) -> RunReport | None:
    """Return a report without its accounts from the first bytes of its file, or None where they are too few."""
    try:
        text = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(start, MAX_HEAD_BYTES)
    except zlib.error:
        return None
    head, found, _ = text.partition(_ACCOUNTS)
    if not found:
        return None
    try:
        return RunReport.model_validate(load_json(head + _ACCOUNTS + _END))
    except ValueError:
        return None


def without_accounts(report: RunReport) -> RunReport:
    """Return all of a report but its accounts."""
    return report.model_copy(update={"accounts": pack_accounts(())})


def _read_accounts(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line in lines:
        if line == _END:
            return
        yield line.rstrip(b",\n")
    raise ValueError("the report breaks off")
