"""The scenarios that play inside this process: what is arranged, and which runs are made while it lasts."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from orchestrator.pool import Halt
from tests.aws_server import MANAGEMENT, xml_error
from tests.chaos import happenings as people_at_work
from tests.chaos import moto_iam, pages, troubles
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence
from tests.chaos.happenings import Moment, at_call
from tests.chaos.invariants import Violation
from tests.chaos.listing import AccountPages
from tests.chaos.wire import Instead, Reset, Slow, Spoiled, Trouble

Arrange = Callable[[Stage, Random], None]
Drive = Callable[[Stage, Random], list[Evidence]]
SLOW_LOOK = Slow(1.7, is_lost=False)
"""An answer that comes in time for its call, and too late for the patience of a run that was told to end."""
Finish = Callable[[Stage], list[Violation]]


def one_run(stage: Stage, _: Random) -> list[Evidence]:
    """Make one run while things go wrong."""
    return [stage.run()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row of the table. `with_cases`: the world needs a hand anyway; None: as the dice fall."""

    name: str
    arrange: Arrange = lambda *_: None
    drive: Drive = one_run
    finish: Finish | None = None
    """What is made and judged once nothing goes wrong any more; None: an apply run, and who is enforced after it."""
    with_cases: bool | None = None
    is_mixable: bool = True
    """Whether what is arranged can be arranged beside something else."""
    places: int = 4
    """How many member accounts there are."""
    share: int = 1
    """How often the scenario is played, against one that is played once."""
    runs_at_most: int | None = None
    is_for_long: bool = False
    """Whether the scenario is left to `make chaos`."""


def from_wire(make: Callable[[Random], Trouble]) -> Arrange:
    """Have something go wrong on the way to AWS."""

    def arrange(stage: Stage, rng: Random) -> None:
        stage.server.troubles.append(make(rng))

    return arrange


def _moment(rng: Random, account_id: str, act: Callable[[], None], *, most: int = 22) -> Moment:
    return Moment(account_id, rng.randint(1, most), act)


def _enrols(stage: Stage, rng: Random) -> None:
    for _ in range(2):
        person = stage.world.pick(rng, "plain", "old-key", "crowded")
        act = people_at_work.enrol(stage.world, person, rng.choice(["virtual", "fido"]))
        stage.server.happenings.append(_moment(rng, person.account_id, act))
    stage.server.edits.append(pages.old_reports(stage.world))


def _user_deleted(stage: Stage, rng: Random) -> None:
    person = stage.world.pick(rng, "plain", "old-key", "crowded")
    stage.server.happenings.append(_moment(rng, person.account_id, people_at_work.delete_user(stage.world, person)))


def _quota_reached(stage: Stage, rng: Random, *, groups: bool = False) -> None:
    person = stage.world.pick(rng, "crowded" if groups else "plain")
    act = people_at_work.fill_quotas(stage.world, person, groups=groups)
    stage.server.happenings.append(_moment(rng, person.account_id, act))


def _policy_changed(change: Callable[[object], None]) -> Arrange:
    def arrange(stage: Stage, rng: Random) -> None:
        account_id = stage.world.pick(rng, "plain").account_id
        act = people_at_work.change_account(stage.world, account_id, change)
        stage.server.happenings.append(_moment(rng, account_id, act))

    return arrange


def _group_widened(stage: Stage, rng: Random) -> None:
    account_id = stage.world.pick(rng, "crowded").account_id
    act = people_at_work.change_account(stage.world, account_id, moto_iam.widen_group)
    stage.server.happenings.append(_moment(rng, account_id, act))


def _account_closed(stage: Stage, rng: Random) -> None:
    members = [place.id for place in list(stage.world.places.values())[1:] if place.is_entered]
    account_id = rng.choice(members)
    act = people_at_work.close_account(stage.server, stage.world, account_id)
    stage.server.happenings.append(_moment(rng, account_id, act))


def _role_removed(stage: Stage, rng: Random) -> None:
    account_id = stage.world.pick(rng, "plain").account_id
    stage.server.happenings.append(_moment(rng, account_id, people_at_work.remove_role(stage.world, account_id)))


def _sessions_expire(stage: Stage, rng: Random) -> None:
    for _ in range(2):
        account_id = stage.world.pick(rng, "plain").account_id
        act = people_at_work.expire_sessions(stage.server, account_id)
        stage.server.happenings.append(_moment(rng, account_id, act))


def _hub_expires(stage: Stage, rng: Random) -> None:
    stage.server.listing = AccountPages(size=2)
    code = rng.choice(["ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"])
    stage.server.happenings.append(at_call(rng.randint(3, 60), people_at_work.expire_hub(stage.server, code)))


def _listing_fails(stage: Stage, rng: Random) -> None:
    stage.server.listing = AccountPages(size=1)
    code = rng.choice(["TooManyRequestsException", "AccessDeniedException", "ServiceException"])
    stage.server.troubles.append(troubles.failing_listing(rng.randint(1, 4), code))


def _listing_fails_on_page_7(stage: Stage, rng: Random) -> None:
    stage.server.listing = AccountPages(size=1)
    code = rng.choice(["AccessDeniedException", "ServiceException", "ExpiredTokenException"])
    stage.server.troubles.append(troubles.failing_listing(6, code))


def _odd_pages(stage: Stage, rng: Random) -> None:
    empty = frozenset(number for number in range(5) if rng.random() < 0.5)
    stage.server.listing = AccountPages(size=rng.randint(1, 3), empty_before=empty)
    stage.server.troubles.append(pages.empty_first_pages(0.6))
    stage.server.edits.append(pages.paged_users(2))


def _repeating_pages(stage: Stage, rng: Random) -> None:
    stage.server.listing = AccountPages(size=rng.randint(1, 3), repeats=True)


def _old_reports(stage: Stage, _: Random) -> None:
    stage.server.edits.append(pages.old_reports(stage.world))


def _reports_missing(stage: Stage, rng: Random) -> None:
    account_ids = frozenset(rng.sample(list(stage.world.places), k=2))
    make = rng.choice(["ReportInProgress", "ReportNotPresent", "refused"])
    refused = troubles.report_refused(account_ids)
    stage.server.troubles.append(refused if make == "refused" else troubles.report_never_ready(account_ids, make))


def _devices_unreadable(stage: Stage, rng: Random) -> None:
    account_id = rng.choice([MANAGEMENT, stage.world.pick(rng, "plain").account_id])
    stage.server.troubles.append(troubles.unreadable_devices(account_id, rng.uniform(0.3, 1.0)))


def _writes_fail(stage: Stage, rng: Random) -> None:
    """Have all writes to somebody fail, in some way after which they may have been made or not."""
    ways = (
        Reset(after=False),
        Instead(xml_error("Throttling", "Rate exceeded")),
        Instead(xml_error("ServiceFailure", "no", 500)),
        Spoiled(xml_error("ServiceFailure", "no", 500)),
        Instead(troubles.GUEST_NETWORK),
        Spoiled(troubles.GUEST_NETWORK),
    )
    person = stage.world.pick(rng, "plain", "crowded")
    stage.server.troubles.append(troubles.failing_writes(person.name, rng.choice(ways)))


def _role_denied(times: int | None) -> Arrange:
    def arrange(stage: Stage, rng: Random) -> None:
        stage.server.troubles.append(troubles.role_denied(rng.choice(list(stage.world.places)), times=times))

    return arrange


def _role_slow(stage: Stage, rng: Random) -> None:
    stage.server.troubles.append(troubles.slow_roles(rng.choice(list(stage.world.places))))


def _door_closed(stage: Stage, rng: Random) -> None:
    stage.server.happenings.append(at_call(rng.randint(2, 50), lambda: stage.server.close_door(rng.uniform(0.05, 0.6))))


def _halted(stage: Stage, rng: Random) -> list[Evidence]:
    """Have a signal end the run at a random call, as the handlers of the command line do."""
    halt = Halt()
    stage.server.listing = AccountPages(size=2)
    stage.server.happenings.append(at_call(rng.randint(1, 60), halt.interrupted.set))
    return [stage.run(halt=halt)]


def _halted_in_a_slow_look(stage: Stage, rng: Random) -> list[Evidence]:
    """Have the run told to end while looks at users take longer than it has patience, and are answered all the same."""
    halt = Halt()
    stage.server.happenings.append(at_call(rng.randint(40, 110), halt.interrupted.set))
    stage.server.troubles.append(
        lambda call, chance: SLOW_LOOK if call.action == "ListMFADevices" and chance.random() < 0.5 else None
    )
    return [stage.run(halt=halt)]


API: tuple[Scenario, ...] = (
    Scenario(name="nothing goes wrong", is_mixable=False),
    Scenario(name="throttling, 1 to 60 %", arrange=from_wire(lambda rng: troubles.throttling(rng.uniform(0.01, 0.6)))),
    Scenario(name="500 and 503", arrange=from_wire(lambda rng: troubles.server_errors(rng.uniform(0.02, 0.4)))),
    Scenario(name="connections refused for a while", arrange=_door_closed),
    Scenario(
        name="reset before AWS works",
        arrange=from_wire(lambda rng: troubles.resets(rng.uniform(0.02, 0.4), after=False)),
    ),
    Scenario(
        name="reset after AWS worked",
        arrange=from_wire(lambda rng: troubles.resets(rng.uniform(0.02, 0.4), after=True)),
    ),
    Scenario(
        name="answers to writes lost", arrange=from_wire(lambda rng: troubles.lost_writes(rng.choice([1, 2, 99])))
    ),
    Scenario(name="answers cut short", arrange=from_wire(lambda rng: troubles.cut_answers(rng.uniform(0.02, 0.3)))),
    Scenario(name="answers too slow", arrange=from_wire(lambda _: troubles.slow_answers(4))),
    Scenario(name="malformed XML and JSON", arrange=from_wire(lambda rng: troubles.nonsense(rng.uniform(0.02, 0.3)))),
    Scenario(
        name="a guest network answers", arrange=from_wire(lambda rng: troubles.guest_network(rng.uniform(0.02, 0.2)))
    ),
    Scenario(name="clock skew", arrange=from_wire(lambda rng: troubles.skewed_clock(rng.uniform(0.02, 0.3)))),
    Scenario(name="sessions expire in mid-run", arrange=_sessions_expire),
    Scenario(name="the hub's credentials expire or are replaced", arrange=_hub_expires),
    Scenario(name="AssumeRole denied", arrange=_role_denied(None)),
    Scenario(name="AssumeRole denied at first", arrange=_role_denied(1)),
    Scenario(name="AssumeRole slow", arrange=_role_slow),
    Scenario(name="ListAccounts fails on a later page", arrange=_listing_fails),
    Scenario(name="ListAccounts fails on page 7 of 12", arrange=_listing_fails_on_page_7, places=11, is_mixable=False),
    Scenario(name="empty pages with a marker", arrange=_odd_pages),
    Scenario(name="accounts twice across pages", arrange=_repeating_pages),
    Scenario(name="credential report hours old", arrange=_old_reports),
    Scenario(name="credential report never ready", arrange=_reports_missing),
    Scenario(name="devices of users cannot be read", arrange=_devices_unreadable),
    Scenario(name="all writes to a user fail", arrange=_writes_fail),
    Scenario(name="a user enrols in mid-run", arrange=_enrols, share=2),
    Scenario(name="a user is deleted in mid-run", arrange=_user_deleted),
    Scenario(name="the policy quota fills in mid-run", arrange=_quota_reached),
    Scenario(
        name="the group quota fills in mid-run", arrange=lambda stage, rng: _quota_reached(stage, rng, groups=True)
    ),
    Scenario(name="the policy is edited in mid-run", arrange=_policy_changed(moto_iam.replace_policy_text)),
    Scenario(name="the policy is deleted in mid-run", arrange=_policy_changed(moto_iam.delete_policy)),
    Scenario(name="the group is widened in mid-run", arrange=_group_widened),
    Scenario(name="an account is closed in mid-run", arrange=_account_closed),
    Scenario(name="the role is removed in mid-run", arrange=_role_removed),
    Scenario(name="a halt at any call", drive=_halted, is_mixable=False, share=2),
    Scenario(name="a halt while looks are slow", drive=_halted_in_a_slow_look, is_mixable=False),
)
