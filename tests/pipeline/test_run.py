"""Whole runs against an organization in memory: nothing hidden, nothing written unasked, everything said."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.assessment import Rules
from orchestrator.domain.config import Config
from orchestrator.domain.errors import (
    AccessDenied,
    ArchiveError,
    AssumeRoleDenied,
    ConfigError,
    NotFound,
    NotSubscribed,
    StartError,
    Throttled,
    Unreachable,
)
from orchestrator.domain.model import Access, Account, AccountState, LiveUser, Mode, PolicyState, Refused, Trigger
from orchestrator.output.slack.channel import SlackChannel
from orchestrator.pipeline.context import Finished
from orchestrator.pipeline.run import run
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import AccountReport, RunReport, UserReport, exit_code
from tests.builders import NOW, ORGANIZATION, days_ago, make_config, make_request, make_user
from tests.fakes import (
    FakeAws,
    FakeChannel,
    FakeObserver,
    FakeSecurityHub,
    FakeSlackClient,
    MemoryStore,
    fail,
    make_context,
)


@dataclass
class Stage:
    """A run with everything around it; `play` carries it out."""

    aws: FakeAws = field(default_factory=FakeAws)
    store: MemoryStore = field(default_factory=MemoryStore)
    slack: FakeSlackClient = field(default_factory=FakeSlackClient)
    channels: tuple[FakeChannel, ...] = ()
    observer: FakeObserver = field(default_factory=FakeObserver)
    securityhub: FakeSecurityHub | None = None
    cancellation: Cancellation = field(default_factory=Cancellation)
    is_stopped: Callable[[], bool] = lambda: False
    ask: bool = True
    answers: bool = True
    asked: list[RunReport] = field(default_factory=list)

    def finish(self, mode: str = "apply", config: Config | None = None, **request: Any) -> Finished:
        config = config or Config()
        archive = RunArchive(self.store, config.archive.keep)
        context = make_context(
            self.aws,
            request=make_request(mode=Mode(mode), **request),
            config=config,
            rules=Rules(config, archive.released_until(NOW), "arn:aws:iam::999999999999:user/operator"),
            stop_reason=lambda: "because" if self.is_stopped() else None,
            cancellation=self.cancellation,
            archive=archive,
            notifiers=(SlackChannel(self.slack, config), *self.channels),
            observer=self.observer,
            confirm=self._confirm if self.ask else None,
            securityhub=self.securityhub,
        )
        return run(context)

    def play(self, mode: str = "apply", config: Config | None = None, **request: Any) -> RunReport:
        return self.finish(mode, config, **request).report

    def _confirm(self, report: RunReport) -> bool:
        self.asked.append(report)
        return self.answers


@pytest.fixture
def stage() -> Stage:
    return Stage()


def account_of(report: RunReport, account_id: str) -> AccountReport:
    return next(account for account in report.accounts if account.id == account_id)


def user_of(report: RunReport, name: str = "alice") -> UserReport:
    (found,) = [user for account in report.accounts for user in account.users if user.name == name]
    return found


def outcomes(report: RunReport) -> dict[str, str]:
    return {user.name: user.outcome.value for account in report.accounts for user in account.users}


# -- the main job


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


# -- live looks


def test_user_who_enrolled_a_minute_ago_is_not_enforced(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), live={"alice": LiveUser(has_mfa=True)})

    report = stage.play()

    assert (user_of(report).verdict, user_of(report).outcome) == ("compliant", "none")
    assert stage.aws.writes() == []


def test_user_who_enrols_between_plan_and_write_is_not_enforced(stage: Stage) -> None:
    account = stage.aws.add(make_user("alice"))

    def enrol(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("enter", "enforce"):
            account.live["alice"] = LiveUser(has_mfa=True)

    stage.aws.before = enrol

    report = stage.play()

    assert user_of(report).outcome == "none"
    assert stage.aws.writes() == []


def test_user_who_lost_the_password_between_plan_and_write_is_not_enforced(stage: Stage) -> None:
    account = stage.aws.add(make_user("alice"))

    def lose(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("enter", "enforce"):
            account.live["alice"] = LiveUser(has_mfa=False, has_console_password=False)

    stage.aws.before = lose

    assert user_of(stage.play()).outcome == "out_of_scope"


def test_user_created_a_minute_ago_is_found_and_judged_live(stage: Stage) -> None:
    new = make_user("newcomer", has_mfa=None, has_console_password=None, active_access_keys=None)
    stage.aws.add(new, live={"newcomer": LiveUser(False, True, 0, None)})

    report = stage.play()

    assert user_of(report, "newcomer").outcome == "enforced"
    assert user_of(report, "newcomer").console_password is True


def test_only_users_to_be_written_to_are_looked_at(stage: Stage) -> None:
    stage.aws.add(
        make_user("alice"),
        make_user("bob", has_mfa=True),
        make_user("robot", has_console_password=False),
        make_user("new", created_at=NOW),
        report_made_at=NOW - timedelta(hours=3),
    )

    stage.play("plan", make_config(enforcement={"grace_period": "1d"}))

    assert [call[2] for call in stage.aws.calls if call[0] == "look"] == ["alice"]


@pytest.mark.parametrize(("made_at", "looks"), [(NOW, 1), (NOW - timedelta(seconds=1), 2), (None, 2)])
def test_what_a_report_of_this_run_says_is_asked_again_before_the_write_alone(
    stage: Stage, made_at: Any, looks: int
) -> None:
    """The run begins within a second, and IAM dates a report to the second."""
    stage.aws.add(make_user("alice"), report_made_at=made_at)

    stage.play(started_at=NOW + timedelta(milliseconds=300))

    done = [call[0] for call in stage.aws.calls if call[0] in {"look", "simulate", "attach"}]
    assert done == [*["look"] * (looks - 1), "simulate", "look", "attach"]


def test_old_report_has_the_keys_looked_at_before_they_are_stopped(stage: Stage) -> None:
    stage.aws.add(
        make_user("alice"),
        live={"alice": LiveUser(False, True, 1, days_ago(0.1))},
        report_made_at=NOW - timedelta(hours=3),
    )

    report = stage.play()

    assert (user_of(report).outcome, user_of(report).active_access_keys) == ("held", 1)


@pytest.mark.parametrize(
    ("open_ones", "live", "outcome"),
    [
        ({"has_mfa": None}, LiveUser(False), "enforced"),
        ({"has_mfa": None}, LiveUser(True), "none"),
        ({"has_console_password": None}, LiveUser(False, True), "enforced"),
        ({"has_console_password": None}, LiveUser(False, False), "out_of_scope"),
        ({"has_mfa": None, "active_access_keys": None}, LiveUser(False, None, 1, days_ago(0.1)), "held"),
    ],
)
def test_what_a_report_leaves_open_is_looked_up_and_decides(
    stage: Stage, open_ones: dict[str, Any], live: LiveUser, outcome: str
) -> None:
    stage.aws.add(make_user("alice", **open_ones), live={"alice": live}, report_made_at=NOW - timedelta(hours=3))

    assert user_of(stage.play()).outcome == outcome


def test_user_who_cannot_be_looked_at_is_unknown_and_left_alone(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"), report_made_at=NOW - timedelta(hours=3))

    def refuse(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("look", "alice"):
            raise fail(Throttled, "Throttling")

    stage.aws.before = refuse

    report = stage.play()

    assert (user_of(report).verdict, user_of(report).outcome) == ("unknown", "none")
    assert user_of(report).error is not None
    assert user_of(report, "bob").outcome == "enforced"
    assert exit_code(report) == 1


def test_user_deleted_in_between_is_in_no_list_and_no_failure(stage: Stage) -> None:
    account = stage.aws.add(make_user("alice"), make_user("bob"))

    def delete(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("enter", "enforce"):
            account.gone.add("alice")

    stage.aws.before = delete

    report = stage.play()

    assert outcomes(report) == {"bob": "enforced"}
    assert exit_code(report) == 0


@pytest.mark.parametrize("state", [PolicyState.DRIFTED, PolicyState.MISSING])
def test_policy_edited_between_plan_and_write_is_never_attached(stage: Stage, state: PolicyState) -> None:
    account = stage.aws.add(make_user("alice"))

    def edit(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("enter", "enforce"):
            account.policy = state

    stage.aws.before = edit

    report = stage.play()

    assert user_of(report).outcome == "held"
    assert user_of(report).error is not None
    assert user_of(report).error.code == "policy_drifted"  # type: ignore[union-attr]
    assert stage.aws.writes() == []


def test_user_who_could_never_enrol_is_held_and_not_written_to(stage: Stage) -> None:
    stage.aws.add(
        make_user("alice"), make_user("bob"), obstacles={"alice": "an organization policy (SCP) keeps the user"}
    )

    report = stage.play()

    assert outcomes(report) == {"alice": "held", "bob": "enforced"}
    assert user_of(report).error is not None
    assert user_of(report).error.code == "cannot_enrol"  # type: ignore[union-attr]
    assert stage.aws.writes() == [("attach", "000000000001", "bob")]


def test_simulator_is_asked_once_for_each_user_to_be_written_to_and_no_other(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob", has_mfa=True), make_user("robot", has_console_password=False))

    stage.play()

    assert [call[2] for call in stage.aws.calls if call[0] == "simulate"] == ["alice"]


def test_simulator_that_cannot_be_asked_holds_the_user(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))

    def refuse(action: str, account_id: str, subject: str) -> None:
        if action == "simulate":
            raise fail(AccessDenied, "AccessDenied", "SimulatePrincipalPolicy")

    stage.aws.before = refuse

    report = stage.play()

    assert outcomes(report) == {"alice": "held"}
    assert stage.aws.writes() == []


def test_simulator_is_not_asked_where_the_configuration_says_so(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), obstacles={"alice": "a boundary"})

    report = stage.play(config=make_config(enforcement={"check_enrolment": False}))

    assert outcomes(report) == {"alice": "enforced"}
    assert not [call for call in stage.aws.calls if call[0] == "simulate"]


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


# -- selection


def test_skipped_accounts_are_reported_with_the_reason_and_never_entered(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(state=AccountState.SUSPENDED)
    stage.aws.add()

    report = stage.play("plan", make_config(organization={"exclude_accounts": ["000000000003"]}))

    assert [account.status for account in report.accounts] == ["inspected", "skipped", "skipped"]
    assert [account.error and account.error.code for account in report.accounts] == [
        None,
        "suspended",
        "excluded_account",
    ]
    assert {call[1] for call in stage.aws.calls if call[0] == "enter"} == {"000000000001"}
    assert exit_code(report) == 0


def test_account_repeated_by_the_listing_is_worked_on_once(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    listed = stage.aws.list_accounts

    def twice(watched: Any = ()) -> Iterator[Account]:
        yield from listed(watched)
        yield from listed(watched)

    stage.aws.list_accounts = twice  # type: ignore[assignment,method-assign]

    report = stage.play()

    assert report.totals.accounts == 1
    assert len(stage.aws.writes()) == 1


def test_listing_that_breaks_off_is_said_and_the_listed_accounts_are_worked_on(stage: Stage) -> None:
    for _ in range(3):
        stage.aws.add(make_user(f"user{len(stage.aws.accounts)}"))

    def break_off(action: str, account_id: str, subject: str) -> None:
        if (action, account_id) == ("list", "000000000003"):
            raise fail(Throttled, "TooManyRequestsException", "ListAccounts")

    stage.aws.before = break_off

    report = stage.play()

    assert report.complete is False
    assert [(error.stage, error.code) for error in report.errors] == [("select", "TooManyRequestsException")]
    assert report.totals.accounts == 2
    assert report.totals.enforced == 2
    assert exit_code(report) == 1


def test_listing_that_fails_at_once_starts_nothing(stage: Stage) -> None:
    stage.aws.add()

    def refuse(action: str, account_id: str, subject: str) -> None:
        raise fail(AccessDenied, "AccessDeniedException", "ListAccounts")

    stage.aws.before = refuse

    with pytest.raises(StartError, match="organizations:ListAccounts"):
        stage.play()

    assert stage.store.files == {}
    assert stage.slack.messages == []


def test_no_account_at_all_is_an_error_and_never_all_clean(stage: Stage) -> None:
    with pytest.raises(StartError, match="no account"):
        stage.play()


@pytest.mark.parametrize("target", ["000000000002", "account-02"])
def test_one_account_by_id_or_name_is_all_that_is_reported(stage: Stage, target: str) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob"))

    report = stage.play(targets=(target,))

    assert outcomes(report) == {"bob": "enforced"}
    assert report.totals.accounts == 1


def test_account_is_found_by_an_alias_that_an_earlier_run_saw(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob"))
    stage.play("plan")

    assert outcomes(stage.play("plan", targets=("alias-02",))) == {"bob": "planned"}


@pytest.mark.parametrize("target", ["000000000009", "nobody"])
def test_unknown_account_starts_nothing(stage: Stage, target: str) -> None:
    stage.aws.add(make_user("alice"))

    with pytest.raises(ConfigError, match="matches no account"):
        stage.play(targets=(target,))

    assert stage.aws.writes() == []


def test_run_is_narrowed_to_an_ou(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), ou_ids=frozenset({"ou-abcd-11112222"}))
    stage.aws.add(make_user("bob"), ou_ids=frozenset({"ou-abcd-33334444"}))

    report = stage.play("plan", ou_ids=("ou-abcd-33334444",))

    assert outcomes(report) == {"bob": "planned"}


# -- the gate


def test_run_over_its_limit_writes_nothing_anywhere(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"))
    stage.aws.add(make_user("carol"))

    report = stage.play(config=make_config(limits={"max_changes_per_run": 2}))

    assert set(outcomes(report).values()) == {"held"}
    assert stage.aws.writes() == []
    assert stage.asked == []
    assert exit_code(report) == 1


def test_account_over_its_limit_is_held_and_the_others_are_not(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"))
    stage.aws.add(make_user("carol"))

    report = stage.play(config=make_config(limits={"max_changes_per_account": 1}))

    assert outcomes(report) == {"alice": "held", "bob": "held", "carol": "enforced"}


def test_stop_switch_holds_a_run_at_the_gate(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.is_stopped = lambda: True

    report = stage.play()

    assert user_of(report).error is not None
    assert (user_of(report).outcome, user_of(report).error.code) == ("held", "stopped")  # type: ignore[union-attr]
    assert user_of(report).error.message == "enforcement.stop: because"  # type: ignore[union-attr]
    assert stage.aws.writes() == []


def test_stop_switch_thrown_in_a_running_sweep_stops_the_next_write(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"), make_user("carol"))
    stage.is_stopped = lambda: bool(stage.aws.writes())

    report = stage.play()

    assert outcomes(report) == {"alice": "enforced", "bob": "held", "carol": "held"}
    assert len(stage.aws.writes()) == 1


def test_person_who_says_no_has_nothing_written_and_nothing_archived(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.answers = False

    finished = stage.finish()

    assert finished.was_declined
    assert outcomes(finished.report) == {"alice": "planned"}
    assert stage.aws.writes() == []
    assert stage.store.files == {}
    assert stage.slack.messages == []


def test_person_is_shown_the_very_plan_and_not_asked_where_there_is_none(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))

    stage.play()
    stage.play()

    assert [outcomes(plan) for plan in stage.asked] == [{"alice": "planned"}]


# -- policy and group, where the program owns them

OWNED = {"policy": {"managed_by": "orchestrator"}}


def test_missing_policy_and_group_are_made_before_anybody_is_enforced(stage: Stage) -> None:
    policies = frozenset(f"arn:aws:iam::aws:policy/P{number}" for number in range(10))
    stage.aws.add(
        make_user("alice"),
        make_user("bob", attached_policy_arns=policies),
        policy=PolicyState.MISSING,
        group=PolicyState.MISSING,
    )

    report = stage.play(config=make_config(**OWNED))

    assert [write[0] for write in stage.aws.writes()] == [
        "create_policy",
        "create_group",
        "attach_group_policy",
        "attach",
        "join",
    ]
    assert outcomes(report) == {"alice": "enforced", "bob": "enforced"}
    assert report.accounts[0].policy_changes == ("create_policy", "create_group", "attach_group_policy")


def test_group_that_somebody_else_made_meanwhile_is_given_no_policy(stage: Stage) -> None:
    policies = frozenset(f"arn:aws:iam::aws:policy/{number}" for number in range(10))
    made = stage.aws.add(make_user("bob", attached_policy_arns=policies), group=PolicyState.MISSING)

    def fill(action: str, *_: str) -> None:
        if action == "look_at_policy" and any(write[0] == "create_group" for write in stage.aws.writes()):
            made.group = PolicyState.DRIFTED

    stage.aws.before = fill

    report = stage.play(config=make_config(**OWNED))

    assert [write[0] for write in stage.aws.writes()] == ["create_group"]
    assert report.accounts[0].policy_changes == ("create_group",)
    assert outcomes(report) == {"bob": "held"}


def test_old_policy_of_our_own_is_updated_also_where_nobody_is_to_be_enforced(stage: Stage) -> None:
    stage.aws.add(make_user("bob", has_mfa=True), policy=PolicyState.OUTDATED)

    report = stage.play(config=make_config(**OWNED))

    assert stage.aws.writes() == [("update_policy", "000000000001", "")]
    assert exit_code(report) == 0


def test_plan_shows_changes_to_the_policy_and_makes_none(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), policy=PolicyState.MISSING)

    report = stage.play("plan", make_config(**OWNED))

    assert report.accounts[0].policy_changes == ("create_policy",)
    assert stage.aws.writes() == []


def test_update_that_cancellation_forestalled_is_not_reported_as_made(stage: Stage) -> None:
    stage.aws.add(make_user("bob", has_mfa=True), policy=PolicyState.OUTDATED)

    def cancellation(action: str, _: str, subject: str) -> None:
        if (action, subject) == ("enter", Access.ENFORCE.value):
            stage.cancellation.event.set()

    stage.aws.before = cancellation

    report = stage.play(config=make_config(**OWNED))

    assert stage.aws.writes() == []
    assert (report.accounts[0].status, report.accounts[0].policy_changes) == ("not_reached", ())
    assert exit_code(report) == 1


def test_change_to_a_policy_that_cancellation_left_undone_is_not_reported_as_made(stage: Stage) -> None:
    for _ in range(2):
        stage.aws.add(make_user("alice"), policy=PolicyState.MISSING)

    def cancellation(action: str, *_: str) -> None:
        if action == "attach":
            stage.cancellation.event.set()

    stage.aws.before = cancellation

    report = stage.play(config=make_config(concurrency={"workers": 1}, **OWNED))

    assert [write[:2] for write in stage.aws.writes()] == [
        ("create_policy", "000000000001"),
        ("attach", "000000000001"),
    ]
    assert [(account.status, account.policy_changes) for account in report.accounts] == [
        ("inspected", ("create_policy",)),
        ("not_reached", ()),
    ]


def test_update_that_the_stop_switch_forestalled_is_not_reported_as_made(stage: Stage) -> None:
    stage.aws.add(make_user("bob", has_mfa=True), policy=PolicyState.OUTDATED)
    answers = iter([False])
    stage.is_stopped = lambda: next(answers, True)

    report = stage.play(config=make_config(**OWNED))

    assert stage.aws.writes() == []
    assert report.accounts[0].policy_changes == ()


def test_changes_to_the_policy_are_reported_as_far_as_they_were_made(stage: Stage) -> None:
    policies = frozenset(f"arn:aws:iam::aws:policy/{number}" for number in range(10))
    stage.aws.add(
        make_user("bob", attached_policy_arns=policies), policy=PolicyState.MISSING, group=PolicyState.MISSING
    )

    def deny(action: str, *_: str) -> None:
        if action == "create_group":
            raise fail(AccessDenied)

    stage.aws.before = deny

    report = stage.play(config=make_config(**OWNED))

    assert stage.aws.writes()[0][0] == "create_policy"
    assert (report.accounts[0].status, report.accounts[0].policy_changes) == ("failed", ("create_policy",))


def test_without_ownership_nothing_is_made(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), policy=PolicyState.MISSING)

    report = stage.play()

    assert user_of(report).outcome == "held"
    assert stage.aws.writes() == []


# -- release

ENFORCED = frozenset({"arn:aws:iam::000000000001:policy/EnforceMFA"})


def test_release_undoes_and_the_next_run_leaves_the_user_alone_until_it_ends(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED, group_names=frozenset({"EnforceMFA", "dev"})))

    released = stage.play("release", release_for=timedelta(days=7))
    after = stage.play(run_id="run-2")

    assert outcomes(released) == {"alice": "released"}
    assert [write[0] for write in stage.aws.writes()] == ["detach", "leave"]
    assert outcomes(after) == {"alice": "in_grace"}
    assert "released" in (user_of(after).reason or "")
    assert exit_code(released) == exit_code(after) == 0


def test_release_uses_the_release_role_for_writing_alone(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))

    stage.play("release")

    assert [call[2] for call in stage.aws.calls if call[0] == "enter"] == ["inspect", "release"]


def test_release_of_what_is_gone_already_is_done(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))

    def gone(action: str, account_id: str, subject: str) -> None:
        if action == "detach":
            raise fail(NotFound, "NoSuchEntity", "DetachUserPolicy")

    stage.aws.before = gone

    assert outcomes(stage.play("release")) == {"alice": "released"}


def test_release_that_fails_is_told(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))

    def refuse(action: str, account_id: str, subject: str) -> None:
        if action == "detach":
            raise fail(AccessDenied, "AccessDenied", "DetachUserPolicy")

    stage.aws.before = refuse

    report = stage.play("release")

    assert outcomes(report) == {"alice": "failed"}
    assert exit_code(report) == 1


def test_release_of_a_user_whom_nobody_knows_is_an_error_of_the_run(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))

    report = stage.play("release", user_names=frozenset({"alcie"}))

    assert [error.code for error in report.errors] == ["user_not_found"]
    assert outcomes(report) == {"alice": "already_enforced"}
    assert exit_code(report) == 1


def test_release_that_cannot_be_remembered_releases_nobody(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))
    stage.store.broken["write"] = ArchiveError("the archive: read-only")

    with pytest.raises(StartError, match="Nobody was released"):
        stage.play("release")

    assert stage.aws.writes() == []


def test_limits_and_stop_switch_do_not_stand_in_the_way_of_a_release(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))
    stage.is_stopped = lambda: True

    report = stage.play("release", make_config(limits={"max_changes_per_run": 0, "max_changes_per_account": 0}))

    assert outcomes(report) == {"alice": "released"}


# -- archive and digest


def test_report_is_archived_then_the_digest_sent_once(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))

    finished = stage.finish()

    assert finished.address == "memory:runs/2026/03/02/run-1.json.gz"
    assert list(stage.store.files) == ["runs/2026/03/02/run-1.json.gz"]
    assert len(stage.slack.messages) == 1


def test_digest_that_cannot_be_sent_fails_the_run_after_the_report_is_archived(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.slack.refuses = True

    report = stage.play()

    assert [(error.stage, error.code) for error in report.errors] == [("digest", "digest_failed")]
    assert len(stage.store.files) == 1
    assert exit_code(report) == 1


def test_findings_are_imported_and_archived_on_enrolment(stage: Stage) -> None:
    hub = stage.securityhub = FakeSecurityHub()
    fake = stage.aws.add(make_user("alice"), make_user("bob"))
    stage.play("plan", run_id="run-1")
    fake.users["alice"] = make_user("alice", has_mfa=True)

    report = stage.play("plan", run_id="run-2", started_at=NOW + timedelta(minutes=1))

    assert report.errors == ()
    states = {name: finding["RecordState"] for name, finding in hub.findings.items()}
    assert states == {"alice": "ARCHIVED", "bob": "ACTIVE"}


def test_release_imports_no_findings(stage: Stage) -> None:
    hub = stage.securityhub = FakeSecurityHub()
    stage.aws.add(make_user("alice"))

    stage.play("release")

    assert hub.findings == {}


def test_findings_that_cannot_be_imported_fail_the_run_and_the_digest_tells_of_it(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    error = fail(NotSubscribed, "InvalidAccessException", "BatchImportFindings")
    stage.securityhub = FakeSecurityHub(error=error)

    report = stage.play()

    (problem,) = report.errors
    assert (problem.stage, problem.code) == ("findings", "InvalidAccessException")
    assert problem.remedy == (
        "Switch Security Hub on in account 999999999999, Region eu-central-1, or set securityhub.enabled: false."
    )
    assert outcomes(report) == {"alice": "enforced"}
    assert len(stage.store.files) == len(stage.slack.messages) == 1
    assert exit_code(report) == 1


def test_findings_that_are_refused_fail_the_run(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.securityhub = FakeSecurityHub(refused=(Refused("orgmfa/o/1/alice", "InvalidInput", "no"),))

    (error,) = stage.play().errors

    assert (error.stage, error.code) == ("findings", "findings_refused")
    assert error.message == "Security Hub refused 1 of 1 findings (InvalidInput)"


def test_interrupted_run_tells_that_its_findings_are_left(stage: Stage) -> None:
    hub = stage.securityhub = FakeSecurityHub()
    stage.aws.add(make_user("alice"))
    stage.aws.before = lambda action, *_: stage.cancellation.event.set() if action == "look" else None

    report = stage.play()

    assert hub.findings == {}
    assert "findings_left" in [error.code for error in report.errors]


def test_archive_that_cannot_be_written_fails_the_run_and_the_digest_still_goes_out(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.store.broken["write"] = ArchiveError("the archive: no space left")

    report = stage.play()

    assert [error.stage for error in report.errors] == ["archive"]
    assert len(stage.slack.messages) == 1
    assert exit_code(report) == 1


@pytest.mark.parametrize(
    ("settings", "trigger", "has_mfa", "messages"),
    [
        ({"when": "always"}, Trigger.SCHEDULE, True, 1),
        ({"when": "findings"}, Trigger.SCHEDULE, True, 0),
        ({"when": "findings"}, Trigger.SCHEDULE, False, 1),
        ({"when": "always"}, Trigger.ONBOARDING, True, 0),
        ({"when": "always"}, Trigger.ONBOARDING, False, 1),
    ],
)
def test_digest_goes_out_when_it_is_wanted(
    stage: Stage, settings: dict[str, str], trigger: Trigger, has_mfa: bool, messages: int
) -> None:
    stage.aws.add(make_user("alice", has_mfa=has_mfa))

    stage.play("plan", make_config(slack=settings), trigger=trigger, targets=("000000000001",))

    assert len(stage.slack.messages) == messages


@pytest.mark.parametrize("trigger", [Trigger.CLI, Trigger.SCHEDULE])
def test_page_is_attached_to_the_digest_where_that_is_wanted(stage: Stage, trigger: Trigger) -> None:
    stage.aws.add(make_user("alice"))

    report = stage.play(config=make_config(slack={"attach": True}), trigger=trigger)

    [(name, page)] = stage.slack.files.items()
    assert name == f"orgmfa-{report.run_id}.html"
    assert b"alice" in page
    assert len(stage.slack.messages) == 1
    assert report.errors == ()


@pytest.mark.parametrize("settings", [{}, {"attach": True, "when": "findings"}])
def test_no_page_is_attached_by_default_or_without_a_digest(stage: Stage, settings: dict[str, Any]) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))

    stage.play(config=make_config(slack=settings))

    assert stage.slack.files == {}


def test_page_that_cannot_be_attached_fails_the_run_and_the_digest_went_out_once(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.slack.refuses_files = True

    report = stage.play(config=make_config(slack={"attach": True}))

    assert [(error.stage, error.code) for error in report.errors] == [("digest", "attach_failed")]
    assert len(stage.slack.messages) == 1
    assert exit_code(report) == 1


def test_every_channel_is_told_of_a_run_whatever_another_one_refuses(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.slack.refuses = True
    first, second = stage.channels = (FakeChannel(), FakeChannel())

    report = stage.play()

    assert [error.code for error in report.errors] == ["digest_failed"]
    assert [told.totals for told in (*first.reports, *second.reports)] == [report.totals] * 2
    assert b"alice" in first.page


def test_nothing_is_attached_to_a_digest_that_was_refused(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.slack.refuses = True

    report = stage.play(config=make_config(slack={"attach": True}))

    assert [error.code for error in report.errors] == ["digest_failed"]
    assert stage.slack.files == {}


def test_runs_older_than_the_archive_keeps_are_deleted(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.store.files["runs/2024/01/01/old.json.gz"] = b""
    stage.store.written_at = NOW - timedelta(days=401)

    stage.play("plan")

    assert "runs/2024/01/01/old.json.gz" not in stage.store.files


# -- ending early


def test_run_that_breaks_leaves_no_thread_behind(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_with_defect(*_: Any, **__: Any) -> None:
        raise KeyError("a defect")

    stage.aws.add(make_user("alice"))
    monkeypatch.setattr(stage.observer, "done", fail_with_defect)

    with pytest.raises(KeyError):
        stage.play()

    for thread in enumerate_threads():
        if thread.name.startswith(("listing", "account")):
            thread.join(20)
            assert not thread.is_alive()


def test_interrupted_run_writes_nothing_more_and_reports_every_account_it_knew(stage: Stage) -> None:
    for _ in range(40):
        stage.aws.add(make_user(f"user{len(stage.aws.accounts)}"))

    def interrupt(action: str, account_id: str, subject: str) -> None:
        if action == "inspect" and account_id == "000000000003":
            stage.cancellation.event.set()

    stage.aws.before = interrupt

    report = stage.play(config=make_config(concurrency={"workers": 1}))

    assert stage.aws.writes() == []
    assert report.totals.accounts == 40 or not report.complete
    assert report.totals.users == report.totals.planned >= 2
    assert report.totals.not_reached == report.totals.accounts
    assert [error.code for error in report.errors][-1] == "interrupted"
    assert exit_code(report) == 1
    assert len(stage.store.files) == 1


def test_run_interrupted_among_the_writes_tells_what_was_written_and_what_was_not(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"), make_user("carol"))
    stage.aws.add(make_user("dave"))

    def interrupt(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("attach", "bob"):
            stage.cancellation.event.set()

    stage.aws.before = interrupt

    report = stage.play(config=make_config(concurrency={"workers": 1}))

    assert outcomes(report) == {"alice": "enforced", "bob": "enforced", "carol": "planned", "dave": "planned"}
    assert [account.status for account in report.accounts] == ["not_reached", "not_reached"]
    assert len(stage.aws.writes()) == 2
    assert exit_code(report) == 1


@pytest.mark.parametrize("look", ["look", "look_at_policy"])
def test_run_interrupted_while_it_looks_does_not_write_what_the_look_allows(stage: Stage, look: str) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob", has_mfa=True))

    def interrupt(action: str, account_id: str, subject: str) -> None:
        if stage.asked and action == look:
            stage.cancellation.event.set()

    stage.aws.before = interrupt

    report = stage.play()

    assert stage.aws.writes() == []
    assert outcomes(report)["alice"] == "planned"
    assert [account.status for account in report.accounts] == ["not_reached", "inspected"]
    assert exit_code(report) == 1


@pytest.mark.parametrize("mode", ["apply", "release"])
def test_run_interrupted_between_its_plan_and_the_first_write_says_that_nothing_was_written(
    stage: Stage, mode: str
) -> None:
    enforced = (
        {"attached_policy_arns": frozenset({"arn:aws:iam::000000000001:policy/EnforceMFA"})}
        if mode == "release"
        else {}
    )
    stage.aws.add(make_user("alice", **enforced))
    stage.aws.add(make_user("bob", has_mfa=True))

    class Interrupts(FakeObserver):
        def done(self, name: str, *, changes: int, failed: bool) -> None:
            super().done(name, changes=changes, failed=failed)
            if self.accounts_done == 2:
                stage.cancellation.event.set()

    stage.observer = Interrupts()

    report = stage.play(mode)

    assert (stage.asked, stage.aws.writes()) == ([], [])
    assert outcomes(report)["alice"] == "planned"
    assert [account.status for account in report.accounts] == ["not_reached", "inspected"]
    assert [error.code for error in report.errors] == ["interrupted"]
    assert exit_code(report) == 1
    assert not [name for name in stage.store.files if name.startswith("releases/")]


def test_run_past_its_deadline_starts_nothing_more(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob"))
    stage.cancellation = Cancellation.after(0)

    report = stage.play()

    assert stage.aws.writes() == []
    assert report.totals.not_reached == report.totals.accounts >= 1
    assert [error.code for error in report.errors] == ["deadline"]


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
