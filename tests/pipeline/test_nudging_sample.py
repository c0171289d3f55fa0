"""The message that a plan shows is the one that an apply run sends."""

from typing import Any

import pytest

from orchestrator.output.run_notes import show_sample
from tests.builders import make_config
from tests.pipeline.days import PAYMENTS, Days


@pytest.mark.parametrize(
    ("changes", "is_refused", "day"),
    [
        pytest.param({}, False, 0, id="first"),
        pytest.param({}, False, 6.5, id="a day is left"),
        pytest.param({}, False, 8, id="enforced"),
        pytest.param({"required": True}, False, 0, id="first, required"),
        pytest.param({"required": True}, True, 3, id="first, required, days late"),
        pytest.param({"required": True}, True, 30, id="first, required, after the notice"),
    ],
)
def test_sample_of_a_plan_is_what_is_sent(days: Days, changes: dict[str, Any], day: float, *, is_refused: bool) -> None:
    nudge = {"via": "slack", "domains": ["acme.com"]} | changes
    config = make_config(enforcement={"notice": "7d"}, nudge=nudge)
    days.change(PAYMENTS, "alice", tags=(("email", "alice@acme.com"),))
    days.messenger.refuses = {"alice@acme.com"} if is_refused else set()
    if day:
        days.play(0, config=config)
    days.messenger.refuses = set()

    sample = show_sample(days.play(day, "plan", config), config)
    days.play(day, config=config)

    *_, (_, sent) = days.messenger.sent
    assert sample.partition("would say:\n\n")[2] == sent
