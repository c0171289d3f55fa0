"""Writes a report as JSON, one account at a time, so that its text is never whole in memory. Pure."""

import json
from collections.abc import Iterator

from orchestrator.reports.report import RunReport, pack_accounts

END = b"]}"
"""The end of a report's JSON; in the archive a line of its own."""


def write_lines(report: RunReport) -> Iterator[bytes]:
    """Yield a report for the archive, one account a line, so that it can be read one account at a time."""
    yield _head(report).model_dump_json().encode().removesuffix(END) + b"\n"
    separator = b""
    for text in report.accounts.texts():
        yield separator + text
        separator = b",\n"
    yield (b"\n" if separator else b"") + END


def write_indented(report: RunReport) -> Iterator[str]:
    """Yield a report as JSON with an indent of two and a final line break, for standard output."""
    if not report.accounts:
        yield report.model_dump_json(indent=2) + "\n"
        return
    yield _head(report).model_dump_json(indent=2).removesuffix("]\n}")
    separator = "\n    "
    for account in report.accounts:
        yield separator + account.model_dump_json(indent=2).replace("\n", "\n    ")
        separator = ",\n    "
    yield "\n  ]\n}\n"


def write_accounts(report: RunReport) -> Iterator[str]:
    """Yield the accounts of a report as JSON, one a line, each with ID and mode of the run and the code of its gate."""
    head = {"run_id": report.run_id, "mode": report.mode.value, "gate": report.gate and report.gate.code}
    run = json.dumps(head, separators=(",", ":")).removesuffix("}")
    for text in report.accounts.texts():
        yield f"{run},{text.decode().removeprefix('{')}\n"


def _head(report: RunReport) -> RunReport:
    return report.model_copy(update={"accounts": pack_accounts(())})
