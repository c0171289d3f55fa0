"""Runs in a row, days apart, against an organization served over HTTP: the calls are real, the days are not."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.aws.clients import Clients
from orchestrator.aws.file_store import make_store
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.config import Config
from orchestrator.domain.model import Mode
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import RunReport
from orchestrator.wiring import build_context, make_hub, run_once
from tests.aws_server import AwsServer
from tests.builders import make_config, make_request
from tests.organization import SampleOrganization

NOTICE = {"notice": "7d"}


@dataclass
class ServedDays:
    """Two accounts: `payments`, where users are added, and the management account, which has none."""

    aws: AwsServer
    organization: SampleOrganization
    payments: str
    folder: Path
    start: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1))
    runs: int = 0

    def play(
        self,
        day: float,
        mode: str = "apply",
        *,
        cancellation: Cancellation | None = None,
        config: dict[str, Any] | None = None,
        prepare: Callable[[Clients], None] = lambda _: None,
        **asked: Any,
    ) -> RunReport:
        """Carry out a run on a day; `config` are sections of the configuration."""
        self.runs += 1
        now = self.start + timedelta(days=day)
        self.aws.expire_reports()
        self.aws.forget_calls()
        settings = self._configure(config or {"enforcement": NOTICE})
        hub = make_hub(settings, os.environ, prepare=prepare, now=lambda: now)
        request = make_request(mode=Mode(mode), run_id=f"run-{self.runs:03}", started_at=now, **asked)
        context = build_context(hub, request, cancellation=cancellation or Cancellation(), send_digest=False)
        return run_once(context).report

    @property
    def archive(self) -> RunArchive:
        return RunArchive(make_store(str(self.folder), lambda: self.aws.client("s3")), timedelta(days=400))

    @property
    def iam(self) -> Any:
        return self.aws.client("iam", self.payments)

    def add(self, *names: str, **settings: Any) -> None:
        for name in names:
            self.organization.add_user(self.payments, name, **settings)

    def rename(self, name: str, new_name: str) -> None:
        self.iam.update_user(UserName=name, NewUserName=new_name)

    def delete(self, name: str) -> None:
        self.iam.delete_login_profile(UserName=name)
        for policy in self.iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
            self.iam.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
        self.iam.delete_user(UserName=name)

    def enrol(self, name: str) -> None:
        self.organization.enrol(self.payments, name)

    def disenrol(self, name: str) -> None:
        for device in self.iam.list_mfa_devices(UserName=name)["MFADevices"]:
            self.iam.deactivate_mfa_device(UserName=name, SerialNumber=device["SerialNumber"])
            self.iam.delete_virtual_mfa_device(SerialNumber=device["SerialNumber"])

    def rewrite(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change each user of the last report in the archive, as an earlier version would have written it."""
        document = self.archive.load().model_dump(mode="json")
        for account in document["accounts"]:
            del account["first_sights"]
            for user in account["users"]:
                change(user)
        self.archive.save(RunReport.model_validate(document))

    def date(self, path: Path, *, minutes: float) -> None:
        """Have a file be written so long after this day began."""
        then = (datetime.now(UTC) + timedelta(minutes=minutes)).timestamp()
        os.utime(path, (then, then))

    def _configure(self, sections: dict[str, Any]) -> Config:
        return make_config(archive={"location": str(self.folder)}, **sections)


def build_payments(aws: AwsServer) -> tuple[SampleOrganization, str]:
    organization = SampleOrganization(aws)
    return organization, organization.add_account("payments", alias="acme-payments")
