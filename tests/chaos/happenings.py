"""What other people do to the organization while a run is going on, each at a moment that the seed decides.

A moment is the so-and-so-manieth call in an account. Calls in one account follow one another, so it is the same moment
for each seed, whatever the threads do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from threading import Thread
from typing import Any, TypeVar

from moto.backends import get_backend

from tests.aws_server import MANAGEMENT, Call, error_for, xml_error
from tests.chaos import moto_iam
from tests.chaos.server import ChaosServer
from tests.chaos.wire import Disturbance, Instead
from tests.chaos.world import Person, World, backend

F = TypeVar("F")
S = TypeVar("S")


@dataclass
class Moment:
    """Does something right before AWS works on the so-manieth call in an account, or of an action in it."""

    account_id: str
    count: int
    act: Callable[[], None]
    action: str | None = None
    seen: int = field(default=0, init=False)

    def __call__(self, call: Call) -> None:
        if call.account_id != self.account_id or call.service != "iam" or self.action not in (None, call.action):
            return
        self.seen += 1
        if self.seen == self.count:
            self.act()


def draw_moment(rng: Random, account_id: str, act: Callable[[], None]) -> Moment:
    """Do something right before AWS works on one of the first calls in an account."""
    return Moment(account_id, rng.randint(1, 22), act)


def at_call(count: int, act: Callable[[], None]) -> Callable[[Call], None]:
    """Do something right before AWS works on the so-manieth call of all."""
    left = [count]

    def happening(_: Call) -> None:
        left[0] -= 1
        if left[0] == 0:
            act()

    return happening


def crossed(server: ChaosServer, first: Callable[[], F], *, second: Callable[[], S], call: int) -> tuple[F, list[S]]:
    """Return how a run ended, and the other one that started at this call of it; none where it made fewer calls."""
    others: list[S] = []
    thread = Thread(target=lambda: others.append(second()))
    server.happenings.append(at_call(call, thread.start))
    ended = first()
    if thread.ident is not None:
        thread.join()
    return ended, others


def enrol(world: World, person: Person, device: str) -> Callable[[], None]:
    """Have somebody give themselves an MFA device."""

    def act() -> None:
        if person.name in backend(person.account_id).users:
            world.touched.add((person.account_id, person.name))
            moto_iam.enrol(backend(person.account_id), person.name, device)

    return act


def delete_user(world: World, person: Person) -> Callable[[], None]:
    """Have an administrator delete somebody."""

    def act() -> None:
        world.touched.add((person.account_id, person.name))
        moto_iam.delete_user(backend(person.account_id), person.name)

    return act


def fill_quotas(world: World, person: Person, *, groups: bool) -> Callable[[], None]:
    """Have an administrator attach policies to somebody until no more fit; on demand the same with groups."""

    def act() -> None:
        iam = backend(person.account_id)
        if person.name in iam.users:
            world.touched.add((person.account_id, person.name))
            moto_iam.fill_policies(iam, person.name, 10)
            if groups:
                moto_iam.fill_groups(iam, person.name, 10)

    return act


def change_account(world: World, account_id: str, change: Callable[[Any], None]) -> Callable[[], None]:
    """Have an administrator change policy or group of an account."""

    def act() -> None:
        world.touched_places.add(account_id)
        change(backend(account_id))

    return act


def remove_role(world: World, account_id: str) -> Callable[[], None]:
    """Have an administrator delete the member role; sessions that are open stay."""

    def act() -> None:
        world.touched_places.add(account_id)
        world.server.missing_roles.add((account_id, "orgmfa-member"))

    return act


def close_account(server: ChaosServer, world: World, account_id: str) -> Callable[[], None]:
    """Have the account closed: the listing says so, and no call into it is allowed any more."""

    def refuse(call: Call, _: object) -> Disturbance | None:
        is_inside = call.account_id == account_id and call.service == "iam"
        is_entry = call.action == "AssumeRole" and f":{account_id}:" in call.parameters.get("RoleArn", "")
        return Instead(xml_error("AccessDenied", "the account is suspended", 403)) if is_inside or is_entry else None

    def act() -> None:
        world.touched_places.add(account_id)
        world.closed.add(account_id)
        organizations: Any = get_backend("organizations")[MANAGEMENT]["aws"]
        organizations.close_account(AccountId=account_id)
        server.troubles.insert(0, refuse)

    return act


def expire_sessions(server: ChaosServer, account_id: str) -> Callable[[], None]:
    """Have AWS no longer take the credentials issued so far for an account, or for the hub."""

    def act() -> None:
        old = {key for key, session in server.book.sessions.items() if session.account_id == account_id}

        def refuse(call: Call, _: object) -> Disturbance | None:
            if call.access_key not in old:
                return None
            return Instead(xml_error("ExpiredToken", "The security token included in the request is expired", 403))

        server.troubles.insert(0, refuse)

    return act


def expire_hub(server: ChaosServer, code: str = "ExpiredTokenException") -> Callable[[], None]:
    """Have AWS no longer take the credentials that the program itself runs with."""

    def refuse(call: Call, _: object) -> Disturbance | None:
        if call.service not in {"sts", "organizations"}:
            return None
        return Instead(error_for(call, code, "The security token is not taken", 403))

    return lambda: server.troubles.insert(0, refuse)


def renew_hub(server: ChaosServer, keys: list[str], most: int) -> Callable[[Call], None]:
    """Have AWS take the newest of the keys that the program itself ran with, and none older than so many before it."""

    def refuse(call: Call, _: object) -> Disturbance | None:
        is_old = call.access_key in keys[:-most]
        return (
            Instead(error_for(call, "ExpiredTokenException", "The security token is expired", 403)) if is_old else None
        )

    server.troubles.append(refuse)

    def happening(call: Call) -> None:
        if call.access_key not in keys and call.service in {"sts", "organizations"}:
            keys.append(call.access_key)

    return happening
