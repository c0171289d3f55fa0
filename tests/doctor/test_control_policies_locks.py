"""What the doctor says of an attached SCP that `orgmfa policy --scp` printed."""

from datetime import timedelta

from orchestrator.doctor import CheckName
from orchestrator.domain.config import Config
from orchestrator.domain.deployed import ControlPolicy
from orchestrator.domain.scp import render_scp
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.report import ReleasedUser
from tests.builders import NOW, make_config
from tests.doctor.command import OK, PROBLEM, line
from tests.doctor.ward import ACCOUNT, Ward, make_policy


def make_lock(config: Config | None = None) -> ControlPolicy:
    return make_policy("mfa", render_scp(config or Config(), "aws", NOW).text)


def test_an_attached_scp_of_ours_is_told_with_where_it_blocks(ward: Ward) -> None:
    ward.policies, ward.targets = (make_lock(),), {"ou-ab12-1": "Lab"}

    told = line(ward.run_checks(), CheckName.LOCK)

    assert told.status is OK
    assert "the SCP mfa blocks IAM users without MFA in Lab; orgmfa release frees nobody from it" in told.message


def test_an_scp_of_ours_that_is_attached_to_nothing_blocks_nobody(ward: Ward) -> None:
    ward.policies, ward.targets = (make_lock(),), {}

    assert line(ward.run_checks(), CheckName.LOCK).message == "no SCP of orgmfa policy --scp is attached"


def test_an_scp_that_differs_from_the_configuration_is_a_problem(ward: Ward) -> None:
    ward.policies, ward.targets = (make_lock(),), {"r-ab12": "Root"}
    ward.config = make_config(protected_users=["break-glass-*"])

    told = line(ward.run_checks(), CheckName.LOCK)

    assert told.status is PROBLEM
    assert "it blocks break-glass-*, whom the configuration exempts" in told.message
    assert "orgmfa policy --scp" in told.remedy


def test_an_scp_of_ours_that_was_changed_by_hand_is_a_problem(ward: Ward) -> None:
    lock = make_lock()
    ward.policies = (make_policy("mfa", lock.document.replace("ArnLike", "ArnEquals")),)

    told = line(ward.run_checks(), CheckName.LOCK)

    assert told.status is PROBLEM
    assert "a condition that orgmfa does not write: ArnEquals of aws:principalarn" in told.message


def test_whom_a_release_left_blocked_is_told(ward: Ward) -> None:
    ward.config = make_config(protected_users=["bob"])
    ward.policies, ward.targets = (make_lock(ward.config),), {ACCOUNT: "payments"}
    users = [ReleasedUser(account_id=ACCOUNT, user_name=name) for name in ("alice", "bob")]
    elsewhere = ReleasedUser(account_id="000000000002", user_name="carol")
    RunArchive(ward.store, None).note_release("run-1", [*users, elsewhere], NOW + timedelta(days=1), now=NOW)

    told = line(ward.run_checks(), CheckName.LOCK)

    assert told.status is PROBLEM
    assert told.message.endswith(f"released, and blocked all the same where it holds: alice ({ACCOUNT})")
