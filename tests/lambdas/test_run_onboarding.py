"""The Lambda from a batch of the onboarding queue to its result, against a served AWS and a fake Slack."""

import json
from typing import Any

import pytest
from moto.backends import get_backend

from orchestrator.domain.errors import RunUnderWay
from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.runtime import RunFailed
from orchestrator.pipeline import gate
from tests.fake_slack import FakeSlack, Say
from tests.lambdas.function import SCHEDULE, Function, today
from tests.onboarding_events import batch, stack_set_event

pytestmark = pytest.mark.thorough


def test_new_accounts_of_a_batch_are_one_run(function: Function) -> None:
    function.configure(enforcement={"mode": "apply"})

    result = function.invoke(batch(stack_set_event(function.payments), stack_set_event(function.search)))

    (report,) = function.reports()
    assert {account.id for account in report.accounts} == {function.payments, function.search}
    assert (report.trigger, report.mode) == ("onboarding", "apply")
    assert result["totals"]["enforced"] == 2


def test_new_account_that_the_configuration_excludes_is_reported_as_skipped_and_no_failure(function: Function) -> None:
    function.configure(organization={"exclude_accounts": [function.payments]})

    result = function.invoke(batch(stack_set_event(function.payments)))

    (report,) = function.reports()
    assert [account.status for account in report.accounts] == ["skipped"]
    assert result["totals"]["skipped"] == 1


def test_batch_that_is_delivered_again_gives_no_second_run(function: Function) -> None:
    event = batch(stack_set_event(function.payments))
    function.invoke(event)
    invocation._warm.clear()

    second = function.invoke(event)

    assert second["accounts"] == 0
    assert len(function.reports()) == 1


def test_batch_whose_run_failed_is_run_when_it_is_delivered_again(function: Function, slack: FakeSlack) -> None:
    event = batch(stack_set_event(function.payments))
    slack.next(Say("no_service", status=404))
    with pytest.raises(RunFailed):
        function.invoke(event)

    again = function.invoke(event)

    assert again["totals"]["accounts"] == 1
    assert len(slack.messages) == 1


def test_batch_that_finds_another_run_under_way_goes_back_to_its_queue(
    function: Function, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 0.0)
    function.configure(enforcement={"mode": "apply"})
    event, lease = batch(stack_set_event(function.payments)), function.lock("another-run")

    with pytest.raises(RunUnderWay, match="another-run"):
        function.invoke(event)
    assert (function.reports(), slack.messages, function.aws.writes()) == ([], [], [])
    lease.unlink()

    assert function.invoke(event)["totals"]["enforced"] == 1


@pytest.mark.parametrize(
    ("event", "passed_over", "refused"),
    [
        (batch("no event at all"), 0, 1),
        (batch(stack_set_event("444455556666", account="666677778888")), 0, 1),
        (batch(stack_set_event("444455556666", action="DELETE")), 1, 0),
        (batch(stack_set_event("444455556666", stack_set="somebody-elses"), "{"), 1, 1),
    ],
)
def test_batch_without_news_is_no_run(
    function: Function, event: dict[str, Any], passed_over: int, refused: int
) -> None:
    result = function.invoke(event)

    assert result == {"accounts": 0, "passed_over": passed_over, "refused": refused}
    assert function.reports() == []


def test_account_that_has_left_the_organization_meanwhile_is_not_asked_for_again(function: Function) -> None:
    event = batch(stack_set_event("444455556666"))

    first, second = function.invoke(event), function.invoke(event)

    assert (first["accounts"], second["accounts"]) == (0, 0)
    assert "DescribeAccount" not in function.aws.actions()
    assert function.reports() == []


def test_account_that_is_new_runs_though_another_of_the_batch_is_unknown(function: Function) -> None:
    result = function.invoke(batch(stack_set_event("444455556666"), stack_set_event(function.payments)))

    assert result["totals"]["accounts"] == 1


def test_stack_set_of_another_name_may_be_ours(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORGMFA_STACKSET_NAME", "security-mfa")

    result = function.invoke(batch(stack_set_event(function.payments, stack_set="security-mfa")))

    assert result["totals"]["accounts"] == 1


def test_onboarding_sends_a_digest_only_where_there_is_something_to_say(function: Function, slack: FakeSlack) -> None:
    clean = function.organization.add_account("clean")
    iam: Any = get_backend("iam")[clean]["aws"]
    iam.account_summary._account_mfa_enabled = 1  # no call can give the root user of moto an MFA device
    function.invoke(batch(stack_set_event(clean)))
    assert slack.messages == []

    function.invoke(batch(stack_set_event(function.payments)))

    assert len(slack.messages) == 1


def test_two_thousand_events_of_a_first_rollout_are_one_run_and_one_digest(
    function: Function, slack: FakeSlack
) -> None:
    """Two accounts of the organization are among them, most events twice, in one batch as SQS hands it over."""
    others = [stack_set_event(f"{number:012}") for number in range(700000000000, 700000000998)]
    ours = [stack_set_event(function.payments), stack_set_event(function.search)]

    function.invoke(batch(*others, *ours, *others, *ours))

    (report,) = function.reports()
    assert {account.id for account in report.accounts} == {function.payments, function.search}
    assert len(slack.messages) == 1
    assert function.aws.actions().count("DescribeAccount") == 0

    repeated = function.invoke(batch(*others, *ours))

    assert repeated["accounts"] == 0
    assert len(function.reports()) == 1
    assert len(slack.messages) == 1


@pytest.mark.parametrize("event_id", ["\ud800", " ", "", "a b", 7, None, ["x"], {}])
def test_event_with_an_odd_id_is_refused_and_those_beside_it_are_run_and_noted(
    function: Function, capsys: pytest.CaptureFixture[str], event_id: object
) -> None:
    event = batch(stack_set_event(function.search) | {"id": event_id}, stack_set_event(function.payments))

    first = function.invoke(event)
    second = function.invoke(event)

    (report,) = function.reports()
    assert {account.id for account in report.accounts} == {function.payments}
    assert first["totals"]["accounts"] == 1
    assert second == {"accounts": 0, "passed_over": 0, "refused": 1}
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines].count("event_refused") == 2


@pytest.mark.parametrize(
    ("onboarding", "events", "trigger", "told"),
    [
        ("on", [], "schedule", ["Sales"]),
        ("on", ["Sales"], "schedule", []),
        ("off", [], "schedule", []),
        (None, [], "schedule", []),
        ("on", [], "on_demand", []),
    ],
)
def test_new_account_of_which_no_event_told_is_said_once_where_onboarding_is_on(
    function: Function,
    slack: FakeSlack,
    monkeypatch: pytest.MonkeyPatch,
    *,
    onboarding: str | None,
    events: list[str],
    trigger: str,
    told: list[str],
) -> None:
    if onboarding:
        monkeypatch.setenv("ORGMFA_ONBOARDING", onboarding)
    function.invoke(today(SCHEDULE, minutes_ago=9))
    sales = function.organization.add_account("Sales")
    if events:
        function.invoke(batch(stack_set_event(sales)))
    everybody = {"accounts": [function.payments, function.search, sales]}

    function.invoke(today(SCHEDULE, minutes_ago=5) if trigger == "schedule" else everybody)
    (report, *_) = function.reports()
    digests = [text for message in slack.messages[-1:] for text in message.texts]
    function.invoke(today(SCHEDULE, minutes_ago=1))

    changes = report.changes
    assert [one.name for one in (changes.unannounced_accounts if changes else ())] == told
    assert any("of which no event told" in text for text in digests) == bool(told)
    again = function.reports()[0].changes
    assert trigger == "on_demand" or (again is not None and again.unannounced_accounts == ())
