"""Results of a run: kept by account, given back in the order of the listing."""

from typing import Any

from orchestrator.domain.model import AccountResult, AttachPolicy, Decision, Outcome, PolicyChange, Status, Verdict, Via
from orchestrator.pipeline.results import Results
from tests.builders import POLICY_ARN, make_account, make_user


def make_result(account_id: str, planned: int = 0, **changes: Any) -> AccountResult:
    decisions = tuple(
        Decision(make_user(name), Verdict.NON_COMPLIANT, Outcome.PLANNED, Via.USER, (AttachPolicy(name, POLICY_ARN),))
        for name in (f"user-{number}" for number in range(planned))
    )
    return AccountResult(make_account(account_id), Status.INSPECTED, decisions=decisions, **changes)


def test_results_come_in_the_order_of_the_listing_whatever_the_order_of_their_coming() -> None:
    results = Results({"3": 0, "1": 1, "2": 2})
    made = {account_id: make_result(account_id, planned=1) for account_id in "123"}

    for result in made.values():
        results.put(result)

    assert list(results) == [made["3"], made["1"], made["2"]]
    assert results["1"] == made["1"]


def test_largest_plan_comes_first_and_accounts_without_changes_not_at_all() -> None:
    results = Results({"1": 0, "2": 1, "3": 2, "4": 3})
    results.put(make_result("1"))
    results.put(make_result("2", planned=1))
    results.put(make_result("3", planned=5))
    results.put(make_result("4", policy_changes=(PolicyChange.UPDATE_POLICY,)))

    assert results.with_changes == ["3", "2", "4"]
    assert results.planned == 6


def test_later_result_takes_the_place_of_an_earlier_one() -> None:
    results = Results({"1": 0})
    results.put(make_result("1", planned=2))

    results.put(make_result("1"))

    assert (results.planned, results.with_changes, len(list(results))) == (0, [], 1)
