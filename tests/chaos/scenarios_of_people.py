"""Scenarios of people who change the organization in mid-run, or tell the run to end."""

from collections.abc import Callable
from random import Random

from orchestrator.concurrency.cancellation import Cancellation
from tests.chaos import happenings as people_at_work
from tests.chaos import moto_iam, pages
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence
from tests.chaos.happenings import at_call, draw_moment
from tests.chaos.listing import AccountPages
from tests.chaos.scenarios import Arrange, Scenario
from tests.chaos.wire import Slow

SLOW_LOOK = Slow(1.7)
"""An answer that comes in time for its call, and too late for the patience of a run that was told to end."""


def _enrols(stage: Stage, rng: Random) -> None:
    for _ in range(2):
        person = stage.world.pick(rng, "plain", "old-key", "crowded")
        act = people_at_work.enrol(stage.world, person, rng.choice(["virtual", "fido"]))
        stage.server.happenings.append(draw_moment(rng, person.account_id, act))
    stage.server.edits.append(pages.old_reports(stage.world))


def _user_deleted(stage: Stage, rng: Random) -> None:
    person = stage.world.pick(rng, "plain", "old-key", "crowded")
    stage.server.happenings.append(draw_moment(rng, person.account_id, people_at_work.delete_user(stage.world, person)))


def _quota_reached(stage: Stage, rng: Random, *, groups: bool = False) -> None:
    person = stage.world.pick(rng, "crowded" if groups else "plain")
    act = people_at_work.fill_quotas(stage.world, person, groups=groups)
    stage.server.happenings.append(draw_moment(rng, person.account_id, act))


def _policy_changed(change: Callable[[object], None]) -> Arrange:
    def arrange(stage: Stage, rng: Random) -> None:
        account_id = stage.world.pick(rng, "plain").account_id
        act = people_at_work.change_account(stage.world, account_id, change)
        stage.server.happenings.append(draw_moment(rng, account_id, act))

    return arrange


def _policy_rewritten(stage: Stage, rng: Random) -> None:
    """Have the policy be rewritten while the run attaches it: right before AWS works on one of the first writes."""
    account_id = stage.world.pick(rng, "plain").account_id
    change = rng.choice([moto_iam.replace_policy_text, moto_iam.remake_policy])
    act = people_at_work.change_account(stage.world, account_id, change)
    moment = people_at_work.Moment(account_id, rng.choice([1, 1, 2]), act, action="AttachUserPolicy")
    stage.server.happenings.append(moment)


def _group_widened(stage: Stage, rng: Random) -> None:
    account_id = stage.world.pick(rng, "crowded").account_id
    act = people_at_work.change_account(stage.world, account_id, moto_iam.widen_group)
    stage.server.happenings.append(draw_moment(rng, account_id, act))


def _account_closed(stage: Stage, rng: Random) -> None:
    members = [place.id for place in list(stage.world.places.values())[1:] if place.is_entered]
    account_id = rng.choice(members)
    act = people_at_work.close_account(stage.server, stage.world, account_id)
    stage.server.happenings.append(draw_moment(rng, account_id, act))


def _role_removed(stage: Stage, rng: Random) -> None:
    account_id = stage.world.pick(rng, "plain").account_id
    stage.server.happenings.append(draw_moment(rng, account_id, people_at_work.remove_role(stage.world, account_id)))


def _halted(stage: Stage, rng: Random) -> list[Evidence]:
    """Have a signal end the run at a random call, as the handlers of the command line do."""
    cancellation = Cancellation()
    stage.server.listing = AccountPages(size=2)
    stage.server.happenings.append(at_call(rng.randint(1, 60), cancellation.event.set))
    return [stage.run(cancellation=cancellation)]


def _halted_in_a_slow_look(stage: Stage, rng: Random) -> list[Evidence]:
    """Have the run told to end while looks at users take longer than it has patience, and are answered all the same."""
    cancellation = Cancellation()
    stage.server.happenings.append(at_call(rng.randint(40, 110), cancellation.event.set))
    stage.server.troubles.append(
        lambda call, chance: SLOW_LOOK if call.action == "ListMFADevices" and chance.random() < 0.5 else None
    )
    return [stage.run(cancellation=cancellation)]


PEOPLE: tuple[Scenario, ...] = (
    Scenario(name="a user enrols in mid-run", arrange=_enrols, share=2),
    Scenario(name="a user is deleted in mid-run", arrange=_user_deleted),
    Scenario(name="the policy quota fills in mid-run", arrange=_quota_reached),
    Scenario(
        name="the group quota fills in mid-run", arrange=lambda stage, rng: _quota_reached(stage, rng, groups=True)
    ),
    Scenario(name="the policy is edited in mid-run", arrange=_policy_changed(moto_iam.replace_policy_text)),
    Scenario(name="the policy is rewritten between two writes", arrange=_policy_rewritten, share=2),
    Scenario(name="the policy is deleted in mid-run", arrange=_policy_changed(moto_iam.delete_policy)),
    Scenario(name="the group is widened in mid-run", arrange=_group_widened),
    Scenario(name="an account is closed in mid-run", arrange=_account_closed),
    Scenario(name="the role is removed in mid-run", arrange=_role_removed),
    Scenario(name="a halt at any call", drive=_halted, is_mixable=False, share=2),
    Scenario(name="a halt while looks are slow", drive=_halted_in_a_slow_look, is_mixable=False),
)
