"""Whole runs against an organization in memory: nothing hidden, nothing written unasked, everything said."""

from datetime import date
from threading import Event

import pytest

from orchestrator.domain.errors import AccessDenied, AssumeRoleDenied, Unreachable
from orchestrator.domain.model import Access, AccountState, PolicyState
from orchestrator.reports.report import exit_code
from tests.builders import ORGANIZATION, make_config, make_user
from tests.fakes import fail
from tests.pipeline.stage import Stage, account_of, outcomes, user_of


def test_apply_enforces_users_without_mfa_and_nobody_else(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob", has_mfa=True))
    stage.aws.add(make_user("robot", has_console_password=False))

    report = stage.play()

    assert outcomes(report) == {"alice": "enforced", "bob": "none", "robot": "out_of_scope"}
    assert stage.aws.writes() == [("attach", "000000000001", "alice")]
    assert exit_code(report) == 0


def test_second_run_changes_nothing(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.play()
    before = len(stage.aws.writes())

    report = stage.play()

    assert outcomes(report) == {"alice": "already_enforced"}
    assert len(stage.aws.writes()) == before


def test_plan_shows_the_same_and_writes_nothing(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob", has_mfa=True))

    report = stage.play("plan")

    assert outcomes(report) == {"alice": "planned", "bob": "none"}
    assert user_of(report).via == "user"
    assert stage.aws.writes() == []
    assert {call[2] for call in stage.aws.calls if call[0] == "enter"} == {Access.INSPECT.value}
    assert stage.asked == []


@pytest.mark.parametrize("ask", [True, False])
def test_everything_is_planned_before_anything_is_written(stage: Stage, *, ask: bool) -> None:
    stage.ask = ask
    for _ in range(5):
        stage.aws.add(make_user(f"user{len(stage.aws.accounts)}"))

    stage.play(config=make_config(limits={"max_changes_per_account": None, "max_changes_per_run": None}))

    actions = [call[0] for call in stage.aws.calls]
    assert max(index for index, action in enumerate(actions) if action == "inspect") < actions.index("attach")


def test_inspection_uses_a_session_that_cannot_write_also_in_apply(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob", has_mfa=True))

    stage.play()

    entered = [call[1:] for call in stage.aws.calls if call[0] == "enter"]
    assert sorted(entered) == [("000000000001", "enforce"), ("000000000001", "inspect"), ("000000000002", "inspect")]


def test_user_whose_quota_is_full_goes_through_the_group(stage: Stage) -> None:
    policies = frozenset(f"arn:aws:iam::aws:policy/P{number}" for number in range(10))
    stage.aws.add(make_user("alice", attached_policy_arns=policies))

    report = stage.play()

    assert (user_of(report).outcome, user_of(report).via) == ("enforced", "group")
    assert stage.aws.writes() == [("join", "000000000001", "alice")]


def test_quota_filled_by_someone_else_in_between_falls_back_to_the_group(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), full={"attach"})

    report = stage.play()

    assert (user_of(report).outcome, user_of(report).via) == ("enforced", "group")


def test_both_quotas_filled_in_between_is_told(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), full={"attach", "join"})

    report = stage.play()

    assert user_of(report).outcome == "quota_exceeded"
    assert exit_code(report) == 1


def test_fallback_never_joins_a_group_that_is_not_ours(stage: Stage) -> None:
    account = stage.aws.add(make_user("alice"), full={"attach"})

    def drift(action: str, account_id: str, subject: str) -> None:
        if action == "attach":
            account.group = PolicyState.DRIFTED

    stage.aws.before = drift

    report = stage.play()

    assert user_of(report).outcome == "held"
    assert ("join", "000000000001", "alice") not in stage.aws.calls


# -- failures are data


def test_one_account_failing_hides_none_of_the_others(stage: Stage) -> None:
    for _ in range(3):
        stage.aws.add(make_user(f"user{len(stage.aws.accounts)}"))

    def refuse(action: str, account_id: str, subject: str) -> None:
        if action == "enter" and account_id == "000000000002":
            raise fail(AssumeRoleDenied, "AccessDenied", "AssumeRole")

    stage.aws.before = refuse

    report = stage.play()

    failed = account_of(report, "000000000002")
    assert failed.status == "failed"
    assert failed.error is not None
    assert (failed.error.stage, failed.error.code) == ("assume_role", "AccessDenied")
    assert "orgmfa-member is missing" in failed.error.remedy
    assert outcomes(report) == {"user0": "enforced", "user2": "enforced"}
    assert exit_code(report) == 1


def test_missing_role_in_the_management_account_says_that_stacksets_do_not_reach_it(stage: Stage) -> None:
    stage.aws.add(account_id=ORGANIZATION.management_account_id)

    def refuse(action: str, account_id: str, subject: str) -> None:
        if action == "enter":
            raise fail(AssumeRoleDenied, "AccessDenied", "AssumeRole")

    stage.aws.before = refuse

    error = stage.play("plan").accounts[0].error

    assert error is not None
    assert "StackSets never reach the management account" in error.remedy


def test_unexpected_exception_is_the_failure_of_its_account(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob"))

    def blow_up(action: str, account_id: str, subject: str) -> None:
        if (action, account_id) == ("inspect", "000000000001"):
            raise ZeroDivisionError("division by zero")

    stage.aws.before = blow_up

    report = stage.play()

    failed = account_of(report, "000000000001")
    assert (failed.status, failed.error and failed.error.code) == ("failed", "ZeroDivisionError")
    assert outcomes(report) == {"bob": "enforced"}


def test_unexpected_exception_among_the_writes_keeps_what_was_written(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"), make_user("carol"))

    def blow_up(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("attach", "bob"):
            raise ZeroDivisionError

    stage.aws.before = blow_up

    report = stage.play()

    assert outcomes(report) == {"alice": "enforced", "bob": "failed", "carol": "failed"}
    assert report.accounts[0].status == "failed"


def test_failed_write_is_told_and_the_next_user_tried(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"))

    def refuse(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("attach", "alice"):
            raise fail(AccessDenied, "AccessDenied", "AttachUserPolicy")

    stage.aws.before = refuse

    report = stage.play()

    assert outcomes(report) == {"alice": "failed", "bob": "enforced"}
    assert exit_code(report) == 1


def test_write_whose_answer_was_lost_is_verified(stage: Stage) -> None:
    account = stage.aws.add(make_user("alice"), make_user("bob"))
    made = account.users["alice"].attached_policy_arns | {"arn:aws:iam::000000000001:policy/EnforceMFA"}

    def lose(action: str, account_id: str, subject: str) -> None:
        if action == "attach":
            if subject == "alice":
                account.users["alice"] = make_user("alice", attached_policy_arns=made)
            raise fail(Unreachable, "ConnectionClosedError")

    stage.aws.before = lose

    assert outcomes(stage.play()) == {"alice": "enforced", "bob": "failed"}


def test_account_that_cannot_be_entered_for_writing_fails_with_its_users(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob", has_mfa=True))

    def refuse(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("enter", "enforce"):
            raise fail(AssumeRoleDenied, "AccessDenied", "AssumeRole")

    stage.aws.before = refuse

    report = stage.play()

    assert report.accounts[0].status == "failed"
    assert outcomes(report) == {"alice": "failed", "bob": "none"}


# -- what is told of accounts and users


def test_every_account_comes_with_its_ou_in_plan_and_report(stage: Stage) -> None:
    stage.aws.add(make_user())
    stage.aws.add(state=AccountState.SUSPENDED)
    stage.aws.ous = {"000000000001": "Root/Workloads", "000000000002": "Root/Suspended"}

    report = stage.play()

    assert [account.ou for account in report.accounts] == ["Root/Workloads", "Root/Suspended"]
    assert [account.ou for account in stage.asked[0].accounts] == ["Root/Workloads", "Root/Suspended"]
    assert stage.aws.surveyed == [()]


def test_report_waits_for_ous_that_are_late(stage: Stage) -> None:
    all_else_is_done = Event()

    def wait(action: str, account_id: str, subject: str) -> None:
        if action == "survey":
            all_else_is_done.wait(10)

    def is_stopped() -> bool:
        all_else_is_done.set()  # the gate asks this last, before the plan is shown
        return False

    stage.aws.add(make_user())
    stage.aws.ous = {"000000000001": "Root"}
    stage.aws.before, stage.is_stopped = wait, is_stopped

    stage.play()

    assert stage.asked[0].accounts[0].ou == "Root"


def test_ous_that_cannot_be_read_fail_nothing(stage: Stage) -> None:
    def deny(action: str, account_id: str, subject: str) -> None:
        if action == "survey":
            raise fail(AccessDenied, "AccessDeniedException", "ListRoots")

    stage.aws.add(make_user())
    stage.aws.before = deny

    report = stage.play()

    assert account_of(report, "000000000001").ou is None
    assert (report.errors, exit_code(report)) == ((), 0)


def test_progress_is_told_account_by_account(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob", has_mfa=True))

    stage.play()

    assert stage.observer.phases == [("inspecting", None), ("applying", 1)]
    assert stage.observer.known == {"inspecting": 2}
    assert stage.observer.accounts_done == 3
    assert stage.observer.changes == 2


def test_exempt_user_is_never_written_to_and_ended_exemption_no_longer_counts(stage: Stage) -> None:
    exemptions = [
        {"user": "ci-*", "reason": "robots", "until": date(2026, 3, 2)},
        {"user": "old-*", "reason": "robots", "until": date(2026, 3, 1)},
    ]
    stage.aws.add(make_user("ci-1"), make_user("old-1"), make_user("break-glass"))

    report = stage.play(config=make_config(exemptions=exemptions, protected_users=["break-*"]))

    assert outcomes(report) == {"ci-1": "exempt", "old-1": "enforced", "break-glass": "exempt"}
    assert user_of(report, "ci-1").reason == "robots (exemption ci-*, until 2026-03-02)"
