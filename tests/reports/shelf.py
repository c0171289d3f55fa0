"""An archive in a folder and in a bucket alike, and runs to put there."""

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.backends import get_backend

from orchestrator.aws.file_store import make_store
from orchestrator.domain.model import AccountResult, Decision, Outcome, Status, Verdict, Via
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.build import build_report, report_account
from orchestrator.reports.report import RunReport
from tests.aws_server import MANAGEMENT, AwsServer
from tests.builders import NOW, make_account, make_request, make_user

PAYMENTS, SEARCH = "111122223333", "444455556666"
KEEP = timedelta(days=400)
BROKEN_RUNS = {
    "empty": b"",
    "no gzip": b"{}",
    "garbled": gzip.compress(b"", mtime=0)[:10] + b"\xff" * 8,
    "cut short": gzip.compress(b"{}" * 1000, mtime=0)[:-9],
    "no JSON": gzip.compress(b"runs", mtime=0),
    "no text": gzip.compress(b"\xff", mtime=0),
    "no report": gzip.compress(b"{}", mtime=0),
}


@dataclass(frozen=True)
class Shelf:
    """An archive, and how a test reaches behind it."""

    archive: RunArchive
    location: str
    put: Callable[[str, bytes], None]
    files: Callable[[], list[str]]
    date: Callable[[str, datetime], None]
    read: Callable[[str], bytes]


def make_shelf(kind: str, request: pytest.FixtureRequest, keep: timedelta | None = KEEP) -> Shelf:
    if kind == "folder":
        folder = Path(request.getfixturevalue("tmp_path")) / "runs-of-test"

        def put(name: str, content: bytes) -> None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

        return Shelf(
            RunArchive(make_store(str(folder), lambda: None), keep),  # type: ignore[arg-type,return-value]  # not called
            str(folder),
            put,
            lambda: sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()),
            lambda name, moment: os.utime(folder / name, (moment.timestamp(), moment.timestamp())),
            lambda name: (folder / name).read_bytes(),
        )
    aws: AwsServer = request.getfixturevalue("aws")
    client = aws.client("s3")
    client.create_bucket(Bucket="reports")

    def set_date(name: str, moment: datetime) -> None:
        backend: Any = get_backend("s3")[MANAGEMENT]["aws"]
        backend.buckets["reports"].keys[f"orgmfa/{name}"].last_modified = moment

    return Shelf(
        RunArchive(make_store("s3://reports/orgmfa", lambda: client), keep),
        "s3://reports/orgmfa",
        lambda name, content: client.put_object(Bucket="reports", Key=f"orgmfa/{name}", Body=content),
        lambda: [
            entry["Key"].removeprefix("orgmfa/")
            for entry in client.list_objects_v2(Bucket="reports").get("Contents", [])
        ],
        set_date,
        lambda name: bytes(client.get_object(Bucket="reports", Key=f"orgmfa/{name}")["Body"].read()),
    )


def make_report(
    run_id: str = "run-1", *, aliases: dict[str, str | None] | None = None, planned: dict[str, list[str]] | None = None
) -> RunReport:
    """Return a report of accounts with these aliases, and of users for whom a change is planned."""
    planned = planned or {}
    accounts = [
        AccountResult(
            make_account(account_id),
            Status.INSPECTED,
            alias=alias,
            decisions=tuple(
                Decision(make_user(name), Verdict.NON_COMPLIANT, Outcome.PLANNED, Via.USER)
                for name in planned.get(account_id, [])
            ),
        )
        for account_id, alias in (aliases or dict.fromkeys(planned)).items()
    ]
    request = make_request(run_id=run_id)
    reports = map(report_account, accounts)
    return build_report(request, "o-exampleorg1", reports, errors=(), is_complete=True, finished_at=NOW)


def run_name(run_id: str) -> str:
    return f"runs/2026/03/02/{run_id}.json.gz"


def save(shelf: Shelf, run_id: str, *, finished: datetime = NOW, **changes: Any) -> RunReport:
    report = make_report(run_id, **changes)
    shelf.archive.save(report)
    shelf.date(run_name(run_id), finished)
    return report
