"""The Lambda from a batch of the queue of IAM events to its result, against a served AWS and a fake Slack."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.pipeline import inspection
from orchestrator.pipeline.lease import TURN_FILE, make_content
from orchestrator.reports.archive import LEDGER
from tests.aws_server import xml_error
from tests.fake_slack import FakeSlack
from tests.iam_event_samples import iam_event, password, queue_batch, undone
from tests.lambdas.function import SCHEDULE, Function, today

APPLY = {"enforcement": {"mode": "apply"}}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "NEW_USER_WAITS", (0.0, 0.01))


def failures(result: dict[str, Any]) -> list[str]:
    return [item["itemIdentifier"] for item in result["batchItemFailures"]]


def test_user_with_a_new_password_is_enforced_and_nobody_else_is_written_to(function: Function) -> None:
    function.configure(**APPLY)
    function.organization.add_user(function.payments, "erin")

    result = function.invoke(queue_batch(password(function.payments, "alice")))

    (report,) = function.event_reports()
    assert result["totals"]["enforced"] == 1
    assert failures(result) == []
    assert function.enforced(function.payments, "alice")
    assert not function.enforced(function.payments, "erin")
    assert [(account.id, [user.name for user in account.users]) for account in report.accounts] == [
        (function.payments, ["alice"])
    ]
    assert (report.trigger, report.narrowed) == ("iam_event", True)


def test_account_is_not_read_in_bulk(function: Function) -> None:
    function.configure(**APPLY)

    function.invoke(queue_batch(password(function.payments, "alice")))

    bulk = {"GetAccountAuthorizationDetails", "GenerateCredentialReport", "ListVirtualMFADevices", "ListAccounts"}
    assert not bulk & set(function.aws.actions())


def test_run_of_events_is_none_of_the_runs_of_the_archive(function: Function) -> None:
    function.invoke(queue_batch(password(function.payments, "alice")))

    assert function.reports() == []
    assert len(function.event_reports()) == 1


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_mode_and_scope_are_those_of_the_configuration(function: Function, mode: str) -> None:
    function.configure(enforcement={"mode": mode})
    function.organization.add_user(function.payments, "robot", password=False, keys=1)

    result = function.invoke(queue_batch(password(function.payments, "alice"), password(function.payments, "robot")))

    assert result["totals"]["planned" if mode == "plan" else "enforced"] == 1
    assert result["totals"]["out_of_scope"] == 1
    assert function.enforced(function.payments, "alice") is (mode == "apply")


def test_user_who_has_mfa_by_now_is_not_written_to(function: Function) -> None:
    function.configure(**APPLY)

    result = function.invoke(queue_batch(iam_event(function.payments, "DeactivateMFADevice", user="bob")))

    assert result["totals"]["compliant"] == 1
    assert function.aws.writes() == []


def test_new_device_writes_nothing_and_is_kept_for_the_next_digest(function: Function) -> None:
    function.configure(**APPLY)
    event = iam_event(
        function.payments, "EnableMFADevice", requestParameters={"userName": "alice", "serialNumber": "GAHT1"}
    )

    function.invoke(queue_batch(event))

    assert function.aws.writes() == []
    (note,) = function.ledger().runs
    assert [(one.user_name, one.device, one.address) for one in note.enrolments] == [("alice", "GAHT1", "198.51.100.7")]


@pytest.mark.parametrize(
    "odd",
    [
        {"requestParameters": {"userName": "bob", "serialNumber": "\ud800"}},
        {"requestParameters": {"userName": "bob"}, "sourceIPAddress": "\udfff"},
        {"requestParameters": {"userName": "bob"}, "eventTime": "0001-01-01T00:00:00+23:59"},
        {"requestParameters": {"userName": "bob"}, "eventTime": "9999-12-31T23:59:59-23:59"},
    ],
)
def test_text_or_time_that_no_file_can_hold_does_not_take_its_batch_along(
    function: Function, odd: dict[str, Any]
) -> None:
    function.configure(**APPLY)
    event = iam_event(function.payments, "EnableMFADevice", **odd)

    result = function.invoke(queue_batch(event, password(function.search, "carol")))

    assert failures(result) == []
    assert function.enforced(function.search, "carol")
    assert len(function.ledger().runs[-1].enrolments) == 1


def test_event_on_the_policy_reads_the_account_and_writes_to_nobody(function: Function, slack: FakeSlack) -> None:
    function.configure(**APPLY)
    function.aws.client("iam", function.payments).detach_group_policy(
        GroupName="EnforceMFA", PolicyArn=f"arn:aws:iam::{function.payments}:policy/EnforceMFA"
    )
    asked = {"policyArn": f"arn:aws:iam::{function.payments}:policy/EnforceMFA", "groupName": "EnforceMFA"}

    function.invoke(today(SCHEDULE))
    before = len(slack.messages)

    function.invoke(queue_batch(iam_event(function.payments, "DetachGroupPolicy", requestParameters=asked)))

    (report,) = function.event_reports()
    (account,) = report.accounts
    assert (account.policy, account.users) == ("ours", ())
    assert (
        "acme-payments: after DetachGroupPolicy the policy EnforceMFA is ours now, its group drifted"
        in account.notes[0]
    )
    assert "enforced there at the last whole run: 1 user" in account.notes[0]
    assert function.aws.writes() == []
    assert len(slack.messages) == before + 1


def test_event_on_a_policy_that_stands_as_it_should_is_not_told(function: Function, slack: FakeSlack) -> None:
    function.configure(**APPLY)

    function.invoke(queue_batch(iam_event(function.payments, "DeletePolicyVersion")))

    assert function.event_reports()[0].accounts[0].notes == ()
    assert slack.messages == []


def test_account_outside_the_organization_is_left_out(function: Function) -> None:
    function.configure(**APPLY)

    result = function.invoke(queue_batch(password("444455556666", "alice"), password(function.payments, "alice")))

    assert result["totals"]["accounts"] == 1
    assert function.enforced(function.payments, "alice")


def test_account_that_no_run_may_enter_is_not_entered(function: Function) -> None:
    function.configure(**APPLY, organization={"exclude_accounts": [function.payments]})

    result = function.invoke(queue_batch(password(function.payments, "alice")))

    assert result["totals"]["skipped"] == 1
    assert not function.enforced(function.payments, "alice")


def test_user_who_is_not_found_is_left_to_the_daily_run_and_said(function: Function) -> None:
    function.configure(**APPLY)

    function.invoke(queue_batch(password(function.payments, "ghost"), password(function.payments, "alice")))

    assert function.enforced(function.payments, "alice")
    assert function.ledger().runs[-1].left == 1


def test_user_made_a_moment_ago_is_found_at_a_later_look(function: Function) -> None:
    function.configure(**APPLY)
    looks = []

    def not_yet(call: Any) -> Any:
        if call.action == "GetUser":
            looks.append(call)
        is_first = call.action == "GetUser" and len(looks) == 1
        return xml_error("NoSuchEntity", status=404) if is_first else None

    function.aws.faults.append(not_yet)
    result = function.invoke(queue_batch(password(function.payments, "alice")))

    assert result["totals"]["enforced"] == 1


def test_batch_waits_while_another_run_holds_the_lease(function: Function, slack: FakeSlack) -> None:
    function.configure(**APPLY)
    lease = function.lock("another-run")

    result = function.invoke(queue_batch(password(function.payments, "alice")))

    assert failures(result) == ["message-0"]
    assert (function.event_reports(), slack.messages, function.aws.writes()) == ([], [], [])
    lease.unlink()
    assert function.invoke(queue_batch(password(function.payments, "alice")))["totals"]["enforced"] == 1


def test_event_that_waited_for_an_hour_is_left_to_the_daily_run_and_said(function: Function) -> None:
    function.configure(**APPLY)
    function.lock("another-run")

    result = function.invoke(queue_batch(password(function.payments, "alice"), minutes_old=61))

    assert failures(result) == []
    assert function.ledger().runs[-1].left == 1


def test_lease_that_cannot_be_understood_lets_no_event_write(function: Function) -> None:
    function.configure(**APPLY)
    function.lock("x").write_text("what is this?")

    result = function.invoke(queue_batch(password(function.payments, "alice")))

    assert failures(result) == ["message-0"]
    assert not function.enforced(function.payments, "alice")


def test_lease_that_another_run_takes_before_the_write_sends_the_event_back(function: Function) -> None:
    function.configure(**APPLY)

    def take(call: Any) -> None:
        """Let another run take the lease once this one has noted whom it is about to enforce."""
        if call.action == "GetPolicy" and (function.folder / "runs" / LEDGER).exists():
            function.lock("daily")

    function.aws.faults.append(take)
    result = function.invoke(queue_batch(password(function.payments, "alice"), password(function.search, "carol")))

    assert sorted(failures(result)) == ["message-0", "message-1"]
    assert function.aws.writes() == []


def test_release_that_is_noted_before_the_write_holds(function: Function) -> None:
    function.configure(**APPLY)

    def release(call: Any) -> None:
        if call.action == "SimulatePrincipalPolicy":
            function.note_release(function.payments, "alice")

    function.aws.faults.append(release)
    result = function.invoke(queue_batch(undone(function.payments, "alice")))

    assert result["totals"]["in_grace"] == 1
    assert function.aws.writes() == []


@pytest.mark.parametrize("meanwhile", ["a run takes the lease", "the lease breaks", "a release is noted", "nothing"])
def test_throttled_write_is_tried_again_only_while_nothing_forbids_it(function: Function, meanwhile: str) -> None:
    function.configure(**APPLY)
    tries: list[Any] = []

    def throttle(call: Any) -> Any:
        if call.action != "AttachUserPolicy":
            return None
        tries.append(call)
        if meanwhile == "a run takes the lease":
            function.lock("daily")
        elif meanwhile == "the lease breaks":
            function.lock("x").write_text("what is this?")
        elif meanwhile == "a release is noted":
            function.note_release(function.payments, "alice")
        return xml_error("Throttling") if len(tries) == 1 else None

    function.aws.faults.append(throttle)
    result = function.invoke(queue_batch(password(function.payments, "alice")))

    is_free = meanwhile == "nothing"
    assert len(tries) == (2 if is_free else 1)
    assert function.enforced(function.payments, "alice") is is_free
    assert result["totals"]["failed_users"] == (0 if is_free else 1)


def test_event_run_never_holds_the_lease(function: Function) -> None:
    function.configure(**APPLY)

    function.invoke(queue_batch(password(function.payments, "alice")))

    content = (function.folder / "runs" / "locks" / "run").read_text()
    assert '"is_given_back":true' in content


def test_second_batch_waits_for_its_turn(function: Function) -> None:
    function.configure(**APPLY)
    turn = function.folder / "runs" / TURN_FILE
    turn.parent.mkdir(parents=True)
    turn.write_bytes(make_content("another", is_release=False))

    result = function.invoke(queue_batch(password(function.payments, "alice")))

    assert failures(result) == ["message-0"]
    assert function.aws.writes() == []


def test_same_batch_again_changes_nothing(function: Function, slack: FakeSlack) -> None:
    function.configure(**APPLY)
    batch = queue_batch(password(function.payments, "alice"))
    function.invoke(batch)

    second = function.invoke(batch)

    assert second["totals"]["already_enforced"] == 1
    assert function.aws.writes() == []
    assert len(slack.messages) == 1


def test_released_user_is_not_enforced_by_the_event_of_the_release(function: Function) -> None:
    function.configure(**APPLY)
    function.note_release(function.payments, "alice")

    result = function.invoke(queue_batch(undone(function.payments, "alice")))

    assert result["totals"]["in_grace"] == 1
    assert not function.enforced(function.payments, "alice")


def test_event_that_tells_of_another_account_has_nobody_looked_at_in_either(function: Function) -> None:
    function.configure(**APPLY)
    forged = [
        password(function.payments, "alice", recipientAccountId=function.search),
        password(function.payments, "carol", recipientAccountId=function.search),
        password(function.search, "carol", userIdentity={"type": "Root", "accountId": function.payments}),
    ]

    result = function.invoke(queue_batch(*forged))

    assert (result["refused"], failures(result)) == (3, [])
    assert "AssumeRole" not in function.aws.actions()


def test_turn_of_events_holds_up_no_other_run(function: Function) -> None:
    function.configure(**APPLY)
    turn = function.folder / "runs" / TURN_FILE
    turn.parent.mkdir(parents=True)
    turn.write_bytes(make_content("another", is_release=False))

    daily = function.invoke(today(SCHEDULE), remaining_seconds=100)  # less than a lease lasts

    assert daily["totals"]["enforced"] == 2


def test_stop_switch_holds_events_too(function: Function, tmp_path: Path) -> None:
    (tmp_path / "stop").write_text("stop")
    function.configure(enforcement={"mode": "apply", "stop": str(tmp_path / "stop")})

    function.invoke(queue_batch(password(function.payments, "alice")))

    assert function.aws.writes() == []


def test_five_hundred_event_runs_change_nothing_that_a_daily_run_says_of_others(function: Function) -> None:
    """The first sights of users not named stay; one who was named counts from the event on."""
    function.configure(enforcement={"mode": "apply", "notice": "7d"})
    function.invoke(today(SCHEDULE, minutes_ago=1))
    before = {user.name: user.open_since for account in function.reports()[0].accounts for user in account.users}
    function.organization.add_user(function.payments, "erin")
    for number in range(5):
        function.invoke(queue_batch(password(function.payments, "erin", number=number)))
    seen = function.event_reports()[0].accounts[0].users[0].open_since
    raw = function.ledger()
    many = tuple(raw.runs[-1].model_copy(update={"run_id": f"run-{number}"}) for number in range(500))
    (function.folder / "runs" / LEDGER).write_text(raw.model_copy(update={"runs": many}).model_dump_json())

    function.invoke(today(SCHEDULE))

    after = {user.name: user.open_since for account in function.reports()[0].accounts for user in account.users}
    assert after == before | {"erin": seen}
