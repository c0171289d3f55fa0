"""Invariants 2 to 4 for `orgmfa release`, which undoes: what it takes off, whom it says it released, and what stays."""

from collections.abc import Iterator

from orchestrator.domain.model import Mode, Outcome, Status, Verdict
from tests.chaos.book import Book, Entry, UserState
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import Violation
from tests.chaos.world import POLICY, World, policy_arn

_TAKES_OFF = {"DetachUserPolicy": "PolicyArn", "RemoveUserFromGroup": "GroupName"}


def check_releases(evidence: Evidence, book: Book) -> Iterator[Violation]:
    """Yield where a release took off what it must not, or where report and books differ on whom it released."""
    for entry in book.writes(evidence.run_id):
        yield from (Violation(2, f"{entry.action} {entry.user_name}: {text}") for text in _write(entry))
    if evidence.best_report is None:
        return
    effects = {(entry.call.account_id, entry.user_name) for entry in book.effects(evidence.run_id)}
    for account in evidence.best_report.accounts:
        for user in account.users:
            key = (account.id, user.name)
            state = evidence.ends.get(key, UserState())
            is_free = not state.has_policy and not state.in_group
            if user.verdict is not Verdict.UNKNOWN:
                yield Violation(1, f"{key} is {user.verdict.value} by a release, which looked at nobody's MFA")
            if user.outcome is Outcome.RELEASED and not is_free:
                yield Violation(3, f"{key} is reported as released, and is not")
            is_said = user.outcome in {Outcome.RELEASED, Outcome.FAILED} or account.status is not Status.INSPECTED
            if key in effects and not is_said:
                yield Violation(3, f"{key} was written to, and is reported as {user.outcome.value}")


def check_freed(evidence: Evidence, book: Book) -> Iterator[Violation]:
    """Yield whom a release freed and any run enforced afterwards: the release is in force for days."""
    report = evidence.best_report
    if evidence.mode is not Mode.RELEASE or report is None:
        return
    users = {
        (account.id, user.name)
        for account in report.accounts
        for user in account.users
        if user.outcome is Outcome.RELEASED
    }
    freed = [entry for entry in book.effects(evidence.run_id) if (entry.call.account_id, entry.user_name) in users]
    freed_at = {(entry.call.account_id, entry.user_name): entry.number for entry in freed}
    for entry in book.entries:
        key = (entry.call.account_id, entry.user_name)
        is_late = entry.took_effect and entry.number > freed_at.get(key, len(book.entries))
        if is_late and entry.action in {"AttachUserPolicy", "AddUserToGroup"}:
            yield Violation(2, f"{key} was released, and enforced afterwards")


def check_released(again: Evidence, after: Evidence, book: Book, world: World) -> Iterator[Violation]:
    """Yield who is still enforced after a release that nothing disturbed, and who was enforced anew right after it."""
    for person in world.people():
        state = world.user_state(person.account_id, person.name)
        if state.has_policy or state.in_group:
            yield Violation(4, f"{person.account_id}/{person.name} is still enforced")
    if again.code != 0:
        yield Violation(4, f"the release after the fault ends with {again.code}")
    for entry in book.effects(after.run_id):
        yield Violation(2, f"{entry.call.account_id}/{entry.user_name} was released, and enforced by the next run")


def _write(entry: Entry) -> Iterator[str]:
    if entry.session is None or not entry.session.can_write or entry.session.role != "orgmfa-release":
        yield "made in a session that may not release"
    parameter = _TAKES_OFF.get(entry.action)
    if parameter is None:
        yield "is no write that releasing makes"
    elif entry.call.parameters.get(parameter) not in {POLICY, policy_arn(entry.call.account_id)}:
        yield f"takes off {entry.call.parameters.get(parameter)}"
