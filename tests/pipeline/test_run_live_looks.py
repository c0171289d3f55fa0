"""Live looks at users and policies in whole runs against an organization in memory."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.errors import AccessDenied, NotFound, Throttled
from orchestrator.domain.model import IamUser, LiveUser, PolicyState, Reason
from orchestrator.reports.report import exit_code
from tests.builders import NOW, days_ago, make_config, make_user
from tests.fakes import fail
from tests.pipeline.stage import Stage, account_of, outcomes, user_of


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
    assert user_of(report).error.code == "cannot_tell"  # type: ignore[union-attr]
    assert stage.aws.writes() == []


def test_doubt_of_the_simulator_holds_the_user_and_a_note_does_not(stage: Stage) -> None:
    stage.aws.add(
        make_user("alice"),
        make_user("bob"),
        make_user("carol"),
        doubts={
            "alice": Reason("cannot_tell", "a policy asks for aws:SourceIp"),
            "bob": Reason("sign_in_unknown", "nobody could try"),
            "carol": Reason("sign_in_unknown", "nobody could try"),
        },
    )

    report = stage.play()

    assert outcomes(report) == {"alice": "held", "bob": "enforced", "carol": "enforced"}
    assert account_of(report).notes == ("nobody could try",)
    assert stage.slack.messages  # the digest says it once
    assert user_of(report, "bob").error is None


def test_user_with_a_credential_that_would_stop_is_held_before_the_simulator_is_asked(stage: Stage) -> None:
    stage.aws.add(
        make_user("alice"),
        make_user("bob"),
        make_user("carol"),
        credentials={"alice": ("bedrock.amazonaws.com",)},
        ssh_keys={"bob": ("codecommit.amazonaws.com (SSH key)",)},
    )

    report = stage.play()

    assert outcomes(report) == {"alice": "held", "bob": "held", "carol": "enforced"}
    assert {user_of(report, name).error.code for name in ("alice", "bob")} == {"active_credential"}  # type: ignore[union-attr]
    assert [call[2] for call in stage.aws.calls if call[0] == "simulate"] == ["carol"]
    assert stage.aws.writes() == [("attach", "000000000001", "carol")]


@pytest.mark.parametrize(
    ("user", "policy", "asked"),
    [
        (make_user("alice"), {}, True),
        (make_user("alice", has_mfa=True), {}, False),
        (make_user("alice", has_console_password=False), {}, False),
        (make_user("alice"), {"access_keys": "allow"}, False),
    ],
)
def test_credentials_are_asked_for_where_a_planned_change_could_stop_them(
    stage: Stage, user: IamUser, policy: dict[str, Any], asked: bool
) -> None:
    stage.aws.add(user)

    stage.play("plan", make_config(policy=policy))

    done = [call[0] for call in stage.aws.calls if call[0] in {"list_credentials", "list_ssh_keys"}]
    assert done == (["list_credentials", "list_ssh_keys"] if asked else [])


def test_user_who_is_gone_when_the_ssh_keys_are_asked_for_is_in_no_list(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"))

    def delete(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("list_ssh_keys", "alice"):
            raise fail(NotFound, "NoSuchEntity", "ListSSHPublicKeys")

    stage.aws.before = delete

    assert outcomes(stage.play()) == {"bob": "enforced"}


def test_simulator_is_not_asked_where_the_configuration_says_so(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), obstacles={"alice": "a boundary"})

    report = stage.play(config=make_config(enforcement={"check_enrolment": False}))

    assert outcomes(report) == {"alice": "enforced"}
    assert not [call for call in stage.aws.calls if call[0] == "simulate"]


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
