"""Invariants 2 and 3: who was written to and with what, and whether the report and the books agree on it.

The moment of a write cannot be guarded: IAM knows no conditional attach. So what is held is the look: the last answer
about a user's devices before the write said none, and between that answer and the write the run did nothing else for
that user; nor for any other, where the account has too few for several threads. Somebody who enrols in that gap is
enforced, and locked out of nothing: with MFA the policy denies nothing.

A write whose answer was lost, and of which no later answer told, is undetermined. The report must call it failed, or
not reached where the run was told to end; it must never call it enforced, nor leave the user out.

Nobody is reported as enforced unless the policy was ours at the next look after the write, in the same session. Whoever
was given one that was not ours by then, or that no look could be taken at, has failed, though the write stands.
"""

from collections.abc import Iterator

from orchestrator.concurrency.work_sharing import ITEMS_PER_HELPER
from orchestrator.domain.model import Outcome, Status
from orchestrator.reports.report import AccountReport, UserReport
from tests.chaos.book import Book, Entry, Fate
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import Violation
from tests.chaos.invariants_of_policies import POLICY_ACTIONS
from tests.chaos.world import POLICY, World, policy_arn

WAY = {"AttachUserPolicy": "user", "AddUserToGroup": "group"}
_TELLING = {"user": ("AttachUserPolicy", "ListAttachedUserPolicies"), "group": ("AddUserToGroup", "ListGroupsForUser")}
_DEVICES, _POLICY, _TEXT, _GROUP = "ListMFADevices", "GetPolicy", "GetPolicyVersion", "ListAttachedGroupPolicies"
_LOOKS = frozenset({_DEVICES, _POLICY, _TEXT, _GROUP, "ListGroupPolicies", "GetLoginProfile", *WAY})


def check_writes(evidence: Evidence, book: Book, world: World) -> Iterator[Violation]:
    """Yield the writes that must not have been made, tries included that had no effect."""
    entries = list(book.of_run(evidence.run_id))
    for position, entry in enumerate(entries):
        if entry.changes_iam:
            before = [other for other in entries[:position] if other.call.account_id == entry.call.account_id]
            looked_at = {other.user_name for other in entries if other.action == _DEVICES and _is_with(other, entry)}
            is_shared = len(looked_at) >= ITEMS_PER_HELPER
            texts = _write(entry, before, world, is_shared=is_shared)
            yield from (Violation(2, f"{_name(entry)}: {text}") for text in texts)


def check_truth(evidence: Evidence, book: Book) -> Iterator[Violation]:
    """Yield where the books and the report differ on what was written."""
    effects = [entry for entry in book.effects(evidence.run_id) if entry.action in WAY]
    over = book.ended_at.get(evidence.run_id)
    for entry in effects:
        if over is not None and entry.number >= over:
            yield Violation(3, f"{_name(entry)}: written after the run was over")
    report = evidence.best_report
    if report is None:
        if effects and evidence.code == 0:
            yield Violation(3, f"{len(effects)} writes, exit code 0 and no report")
        return
    reported = {(account.id, user.name): (account, user) for account in report.accounts for user in account.users}
    yield from _differences(effects, reported, evidence, book=book)


def _differences(
    effects: list[Entry],
    reported: dict[tuple[str, str], tuple[AccountReport, UserReport]],
    evidence: Evidence,
    *,
    book: Book,
) -> Iterator[Violation]:
    """Yield the writes that the report does not tell of, and the enforcement that was never written."""
    last = {(entry.call.account_id, entry.user_name): entry for entry in effects}
    for key, entry in last.items():
        text = _untold(entry, reported.get(key), book, evidence) or _unwatched(entry, reported.get(key), book, evidence)
        if text:
            yield Violation(3, f"{_name(entry)}: {text}")
    for key, (account, user) in reported.items():
        if user.outcome is Outcome.ENFORCED and key not in last and not _was_met(key, evidence, book):
            yield Violation(3, f"{account.name}: {user.name} is reported as enforced, and nothing was written")


def _was_met(key: tuple[str, str], evidence: Evidence, book: Book) -> bool:
    """Return whether a run tried in vain to write to a user to whom another run did: no answer tells the two apart."""
    tries = [entry for entry in book.writes(evidence.run_id) if (entry.call.account_id, entry.user_name) == key]
    later = book.entries[tries[0].number :] if tries else []
    effects = (entry for entry in later if entry.session is not None and entry.took_effect and entry.action in WAY)
    return any((entry.call.account_id, entry.user_name) == key for entry in effects)


def _write(entry: Entry, before: list[Entry], world: World, *, is_shared: bool) -> Iterator[str]:
    """Yield what is wrong with one write, from the calls that the run made in its account before."""
    call = entry.call
    if entry.session is None or not entry.session.can_write or entry.session.role != "orgmfa-member":
        yield "made in a session that may not write"
    if entry.action not in WAY:
        if not world.owns_policy or entry.action not in POLICY_ACTIONS:
            yield "is no write that enforcing makes"
        return
    if entry.action == "AttachUserPolicy" and call.parameters.get("PolicyArn") != policy_arn(call.account_id):
        yield f"attaches {call.parameters.get('PolicyArn')}"
    if entry.action == "AddUserToGroup" and call.parameters.get("GroupName") != POLICY:
        yield f"joins the group {call.parameters.get('GroupName')}"
    place, person = world.places.get(call.account_id), world.find(call.account_id, entry.user_name)
    if place is None or not place.is_entered:
        yield "in an account that is not to be entered"
    was_deleted = world.owns_policy and call.account_id in world.touched_places
    is_freed = was_deleted and person is not None and person.kind.enforced is not None
    if person is None or (person.kind.wanted is None and not is_freed):
        yield "to somebody who is to be left alone"
    yield from _looks(entry, before, is_shared=is_shared)


def _is_with(other: Entry, entry: Entry) -> bool:
    """Return whether two calls were made in the same session."""
    return other.session == entry.session and other.session is not None


def _looks(entry: Entry, before: list[Entry], *, is_shared: bool) -> Iterator[str]:
    """Yield which look is missing before a write, came too early, or was not heeded."""
    in_session = [other for other in before if _is_with(other, entry)]
    answered = [other for other in in_session if other.told]
    devices = _last(answered, _DEVICES, user_name=entry.user_name)
    if devices is None:
        yield "nobody looked at the user's devices before"
    else:
        if devices.user is not None and devices.user.devices:
            yield "the user had an MFA device when last looked at"
        between = [other for other in in_session if other.number > devices.number]
        own = {"", entry.user_name}
        if not is_shared and (strange := [other.action for other in between if other.user_name not in own]):
            yield f"between the look at the user and the write: {strange}"
        if strange := [other.action for other in between if other.user_name in own and other.action not in _LOOKS]:
            yield f"between the look at the user and the write: {strange}"
    # GetPolicy tells the default version. The text of a version never changes: it is read once a run.
    policy = _last(answered, _POLICY)
    was_read = _last([other for other in before if other.told], _TEXT) is not None
    if policy is None or policy.policy is None or not policy.policy.policy_is_ours or not was_read:
        yield "the policy was not ours when last looked at, or was not looked at"
    if entry.action == "AddUserToGroup":
        group = _last(answered, _GROUP)
        if group is None or group.policy is None or not group.policy.group_is_ours:
            yield "the group was not ours when last looked at, or was not looked at"


def _untold(
    entry: Entry,
    reported: tuple[AccountReport, UserReport] | None,
    book: Book,
    evidence: Evidence,
) -> str:
    """Return how the report fails to tell of a write that took effect, or nothing where it does."""
    way = WAY[entry.action]
    if reported is not None and reported[1].outcome is Outcome.ENFORCED:
        return "" if reported[1].via == way else f"reported as enforced via {reported[1].via}, written via {way}"
    later = (other for other in book.of_run(evidence.run_id) if other.number >= entry.number)
    if any(_tells(other, entry) for other in later):
        is_failed = reported is not None and reported[1].outcome is Outcome.FAILED
        if is_failed and _may_be_another(entry, book, evidence):
            return ""
        outcome = reported[1].outcome.value if reported else "left out"
        why = reported[1].error.message if reported and reported[1].error else ""
        return f"AWS told the run that the write stands; the user is {outcome}: {why}"
    if reported is None:
        state = evidence.ends.get((entry.call.account_id, entry.user_name))
        is_gone = state is not None and not state.exists
        return "" if is_gone else "its answer was lost, and the user is left out of the report"
    account, user = reported
    is_said = user.outcome is Outcome.FAILED or account.status in {Status.FAILED, Status.NOT_REACHED}
    return "" if is_said else f"its answer was lost, and the user is {user.outcome.value}"


def _unwatched(entry: Entry, reported: tuple[AccountReport, UserReport] | None, book: Book, evidence: Evidence) -> str:
    """Return why a user must not be called enforced: the policy was not ours at the next look, or there was none."""
    if reported is None or reported[1].outcome is not Outcome.ENFORCED:
        return ""
    answered = [look for look in _later_looks(entry, book, evidence) if look.told]
    if answered:
        return "" if _saw_ours(answered[0]) else "reported as enforced, with a policy that is not ours"
    is_over = reported[0].status is Status.INSPECTED
    return "reported as enforced, and nobody looked at the policy after it" if is_over else ""


def _may_be_another(entry: Entry, book: Book, evidence: Evidence) -> bool:
    """Return whether no look at the policy after a write vouches for it: it failed, or saw one that is not ours."""
    looks = _later_looks(entry, book, evidence)  # none where the look at the group before it failed
    return not looks or not all(look.told and _saw_ours(look) for look in looks)


def _saw_ours(look: Entry) -> bool:
    return look.policy is not None and look.policy.policy_is_ours


def _later_looks(entry: Entry, book: Book, evidence: Evidence) -> list[Entry]:
    """Return the looks at the policy after a write, in its session."""
    later = (other for other in book.of_run(evidence.run_id) if other.number > entry.number)
    return [other for other in later if other.action == _POLICY and _is_with(other, entry)]


def _tells(entry: Entry, write: Entry) -> bool:
    """Return whether an answer told the run that this write stands."""
    is_same_user = entry.call.account_id == write.call.account_id and entry.user_name == write.user_name
    return is_same_user and entry.told and entry.action in _TELLING[WAY[write.action]]


def _last(entries: list[Entry], action: str, *, user_name: str | None = None) -> Entry | None:
    found = [entry for entry in entries if entry.action == action and user_name in (None, entry.user_name)]
    return found[-1] if found else None


def _name(entry: Entry) -> str:
    lost = " (answer lost)" if entry.fate is Fate.LOST else ""
    return f"{entry.call.account_id}/{entry.user_name}: {entry.action}{lost}"
