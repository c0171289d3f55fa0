"""A small organization drawn from a seed, built into moto's own state, with what is true of everybody in it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from moto.backends import get_backend
from moto.moto_api._internal import mock_random

from orchestrator.domain.policy_document import render_enforcement_policy
from tests.aws_server import MANAGEMENT, AwsServer
from tests.chaos.book import PolicyState, UserState
from tests.chaos.moto_iam import furnish_user, make_enforcement
from tests.chaos.people import CASES, CROWDED, EXEMPTION, LEFT_ALONE, OWN, PLAIN, PROTECTED, TARGETS, Kind

POLICY = "EnforceMFA"
OURS = json.dumps(render_enforcement_policy(partition="aws", access_keys="deny"))


@dataclass(frozen=True, slots=True)
class Person:
    """One user, by account and name."""

    account_id: str
    kind: Kind
    name: str


@dataclass(slots=True)
class Place:
    """One account, with what a run is to make of it."""

    id: str
    name: str
    people: tuple[Person, ...] = ()
    has_role: bool = True
    has_policy: bool = True
    is_excluded: bool = False
    is_suspended: bool = False

    @property
    def is_entered(self) -> bool:
        """Whether a run is to enter the account."""
        return not self.is_excluded and not self.is_suspended


@dataclass
class World:
    """The organization, and everything about it that a run is judged by."""

    server: AwsServer
    organization_id: str = ""
    places: dict[str, Place] = field(default_factory=dict)
    touched: set[tuple[str, str]] = field(default_factory=set)
    """Users whom somebody else changed during a run, by account and name."""
    touched_places: set[str] = field(default_factory=set)
    """Accounts in which somebody else changed the policy, the group or the role during a run, or closed it."""
    closed: set[str] = field(default_factory=set)
    """Accounts that were closed during a run."""
    most_per_run: int = 100
    most_per_account: int = 100
    """The limits on the number of changes."""
    workers: int = 6
    owns_policy: bool = False
    """Whether the program makes and updates policy and group, where they are not somebody else's."""

    def people(self) -> Iterator[Person]:
        """Yield everybody who was there before the first run."""
        return (person for place in self.places.values() for person in place.people)

    def find(self, account_id: str, name: str) -> Person | None:
        """Return a person by account and name."""
        place = self.places.get(account_id)
        return next((person for person in place.people if person.name == name), None) if place else None

    def pick(self, rng: Random, *kinds: str) -> Person:
        """Return somebody whom a run enters upon, of one of these kinds where any are named."""
        people = [
            person
            for place in self.places.values()
            if place.is_entered and place.has_role and place.has_policy
            for person in place.people
            if not kinds or person.kind.name in kinds
        ]
        return rng.choice(people)

    def config(self, **sections: Any) -> dict[str, Any]:
        """Return the configuration under which the cast is what it is, and note its limits."""
        until = f"{datetime.now(UTC) + timedelta(days=90):%Y-%m-%d}"
        settings: dict[str, Any] = {
            "organization": {"exclude_accounts": [place.id for place in self.places.values() if place.is_excluded]},
            "enforcement": {"mode": "apply", "grace_period": "7d"},
            "exemptions": [{"user": EXEMPTION, "reason": "a wallboard", "until": until}],
            "protected_users": [PROTECTED],
            "concurrency": {"workers": 6},
        }
        for name, section in sections.items():
            settings[name] = settings.get(name, {}) | section if isinstance(section, dict) else section
        self.workers = settings["concurrency"]["workers"]
        self.owns_policy = settings.get("policy", {}).get("managed_by") == "orchestrator"
        limits = settings.get("limits", {})
        self.most_per_run = limits.get("max_changes_per_run", 100)
        self.most_per_account = limits.get("max_changes_per_account", 100)
        return settings

    def releases(self) -> str:
        """Return the record of an earlier release, as the archive keeps it."""
        users = [
            {"account_id": person.account_id, "user_name": person.name}
            for person in self.people()
            if person.kind.is_released
        ]
        until = f"{datetime.now(UTC) + timedelta(days=5):%Y-%m-%dT%H:%M:%SZ}"
        return json.dumps({"run_id": "earlier", "until": until, "users": users})

    def user_state(self, account_id: str, name: str) -> UserState:
        """Return how a user stands in moto right now."""
        iam = backend(account_id)
        user = iam.users.get(name)
        if user is None:
            return UserState(exists=False)
        group = iam.groups.get(POLICY)
        return UserState(
            devices=len(user.mfa_devices),
            has_policy=policy_arn(account_id) in user.managed_policies,
            in_group=group is not None and user in group.users,
        )

    def states(self) -> dict[tuple[str, str], UserState]:
        """Return how everybody stands right now, by account and name."""
        return {
            (person.account_id, person.name): self.user_state(person.account_id, person.name)
            for person in self.people()
        }

    def policy_state(self, account_id: str) -> PolicyState:
        """Return whether policy and group of an account are as they were made."""
        iam, arn = backend(account_id), policy_arn(account_id)
        policy, group = iam.managed_policies.get(arn), iam.groups.get(POLICY)
        is_ours = policy is not None and any(
            version.version_id == policy.default_version_id and json.loads(version.document) == json.loads(OURS)
            for version in policy.versions
        )
        return PolicyState(
            policy_is_ours=is_ours,
            group_is_ours=group is not None and set(group.managed_policies) == {arn} and not group.policies,
            has_policy=policy is not None,
            group_is_bare=group is not None and not (group.managed_policies or group.policies or group.users),
        )


def policy_arn(account_id: str) -> str:
    """Return the ARN of EnforceMFA in an account."""
    return f"arn:aws:iam::{account_id}:policy/{POLICY}"


def backend(account_id: str) -> Any:
    """Return moto's IAM of an account."""
    return get_backend("iam")[account_id]["aws"]


def build_world(server: AwsServer, seed: str, *, with_cases: bool, places: int = 4, users: int = 3) -> World:
    """Return a new organization in an emptied server; with cases, some of it needs a hand whatever a run does."""
    server.reset()
    mock_random.seed(seed)
    rng = Random(seed)  # noqa: S311 - a die, no secret
    organizations: Any = get_backend("organizations")[MANAGEMENT]["aws"]
    organizations.create_organization(region="us-east-1", FeatureSet="ALL")
    world = World(server, organizations.org.id)
    for number in range(places + 1):
        account_id, name = MANAGEMENT, "management"
        if number:
            name = f"account-{number}"
            made = organizations.create_account(AccountName=name, Email=f"{name}@example.com")
            account_id = made["CreateAccountStatus"]["AccountId"]
        world.places[account_id] = Place(account_id, name, tuple(_draw_people(rng, account_id, users, with_cases)))
    if with_cases:
        _spoil(list(world.places.values())[1:], rng)
    for place in world.places.values():
        _build(world, place, organizations)
    return world


def _draw_people(rng: Random, account_id: str, users: int, with_cases: bool) -> Iterator[Person]:
    others = (*LEFT_ALONE, *CASES) if with_cases else LEFT_ALONE
    kinds = [PLAIN, rng.choice(TARGETS), *(rng.choice(others) for _ in range(users - 2))]
    if account_id == MANAGEMENT:
        kinds += [CROWDED, *others]  # so that each world has them
        yield Person(account_id, OWN, OWN.name)
    for number, kind in enumerate(kinds):
        yield Person(account_id, kind, f"{kind.name}-{number}")


def _spoil(places: list[Place], rng: Random) -> None:
    """Have one account without its role or policy, and one that no run is to enter."""
    spoiled, left_out = rng.sample(places, k=2)
    setattr(spoiled, rng.choice(["has_role", "has_policy"]), False)
    setattr(left_out, rng.choice(["is_excluded", "is_suspended"]), True)


def _build(world: World, place: Place, organizations: Any) -> None:
    if not place.has_role:
        world.server.missing_roles.add((place.id, "orgmfa-member"))
    if place.is_suspended:
        organizations.close_account(AccountId=place.id)
    iam = backend(place.id)
    make_enforcement(iam, OURS if place.has_policy else _FOREIGN)
    for person in place.people:
        furnish_user(iam, person.name, person.kind)
        if person.kind.cannot_enrol:
            world.server.cannot_enrol.add(person.name)


def add_people(world: World, place: Place, kind: Kind, count: int) -> Iterable[Person]:
    """Add many users of a kind to an account."""
    added = tuple(Person(place.id, kind, f"{kind.name}-{number:05}") for number in range(count))
    for person in added:
        furnish_user(backend(place.id), person.name, kind)
    world.places[place.id] = replace(place, people=(*place.people, *added))
    return added


_FOREIGN = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}
)
