"""Security Hub findings of a run (ASFF): active for users without MFA, archived for users who enrolled or left. Pure.

A finding belongs to the account that imports it (Security Hub user guide, BatchImportFindings: with the default product
AwsAccountId must be the caller's); the member account is named in the ARN of the user. A user's finding has the same ID
in every run, so that importing it again updates it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.domain.model import Mode, Outcome, Product, Verdict
from orchestrator.domain.outcomes import ENFORCED
from orchestrator.output.words import format_iso
from orchestrator.reports.history import History, was_read
from orchestrator.reports.report import AccountReport, RunReport, UserReport

Finding = Mapping[str, Any]

_SCHEMA_VERSION = "2018-10-08"
_TYPES = ("Software and Configuration Checks/AWS Security Best Practices",)
_ENROL = "Have the user enrol an MFA device (IAM console, Security credentials), or remove a user whom nobody needs."


def render_findings(report: RunReport, history: History, product: Product) -> tuple[Finding, ...]:
    """Return the findings of a run: active for users without MFA, archived for those who had none before it.

    A user whose MFA is not known, or whose account was not read, is in neither. A release judges nobody.
    """
    if report.mode is Mode.RELEASE:
        return ()
    writer = _Writer(report, product)
    active = (
        writer.failed(account, user)
        for account in report.accounts
        for user in account.users
        if user.verdict is Verdict.NON_COMPLIANT
    )
    return (*active, *_archived(report, history, writer))


def _archived(report: RunReport, history: History, writer: "_Writer") -> Iterator[Finding]:
    """Yield the findings of users who had no MFA, and have it now or are gone, alone or with their account."""
    for account in filter(was_read, report.accounts):
        users = {user.name: user for user in account.users}
        for name, since in _open_before(account.id, history).items():
            user = users.get(name)
            if user is None or user.verdict is Verdict.COMPLIANT:
                yield writer.passed(account.id, name, arn=user.arn if user else None, since=since)
    if report.complete and not report.narrowed:
        known = {*history.sights, *(history.base.accounts if history.base else ())}
        for account_id in sorted(known - {account.id for account in report.accounts}):
            for name, since in _open_before(account_id, history).items():
                yield writer.passed(account_id, name, arn=None, since=since)


def _open_before(account_id: str, history: History) -> dict[str, datetime | None]:
    """Return the users of an account who had no MFA when it was last read, or at the last whole run, and since when."""
    since = {one.name: one.since for one in history.sights.get(account_id, {}).values() if one.ended_at is None}
    return {name: since.get(name) for name in sorted({*since, *history.open_in_base(account_id)})}


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes findings of one run for one product."""

    report: RunReport
    product: Product

    def failed(self, account: AccountReport, user: UserReport) -> Finding:
        """Return the active finding of a user without MFA."""
        where = f"account {account.alias or account.name} ({account.id})"
        password = {True: "yes", False: "no", None: "not known"}[user.console_password]
        return self._finding(account.id, user.name, arn=user.arn, since=user.open_since) | {
            "Title": f"IAM user {user.name} has no MFA device",
            "Description": (
                f"The IAM user {user.name} of {where} has no MFA device. Console password: {password}. "
                f"Outcome of the run: {user.outcome.value.replace('_', ' ')}."
            ),
            **_rated(_severity(user)),
            "Compliance": {"Status": "FAILED"},
            "Workflow": {"Status": "NEW"},
            "RecordState": "ACTIVE",
            "Remediation": {"Recommendation": {"Text": _remedy(user)}},
        }

    def passed(self, account_id: str, user_name: str, *, arn: str | None, since: datetime | None) -> Finding:
        """Return the archived finding of a user who has MFA by now, or is gone (then the ARN is not known)."""
        said = "is gone" if arn is None else "has an MFA device"
        arn = arn or f"arn:{self.product.partition}:iam::{account_id}:user/{user_name}"
        return self._finding(account_id, user_name, arn=arn, since=since) | {
            "Title": f"IAM user {user_name} {said}",
            "Description": f"The IAM user {user_name} of account {account_id} had no MFA device, and {said} now.",
            **_rated("INFORMATIONAL"),
            "Compliance": {"Status": "PASSED"},
            "RecordState": "ARCHIVED",
        }

    def _finding(self, account_id: str, user_name: str, *, arn: str, since: datetime | None) -> dict[str, Any]:
        """Return what an active and an archived finding of a user have in common."""
        report, product = self.report, self.product
        return {
            "SchemaVersion": _SCHEMA_VERSION,
            "Id": f"orgmfa/{report.organization_id}/{account_id}/{user_name}",
            "ProductArn": product.arn,
            "GeneratorId": "orgmfa",
            "AwsAccountId": product.account_id,
            "CreatedAt": format_iso(since or report.started_at),
            "UpdatedAt": format_iso(report.finished_at),
            "Resources": [{"Type": "AwsIamUser", "Id": arn, "Partition": product.partition}],
        }


def _rated(label: str) -> dict[str, Any]:
    """Return severity and types, as a new finding has them and as a provider may change them later.

    Once somebody has set them by hand, the first are theirs (API reference, BatchImportFindings).
    """
    rated = {"Severity": {"Label": label}, "Types": list(_TYPES)}
    return rated | {"FindingProviderFields": rated}


def _severity(user: UserReport) -> str:
    """Return how much a user without MFA matters: a password that is not known counts as one."""
    if user.outcome in ENFORCED:
        return "INFORMATIONAL"
    return "LOW" if user.console_password is False else "MEDIUM"


def _remedy(user: UserReport) -> str:
    if user.outcome in ENFORCED:
        return f"{_ENROL} EnforceMFA is in force."
    return f"{_ENROL} orgmfa apply attaches EnforceMFA." if user.outcome is Outcome.PLANNED else _ENROL
