"""Archive, findings and digest of whole runs against an organization in memory."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.errors import ArchiveError, NotSubscribed
from orchestrator.domain.model import Refused, Trigger
from orchestrator.reports.report import exit_code
from tests.builders import NOW, make_config, make_user
from tests.fakes import FakeChannel, FakeSecurityHub, fail
from tests.pipeline.stage import Stage, outcomes


def test_report_is_archived_then_the_digest_sent_once(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))

    finished = stage.finish()

    assert finished.address == "memory:runs/2026/03/02/run-1.json.gz"
    assert list(stage.store.files) == ["runs/2026/03/02/run-1.json.gz"]
    assert len(stage.slack.messages) == 1


def test_digest_that_cannot_be_sent_fails_the_run_after_the_report_is_archived(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.slack.refuses = True

    report = stage.play()

    assert [(error.stage, error.code) for error in report.errors] == [("digest", "digest_failed")]
    assert len(stage.store.files) == 1
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
    assert len(stage.store.files) == len(stage.slack.messages) == 1
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


def test_runs_older_than_the_archive_keeps_are_deleted(stage: Stage) -> None:
    stage.aws.add(make_user("alice", has_mfa=True))
    stage.store.files["runs/2024/01/01/old.json.gz"] = b""
    stage.store.written_at = NOW - timedelta(days=401)

    stage.play("plan")

    assert "runs/2024/01/01/old.json.gz" not in stage.store.files
