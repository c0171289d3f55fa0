"""The Lambda from an event that names accounts to its result, against a served AWS: a run on demand."""

from typing import Any

import pytest

from orchestrator.domain.errors import ConfigError
from orchestrator.lambdas import runtime as invocation
from tests.lambdas.function import SCHEDULE, Function, today


def test_run_on_demand_is_over_the_accounts_named_and_no_other(function: Function) -> None:
    result = function.invoke({"accounts": [function.payments]})

    (report,) = function.reports()
    assert [account.id for account in report.accounts] == [function.payments]
    assert (report.trigger, report.mode) == ("on_demand", "plan")
    assert result["totals"]["accounts"] == 1
    assert function.aws.actions(function.search) == []


@pytest.mark.parametrize(
    ("configured", "asked", "mode", "is_enforced"),
    [
        ("plan", {}, "plan", False),
        ("plan", {"mode": "plan"}, "plan", False),
        ("apply", {}, "apply", True),
        ("apply", {"mode": "apply"}, "apply", True),
        ("apply", {"mode": "plan"}, "plan", False),
    ],
)
def test_narrower_of_the_modes_of_event_and_configuration_counts(
    function: Function, configured: str, asked: dict[str, str], mode: str, is_enforced: bool
) -> None:
    function.configure(enforcement={"mode": configured})

    result = function.invoke({"accounts": [function.payments]} | asked)

    assert result["mode"] == mode
    assert function.enforced(function.payments, "alice") is is_enforced


@pytest.mark.parametrize(
    ("limit", "max_changes", "outcome"),
    [
        (100, 0, "held"),
        (100, 1, "enforced"),
        (1, 1, "enforced"),
        (0, None, "held"),
        (0, 0, "held"),
        (None, 0, "held"),
        (None, "none", "enforced"),
    ],
)
def test_narrower_of_the_limits_of_event_and_configuration_counts_for_one_run(
    function: Function, limit: int | None, max_changes: object, outcome: str
) -> None:
    limits = {"max_changes_per_account": limit, "max_changes_per_run": limit}
    function.configure(enforcement={"mode": "apply"}, limits=limits)
    event = {"accounts": [function.payments]}

    result = function.invoke(event if max_changes is None else event | {"max_changes": max_changes})

    assert result["totals"][outcome] == 1
    assert invocation._warm["hub"].config.limits.max_changes_per_run == limit


@pytest.mark.parametrize("most_per_account", [0, 1, None])
def test_event_cannot_lift_the_limit_of_an_account(function: Function, most_per_account: int | None) -> None:
    limits = {"max_changes_per_account": most_per_account, "max_changes_per_run": 100}
    function.configure(enforcement={"mode": "apply"}, limits=limits)

    result = function.invoke({"accounts": [function.payments], "max_changes": 50})

    assert result["totals"]["held"] == (most_per_account == 0)


@pytest.mark.parametrize(
    ("mode", "asked", "remedy"),
    [
        ("plan", {"mode": "apply"}, "or deploy with Mode=apply"),
        ("plan", {"mode": "apply", "max_changes": "none"}, "or deploy with Mode=apply"),
        ("apply", {"mode": "apply", "max_changes": "none"}, "or deploy with a larger MaxChanges"),
        ("apply", {"max_changes": 2}, "or deploy with a larger MaxChanges"),
        ("plan", {"max_changes": 2}, "or deploy with a larger MaxChanges"),
    ],
)
def test_event_that_asks_for_more_than_the_functions_may_do_is_refused(
    function: Function, mode: str, asked: dict[str, Any], remedy: str
) -> None:
    function.configure(enforcement={"mode": mode}, limits={"max_changes_per_run": 1})

    with pytest.raises(ConfigError, match=f"have an operator run `orgmfa apply.*{remedy}"):
        function.invoke({"accounts": [function.payments]} | asked)

    assert function.aws.calls == []
    assert function.reports() == []


def test_gate_tells_who_looks_at_a_function_what_to_deploy(function: Function) -> None:
    function.configure(enforcement={"mode": "apply"}, limits={"max_changes_per_run": 1})

    function.invoke(today(SCHEDULE))

    gate_of_run = function.reports()[0].gate
    assert gate_of_run is not None
    assert "--max-changes 2`, or deploy with MaxChanges=2" in gate_of_run.remedy


def test_same_event_on_demand_is_meant_each_time(function: Function) -> None:
    function.invoke({"accounts": [function.payments]})
    function.invoke({"accounts": [function.payments]})

    assert len(function.reports()) == 2


def test_second_apply_changes_nothing(function: Function) -> None:
    function.configure(enforcement={"mode": "apply"})
    event = {"accounts": [function.payments, function.search]}
    first = function.invoke(event)
    second = function.invoke(event)

    assert first["totals"]["enforced"] == 2
    assert (second["totals"]["enforced"], second["totals"]["already_enforced"]) == (0, 2)
    assert function.aws.writes() == []


def test_account_that_is_not_in_the_organization_is_an_error(function: Function) -> None:
    with pytest.raises(ConfigError, match="000000000000"):
        function.invoke({"accounts": ["000000000000"]})

    assert function.reports() == []
