"""Runs that are interrupted, or come to their deadline, against an organization in memory."""

from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.model import AccountResult, Status
from orchestrator.domain.model import Stage as RunStage
from orchestrator.pipeline.apply import Progress, as_not_reached
from orchestrator.pipeline.executor import explain_unreached, leave_out
from orchestrator.pipeline.results import Results
from orchestrator.reports.report import exit_code
from tests.builders import make_account, make_config, make_user
from tests.fakes import FakeObserver
from tests.pipeline.stage import Stage, outcomes


def test_run_that_breaks_leaves_no_thread_behind(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_with_defect(*_: Any, **__: Any) -> None:
        raise KeyError("a defect")

    stage.aws.add(make_user("alice"))
    monkeypatch.setattr(stage.observer, "done", fail_with_defect)

    with pytest.raises(KeyError):
        stage.play()

    for thread in enumerate_threads():
        if thread.name.startswith(("listing", "account")):
            thread.join(20)
            assert not thread.is_alive()


def test_interrupted_run_writes_nothing_more_and_reports_every_account_it_knew(stage: Stage) -> None:
    for _ in range(40):
        stage.aws.add(make_user(f"user{len(stage.aws.accounts)}"))

    def interrupt(action: str, account_id: str, subject: str) -> None:
        if action == "inspect" and account_id == "000000000003":
            stage.cancellation.event.set()

    stage.aws.before = interrupt

    report = stage.play(config=make_config(concurrency={"workers": 1}))

    assert stage.aws.writes() == []
    assert report.totals.accounts == 40 or not report.complete
    assert report.totals.users == report.totals.planned >= 2
    assert report.totals.not_reached == report.totals.accounts
    assert [error.code for error in report.errors][-1] == "interrupted"
    assert exit_code(report) == 1
    assert [name for name in stage.store.files if name.startswith("runs/")] == ["runs/2026/03/02/run-1.json.gz"]


def test_run_interrupted_among_the_writes_tells_what_was_written_and_what_was_not(stage: Stage) -> None:
    stage.aws.add(make_user("alice"), make_user("bob"), make_user("carol"))
    stage.aws.add(make_user("dave"))

    def interrupt(action: str, account_id: str, subject: str) -> None:
        if (action, subject) == ("attach", "bob"):
            stage.cancellation.event.set()

    stage.aws.before = interrupt

    report = stage.play(config=make_config(concurrency={"workers": 1}))

    assert outcomes(report) == {"alice": "enforced", "bob": "enforced", "carol": "planned", "dave": "planned"}
    assert [account.status for account in report.accounts] == ["not_reached", "not_reached"]
    assert len(stage.aws.writes()) == 2
    assert exit_code(report) == 1


@pytest.mark.parametrize("look", ["look", "look_at_policy"])
def test_run_interrupted_while_it_looks_does_not_write_what_the_look_allows(stage: Stage, look: str) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob", has_mfa=True))

    def interrupt(action: str, account_id: str, subject: str) -> None:
        if stage.asked and action == look:
            stage.cancellation.event.set()

    stage.aws.before = interrupt

    report = stage.play()

    assert stage.aws.writes() == []
    assert outcomes(report)["alice"] == "planned"
    assert [account.status for account in report.accounts] == ["not_reached", "inspected"]
    assert exit_code(report) == 1


@pytest.mark.parametrize("mode", ["apply", "release"])
def test_run_interrupted_between_its_plan_and_the_first_write_says_that_nothing_was_written(
    stage: Stage, mode: str
) -> None:
    enforced = (
        {"attached_policy_arns": frozenset({"arn:aws:iam::000000000001:policy/EnforceMFA"})}
        if mode == "release"
        else {}
    )
    stage.aws.add(make_user("alice", **enforced))
    stage.aws.add(make_user("bob", has_mfa=True))

    class Interrupts(FakeObserver):
        def done(self, name: str, *, changes: int, failed: bool) -> None:
            super().done(name, changes=changes, failed=failed)
            if self.accounts_done == 2:
                stage.cancellation.event.set()

    stage.observer = Interrupts()

    report = stage.play(mode)

    assert (stage.asked, stage.aws.writes()) == ([], [])
    assert outcomes(report)["alice"] == "planned"
    assert [account.status for account in report.accounts] == ["not_reached", "inspected"]
    assert [error.code for error in report.errors] == ["interrupted"]
    assert exit_code(report) == 1
    assert not [name for name in stage.store.files if name.startswith("releases/")]


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_plan_that_is_interrupted_says_so_and_of_which_stage(stage: Stage, mode: str) -> None:
    for name in ("alice", "bob", "carol"):
        stage.aws.add(make_user(name))

    def interrupt(action: str, account_id: str, subject: str) -> None:
        if (action, account_id) == ("inspect", "000000000002"):
            stage.cancellation.event.set()

    stage.aws.before = interrupt
    report = stage.play(mode, make_config(concurrency={"workers": 1}))

    [error] = report.errors
    assert (error.stage, error.code) == ("inspect" if report.complete else "select", "interrupted")
    assert ("listed" in error.message) is not report.complete
    assert stage.aws.writes() == []


def test_listing_that_is_interrupted_is_no_fault_of_the_organization(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob"))
    stage.aws.add(make_user("carol"))

    def interrupt(action: str, account_id: str, subject: str) -> None:
        if (action, account_id) == ("list", "000000000002"):
            stage.cancellation.event.set()

    stage.aws.before = interrupt
    report = stage.play("plan")

    [error] = report.errors
    assert not report.complete
    assert (error.stage, error.code) == ("select", "interrupted")
    assert error.message.startswith("the run ended while accounts were still being listed")
    assert stage.observer.known == {}, "no total before all are listed"


def test_account_that_took_too_long_does_not_make_an_interrupted_apply_one_of_inspection() -> None:
    slow = leave_out(make_account("1"), "slow")
    left = as_not_reached(AccountResult(make_account("2"), Status.INSPECTED), Progress(), "interrupted")

    [problem] = explain_unreached(Results.of([slow, left]), "interrupted")

    assert problem.stage is RunStage.APPLY


def test_run_past_its_deadline_starts_nothing_more(stage: Stage) -> None:
    stage.aws.add(make_user("alice"))
    stage.aws.add(make_user("bob"))
    stage.cancellation = Cancellation.after(0)

    report = stage.play()

    assert stage.aws.writes() == []
    assert report.totals.not_reached == report.totals.accounts >= 1
    assert [error.code for error in report.errors] == ["deadline"]
