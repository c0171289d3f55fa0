"""Releases against an organization in memory."""

from datetime import timedelta
from math import inf
from typing import Any

import pytest

from orchestrator.domain.errors import AccessDenied, ArchiveError, AssumeRoleDenied, NotFound, StartError
from orchestrator.output.story import Story
from orchestrator.reports.report import exit_code
from tests.builders import make_config, make_user
from tests.fakes import fail
from tests.pipeline.stage import Stage, outcomes, user_of

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

    entered = [call[2] for call in stage.aws.calls if call[0] == "enter"]
    assert entered == ["inspect", "release", "inspect"], "the last is the look at whom it freed"


@pytest.mark.parametrize(
    ("anew", "writes"),
    [
        ({"attached_policy_arns": ENFORCED}, ["detach", "detach"]),
        ({"group_names": frozenset({"EnforceMFA"})}, ["detach", "leave"]),
    ],
)
def test_user_whom_a_run_enforced_during_the_release_is_released_again(
    stage: Stage, anew: dict[str, Any], writes: list[str]
) -> None:
    account = stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))
    late = iter([make_user("alice", **anew)])

    def enforce_late(action: str, _: str, subject: str) -> None:
        if (action, subject) == ("enter", "inspect") and stage.aws.writes():
            account.users["alice"] = next(late, account.users["alice"])

    stage.aws.before = enforce_late

    report = stage.play("release")

    assert outcomes(report) == {"alice": "released"}
    assert [write[0] for write in stage.aws.writes()] == writes
    alice = account.users["alice"]
    assert (alice.attached_policy_arns, alice.group_names) == (frozenset(), frozenset())


def test_release_writes_its_note_before_it_takes_the_lease_and_frees_nobody_without_it(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))
    stage.permit.refusal = "run release-2 holds the lease on writing"

    report = stage.play("release")

    assert report.gate is not None
    assert (report.gate.code, outcomes(report), exit_code(report)) == ("under_way", {"alice": "planned"}, 1)
    assert [name for name in stage.store.files if name.startswith("releases/")] == ["releases/run-1.json"]
    assert stage.aws.writes() == []
    assert stage.permit.asked == [inf]


def test_second_look_that_fails_is_told(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))

    def refuse(action: str, *_: str) -> None:
        if action == "verify":
            raise fail(AccessDenied, "AccessDenied", "ListAttachedUserPolicies")

    stage.aws.before = refuse

    report = stage.play("release")

    assert (outcomes(report), report.totals.failed, exit_code(report)) == ({"alice": "released"}, 1, 1)


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


def test_release_that_was_interrupted_does_not_say_that_a_user_is_nowhere(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))
    stage.aws.add(make_user("bob", attached_policy_arns=ENFORCED))

    def interrupt(action: str, account_id: str, subject: str) -> None:
        stage.cancellation.event.set()

    stage.aws.before = interrupt

    report = stage.play("release", user_names=frozenset({"bob"}))

    assert [error.code for error in report.errors] == ["interrupted"]
    assert exit_code(report) == 1


def test_release_of_a_user_whom_nobody_knows_is_an_error_of_the_run(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))

    report = stage.play("release", user_names=frozenset({"alcie"}))

    assert [error.code for error in report.errors] == ["user_not_found"]
    assert outcomes(report) == {"alice": "already_enforced"}
    assert exit_code(report) == 1


def test_release_of_a_user_of_an_account_that_failed_does_not_say_that_the_name_is_wrong(stage: Stage) -> None:
    stage.aws.add(make_user("alice", attached_policy_arns=ENFORCED))
    stage.aws.add(make_user("bob", attached_policy_arns=ENFORCED))

    def refuse(action: str, account_id: str, subject: str) -> None:
        if (action, account_id) == ("enter", "000000000002"):
            raise fail(AssumeRoleDenied, "AccessDenied", "AssumeRole")

    stage.aws.before = refuse

    report = stage.play("release", user_names=frozenset({"bob"}))

    (error,) = report.errors
    assert (error.code, error.message) == (
        "user_not_found",
        "no account of this run that could be read has a user 'bob'",
    )
    assert error.remedy.startswith("1 account could not be read: ")


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


@pytest.mark.parametrize("has_mfa", [True, False, None])
def test_release_looks_at_nobody_s_mfa_and_publishes_no_verdict(stage: Stage, has_mfa: bool | None) -> None:
    stage.aws.add(
        make_user("alice", has_mfa=has_mfa, attached_policy_arns=ENFORCED),
        make_user("bob", has_mfa=has_mfa, attached_policy_arns=ENFORCED),
        make_user("carol", has_mfa=has_mfa, has_console_password=None),
    )

    report = stage.play("release", user_names=frozenset({"alice"}))

    assert outcomes(report) == {"alice": "released", "bob": "already_enforced", "carol": "none"}
    users = report.accounts[0].users
    assert {(user.verdict, user.error, user.reason) for user in users} == {
        ("unknown", None, "a release looks at nobody's MFA")
    }
    assert (report.totals.compliant, report.totals.non_compliant, report.totals.unknown) == (0, 0, 3)
    assert exit_code(report) == 0
    assert not [call for call in stage.aws.calls if call[0] == "look"]
    story = Story(report, blocks_access_keys=True)
    assert story.causes == ()
    assert "MFA" not in " ".join(story.sentence)
