"""The deployed function with its organization, its archive and its configuration."""

import gzip
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from orchestrator.aws.file_store import make_store
from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.events import ScheduledEvent, parse_event
from orchestrator.lambdas.run import lambda_handler
from orchestrator.pipeline.lease import LEASE_FILE, make_content
from orchestrator.reports.archive import LEDGER, RunArchive, name_event
from orchestrator.reports.event_ledger import EventLedger
from orchestrator.reports.report import ReleasedUser, RunReport
from orchestrator.reports.run_files import read_file
from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call, json_error
from tests.organization import SampleOrganization

SCHEDULE = {"trigger": "schedule", "scheduled_time": "2026-03-02T12:00:00Z"}
RULE: dict[str, Any] = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": MANAGEMENT,
    "time": "2026-03-02T12:00:00Z",
    "region": "eu-central-1",
    "resources": [f"arn:aws:events:eu-central-1:{MANAGEMENT}:rule/orgmfa-daily"],
    "detail": {},
}


def today(event: dict[str, Any], *, minutes_ago: int = 0) -> dict[str, Any]:
    """Return a scheduled event as it would be delivered now, or so long ago; another time is another event."""
    name = "time" if "time" in event else "scheduled_time"
    moment = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)
    made = event | {name: f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    return made | {"id": f"{minutes_ago:08}-cffa-4f76-80c9-8b7d4a4d2eaa"} if "id" in event else made


def key_of(event: dict[str, Any]) -> str:
    """Return the key by which the deliveries of a scheduled event are known."""
    parsed = parse_event(event, own_account_id=MANAGEMENT)
    assert isinstance(parsed, ScheduledEvent)
    return parsed.key


@dataclass
class FakeContext:
    """The Lambda context of an invocation that may still last so long."""

    remaining_seconds: int = 900
    invoked_function_arn: str = f"arn:aws:lambda:eu-central-1:{MANAGEMENT}:function:orgmfa"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_seconds * 1000


@dataclass(frozen=True)
class Function:
    """The deployed function: its configuration, its archive, and the organization it works on."""

    organization: SampleOrganization
    aws: AwsServer
    folder: Path
    payments: str
    search: str

    def configure(self, **sections: Any) -> None:
        """Write the configuration, and let the next invocation start cold."""
        invocation._warm.clear()
        settings = {"archive": {"location": str(self.folder / "runs")}} | sections
        (self.folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def invoke(self, event: object, *, remaining_seconds: int = 900) -> dict[str, Any]:
        self.aws.forget_calls()
        result = lambda_handler(event, FakeContext(remaining_seconds))
        return json.loads(json.dumps(result))  # type: ignore[no-any-return]  # what Lambda makes of a result

    def plant_mark(self, event: dict[str, Any], content: bytes, *, age: timedelta = timedelta(minutes=2)) -> None:
        """Write the mark of an event as another run, or a stranger, would have so long ago."""
        path = self.folder / "runs" / name_event(key_of(event))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written = time.time() - age.total_seconds()
        os.utime(path, (written, written))

    def antedate(self, result: dict[str, Any]) -> None:
        """Make the report of a run one of yesterday."""
        path = Path(result["report"])
        report = json.loads(gzip.decompress(path.read_bytes()))
        started = datetime.fromisoformat(report["started_at"]) - timedelta(days=1)
        path.write_bytes(gzip.compress(json.dumps(report | {"started_at": started.isoformat()}).encode()))

    def lock(self, run_id: str) -> Path:
        """Give the lease on writing to another run, and return its file."""
        lease = self.folder / "runs" / LEASE_FILE
        lease.parent.mkdir(parents=True, exist_ok=True)
        lease.write_bytes(make_content(run_id, is_release=False))
        return lease

    def detach(self, account_id: str, name: str) -> None:
        """Take EnforceMFA from a user, as others may."""
        arn = f"arn:aws:iam::{account_id}:policy/EnforceMFA"
        self.aws.client("iam", account_id).detach_user_policy(UserName=name, PolicyArn=arn)

    def note_release(self, account_id: str, name: str) -> None:
        """Note a release of a user in the archive, as `orgmfa release` does before it begins."""
        store = make_store(str(self.folder / "runs"), lambda: self.aws.client("s3"))
        now = datetime.now(UTC)
        user = ReleasedUser(account_id=account_id, user_name=name)
        RunArchive(store, None).note_release("release-1", [user], now + timedelta(days=7), now=now)

    def reports(self) -> list[RunReport]:
        """Return the archived reports, the newest first."""
        store = make_store(str(self.folder / "runs"), lambda: self.aws.client("s3"))
        archive = RunArchive(store, timedelta(days=400))
        return [archive.load(run.run_id) for run in archive.list_runs()]

    def event_reports(self) -> list[RunReport]:
        """Return the reports of the event runs, the oldest first."""
        paths = (self.folder / "runs" / "event-runs").rglob("*.json.gz")
        found = (read_file(path) for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns))
        return [report for report in found if report]

    def ledger(self) -> EventLedger:
        return EventLedger.model_validate_json((self.folder / "runs" / LEDGER).read_bytes())

    def enforced(self, account_id: str, name: str) -> bool:
        return "EnforceMFA" in self.organization.attached(account_id, name)


def build_accounts(aws: AwsServer) -> tuple[SampleOrganization, str, str]:
    organization = SampleOrganization(aws)
    payments, search = organization.add_account("payments", alias="acme-payments"), organization.add_account("search")
    organization.add_user(payments, "alice")
    organization.add_user(payments, "bob", mfa="virtual")
    organization.add_user(search, "carol")
    return organization, payments, search


def deny_second_page(call: Call) -> Answer | None:
    """Give one account and the promise of more, and deny the rest."""
    if call.action != "ListAccounts":
        return None
    if "NextToken" in call.parameters:
        return json_error("AccessDeniedException", "no more for you")
    accounts = [{"Id": MANAGEMENT, "Name": "management", "State": "ACTIVE"}]
    return Answer(200, json.dumps({"Accounts": accounts, "NextToken": "2"}), "application/x-amz-json-1.1")
