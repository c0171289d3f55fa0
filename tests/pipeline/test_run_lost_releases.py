"""What a run says of releases whose notes the archive has lost."""

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import make_config
from tests.pipeline.days import PAYMENTS, SEARCH, Days
from tests.pipeline.stage import outcomes


@pytest.mark.parametrize("slack", [{"users": "counts"}, {}])
def test_lost_release_is_told_by_account_and_names_nobody(days: Days, slack: dict[str, Any]) -> None:
    days.slack.has_thread = True
    days.play(0)
    days.play(1, "release", release_for=timedelta(days=30))
    days.play(2, "plan")
    days.store.files = {name: text for name, text in days.store.files.items() if not name.startswith("releases/")}

    report = days.play(3, "plan", make_config(slack=slack))

    (error,) = report.errors
    assert (error.code, error.message.partition("until then: ")[2]) == (
        "release_lost",
        f"2 users in 2 accounts ({PAYMENTS}, {SEARCH})",
    )
    assert {one.user_name for one in report.releases} == {"alice", "carol"}
    assert outcomes(report) == {"alice": "in_grace", "bob": "none", "carol": "in_grace"}
    if slack:
        said = f"{days.slack.messages[-1]} {days.slack.replies[-1]}"
        assert "release_lost" in said
        assert not {name for name in ("alice", "carol") if name in said}
