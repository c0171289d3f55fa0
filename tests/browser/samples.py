"""Reports for tests of what people look at: ordinary unless said otherwise, hostile, and as large as they come."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.model import Gate, Mode, Outcome, Stage, Status, Trigger, Verdict, Via
from orchestrator.reports.build import count_totals
from orchestrator.reports.report import (
    AccountReport,
    ChangedAccount,
    ChangedUser,
    Changes,
    EnrolledUser,
    ProblemReport,
    ReasonReport,
    RootUserReport,
    RunReport,
    UserReport,
    pack_accounts,
)
from tests.builders import ACCOUNT_ID, NOW, days_ago

PROBLEM = ProblemReport(
    stage=Stage.ASSUME_ROLE, code="AccessDenied", message="not authorized", remedy="Check the StackSet."
)
HOSTILE = (
    "<script>window.hit = 1</script>",
    "</script><script>window.hit = 1</script>",
    '"><img src=x onerror="window.hit = 1">',
    "'><svg onload=window.hit=1>",
    "<!-- <script>",
    "]]>",
    "{{ 7 * 7 }} ${window.hit = 1} $data $script %s",
    "javascript:window.hit=1",
    "=HYPERLINK(A1)",
    "right\N{RIGHT-TO-LEFT OVERRIDE}tfel",
    "null\N{NULL}byte\N{LINE SEPARATOR}line",
    "&lt;b&gt; &amp;",
    "Zürich Straße 東京",
)


def make_user_report(name: str = "alice", outcome: Outcome = Outcome.NONE, **changes: Any) -> UserReport:
    has_mfa = outcome is Outcome.NONE
    values: dict[str, Any] = {
        "arn": f"arn:aws:iam::{ACCOUNT_ID}:user/{name}",
        "verdict": Verdict.COMPLIANT if has_mfa else Verdict.NON_COMPLIANT,
        "console_password": True,
        "active_access_keys": 0,
        "keys_last_used": None,
        "via": Via.USER if outcome in {Outcome.ENFORCED, Outcome.ALREADY_ENFORCED} else None,
        "error": None,
        "open_since": None if has_mfa else days_ago(12),
    }
    return UserReport(name=name, outcome=outcome, **(values | changes))


def make_account_report(account_id: str = ACCOUNT_ID, *users: UserReport, **changes: Any) -> AccountReport:
    values: dict[str, Any] = {
        "name": "Payments",
        "alias": None,
        "status": Status.INSPECTED,
        "error": None,
        "root_user": RootUserReport(has_credentials=True, has_mfa=True),
    }
    return AccountReport(id=account_id, users=users, **(values | changes))


def make_run_report(*accounts: AccountReport, **changes: Any) -> RunReport:
    values: dict[str, Any] = {
        "run_id": "run-1",
        "mode": Mode.APPLY,
        "trigger": Trigger.SCHEDULE,
        "organization_id": "o-exampleorg1",
        "started_at": NOW - timedelta(seconds=125),
        "finished_at": NOW,
        "complete": True,
        "errors": (),
        "totals": count_totals(accounts),
    }
    return RunReport(accounts=pack_accounts(accounts), **(values | changes))


def make_failed_account(account_id: str = "444455556666", **changes: Any) -> AccountReport:
    values: dict[str, Any] = {"name": "Legacy", "status": Status.FAILED, "error": PROBLEM, "root_user": None}
    return make_account_report(account_id, **(values | changes))


def make_earlier(run_id: str, finished_at: datetime, **totals: int) -> RunReport:
    """Return an earlier run without its accounts, as the archive gives it, with these totals."""
    counted = count_totals(()).model_copy(update=totals)
    return make_run_report(run_id=run_id, finished_at=finished_at, totals=counted)


def make_trend(runs: int) -> list[RunReport]:
    """Return that many earlier runs, one a day."""
    return [
        make_earlier(
            f"earlier-{age}",
            days_ago(age),
            non_compliant=40 - (runs - age) // 3,
            enforced=2 + (runs - age) // 6,
            compliant=4,
            failed=int(age % 9 == 0),
        )
        for age in range(runs, 0, -1)
    ]


def changed(name: str, account: AccountReport, **changes: Any) -> dict[str, Any]:
    """Return the values of a ChangedUser."""
    return {"account_id": account.id, "account_alias": account.alias, "account_name": account.name, "name": name}


def make_small_report() -> RunReport:
    """Return a run over five accounts in which something of everything has happened.

    Payments   bob held, carol enforced, alice with MFA        Shared    root user without MFA, gina exempt
    Legacy     failed for three runs, its OU not known         Clean     hal with MFA
    Closed     skipped

    Root
    +-- Infrastructure    Shared
    +-- Suspended         Closed
    +-- Workloads         Clean
        +-- Production    Payments
    """
    payments = make_account_report(
        "111122223333",
        make_user_report(
            "alice",
            active_access_keys=1,
            keys_last_used=days_ago(3),
            mfa_device="virtual",
            mfa_enrolled_at=days_ago(0.5),
        ),
        make_user_report(
            "bob", Outcome.HELD, error=ReasonReport(code="active_key", message="an access key was used yesterday")
        ),
        make_user_report("carol", Outcome.ENFORCED, open_since=days_ago(40), active_access_keys=2),
        alias="acme-payments",
        ou="Root/Workloads/Production",
    )
    shared = make_account_report(
        "222233334444",
        make_user_report("gina", Outcome.EXEMPT, reason="build robots", console_password=False),
        name="Shared Services",
        ou="Root/Infrastructure",
        root_user=RootUserReport(has_credentials=True, has_mfa=False),
    )
    clean = make_account_report(
        "333344445555", make_user_report("hal", mfa_device="fido"), name="Clean", ou="Root/Workloads"
    )
    closed = make_account_report(
        "555566667777",
        name="Closed",
        ou="Root/Suspended",
        status=Status.SKIPPED,
        root_user=None,
        error=ProblemReport(stage=Stage.SELECT, code="suspended", message="the account is suspended", remedy=""),
    )
    changes = Changes(
        since_run_id="run-0",
        since=days_ago(1),
        newly_without_mfa=(ChangedUser(**changed("bob", payments)),),
        enrolled=(EnrolledUser(**changed("alice", payments), device="virtual", enrolled_at=days_ago(0.5)),),
        newly_enforced=(ChangedUser(**changed("carol", payments)),),
        enforcement_undone=(ChangedUser(**changed("carol", payments)),),
        new_accounts=(ChangedAccount(id=clean.id, name=clean.name, alias=None),),
    )
    legacy = make_failed_account(failing_runs=3, unread_open_since={"zoe": days_ago(30)})
    return make_run_report(clean, payments, closed, legacy, shared, changes=changes)


def make_clean_report() -> RunReport:
    """Return a run over 14 accounts in which every user has MFA, and nothing changed since the day before."""
    accounts = [make_account_report(f"{number:012}", make_user_report("hal")) for number in range(14)]
    return make_run_report(*accounts, changes=Changes(since_run_id="run-0", since=days_ago(1)))


def make_hostile_report() -> RunReport:
    """Return a run in which every text from outside tries to be more than a text."""
    accounts = [
        make_account_report(
            f"{index:012}",
            *(
                make_user_report(name, Outcome.HELD, error=ReasonReport(code=text, message=name), arn=name)
                for name in HOSTILE
            ),
            name=text,
            ou=f"Root/{text}",
            unread_open_since={text: days_ago(1)},
            alias=text if index % 2 else None,
            status=Status.FAILED,
            error=ProblemReport(stage=Stage.INSPECT, code=text, message=text, remedy=text),
        )
        for index, text in enumerate(HOSTILE)
    ]
    first = accounts[0]
    return make_run_report(
        *accounts,
        run_id=HOSTILE[0],
        organization_id=HOSTILE[2],
        errors=tuple(account.error for account in accounts),
        changes=Changes(
            since_run_id=HOSTILE[1],
            since=days_ago(1),
            newly_without_mfa=tuple(ChangedUser(**changed(text, first)) for text in HOSTILE),
            new_accounts=tuple(ChangedAccount(id=text, name=text, alias=text) for text in HOSTILE),
        ),
    )


def make_large_report(accounts: int, users: int) -> RunReport:
    """Return a run over that many accounts, each with that many users."""
    return make_run_report(*(_large_account(index, users) for index in range(accounts)))


def _large_account(index: int, users: int) -> AccountReport:
    account_id = f"{100_000_000_000 + index}"
    ou = f"Root/Division {index % 12}/Department {index % 60}/Team {index % 600}"
    if index % 97 == 0:
        return make_failed_account(account_id, name=f"Account {index}", ou=ou, failing_runs=index % 5)
    return make_account_report(
        account_id, *_large_users(index, users), name=f"Account {index}", alias=f"acme-{index:05}", ou=ou
    )


def _large_users(index: int, users: int) -> Iterator[UserReport]:
    outcomes = [Outcome.NONE] * 14 + [Outcome.ALREADY_ENFORCED] * 4 + [Outcome.EXEMPT, Outcome.HELD]
    for number in range(users):
        outcome = outcomes[(index * 7 + number) % len(outcomes)]
        reason = ReasonReport(code="active_key", message="an access key was used") if outcome is Outcome.HELD else None
        used = days_ago(number % 90) if number % 3 == 0 else None
        name = f"firstname.lastname-{index:05}-{number:03}"
        yield make_user_report(name, outcome, error=reason, active_access_keys=number % 3, keys_last_used=used)


def make_rollout(mode: Mode, *, gate: Gate | None = None) -> RunReport:
    """Return a run over 2,000 accounts in which 100 could not be read, and some users would be locked out.

    Root
    +-- Division 0 ... Division 11    each with departments and teams, as in a large report
    """
    accounts = [_account_of_rollout(index, mode if gate is None else Mode.PLAN) for index in range(2_000)]
    changes = Changes(since_run_id="run-0", since=days_ago(1)) if gate else None
    return make_run_report(*accounts, mode=mode, gate=gate, changes=changes)


def _account_of_rollout(index: int, mode: Mode) -> AccountReport:
    account_id, ou = f"{100_000_000_000 + index}", f"Root/Division {index % 12}"
    if index % 20 == 0:
        remedy = (
            "The role orgmfa-member is missing in the account, or does not trust this caller (AWS answers both alike): "
            "check that the StackSet has reached the account, then the role's trust policy."
        )
        error = PROBLEM.model_copy(update={"remedy": remedy})
        return make_failed_account(account_id, name=f"Account {index}", ou=ou, failing_runs=3, error=error)
    changed = Outcome.PLANNED if mode is Mode.PLAN else Outcome.ENFORCED
    reason = ReasonReport(code="cannot_enrol", message="an SCP keeps the user from iam:EnableMFADevice")
    users = [make_user_report(f"user-{index}-{number}") for number in range(4)]
    users += [make_user_report(f"last-{index}", changed, active_access_keys=int(index % 11 == 0))]
    users += [make_user_report(f"kept-{index}", Outcome.ALREADY_ENFORCED)]
    users += [make_user_report(f"shut-{index}", Outcome.HELD, error=reason)] if index % 66 == 1 else []
    return make_account_report(account_id, *users, name=f"Account {index}", alias=f"acme-{index:05}", ou=ou)
