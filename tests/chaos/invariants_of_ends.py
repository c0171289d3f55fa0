"""Invariant 4: when the fault is over, running again reaches what a run without faults reaches.

What that is follows from who everybody is and how the accounts stand now; a test holds that a run without faults
reaches just this.
"""

from collections.abc import Iterator

from tests.chaos.book import UserState
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import Violation
from tests.chaos.people import Way
from tests.chaos.world import Person, Place, World, backend

QUOTA = 10


def check_end(again: Evidence, world: World) -> Iterator[Violation]:
    """Yield who is not as a run without faults would have left them, after the run that followed the fault."""
    for person in world.people():
        state = world.user_state(person.account_id, person.name)
        if not state.exists:
            continue
        reached = way_of(state)
        allowed = allowed_ends(person, state, world)
        if reached not in allowed:
            text = f"{person.account_id}/{person.name} ends as {reached}, not as {' or '.join(map(str, allowed))}"
            yield Violation(4, text)
    for place in world.places.values():
        if text := _policy_left(place, world):
            yield Violation(4, f"{place.id}: {text}")
    if again.report is not None and again.code != expected_code(world):
        yield Violation(4, f"the run after the fault ends with {again.code}, not with {expected_code(world)}")
    if again.report is None:
        yield Violation(4, f"the run after the fault did not start: {again.said[-600:]}")


def _policy_left(place: Place, world: World) -> str:
    """Return what is not as the program makes it in an account where it owns policy and group, if anything is."""
    is_its_own = world.owns_policy and place.is_entered and place.has_role and place.has_policy
    if not is_its_own or place.id in world.touched_places:
        return ""
    state, wanted = world.policy_state(place.id), {person.kind.wanted for person in place.people}
    if not state.policy_is_ours and (state.has_policy or wanted != {None}):
        return "the policy is not as orgmfa makes it"
    return "" if state.group_is_ours or "group" not in wanted else "the group is not as orgmfa makes it"


def allowed_ends(person: Person, state: UserState, world: World) -> tuple[Way | None, ...]:
    """Return in which ways EnforceMFA may reach somebody once all is done; None stands for not at all."""
    place = world.places[person.account_id]
    before, wanted = person.kind.enforced, person.kind.wanted
    is_place_touched = person.account_id in world.touched_places
    if wanted is None or not place.is_entered or not place.has_role or not place.has_policy:
        return (before, None) if is_place_touched else (before,)
    if (person.account_id, person.name) not in world.touched and not is_place_touched:
        return (wanted,)
    if state.devices or not can_enforce(place, world) or has_no_room(person, world):
        return (None, "user", "group")  # changed before or after the run came to them
    return ("user", "group")


def expected_code(world: World) -> int:
    """Return the exit code of a run that nothing disturbs, from how everybody stands now."""
    return int(any(_needs_a_hand(place, world) for place in world.places.values() if is_entered_now(place, world)))


def _needs_a_hand(place: Place, world: World) -> bool:
    if (place.id, "orgmfa-member") in world.server.missing_roles:
        return True
    return any(_is_case(person, place, world) for person in place.people)


def _is_case(person: Person, place: Place, world: World) -> bool:
    state = world.user_state(place.id, person.name)
    if not state.exists or state.devices:
        return False
    policy = world.policy_state(place.id)
    if policy.policy_is_ours and (state.has_policy or (state.in_group and policy.group_is_ours)):
        return False
    if person.kind.is_case:
        return True
    is_due = person.kind.wanted is not None or person.kind.enforced is not None
    return is_due and (not can_enforce(place, world) or has_no_room(person, world))


def can_enforce(place: Place, world: World) -> bool:
    """Return whether a run could enforce anybody in an account, as it stands now."""
    state = world.policy_state(place.id)
    has_role = (place.id, "orgmfa-member") not in world.server.missing_roles
    return has_role and state.policy_is_ours and is_entered_now(place, world)


def is_entered_now(place: Place, world: World) -> bool:
    """Return whether a run enters an account, as the listing would tell it now."""
    return place.is_entered and place.id not in world.closed


def has_no_room(person: Person, world: World) -> bool:
    """Return whether neither another policy nor the group fits on somebody, as they and the group stand now."""
    iam = backend(person.account_id)
    user = iam.users.get(person.name)
    if user is None:
        return False
    is_open = world.policy_state(person.account_id).group_is_ours and len(iam.get_groups_for_user(user.name)) < QUOTA
    return len(user.managed_policies) >= QUOTA and not is_open


def way_of(state: UserState) -> Way | None:
    if state.has_policy:
        return "user"
    return "group" if state.in_group else None
