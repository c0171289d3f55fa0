"""What runs of IAM events tell: how many users of one account, and why their gate is closed."""

from datetime import timedelta

import pytest

from orchestrator.domain.model import IamEvent, Trigger
from orchestrator.pipeline.event_run import MAX_TOLD
from orchestrator.reports.archive import RunArchive
from orchestrator.reports.event_ledger import EventLedger
from orchestrator.reports.report import RunReport
from tests.builders import NOW, make_config, make_user
from tests.fakes import FakeChannel
from tests.pipeline.stage import Stage

PAYMENTS = "000000000001"
UNLIMITED = make_config(limits={"max_changes_per_run": None, "max_changes_per_account": None})


@pytest.fixture
def channel() -> FakeChannel:
    return FakeChannel()


@pytest.fixture
def stage(channel: FakeChannel) -> Stage:
    return Stage(channels=(channel,), ask=False)


def named(names: list[str]) -> tuple[IamEvent, ...]:
    """Return an event for each of these users, who got a password."""
    return tuple(
        IamEvent(
            id=f"event-{name}", kind="sign_in", account_id=PAYMENTS, name="CreateLoginProfile", at=NOW, user_name=name
        )
        for name in names
    )


def play(stage: Stage, names: list[str], run_id: str, **limits: int | None) -> RunReport:
    config = make_config(limits=limits) if limits else UNLIMITED
    events = named(names)
    return stage.play(config=config, trigger=Trigger.IAM_EVENT, targets=(PAYMENTS,), events=events, run_id=run_id)


def told(channel: FakeChannel) -> list[list[str]]:
    """Return the users of each message, which its totals count."""
    users = [[user.name for account in report.accounts for user in account.users] for report in channel.reports]
    assert [len(names) for names in users] == [report.totals.users for report in channel.reports]
    return users


def test_users_beyond_what_one_message_names_are_told_by_the_next(stage: Stage, channel: FakeChannel) -> None:
    names = [f"user-{number:03}" for number in range(MAX_TOLD + 10)]
    stage.aws.add(*map(make_user, [*names, "zoe"]))

    report = play(stage, names, "run-1")
    ledger = RunArchive(stage.store, None).read_ledger()
    RunArchive(stage.store, None).write_ledger(ledger.model_copy(update={"told_at": NOW - timedelta(hours=1)}))
    play(stage, ["zoe"], "run-2")

    assert report.totals.enforced == len(names)
    assert told(channel) == [names[:MAX_TOLD], [*names[MAX_TOLD:], "zoe"]]
    assert RunArchive(stage.store, None).read_ledger().waiting == ()


@pytest.mark.parametrize("limit", [100, None])
def test_gate_that_stays_closed_says_since_when_and_not_that_a_limit_is_exceeded(
    stage: Stage, limit: int | None
) -> None:
    stage.aws.add(make_user("alice"))
    closed_at = NOW - timedelta(hours=3)
    RunArchive(stage.store, None).write_ledger(EventLedger(closed_at=closed_at))

    report = play(stage, ["alice"], "run-1", max_changes_per_run=limit)

    assert report.gate is not None
    assert report.gate.code == "over_limit"
    assert report.gate.message.startswith(
        f"events reached limits.max_changes_per_run at {closed_at:%Y-%m-%d %H:%M} UTC: "
    )
    assert stage.aws.writes() == []
