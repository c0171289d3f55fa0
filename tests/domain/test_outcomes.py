import pytest

from orchestrator.domain.model import Mode, Outcome
from orchestrator.domain.outcomes import OUTCOMES, OutcomeGroup, label_of, outcomes_of, total_name
from orchestrator.reports.report import Totals, exit_code
from tests.builders import make_run_report, make_seen, make_seen_account


def test_every_outcome_has_one_row() -> None:
    assert sorted(OUTCOMES) == sorted(Outcome)


@pytest.mark.parametrize("mode", list(Mode))
def test_no_two_outcomes_are_called_the_same(mode: Mode) -> None:
    assert len({label_of(outcome, mode) for outcome in Outcome}) == len(Outcome)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_counted_in_the_totals_under_a_name_of_its_own(outcome: Outcome) -> None:
    report = make_run_report(make_seen_account(make_seen("alice", outcome), make_seen("bob", outcome)))

    assert report.totals.of(outcome) == getattr(report.totals, total_name(outcome)) == 2
    assert report.totals.of(*Outcome) == report.totals.users == 2


@pytest.mark.parametrize("outcome", list(Outcome))
def test_exit_code_is_one_where_an_outcome_is_to_fix(outcome: Outcome) -> None:
    report = make_run_report(make_seen_account(make_seen("alice", outcome)))

    assert exit_code(report) == (outcome in outcomes_of(OutcomeGroup.TO_FIX))


def test_totals_keep_the_order_that_is_published() -> None:
    assert list(Totals.model_fields) == [
        "accounts", "inspected", "failed", "not_reached", "skipped", "users", "compliant", "non_compliant", "unknown",
        "mfa_virtual", "mfa_other", "none", "planned", "enforced", "already_enforced", "released", "exempt", "in_grace",
        "guarded", "out_of_scope", "held", "quota_exceeded", "failed_users",
    ]  # fmt: skip
