"""The preflight of an SCP on one screen."""

from io import StringIO

import pytest
from rich.console import Console

from orchestrator.domain.model import Mode
from orchestrator.output.terminal import Shown
from orchestrator.output.terminal.preflight import print_preflight
from tests.builders import NOW, make_config, make_run_report, make_seen, make_seen_account
from tests.output.terminal.report_samples import flat, written


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ("90d", "90 days"),
        ("1d", "1 day"),
        ("36h", "36 hours"),
        ("48h", "2 days"),
        ("1h", "1 hour"),
        ("90m", "90 minutes"),
        ("30m", "30 minutes"),
    ],
)
def test_keys_are_told_with_the_time_that_counts_as_use(window: str, words: str) -> None:
    user = make_seen(active_access_keys=1, keys_last_used=NOW)
    console = Console(file=StringIO(), width=200)
    config = make_config(limits={"hold_keys_used_within": window})

    print_preflight(
        make_run_report(make_seen_account(user), mode=Mode.PLAN, preflight="scp"), console, Shown(), config=config
    )

    assert f"1 with access keys used in the last {words}, which would stop: alice" in flat(written(console))
