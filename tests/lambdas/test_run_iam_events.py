"""The Lambda from a batch of the queue of IAM events to its result, against a served AWS and a fake Slack."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.backends import get_backend

from orchestrator.aws.clients import make_clients
from orchestrator.pipeline import event_run, inspection
from orchestrator.pipeline.event_permit import TURN_FILE
from orchestrator.pipeline.lease_file import make_content
from orchestrator.pipeline.nudging import MAX_BY_EVENTS
from orchestrator.reports.archive import LEDGER
from orchestrator.reports.event_ledger import EventLedger
from orchestrator.reports.report import RunReport
from orchestrator.reports.run_files import read_file
from tests.aws_server import MANAGEMENT, xml_error
from tests.fake_slack import FakeSlack
from tests.iam_event_samples import iam_event, queue_batch, undone
from tests.lambdas.function import SCHEDULE, Function, today

APPLY = {"enforcement": {"mode": "apply"}}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "NEW_USER_WAITS", (0.0, 0.01))


def reports(function: Function) -> list[RunReport]:
    """Return the reports of the event runs, the oldest first."""
    paths = (function.folder / "runs" / "event-runs").rglob("*.json.gz")
    return [read_file(path) for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)]


def ledger(function: Function) -> EventLedger:
    return EventLedger.model_validate_json((function.folder / "runs" / LEDGER).read_bytes())


def password(account_id: str, user: str, **changes: Any) -> dict[str, Any]:
    return iam_event(account_id, "CreateLoginProfile", user=user, **changes)


def failures(result: dict[str, Any]) -> list[str]:
    return [item["itemIdentifier"] for item in result["batchItemFailures"]]


def test_user_with_a_new_password_is_enforced_and_nobody_else_is_written_to(function: Function) -> None:
    function.configure(**APPLY)
    function.organization.add_user(function.payments, "erin")

    result = function.invoke(queue_batch(password(function.payments, "alice")))

    (report,) = reports(function)
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
    assert len(reports(function)) == 1


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
    (note,) = ledger(function).runs
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
    assert len(ledger(function).runs[-1].enrolments) == 1


def test_event_on_the_policy_reads_the_account_and_writes_to_nobody(function: Function, slack: FakeSlack) -> None:
    function.configure(**APPLY)
    function.aws.client("iam", function.payments).detach_group_policy(
        GroupName="EnforceMFA", PolicyArn=f"arn:aws:iam::{function.payments}:policy/EnforceMFA"
    )
    asked = {"policyArn": f"arn:aws:iam::{function.payments}:policy/EnforceMFA", "groupName": "EnforceMFA"}

    function.invoke(today(SCHEDULE))
    before = len(slack.messages)

    function.invoke(queue_batch(iam_event(function.payments, "DetachGroupPolicy", requestParameters=asked)))

    (report,) = reports(function)
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

    assert reports(function)[0].accounts[0].notes == ()
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
    assert ledger(function).runs[-1].left == 1


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
    assert (reports(function), slack.messages, function.aws.writes()) == ([], [], [])
    lease.unlink()
    assert function.invoke(queue_batch(password(function.payments, "alice")))["totals"]["enforced"] == 1


def test_event_that_waited_for_an_hour_is_left_to_the_daily_run_and_said(function: Function) -> None:
    function.configure(**APPLY)
    function.lock("another-run")

    result = function.invoke(queue_batch(password(function.payments, "alice"), minutes_old=61))

    assert failures(result) == []
    assert ledger(function).runs[-1].left == 1


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


def test_user_undone_twice_in_a_day_is_held(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    function.configure(**APPLY)
    first = function.invoke(queue_batch(undone(function.payments, "alice", number=1)))
    function.detach(function.payments, "alice")

    second = function.invoke(queue_batch(undone(function.payments, "alice", number=2)))
    third = function.invoke(queue_batch(password(function.payments, "alice", number=3)))

    assert [result["totals"]["enforced"] for result in (first, second, third)] == [1, 0, 0]
    assert [result["totals"]["held"] for result in (first, second, third)] == [0, 1, 1]
    (user,) = reports(function)[-1].accounts[0].users
    assert user.error is not None
    assert user.error.code == "undone_by_others"


def test_undoing_twice_holds_that_user_alone_and_until_the_daily_run(function: Function) -> None:
    function.configure(**APPLY)
    function.organization.add_user(function.payments, "erin")
    for _ in range(2):
        function.invoke(queue_batch(undone(function.payments, "alice")))
        if function.enforced(function.payments, "alice"):
            function.detach(function.payments, "alice")

    held = function.invoke(queue_batch(undone(function.payments, "alice"), password(function.payments, "erin")))
    daily = function.invoke(today(SCHEDULE))

    assert (held["totals"]["held"], held["totals"]["enforced"]) == (1, 1)
    assert function.enforced(function.payments, "alice")
    assert daily["totals"]["enforced"] == 2  # and carol


def test_event_of_one_undoing_that_comes_twice_counts_once(function: Function) -> None:
    function.configure(**APPLY)
    batch = queue_batch(undone(function.payments, "alice", number=1))
    function.invoke(batch)
    function.detach(function.payments, "alice")

    second = function.invoke(batch)

    assert second["totals"]["enforced"] == 1


def test_account_over_its_share_of_a_day_waits_and_the_others_go_on(function: Function) -> None:
    function.configure(**APPLY)
    names = [f"user-{number}" for number in range(6)]
    for name in names:
        function.organization.add_user(function.payments, name)
    function.configure(**APPLY, limits={"max_changes_per_run": 50})
    first = function.invoke(queue_batch(*(password(function.payments, name) for name in names[:4])))

    second = function.invoke(
        queue_batch(*(password(function.payments, name) for name in names[4:]), password(function.search, "carol"))
    )

    assert (first["totals"]["enforced"], second["totals"]["enforced"], second["totals"]["held"]) == (4, 1, 2)
    assert function.enforced(function.search, "carol")


def test_flood_of_one_account_leaves_the_events_of_another_and_the_daily_run_as_they_were(function: Function) -> None:
    flood = [f"user-{number}" for number in range(7)]
    for name in flood:
        function.organization.add_user(function.payments, name)
    function.configure(**APPLY, limits={"max_changes_per_run": 50})
    whole_share, rest = flood[:5], flood[5:]

    within = function.invoke(queue_batch(*(password(function.payments, name) for name in whole_share)))
    beside = function.invoke(
        queue_batch(*(password(function.payments, name) for name in rest), password(function.search, "carol"))
    )
    daily = function.invoke(today(SCHEDULE))

    assert (within["totals"]["enforced"], within["totals"]["held"]) == (5, 0)
    assert (beside["totals"]["enforced"], beside["totals"]["held"]) == (1, 2)
    assert failures(beside) == []
    assert function.enforced(function.search, "carol")
    assert daily["totals"]["enforced"] == len(rest) + 1  # and alice


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


def test_over_the_limit_of_a_run_events_write_nothing_until_a_whole_run_has_passed(
    function: Function, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_run, "MESSAGE_EVERY", timedelta())
    function.configure(**APPLY, limits={"max_changes_per_run": 1})
    function.organization.add_user(function.payments, "erin", mfa="virtual")
    function.organization.add_user(function.search, "dora", mfa="virtual")
    assert function.invoke(queue_batch(password(function.payments, "alice")))["totals"]["enforced"] == 1
    messages = len(slack.messages)

    closed = [function.invoke(queue_batch(password(function.search, "carol"))) for _ in range(2)]
    told = len(slack.messages) - messages
    function.note_release(function.payments, "alice")
    daily = function.invoke(today(SCHEDULE))

    assert [result["totals"]["enforced"] for result in closed] == [0, 0]
    assert told == 1
    gate = reports(function)[-1].gate
    assert gate is not None
    assert gate.code == "over_limit"
    assert daily["totals"]["enforced"] == 1


def test_events_stay_closed_a_day_later_and_are_open_again_after_a_whole_run(function: Function) -> None:
    function.configure(**APPLY)
    path = function.folder / "runs" / LEDGER
    path.parent.mkdir(parents=True)
    path.write_text(EventLedger(closed_at=datetime.now(UTC) - timedelta(days=2)).model_dump_json())

    closed = function.invoke(queue_batch(password(function.payments, "alice")))
    function.note_release(function.payments, "alice")
    function.invoke(today(SCHEDULE))
    function.organization.add_user(function.search, "dora")
    opened = function.invoke(queue_batch(password(function.search, "dora")))

    assert (closed["totals"]["enforced"], opened["totals"]["enforced"]) == (0, 1)


def test_killed_run_counts_whom_it_was_about_to_enforce(function: Function) -> None:
    function.configure(**APPLY)
    seen: list[bytes] = []
    path = function.folder / "runs" / LEDGER

    def look(call: Any) -> None:
        if call.action == "AttachUserPolicy":
            seen.append(path.read_bytes())

    function.aws.faults.append(look)
    function.invoke(queue_batch(password(function.payments, "alice")))

    (note,) = EventLedger.model_validate_json(seen[0]).runs
    assert [account_id for account_id, _ in note.enforced] == [function.payments]


@pytest.mark.parametrize("content", [b"", b"{", b'{"runs": 5}', b'{"runs": [{"run_id": "x"}]}'])
def test_ledger_that_cannot_be_understood_lets_no_event_write_and_the_daily_run_go_on(
    function: Function, content: bytes
) -> None:
    function.configure(**APPLY)
    path = function.folder / "runs" / LEDGER
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(Exception, match="ledger"):
        function.invoke(queue_batch(password(function.payments, "alice")))
    assert function.aws.writes() == []

    assert function.invoke(today(SCHEDULE))["totals"]["enforced"] == 2


def test_stop_switch_holds_events_too(function: Function, tmp_path: Path) -> None:
    (tmp_path / "stop").write_text("stop")
    function.configure(enforcement={"mode": "apply", "stop": str(tmp_path / "stop")})

    function.invoke(queue_batch(password(function.payments, "alice")))

    assert function.aws.writes() == []


def test_messages_are_one_a_minute_and_what_waited_comes_with_the_next(
    function: Function, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    function.configure(**APPLY)
    function.invoke(queue_batch(password(function.payments, "alice")))
    function.invoke(queue_batch(password(function.search, "carol")))
    assert len(slack.messages) == 1
    monkeypatch.setattr(event_run, "MESSAGE_EVERY", timedelta())
    function.organization.add_user(function.search, "dora")

    function.invoke(queue_batch(password(function.search, "dora")))

    said = str(slack.messages[-1])
    assert len(slack.messages) == 2
    assert "carol" in said
    assert "dora" in said


def test_nothing_is_said_in_mode_plan_and_the_daily_run_counts_what_would_have_been(
    function: Function, slack: FakeSlack
) -> None:
    function.invoke(today(SCHEDULE, minutes_ago=1))
    messages = len(slack.messages)
    function.invoke(queue_batch(password(function.payments, "alice")))
    function.aws.client("iam", function.search).detach_group_policy(
        GroupName="EnforceMFA", PolicyArn=f"arn:aws:iam::{function.search}:policy/EnforceMFA"
    )
    function.invoke(queue_batch(iam_event(function.search, "DetachGroupPolicy")))
    assert len(slack.messages) == messages

    function.invoke(today(SCHEDULE))

    events = function.reports()[0].events
    assert events is not None
    assert (events.runs, events.planned, events.enforced) == (2, 1, 0)


def test_five_hundred_event_runs_change_nothing_that_a_daily_run_says_of_others(function: Function) -> None:
    """The first sights of users not named stay; one who was named counts from the event on."""
    function.configure(enforcement={"mode": "apply", "notice": "7d"})
    function.invoke(today(SCHEDULE, minutes_ago=1))
    before = {user.name: user.open_since for account in function.reports()[0].accounts for user in account.users}
    function.organization.add_user(function.payments, "erin")
    for number in range(5):
        function.invoke(queue_batch(password(function.payments, "erin", number=number)))
    seen = reports(function)[0].accounts[0].users[0].open_since
    raw = ledger(function)
    many = tuple(raw.runs[-1].model_copy(update={"run_id": f"run-{number}"}) for number in range(500))
    (function.folder / "runs" / LEDGER).write_text(raw.model_copy(update={"runs": many}).model_dump_json())

    function.invoke(today(SCHEDULE))

    after = {user.name: user.open_since for account in function.reports()[0].accounts for user in account.users}
    assert after == before | {"erin": seen}


def test_event_runs_tell_users_and_flood_nobody(function: Function) -> None:
    nudge = {"via": "email", "domains": ["acme.com"], "sender": "security@acme.com", "region": "eu-west-1"}
    function.configure(enforcement={"mode": "apply", "notice": "7d"}, nudge=nudge)
    make_clients(connections=1).sesv2("eu-west-1").create_email_identity(EmailIdentity="security@acme.com")
    names = [f"user-{number}" for number in range(MAX_BY_EVENTS + 1)]
    tag: Any = {"Key": "email", "Value": "alice@acme.com"}
    for name in names:
        function.organization.add_user(function.payments, name)
        function.aws.client("iam", function.payments).tag_user(UserName=name, Tags=[tag])

    for name in names:
        function.invoke(queue_batch(password(function.payments, name)))

    sent: Any = get_backend("sesv2")[MANAGEMENT]["eu-west-1"].core_backend.sent_messages
    found = [(one.kind, one.problem) for run in reports(function) for one in run.accounts[0].users[0].messages]
    assert len(sent) == MAX_BY_EVENTS
    assert found == [("first", None)] * MAX_BY_EVENTS + [
        ("first", "this person got a message already: told by the next run")
    ]
