"""Runs of IAM events over a day: limits, users undone by others, the ledger, and what is told and when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.backends import get_backend

from orchestrator.aws.clients import make_clients
from orchestrator.lambdas.runtime import RunFailed
from orchestrator.pipeline import event_run, inspection
from orchestrator.pipeline.nudging import MAX_BY_EVENTS
from orchestrator.reports.archive import LEDGER
from orchestrator.reports.event_ledger import EventLedger
from tests.aws_server import MANAGEMENT, Answer
from tests.fake_slack import FakeSlack, Say
from tests.iam_event_samples import iam_event, password, queue_batch, undone
from tests.lambdas.function import SCHEDULE, Function, today

APPLY = {"enforcement": {"mode": "apply"}}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "NEW_USER_WAITS", (0.0, 0.01))


def test_new_devices_that_waited_for_their_minute_are_told_by_the_next_run_and_once(
    function: Function, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    function.configure(**APPLY, slack={"enrolments": "at_once"})
    for number, name in enumerate(("alice", "bob")):
        function.invoke(queue_batch(iam_event(function.payments, "EnableMFADevice", user=name, number=number)))
    told_in_time = [str(message) for message in slack.messages]
    monkeypatch.setattr(event_run, "MESSAGE_EVERY", timedelta())

    for number in (2, 3):
        function.invoke(queue_batch(password(function.search, "carol", number=number)))
    late = [str(message) for message in slack.messages[len(told_in_time) :]]

    assert ["alice" in message for message in told_in_time] == [True]
    assert ["bob" in message for message in late] == [True]
    assert not any("alice" in message for message in late)


def test_new_devices_that_the_daily_digest_told_of_are_not_told_again(function: Function, slack: FakeSlack) -> None:
    function.configure(**APPLY, slack={"enrolments": "at_once"})
    function.invoke(today(SCHEDULE))
    path = function.folder / "runs" / LEDGER
    function.invoke(queue_batch(iam_event(function.payments, "EnableMFADevice", user="alice")))
    ledger = EventLedger.model_validate_json(path.read_bytes())
    earlier = {"run_id": "earlier", "at": ledger.runs[0].at - timedelta(hours=2)}
    aged = ledger.model_copy(update={"runs": (ledger.runs[0].model_copy(update=earlier),), "told": {}, "told_at": None})
    path.write_text(aged.model_dump_json())
    before = len(slack.messages)

    function.invoke(queue_batch(password(function.search, "carol")))

    assert not any("alice" in str(message) for message in slack.messages[before:])


def test_user_undone_twice_in_a_day_is_held(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    function.configure(**APPLY)
    first = function.invoke(queue_batch(undone(function.payments, "alice", number=1)))
    function.detach(function.payments, "alice")

    second = function.invoke(queue_batch(undone(function.payments, "alice", number=2)))
    third = function.invoke(queue_batch(password(function.payments, "alice", number=3)))

    assert [result["totals"]["enforced"] for result in (first, second, third)] == [1, 0, 0]
    assert [result["totals"]["held"] for result in (first, second, third)] == [0, 1, 1]
    (user,) = function.event_reports()[-1].accounts[0].users
    assert user.error is not None
    assert user.error.code == "undone_by_others"


@pytest.mark.parametrize(("name", "spelling"), [("alice", "ALICE"), ("Dora", "dora")])
def test_user_undone_under_another_spelling_is_that_user(function: Function, name: str, spelling: str) -> None:
    function.configure(**APPLY)
    function.organization.add_user(function.payments, "Dora")
    user = function.aws.client("iam", function.payments).get_user(UserName=name)["User"]
    fields = "".join(f"<{key}>{user[key]}</{key}>" for key in ("Path", "UserName", "UserId", "Arn"))
    body = f"<User>{fields}<CreateDate>{user['CreateDate']:%Y-%m-%dT%H:%M:%SZ}</CreateDate></User>"
    answer = Answer(200, f"<GetUserResponse><GetUserResult>{body}</GetUserResult></GetUserResponse>")
    function.aws.faults.append(
        lambda call: answer if (call.action, call.parameters.get("UserName")) == ("GetUser", spelling) else None
    )
    function.invoke(queue_batch(undone(function.payments, name, number=0)))
    function.detach(function.payments, name)
    last = function.invoke(queue_batch(undone(function.payments, spelling, number=1)))

    assert (last["totals"]["held"], last["totals"]["enforced"]) == (1, 0)


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
    assert beside["batchItemFailures"] == []
    assert function.enforced(function.search, "carol")
    assert daily["totals"]["enforced"] == len(rest) + 1  # and alice


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
    gate = function.event_reports()[-1].gate
    assert gate is not None
    assert gate.code == "over_limit"
    assert daily["totals"]["enforced"] == 1


@pytest.mark.parametrize("hindrance", ["a message a minute", "Slack is down"])
def test_closing_is_told_once_however_late(
    function: Function, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch, hindrance: str
) -> None:
    function.configure(**APPLY, limits={"max_changes_per_run": 1})
    function.organization.add_user(function.payments, "erin", mfa="virtual")
    function.invoke(queue_batch(password(function.payments, "alice")))
    if hindrance == "Slack is down":
        monkeypatch.setattr(event_run, "MESSAGE_EVERY", timedelta())
        slack.next(Say("channel_is_archived"))
        with pytest.raises(RunFailed, match="digest"):
            function.invoke(queue_batch(password(function.search, "carol")))
    else:
        function.invoke(queue_batch(password(function.search, "carol")))
    monkeypatch.setattr(event_run, "MESSAGE_EVERY", timedelta())

    for _ in range(2):
        function.invoke(queue_batch(password(function.search, "carol")))

    assert sum("NOTHING WAS WRITTEN" in str(message) for message in slack.messages) == 1


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
    found = [(one.kind, one.problem) for run in function.event_reports() for one in run.accounts[0].users[0].messages]
    assert len(sent) == MAX_BY_EVENTS
    assert found == [("first", None)] * MAX_BY_EVENTS + [
        ("first", "this person got a message already: told by the next run")
    ]
