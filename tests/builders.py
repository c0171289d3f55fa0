"""Values for tests, each with defaults that make it ordinary: name only what a test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.domain.config import Config
from orchestrator.domain.model import (
    Account,
    AccountFacts,
    AccountState,
    Enforcement,
    IamUser,
    Mode,
    Organization,
    Outcome,
    PolicyState,
    Quotas,
    RootUser,
    RunRequest,
    Status,
    Trigger,
    Verdict,
    Via,
)
from orchestrator.reports.build import count_totals
from orchestrator.reports.report import AccountReport, RunReport, UserReport, pack_accounts

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ACCOUNT_ID = "111122223333"
POLICY_ARN = f"arn:aws:iam::{ACCOUNT_ID}:policy/EnforceMFA"
ORGANIZATION = Organization(id="o-exampleorg1", management_account_id="999999999999", partition="aws")


def days_ago(count: float) -> datetime:
    return NOW - timedelta(days=count)


def user_id_of(name: str) -> str:
    """Return the ID of the user whom tests call by this name, until one of them gives the name to another."""
    return f"AIDA{name.encode().hex().upper()}"


def make_account(account_id: str = ACCOUNT_ID, **changes: Any) -> Account:
    values: dict[str, Any] = {"name": "payments", "state": AccountState.ACTIVE}
    return Account(id=account_id, **(values | changes))


def make_user(name: str = "alice", **changes: Any) -> IamUser:
    values: dict[str, Any] = {
        "id": user_id_of(name),
        "arn": f"arn:aws:iam::{ACCOUNT_ID}:user/{name}",
        "created_at": days_ago(400),
        "has_mfa": False,
        "has_console_password": True,
        "active_access_keys": 0,
        "keys_last_used": None,
        "attached_policy_arns": frozenset(),
        "group_names": frozenset(),
    }
    return IamUser(name=name, **(values | changes))


def make_enforcement(policy: PolicyState = PolicyState.OURS, group: PolicyState = PolicyState.OURS) -> Enforcement:
    return Enforcement(policy_arn=POLICY_ARN, group_name="EnforceMFA", policy=policy, group=group)


def make_facts(*users: IamUser, **changes: Any) -> AccountFacts:
    values: dict[str, Any] = {
        "alias": "acme-payments",
        "root_user": RootUser(has_credentials=True, has_mfa=True),
        "users": users,
        "quotas": Quotas(policies_per_user=10, groups_per_user=10),
        "enforcement": make_enforcement(),
        "is_report_ours": True,
    }
    return AccountFacts(**(values | changes))


def make_request(**changes: Any) -> RunRequest:
    values: dict[str, Any] = {"run_id": "run-1", "mode": Mode.APPLY, "trigger": Trigger.CLI, "started_at": NOW}
    return RunRequest(**(values | changes))


def make_config(**sections: Any) -> Config:
    return Config.model_validate(sections)


def make_seen(name: str = "alice", outcome: str = "planned", **changes: Any) -> UserReport:
    """Return a user of a report: with MFA where the outcome is `none`, else without."""
    values: dict[str, Any] = {
        "id": user_id_of(name),
        "arn": f"arn:aws:iam::{ACCOUNT_ID}:user/{name}",
        "verdict": Verdict.COMPLIANT if outcome == "none" else Verdict.NON_COMPLIANT,
        "console_password": True,
        "active_access_keys": 0,
        "keys_last_used": None,
        "via": Via.USER if outcome in {"planned", "enforced", "already_enforced"} else None,
        "error": None,
    }
    return UserReport(name=name, outcome=Outcome(outcome), **(values | changes))


def make_seen_account(*users: UserReport, account_id: str = ACCOUNT_ID, **changes: Any) -> AccountReport:
    values: dict[str, Any] = {
        "name": "payments",
        "alias": "acme-payments",
        "status": Status.INSPECTED,
        "error": None,
        "root_user": None,
    }
    return AccountReport(id=account_id, users=users, **(values | changes))


def make_run_report(*accounts: AccountReport, **changes: Any) -> RunReport:
    values: dict[str, Any] = {
        "run_id": "run-1",
        "mode": Mode.APPLY,
        "trigger": Trigger.SCHEDULE,
        "organization_id": ORGANIZATION.id,
        "started_at": NOW,
        "finished_at": NOW,
        "complete": True,
        "errors": (),
        "totals": count_totals(accounts),
    }
    return RunReport(accounts=pack_accounts(accounts), **(values | changes))
