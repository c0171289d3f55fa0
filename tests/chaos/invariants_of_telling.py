"""Invariant 5: what the run puts out tells of its failures, and gives no secret away."""

from collections.abc import Iterator

from orchestrator.domain.model import Outcome, Status
from orchestrator.output.slack.digest import FEW
from orchestrator.output.words import title_of
from orchestrator.reports.report import RunReport
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import Violation
from tests.chaos.invariants_of_ends import allowed_ends, can_enforce
from tests.chaos.server import SECRET
from tests.chaos.world import World

_UNRESOLVED = {Outcome.FAILED, Outcome.HELD, Outcome.QUOTA_EXCEEDED}
_FATAL = {"select", "archive", "digest"}


def check_telling(evidence: Evidence, world: World) -> Iterator[Violation]:
    """Yield where a failure is not told, or a secret is."""
    yield from (Violation(5, text) for text in _secrets(evidence))
    if evidence.defect:
        yield Violation(5, f"what must not happen: {evidence.defect[-1500:]}")
    report = evidence.best_report
    if report is None:
        if evidence.code == 0 and evidence.kind != "lambda":
            yield Violation(5, "exit code 0 without a report")
        return
    yield from (Violation(5, text) for text in _code(evidence, report))
    yield from (Violation(5, text) for text in _success(evidence, report, world))
    if not evidence.was_killed:
        yield from (Violation(5, text) for text in _digest(evidence, report))
        yield from (Violation(5, text) for text in _archive(evidence, report))
    for account in report.accounts:
        if account.error is not None and "defect of orgmfa" in account.error.remedy:
            yield Violation(5, f"{account.name} ended in a defect: {account.error.message}")


def _secrets(evidence: Evidence) -> Iterator[str]:
    for text in (SECRET, *evidence.secret_texts):
        if (place := evidence.said.find(text)) >= 0:
            yield f"a secret was put out: ...{evidence.said[max(0, place - 160) : place + 60]!r}"


def must_fail(report: RunReport) -> bool:
    """Return whether the exit code of a run must be 1, as the contract has it."""
    users = [user for account in report.accounts for user in account.users]
    judges = report.mode.value != "release"
    is_unresolved = any(user.outcome in _UNRESOLVED or (judges and user.verdict == "unknown") for user in users)
    is_left = any(account.status in {Status.FAILED, Status.NOT_REACHED} for account in report.accounts)
    return bool(report.gate or report.errors or not report.complete or is_unresolved or is_left)


def _code(evidence: Evidence, report: RunReport) -> Iterator[str]:
    if evidence.was_killed:
        return
    if evidence.kind == "lambda":
        is_fatal = not report.complete or any(error.stage.value in _FATAL for error in report.errors)
        if is_fatal and evidence.code == 0:
            yield "the invocation returned a result, though its run failed"
        return
    if evidence.code != int(must_fail(report)):
        yield f"exit code {evidence.code}, and the report says {int(must_fail(report))}"


def _success(evidence: Evidence, report: RunReport, world: World) -> Iterator[str]:
    """Yield who was not dealt with, where the run says that all is well."""
    if evidence.kind == "lambda" or evidence.code != 0 or evidence.mode != "apply":
        return
    for person in world.people():
        key = (person.account_id, person.name)
        place = world.places[person.account_id]
        is_theirs = person.kind.wanted is not None and place.is_entered and key not in world.touched
        if not is_theirs or person.account_id in world.touched_places or key in evidence.guarded:
            continue
        state = evidence.ends[key]
        reached = "user" if state.has_policy else "group" if state.in_group else None
        if reached not in allowed_ends(person, state, world) and can_enforce(place, world):
            yield f"exit code 0, and {person.account_id}/{person.name} is not enforced"


def _digest(evidence: Evidence, report: RunReport) -> Iterator[str]:
    if not evidence.wants_digest:
        return
    if len(evidence.messages) > 1:
        yield f"{len(evidence.messages)} digests"
    if not evidence.messages:
        is_in_report = any(error.stage == "digest" for error in report.errors)
        if not (evidence.code != 0 if evidence.kind == "lambda" else is_in_report):
            yield "no digest arrived, and nothing says so"
        return
    text = "\n".join([evidence.messages[0].text, *evidence.messages[0].texts])
    failed = [account for account in report.accounts if account.status in {Status.FAILED, Status.NOT_REACHED}]
    is_whole = len(failed) <= FEW and "more cause" not in text
    if is_whole and (left := [account.id for account in failed if title_of(account) not in text]):
        yield f"the digest does not name the failed accounts {left}"


def _archive(evidence: Evidence, report: RunReport) -> Iterator[str]:
    is_said = any(error.stage == "archive" for error in report.errors)
    if evidence.archived is None:
        if not is_said:
            yield "the report is not in the archive, and nothing says so"
        return
    if evidence.archived.accounts != RunReport.model_validate_json(report.model_dump_json()).accounts:
        yield "the archived report tells another story than the run"
