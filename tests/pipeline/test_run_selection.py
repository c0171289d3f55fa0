"""The accounts of whole runs against an organization in memory: skipped, listed, named."""

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.domain.errors import AccessDenied, ConfigError, StartError, Throttled
from orchestrator.domain.model import Account, AccountState
from orchestrator.reports.report import exit_code
from tests.builders import make_config, make_user
from tests.fakes import fail
from tests.pipeline.stage import Stage, outcomes


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


def test_account_in_a_state_that_is_not_known_is_to_fix_never_entered_and_ends_no_list(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob"), state=None)
    stage.aws.add(make_user("carol"))

    report = stage.play()

    assert [account.status for account in report.accounts] == ["inspected", "failed", "inspected"]
    error = report.accounts[1].error
    assert (error and (error.stage, error.code)) == ("select", "unknown_state")
    assert report.complete
    assert {call[1] for call in stage.aws.calls if call[0] == "enter"} == {"000000000001", "000000000003"}
    assert exit_code(report) == 1


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


@pytest.mark.parametrize("name", ["2024", "0000000000002", "\u0661" * 12])
def test_account_whose_name_is_a_number_is_found_by_it(stage: Stage, name: str) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob"), name=name)

    report = stage.play(targets=(name,))

    assert outcomes(report) == {"bob": "enforced"}
    assert [call for call in stage.aws.calls if call[0] == "describe"] == []
    assert stage.aws.surveyed == [()]


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
