"""The event of a finished run, and its published schema."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from orchestrator.domain.model import Gate, Stage
from orchestrator.reports.report import ChangedUser, Changes, ProblemReport
from orchestrator.reports.run_finished import ChangeCounts, ErrorCode, describe_run
from tests.builders import NOW, make_run_report, make_seen, make_seen_account

SCHEMA = json.loads(Path(__file__).parents[2].joinpath("docs/run-finished.schema.json").read_text(encoding="utf-8"))
ALICE = ChangedUser(account_id="111122223333", account_alias="acme-payments", account_name="payments", name="alice")
CHANGES = Changes(since_run_id="run-0", since=NOW, newly_enforced=(ALICE, ALICE))
GATE = Gate(code="stopped", planned=1, limit=None, message="alice", remedy="alice")
PUT_EVENTS_BYTES = 256 * 1024


def describe(**changes: Any) -> dict[str, Any]:
    report = make_run_report(make_seen_account(make_seen("alice")), **changes)
    event: dict[str, Any] = json.loads(describe_run(report, address="a", page="p", link="l").model_dump_json())
    return event


@pytest.mark.parametrize("changes", [{}, {"changes": CHANGES}, {"gate": GATE, "complete": False, "narrowed": True}])
def test_event_is_as_the_published_schema_says_and_names_nobody(changes: dict[str, Any]) -> None:
    event = describe(**changes)

    Draft202012Validator(SCHEMA).validate(event)
    assert set(event) == set(SCHEMA["properties"])
    assert not any(name in json.dumps(event) for name in ("alice", "payments", "111122223333"))


def test_every_kind_of_change_is_counted() -> None:
    """A new kind of change needs its count here, in the schema and in the changelog."""
    assert set(ChangeCounts.model_fields) == set(Changes.model_fields)
    assert describe(changes=CHANGES)["changes"]["newly_enforced"] == 2


def test_errors_are_told_once_each_without_their_words_and_fit_into_an_event() -> None:
    errors = [
        ProblemReport(stage=Stage.SELECT, code="user_not_found", message=f"no user {number}", remedy="Check the name.")
        for number in range(10_000)
    ]
    report = make_run_report(errors=errors)

    event = describe_run(report, address=None, page=None, link=None)

    assert event.errors == (ErrorCode(stage=Stage.SELECT, code="user_not_found"),)
    assert len(event.model_dump_json()) < PUT_EVENTS_BYTES / 10
