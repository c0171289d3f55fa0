"""The preflight of an SCP (`plan --scp`) in memory: whom it would block, and that it leaves nothing behind."""

from typing import Any

import pytest

from orchestrator.domain.config import Config
from orchestrator.domain.errors import AccessDenied, NotFound, Throttled
from orchestrator.domain.model import LiveUser, PolicyState, Reason, Verdict
from orchestrator.reports.report import RunReport, exit_code
from tests.builders import ORGANIZATION, days_ago, make_config, make_user
from tests.fakes import FakeSecurityHub, fail
from tests.pipeline.stage import Stage, outcomes, user_of

MANAGEMENT = ORGANIZATION.management_account_id


def look(stage: Stage, config: Config | None = None) -> RunReport:
    return stage.play("plan", config, preflight="scp")


def enforced(name: str, account_id: str = "000000000001", **changes: Any) -> Any:
    return make_user(name, attached_policy_arns=frozenset({f"arn:aws:iam::{account_id}:policy/EnforceMFA"}), **changes)


def simulated(stage: Stage) -> list[str]:
    return [name for action, _, name in stage.aws.calls if action == "simulate"]


def test_users_of_member_accounts_without_mfa_are_hit_whatever_scope_grace_and_notice_say(stage: Stage) -> None:
    stage.aws.add(
        make_user("alice"),
        make_user("robot", has_console_password=False),
        make_user("newcomer", created_at=days_ago(1)),
        make_user("bob", has_mfa=True),
        enforced("erin"),
    )
    config = make_config(enforcement={"grace_period": "30d", "notice": "14d"}, archive={"keep": "90d"})

    report = look(stage, config)

    assert (report.mode, report.preflight, report.gate) == ("plan", "scp", None)
    assert outcomes(report) == {
        "alice": "planned",
        "robot": "planned",
        "newcomer": "planned",
        "bob": "none",
        "erin": "already_enforced",
    }


def test_no_limit_and_no_stop_switch_holds_it_and_everybody_is_simulated(stage: Stage) -> None:
    stage.is_stopped = lambda: True
    stage.aws.add(*(make_user(f"user-{number}") for number in range(5)))
    limits = {"max_changes_per_account": 1, "max_changes_per_run": 0, "max_share_per_account": 0.1}

    report = look(stage, make_config(limits=limits, enforcement={"check_enrolment": False}))

    assert report.gate is None
    assert report.totals.planned == 5
    assert len(simulated(stage)) == 5
    assert exit_code(report) == 0


def test_who_could_not_enrol_is_held_though_a_key_would_stop_too(stage: Stage) -> None:
    stage.aws.add(
        make_user("alice", active_access_keys=1, keys_last_used=days_ago(3)),
        make_user("carol"),
        obstacles={"alice": "another policy of the user keeps the user from iam:EnableMFADevice; under EnforceMFA ..."},
        doubts={"carol": Reason("cannot_tell", "a policy asks for aws:SourceIp")},
        credentials={"carol": ("codecommit.amazonaws.com",)},
    )

    report = look(stage)

    alice, carol = (user_of(report, name).error for name in ("alice", "carol"))
    assert alice is not None
    assert carol is not None
    assert (alice.code, carol.code) == ("cannot_enrol", "cannot_tell")
    assert alice.message.startswith("without EnforceMFA iam:EnableMFADevice is not allowed to the user, and an SCP")
    assert "an access key was used" in alice.message
    assert "codecommit.amazonaws.com would stop" in carol.message
    assert user_of(report, "carol").service_credentials == ("codecommit.amazonaws.com",)
    assert exit_code(report) == 1


def test_keys_and_credentials_of_users_with_mfa_would_stop_too(stage: Stage) -> None:
    used: dict[str, Any] = {"has_mfa": True, "active_access_keys": 1, "keys_last_used": days_ago(3)}
    stage.aws.add(
        make_user("bob", **used),
        make_user("old", **(used | {"keys_last_used": days_ago(300)})),
        make_user("git", has_mfa=True),
        make_user("spared", **used),
        enforced("erin", **used),
        credentials={"git": ("codecommit.amazonaws.com",)},
    )

    report = look(stage, make_config(protected_users=["spared"]))

    assert outcomes(report) == {"bob": "held", "old": "none", "git": "held", "spared": "none", "erin": "none"}
    assert [user_of(report, name).error.code for name in ("bob", "git")] == ["active_key", "active_credential"]  # type: ignore[union-attr]
    assert simulated(stage) == []


def test_keys_go_on_where_the_configuration_lets_them(stage: Stage) -> None:
    stage.aws.add(make_user("bob", active_access_keys=1, keys_last_used=days_ago(3)), credentials={"bob": ("x",)})

    report = look(stage, make_config(policy={"access_keys": "allow"}))

    assert outcomes(report) == {"bob": "planned"}
    assert not [call for call in stage.aws.calls if call[0].startswith("list_")][2:]


def test_users_with_keys_alone_are_not_hit_where_keys_go_on(stage: Stage) -> None:
    stage.aws.add(
        make_user("alice"),
        make_user("robot", has_console_password=False, active_access_keys=1),
        make_user("perhaps", has_console_password=None, active_access_keys=1),
        live={"perhaps": LiveUser(has_mfa=False, has_console_password=True)},
    )

    report = look(stage, make_config(policy={"access_keys": "allow"}))

    assert outcomes(report) == {"alice": "planned", "robot": "out_of_scope", "perhaps": "planned"}


def test_exemptions_are_those_of_the_scp(stage: Stage) -> None:
    stage.aws.add(make_user("svc-a"), make_user("SVC-b"), make_user("tmp-a"), make_user("operator"))
    config = make_config(
        protected_users=["svc-*", "tmp-[ab]"],
        exemptions=[{"user": "operator", "accounts": ["*"], "reason": "x", "until": "2026-01-01"}],
    )

    report = look(stage, config)

    assert outcomes(report) == {"svc-a": "exempt", "SVC-b": "planned", "tmp-a": "planned", "operator": "planned"}


def test_nobody_in_the_management_account_is_hit(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob", has_mfa=True), account_id=MANAGEMENT)

    report = look(stage)

    assert outcomes(report) == {"alice": "out_of_scope", "bob": "none"}
    assert user_of(report).reason == "no SCP reaches the management account"
    assert simulated(stage) == []


def test_a_policy_that_is_missing_or_not_ours_holds_nobody(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), policy=PolicyState.MISSING, group=PolicyState.DRIFTED)

    assert outcomes(look(stage)) == {"alice": "planned"}


def test_a_device_that_an_old_report_does_not_know_is_seen(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), report_made_at=days_ago(1), live={"alice": LiveUser(has_mfa=True)})

    report = look(stage)

    assert (user_of(report).verdict, user_of(report).outcome) == (Verdict.COMPLIANT, "none")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (fail(AccessDenied), {"alice": "held"}),
        (fail(Throttled), {"alice": "held"}),
        (fail(NotFound), {}),
    ],
)
def test_a_simulator_that_does_not_answer_holds_and_a_user_who_is_gone_is_gone(
    stage: Stage, error: Exception, expected: dict[str, str]
) -> None:
    stage.aws.add(make_user("alice"))

    def before(action: str, account_id: str, subject: str) -> None:
        if action == "simulate":
            raise error

    stage.aws.before = before

    assert outcomes(look(stage)) == expected


def test_a_user_who_cannot_be_looked_at_is_unknown(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), report_made_at=days_ago(1))

    def before(action: str, account_id: str, subject: str) -> None:
        if action == "look":
            raise fail(AccessDenied)

    stage.aws.before = before

    assert user_of(look(stage)).verdict is Verdict.UNKNOWN


def test_it_is_no_run_that_anything_else_knows_of(stage: Stage) -> None:
    stage.securityhub = FakeSecurityHub()
    stage.aws.add(make_user("alice"), make_user("bob"))
    stage.play("plan", run_id="run-1")
    before, told = dict(stage.store.files), len(stage.slack.messages)
    findings = dict(stage.securityhub.findings)

    finished = stage.finish("plan", preflight="scp", run_id="run-2")

    assert finished.address is None
    assert stage.store.files == before
    assert len(stage.slack.messages) == told
    assert stage.securityhub.findings == findings
    assert stage.aws.writes() == []
    assert finished.report.changes is None
