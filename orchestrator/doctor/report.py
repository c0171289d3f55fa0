"""The report of `orgmfa doctor`: its checks, and the grouping of equal checks of several accounts. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from orchestrator.domain.errors import AwsError

ANY_ACCOUNT = "ACCOUNT"
"""Takes the place of the account ID in a text about several accounts."""


class CheckName(StrEnum):
    """What is checked, in the order of the report; from MEMBER_ROLE on once for each account."""

    CONFIGURATION = "configuration"
    LIMITS = "limits"
    EXEMPTIONS = "exemptions"
    NUDGE = "nudge"
    PROTECTIONS = "protections"
    CALLER = "caller"
    ORGANIZATION = "organization"
    ACCOUNTS = "accounts"
    SCP = "scp"
    GUARD = "guard"
    LOCK = "lock"
    ARCHIVE = "archive"
    RELEASES = "releases"
    ONBOARDING = "onboarding"
    IAM_EVENTS = "iam_events"
    STOP_SWITCH = "stop_switch"
    SLACK_SECRET = "slack_secret"  # noqa: S105 - the name of a check, not a secret
    SLACK = "slack"
    SECURITY_HUB = "security_hub"
    EVENT_BUS = "event_bus"
    CONSOLE_SIGN_IN = "console_sign_in"
    SCHEDULE = "schedule"
    FUNCTION = "function"
    MEMBER_ROLE = "member_role"
    READS = "reads"
    POLICY = "policy"
    GROUP = "group"
    ROLE_POLICIES = "role_policies"
    RELEASE_ROLE = "release_role"
    EVENTS_ROLE = "events_role"


class CheckStatus(StrEnum):
    """The result of a check, worst first; unknown is what cannot be found out from where the program runs."""

    PROBLEM = "problem"
    UNKNOWN = "unknown"
    OK = "ok"


class Check(BaseModel):
    """One check. `account_id` is null where it is about the run as a whole; `remedy` may be empty."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: CheckName
    status: CheckStatus
    message: str
    remedy: str = ""
    account_id: str | None = None

    def of(self, account_id: str) -> Self:
        """Return this check with the ID of the account that it is about."""
        return self.model_copy(update={"account_id": account_id})


def fine(name: CheckName, message: str, remedy: str = "") -> Check:
    """Return a check that is OK; a remedy names what could be tidied up."""
    return Check(name=name, status=CheckStatus.OK, message=message, remedy=remedy)


def problem(name: CheckName, message: str, remedy: str) -> Check:
    """Return a check that found something that a run would fail on."""
    return Check(name=name, status=CheckStatus.PROBLEM, message=message, remedy=remedy)


def unknown(name: CheckName, message: str, remedy: str) -> Check:
    """Return a check that could not be made from here."""
    return Check(name=name, status=CheckStatus.UNKNOWN, message=message, remedy=remedy)


def in_words(error: Exception) -> str:
    """Return the message of an error on one line, with the code of AWS where it has one."""
    code = f" ({error.code})" if isinstance(error, AwsError) else ""
    return f"{' '.join(str(error).split())}{code}"


class DoctorReport(BaseModel):
    """What `orgmfa doctor --output json` prints: all checks; `ok` is true where none is a problem."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    checks: tuple[Check, ...]
    ok: bool

    @classmethod
    def of(cls, checks: Sequence[Check]) -> Self:
        """Return the report of these checks."""
        return cls(checks=tuple(checks), ok=all(check.status is not CheckStatus.PROBLEM for check in checks))


class Finding(Check):
    """A result that one or several accounts share, or one about the run as a whole (no account IDs)."""

    account_ids: tuple[str, ...]


def group_checks(checks: Iterable[Check]) -> tuple[Finding, ...]:
    """Return the findings, in the order of CheckName, each worst first; accounts with the same result share one."""
    groups: dict[Check, list[Check]] = defaultdict(list)
    for check in checks:
        groups[_general(check)].append(check)
    found: list[Finding] = []
    for general, group in groups.items():
        account_ids = tuple(check.account_id for check in group if check.account_id is not None)
        shown = general if len(account_ids) > 1 else group[0]
        found.append(Finding(**dict(shown) | {"account_id": None, "account_ids": account_ids}))
    names, statuses = list(CheckName), list(CheckStatus)
    rank = {one: (names.index(one.name), statuses.index(one.status), -len(one.account_ids)) for one in found}
    return tuple(sorted(found, key=rank.__getitem__))


def _general(check: Check) -> Check:
    """Return a check with ANY_ACCOUNT in place of its account."""
    if check.account_id is None:
        return check
    message, remedy = (text.replace(check.account_id, ANY_ACCOUNT) for text in (check.message, check.remedy))
    return check.model_copy(update={"message": message, "remedy": remedy, "account_id": None})
