"""Invariants 2 and 3 for policy and group, where the program owns them: what is made of them, and what is told of it.

A policy with a text that is none of the program's is never changed, and a group that reaches anybody is never given a
policy. A change whose answer was lost, and that no later answer tells of, may be missing from the report; none may be
in it that was not made.
"""

import json
from collections.abc import Iterator

from orchestrator.domain.model import PolicyChange
from tests.chaos.book import Book, Entry
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import Violation
from tests.chaos.world import OURS, POLICY, World, policy_arn

_CHANGES = {
    "CreatePolicy": PolicyChange.CREATE_POLICY,
    "CreatePolicyVersion": PolicyChange.UPDATE_POLICY,
    "CreateGroup": PolicyChange.CREATE_GROUP,
    "AttachGroupPolicy": PolicyChange.ATTACH_GROUP_POLICY,
}
POLICY_ACTIONS = _CHANGES.keys() | {"DeletePolicyVersion"}


def check_policy_changes(evidence: Evidence, book: Book, world: World) -> Iterator[Violation]:
    """Yield the changes to policy and group that must not have been made, and those that the report is wrong about."""
    if not world.owns_policy:
        return
    for entry in book.writes(evidence.run_id):
        if entry.action in POLICY_ACTIONS:
            yield from (Violation(2, f"{_name(entry)}: {text}") for text in _change(entry, world))
    over = book.ended_at.get(evidence.run_id)
    made = [entry for entry in book.effects(evidence.run_id) if entry.action in _CHANGES]
    for entry in made:
        if over is not None and entry.number >= over:
            yield Violation(3, f"{_name(entry)}: made after the run was over")
    if evidence.best_report is not None:
        yield from (Violation(3, text) for text in _differences(made, evidence))


def _change(entry: Entry, world: World) -> Iterator[str]:
    """Yield what is wrong with one change."""
    call, given = entry.call, entry.call.parameters
    place = world.places.get(call.account_id)
    if place is None or not place.is_entered:
        yield "in an account that is not to be entered"
    elif not place.has_policy:
        yield "in an account where the policy is somebody else's"
    if "PolicyArn" in given and given["PolicyArn"] != policy_arn(call.account_id):
        yield f"of {given['PolicyArn']}"
    if (name := given.get("PolicyName", given.get("GroupName", POLICY))) != POLICY:
        yield f"of {name}"
    if "PolicyDocument" in given and json.loads(given["PolicyDocument"]) != json.loads(OURS):
        yield "with another text"
    if entry.action == "CreatePolicyVersion" and given.get("SetAsDefault") != "true":
        yield "not made the default"
    state, is_touched = entry.policy, call.account_id in world.touched_places
    is_fit = state is not None and (state.group_is_bare or state.group_is_ours)  # ours: the answer of a try was lost
    if entry.action == "AttachGroupPolicy" and not is_fit and not is_touched:
        yield "to a group that had members or policies"


def _differences(made: list[Entry], evidence: Evidence) -> Iterator[str]:
    """Yield where the books and the report differ on the changes."""
    assert evidence.best_report is not None
    for account in evidence.best_report.accounts:
        here = [entry for entry in made if entry.call.account_id == account.id]
        reported = set(account.policy_changes)
        if untold := {_CHANGES[entry.action] for entry in here if entry.told} - reported:
            yield f"{account.name}: made, and not in the report: {', '.join(sorted(untold))}"
        if invented := reported - {_CHANGES[entry.action] for entry in here}:
            yield f"{account.name}: in the report, and not made: {', '.join(sorted(invented))}"


def _name(entry: Entry) -> str:
    return f"{entry.call.account_id}: {entry.action}"
