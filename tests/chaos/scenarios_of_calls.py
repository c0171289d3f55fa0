"""Scenarios of calls to AWS that go wrong, each on its way there, in AWS, or on its way back."""

from random import Random

from tests.aws_server import MANAGEMENT, xml_error
from tests.chaos import happenings as people_at_work
from tests.chaos import pages, troubles
from tests.chaos.driving import Stage
from tests.chaos.happenings import at_call, draw_moment
from tests.chaos.listing import AccountPages
from tests.chaos.scenarios import Arrange, Scenario, from_wire
from tests.chaos.wire import Instead, Reset, Spoiled


def _sessions_expire(stage: Stage, rng: Random) -> None:
    for _ in range(2):
        account_id = stage.world.pick(rng, "plain").account_id
        act = people_at_work.expire_sessions(stage.server, account_id)
        stage.server.happenings.append(draw_moment(rng, account_id, act))


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


def _odd_state(stage: Stage, rng: Random) -> None:
    """Have AWS tell a state of an account that it does not have today: until it is known, nobody enters the account."""
    members = [place for place in list(stage.world.places.values())[1:] if place.is_entered]
    odd = rng.choice(members)
    odd.is_suspended = True
    stage.undo.append(lambda: setattr(odd, "is_suspended", False))
    word = rng.choice(["UNDER_REVIEW", "active", "ACTIVE ", "RESTORING"])
    stage.server.listing = AccountPages(size=rng.randint(1, 3), odd_states={odd.id: word})


def _old_reports(stage: Stage, _: Random) -> None:
    stage.server.edits.append(pages.old_reports(stage.world))


def _timed_reports(stage: Stage, _: Random) -> None:
    stage.server.edits.append(pages.timed_reports(reborn=False))


def _reborn_users(stage: Stage, _: Random) -> None:
    stage.server.edits.append(pages.timed_reports(reborn=True))


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


CALLS: tuple[Scenario, ...] = (
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
    Scenario(name="an account in a state that AWS does not have today", arrange=_odd_state, is_mixable=False),
    Scenario(name="credential report hours old", arrange=_old_reports),
    Scenario(name="credential report of a chosen moment", arrange=_timed_reports),
    Scenario(name="credential report of earlier users of the same names", arrange=_reborn_users),
    Scenario(name="credential report never ready", arrange=_reports_missing),
    Scenario(name="devices of users cannot be read", arrange=_devices_unreadable),
    Scenario(name="all writes to a user fail", arrange=_writes_fail, is_mixable=False),
)
