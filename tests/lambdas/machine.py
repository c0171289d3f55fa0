"""The state machine of a run in steps, with its organization and its archive.

`Machine` does what the state machine does: it calls the steps one after the other and passes on what they return. The
state machine itself runs in tests/e2e.
"""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from moto.backends import get_backend

from orchestrator.aws.file_store import BucketStore, Store
from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.step import lambda_handler as step
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import RunReport
from tests.aws_server import AwsServer
from tests.lambdas.function import FakeContext
from tests.organization import SampleOrganization

STARTED = "2026-03-02T12:00:00.123Z"
SCHEDULE = {"trigger": "schedule", "scheduled_time": "2026-03-02T12:00:00Z"}
BUCKET = "acme-orgmfa"
FEWER = {"run_id", "trigger", "started_at", "finished_at"}


@dataclass
class Machine:
    """The state machine, its organization and its archive; `lost` are steps whose invocation never ends well."""

    organization: SampleOrganization
    aws: AwsServer
    folder: Path
    accounts: list[str]
    lost: set[tuple[str, int]] = field(default_factory=set)
    remaining_seconds: int = 900

    def configure(self, **sections: Any) -> None:
        """Write the configuration, and let the next invocation start cold."""
        invocation._warm.clear()
        settings = {"archive": {"location": f"s3://{BUCKET}/archive"}} | sections
        (self.folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def step(self, name: str, **fields: Any) -> dict[str, Any]:
        result = step({"step": name} | fields, FakeContext(self.remaining_seconds))
        return json.loads(json.dumps(result))  # type: ignore[no-any-return] # what Lambda makes of a result

    def select(self, execution: str = "daily-1", **asked: Any) -> dict[str, Any]:
        started = asked.get("scheduled_time", STARTED)
        return self.step("select", execution=execution, started=started, input=asked)

    def gate(self, selected: dict[str, Any], **asked: Any) -> dict[str, Any]:
        return self.step("gate", run_id=selected["run_id"], input=asked)

    def merge(self, selected: dict[str, Any], **asked: Any) -> dict[str, Any]:
        return self.step("merge", run_id=selected["run_id"], input=asked)

    def map(self, name: str, selected: dict[str, Any]) -> None:
        """Do a step for every item, as a Distributed Map does that tolerates all failures."""
        content = self.aws.client("s3").get_object(Bucket=selected["bucket"], Key=selected["batches"])["Body"].read()
        for item in json.loads(content):
            if (name, item["batch"]) not in self.lost:
                self.step(name, **item)

    def run(self, execution: str = "daily-1", **asked: Any) -> dict[str, Any]:
        selected = self.select(execution, **asked)
        if selected["repeated"]:
            return selected
        self.map("plan", selected)
        gated = self.gate(selected, **asked)
        if gated["go"]:
            self.map("apply", gated)
        return self.merge(selected, **asked)

    @property
    def store(self) -> Store:
        return BucketStore(f"s3://{BUCKET}/archive", self.aws.client("s3"))

    def report(self) -> RunReport:
        """Return the newest report."""
        return RunArchive(self.store, timedelta(days=400)).load()

    def enforced(self) -> list[str]:
        """Return who has EnforceMFA in IAM."""
        names = [("alice", 0), ("bob", 1), ("carol", 2), ("dave", 3)]
        return [name for name, at in names if "EnforceMFA" in self.organization.attached(self.accounts[at], name)]

    def files(self, prefix: str = "work/") -> list[str]:
        return [file.name for file in self.store.list_files(prefix)]


def build_teams(aws: AwsServer) -> tuple[SampleOrganization, list[str]]:
    organization = SampleOrganization(aws)
    accounts = [organization.add_account(f"team-{number}", alias=f"acme-{number}") for number in range(4)]
    for account_id, name in zip(accounts, ("alice", "bob", "carol", "dave"), strict=True):
        organization.add_user(account_id, name)
    organization.add_user(accounts[2], "erin", mfa="virtual")
    for account_id in accounts:
        # A release by name alone is of who had the name then, and a bucket dates its note in whole seconds.
        for user in get_backend("iam")[account_id]["aws"].users.values():
            user.create_date -= timedelta(minutes=1)
    aws.client("s3").create_bucket(Bucket=BUCKET)
    return organization, accounts


def comparable(report: RunReport) -> dict[str, Any]:
    """Return a report without what differs between two runs that find and do the same."""
    told = report.model_dump(mode="json", exclude=FEWER)
    for account in told["accounts"]:
        for user in account["users"]:
            user["open_since"] = bool(user["open_since"])
    return told


def outcomes(report: RunReport) -> dict[str, str]:
    return {user.name: user.outcome.value for account in report.accounts for user in account.users}
