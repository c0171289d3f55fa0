"""The checks of the configuration: limits and exemptions."""

from datetime import timedelta

import pytest

from orchestrator.doctor.config_checks import check_exemptions, check_limits
from orchestrator.domain.config import Config
from tests.builders import NOW, make_config
from tests.doctor.command import OK, PROBLEM


@pytest.mark.parametrize("name", ["max_changes_per_account", "max_changes_per_run", "max_share_per_account"])
def test_limit_of_nothing_is_a_problem(name: str) -> None:
    told = check_limits(make_config(limits={name: 0}))

    assert told.status is PROBLEM
    assert f"limits.{name}" in told.message


def test_no_limit_is_said() -> None:
    assert (
        "any number of changes an account"
        in check_limits(make_config(limits={"max_changes_per_account": None})).message
    )


def test_exemptions_that_have_ended_are_named_and_are_no_problem() -> None:
    entries = [
        {"user": "old-*", "reason": "r", "until": NOW.date() - timedelta(days=1)},
        {"user": "new-*", "reason": "r", "until": NOW.date()},
    ]

    told = check_exemptions(make_config(exemptions=entries), NOW)

    assert (told.status, told.message) == (OK, "1 in force; ended: old-* on 2026-03-01")
    assert told.remedy
    assert check_exemptions(Config(), NOW).remedy == ""
