"""What `orgmfa doctor` found: a check a line, and how those that are alike stand together. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from orchestrator.domain.errors import AwsError

ANY_ACCOUNT = "ACCOUNT"
"""Stands for the account's ID in what is said of several accounts at once."""


class CheckName(StrEnum):
    """What is checked, in the order in which it is told; from MEMBER_ROLE on once for each account."""

    CONFIGURATION = "configuration"
    LIMITS = "limits"
    EXEMPTIONS = "exemptions"
    CALLER = "caller"
    ORGANIZATION = "organization"
    ACCOUNTS = "accounts"
    SCP = "scp"
    ARCHIVE = "archive"
    STOP_SWITCH = "stop_switch"
    SLACK_SECRET = "slack_secret"  # noqa: S105 - the name of a check, not a secret
    SLACK = "slack"
    SECURITY_HUB = "security_hub"
    SCHEDULE = "schedule"
    FUNCTION = "function"
    MEMBER_ROLE = "member_role"
    READS = "reads"
    POLICY = "policy"
    GROUP = "group"
    ROLE_POLICIES = "role_policies"
    RELEASE_ROLE = "release_role"


class CheckStatus(StrEnum):
    """How a check came out; unknown is what cannot be found out from where the program runs."""

    PROBLEM = "problem"
    UNKNOWN = "unknown"
    OK = "ok"


class Check(BaseModel):
    """One thing that was looked at; `account_id` is null where it is about the run as a whole.

    `remedy` says what to do, and is empty where there is nothing to be done.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: CheckName
    status: CheckStatus
    message: str
    remedy: str = ""
    account_id: str | None = None

    def of(self, account_id: str) -> Self:
        """Return this check as one of an account."""
        return self.model_copy(update={"account_id": account_id})


def fine(name: CheckName, message: str, remedy: str = "") -> Check:
    """Return a check that came out well; a remedy is something to be tidied up."""
    return Check(name=name, status=CheckStatus.OK, message=message, remedy=remedy)


def problem(name: CheckName, message: str, remedy: str) -> Check:
    """Return a check that found what a run would stumble over."""
    return Check(name=name, status=CheckStatus.PROBLEM, message=message, remedy=remedy)


def unknown(name: CheckName, message: str, remedy: str) -> Check:
    """Return a check that could not be made from here."""
    return Check(name=name, status=CheckStatus.UNKNOWN, message=message, remedy=remedy)


def in_words(error: Exception) -> str:
    """Return what an error says, on one line, with the code of AWS where it has one."""
    code = f" ({error.code})" if isinstance(error, AwsError) else ""
    return f"{' '.join(str(error).split())}{code}"


class DoctorReport(BaseModel):
    """What `orgmfa doctor --output json` prints: every check of every account; `ok` where none is a problem."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    checks: tuple[Check, ...]
    ok: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What several accounts have in common, or one thing about the run as a whole (no account IDs)."""

    name: CheckName
    status: CheckStatus
    message: str
    remedy: str
    account_ids: tuple[str, ...]


def build_doctor_report(checks: Iterable[Check]) -> DoctorReport:
    """Return the report of these checks."""
    checks = tuple(checks)
    return DoctorReport(checks=checks, ok=all(check.status is not CheckStatus.PROBLEM for check in checks))


def group_checks(checks: Iterable[Check]) -> tuple[Finding, ...]:
    """Return what was found, in the order of CheckName and each worst first; accounts with the same finding as one."""
    groups: dict[tuple[object, ...], list[Check]] = defaultdict(list)
    for check in checks:
        groups[check.name, check.status, _general(check.message, check), _general(check.remedy, check)].append(check)
    findings = (_finding(members) for members in groups.values())
    return tuple(sorted(findings, key=_place))


def _finding(checks: list[Check]) -> Finding:
    first = checks[0]
    account_ids = tuple(check.account_id for check in checks if check.account_id is not None)
    is_shared = len(account_ids) > 1
    return Finding(
        name=first.name,
        status=first.status,
        message=_general(first.message, first) if is_shared else first.message,
        remedy=_general(first.remedy, first) if is_shared else first.remedy,
        account_ids=account_ids,
    )


def _place(finding: Finding) -> tuple[int, int, int]:
    return _NAMES.index(finding.name), _STATUSES.index(finding.status), -len(finding.account_ids)


def _general(text: str, check: Check) -> str:
    return text if check.account_id is None else text.replace(check.account_id, ANY_ACCOUNT)


_NAMES, _STATUSES = tuple(CheckName), tuple(CheckStatus)
