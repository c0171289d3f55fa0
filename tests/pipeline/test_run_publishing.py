"""Archive, findings and digest of whole runs against an organization in memory."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.errors import ArchiveError, NotFound, NotSubscribed
from orchestrator.domain.model import Refused, Trigger
from orchestrator.reports.report import exit_code
from tests.builders import NOW, make_config, make_user
from tests.fakes import FakeChannel, FakeEventBus, FakeSecurityHub, fail
from tests.pipeline.stage import Stage, outcomes


def test_report_is_archived_then_the_digest_sent_once(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))

    finished = stage.finish()

    assert finished.address == "memory:runs/2026/03/02/run-1.json.gz"
    assert list(stage.store.files) == ["runs/2026/03/02/run-1.json.gz", "accounts/date=2026-03-02/run-1.jsonl.gz"]
    assert len(stage.slack.messages) == 1


def test_digest_that_cannot_be_sent_fails_the_run_after_the_report_is_archived(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.slack.refuses = True

    report = stage.play()

    assert [(error.stage, error.code) for error in report.errors] == [("digest", "digest_failed")]
    assert "runs/2026/03/02/run-1.json.gz" in stage.store.files
    assert exit_code(report) == 1


def test_findings_are_imported_and_archived_on_enrolment(stage: Stage) -> None:
    hub = stage.securityhub = FakeSecurityHub()
    fake = stage.aws.add(make_user("alice"), make_user("bob"))
    stage.play("plan", run_id="run-1")
    fake.users["alice"] = make_user("alice", has_mfa=True)

    report = stage.play("plan", run_id="run-2", started_at=NOW + timedelta(minutes=1))

    assert report.errors == ()
    states = {name: finding["RecordState"] for name, finding in hub.findings.items()}
    assert states == {"alice": "ARCHIVED", "bob": "ACTIVE"}


def test_release_imports_no_findings(stage: Stage) -> None:
    hub = stage.securityhub = FakeSecurityHub()
    stage.aws.add(make_user("alice"))

    stage.play("release")

    assert hub.findings == {}


def test_findings_that_cannot_be_imported_fail_the_run_and_the_digest_tells_of_it(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    error = fail(NotSubscribed, "InvalidAccessException", "BatchImportFindings")
    stage.securityhub = FakeSecurityHub(error=error)

    report = stage.play()

    (problem,) = report.errors
    assert (problem.stage, problem.code) == ("findings", "InvalidAccessException")
    assert problem.remedy == (
        "Switch Security Hub CSPM on in account 999999999999, Region eu-central-1, or set securityhub.enabled: false."
    )
    assert outcomes(report) == {"alice": "enforced"}
    assert "runs/2026/03/02/run-1.json.gz" in stage.store.files
    assert len(stage.slack.messages) == 1
    assert exit_code(report) == 1


def test_findings_that_are_refused_fail_the_run(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.securityhub = FakeSecurityHub(refused=(Refused("orgmfa/o/1/alice", "InvalidInput", "no"),))

    (error,) = stage.play().errors

    assert (error.stage, error.code) == ("findings", "findings_refused")
    assert error.message == "Security Hub CSPM refused 1 of 1 findings (InvalidInput)"


def test_interrupted_run_tells_that_its_findings_are_left(stage: Stage) -> None:
    hub = stage.securityhub = FakeSecurityHub()
    stage.aws.add(make_user("alice"))
    stage.aws.before = lambda action, *_: stage.cancellation.event.set() if action == "look" else None

    report = stage.play()

    assert hub.findings == {}
    assert "findings_left" in [error.code for error in report.errors]


def test_archive_that_cannot_be_written_fails_the_run_and_the_digest_still_goes_out(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.store.broken["write"] = ArchiveError("the archive: no space left")

    report = stage.play()

    assert [error.stage for error in report.errors] == ["archive"]
    assert len(stage.slack.messages) == 1
    assert exit_code(report) == 1


@pytest.mark.parametrize(
    ("settings", "trigger", "has_mfa", "messages"),
    [
        ({"when": "always"}, Trigger.SCHEDULE, True, 1),
        ({"when": "findings"}, Trigger.SCHEDULE, True, 0),
        ({"when": "findings"}, Trigger.SCHEDULE, False, 1),
        ({"when": "always"}, Trigger.ONBOARDING, True, 0),
        ({"when": "always"}, Trigger.ONBOARDING, False, 1),
    ],
)
def test_digest_goes_out_when_it_is_wanted(
    stage: Stage, settings: dict[str, str], trigger: Trigger, has_mfa: bool, messages: int
) -> None:
    stage.aws.add(make_user("alice", has_mfa=has_mfa))

    stage.play("plan", make_config(slack=settings), trigger=trigger, targets=("000000000001",))

    assert len(stage.slack.messages) == messages


@pytest.mark.parametrize("trigger", [Trigger.CLI, Trigger.SCHEDULE])
def test_page_is_attached_to_the_digest_where_that_is_wanted(stage: Stage, trigger: Trigger) -> None:
    stage.aws.add(make_user("alice"))

    report = stage.play(config=make_config(slack={"attach": True}), trigger=trigger)

    [(name, page)] = stage.slack.files.items()
    assert name == f"orgmfa-{report.run_id}.html"
    assert b"alice" in page
    assert len(stage.slack.messages) == 1
    assert report.errors == ()


@pytest.mark.parametrize("settings", [{}, {"attach": True, "when": "findings"}])
def test_no_page_is_attached_by_default_or_without_a_digest(stage: Stage, settings: dict[str, Any]) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))

    stage.play(config=make_config(slack=settings))

    assert stage.slack.files == {}


def test_page_that_cannot_be_attached_fails_the_run_and_the_digest_went_out_once(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.slack.refuses_files = True

    report = stage.play(config=make_config(slack={"attach": True}))

    assert [(error.stage, error.code) for error in report.errors] == [("digest", "attach_failed")]
    assert len(stage.slack.messages) == 1
    assert exit_code(report) == 1


def test_every_channel_is_told_of_a_run_whatever_another_one_refuses(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.slack.refuses = True
    first, second = stage.channels = (FakeChannel(), FakeChannel())

    report = stage.play()

    assert [error.code for error in report.errors] == ["digest_failed"]
    assert [told.totals for told in (*first.reports, *second.reports)] == [report.totals] * 2
    assert b"alice" in first.page


def test_thread_follows_the_digest_where_there_is_one(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=False))
    stage.slack.has_thread = True

    report = stage.play()

    assert report.errors == ()
    assert (len(stage.slack.messages), len(stage.slack.replies)) == (1, 1)
    assert "enforced: alice" in stage.slack.replies[0]


def test_thread_that_cannot_be_posted_fails_the_run_and_the_digest_went_out_once(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=False))
    stage.slack.has_thread = stage.slack.refuses_files = True

    report = stage.play()

    assert [(error.stage, error.code) for error in report.errors] == [("digest", "attach_failed")]
    assert (len(stage.slack.messages), stage.slack.replies) == (1, [])


def test_nothing_is_attached_to_a_digest_that_was_refused(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.slack.refuses = True

    report = stage.play(config=make_config(slack={"attach": True}))

    assert [error.code for error in report.errors] == ["digest_failed"]
    assert stage.slack.files == {}


def test_report_that_was_archived_has_its_address_where_the_archive_fails_afterwards(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.store.files["runs/2024/01/01/old.json.gz"] = b""
    stage.store.written_at = NOW - timedelta(days=401)
    stage.store.broken["delete"] = ArchiveError("the archive: denied")

    finished = stage.finish()

    (error,) = finished.report.errors
    assert (error.stage, error.code) == ("archive", "archive_failed")
    assert error.remedy == "Make archive.location writable; this report was archived, not all that goes with it."
    assert finished.address == "memory:runs/2026/03/02/run-1.json.gz"


def test_event_of_a_run_has_its_addresses_and_counts_and_names_nobody(stage: Stage) -> None:
    bus = stage.event_bus = FakeEventBus()
    stage.aws.add(make_user("alice"), make_user("bob"))
    config = make_config(archive={"link": "https://runs.example.com/{run_id}"}, limits={"max_changes_per_run": 1})
    stage.play("plan", config, run_id="run-0", started_at=NOW - timedelta(days=1))

    report = stage.play(config=config, trigger=Trigger.SCHEDULE)

    event = bus.events[-1]
    assert event["run_id"] == "run-1"
    assert (event["mode"], event["trigger"], event["gate"], event["exit_code"]) == (
        "apply",
        "schedule",
        "over_limit",
        1,
    )
    assert event["report"] == "memory:runs/2026/03/02/run-1.json.gz"
    assert event["page"] == "memory:runs/2026/03/02/run-1.html"
    assert event["link"] == "https://runs.example.com/run-1"
    assert event["totals"] == report.totals.model_dump()
    assert [name in str(bus.events) for name in ("alice", "bob", "account-01")] == [False] * 3


def test_event_tells_what_changed_in_counts(stage: Stage) -> None:
    bus = stage.event_bus = FakeEventBus()
    fake = stage.aws.add(make_user("alice"), make_user("bob"))
    stage.play("plan", run_id="run-1")
    fake.users["alice"] = make_user("alice", has_mfa=True)

    stage.play("plan", run_id="run-2", started_at=NOW + timedelta(minutes=1))

    first, second = bus.events
    assert first["changes"] is None
    assert {name: count for name, count in second["changes"].items() if count} == {
        "since_run_id": "run-1",
        "since": "2026-03-02T12:00:00Z",
        "enrolled": 1,
    }


def test_event_comes_last_and_has_the_errors_of_archive_and_digest(stage: Stage) -> None:
    bus = stage.event_bus = FakeEventBus()
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.slack.refuses = True
    stage.store.broken["write"] = ArchiveError("the archive: no space left")

    stage.play(trigger=Trigger.SCHEDULE)

    (event,) = bus.events
    codes = [("archive", "archive_failed"), ("digest", "digest_failed")]
    assert [(error["stage"], error["code"]) for error in event["errors"]] == codes
    assert (event["report"], event["page"], event["link"], event["exit_code"]) == (None, None, None, 1)


def test_event_that_cannot_be_put_fails_the_run_after_the_digest(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.event_bus = FakeEventBus(error=fail(NotFound, "ResourceNotFoundException", "DescribeEventBus"))

    report = stage.play()

    (problem,) = report.errors
    assert (problem.stage, problem.code) == ("event", "ResourceNotFoundException")
    assert problem.remedy.startswith("Make the event bus security in this account and Region")
    assert outcomes(report) == {"alice": "enforced"}
    assert len(stage.slack.messages) == 1
    assert exit_code(report) == 1


def test_runs_older_than_the_archive_keeps_are_deleted(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.store.files["runs/2024/01/01/old.json.gz"] = b""
    stage.store.written_at = NOW - timedelta(days=401)

    stage.play("plan")

    assert "runs/2024/01/01/old.json.gz" not in stage.store.files
