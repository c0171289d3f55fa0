"""Scenarios of `orgmfa release`: what an undisturbed run enforced is taken off again while things go wrong."""

from dataclasses import replace
from random import Random
from threading import Thread

from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.model import Mode, Outcome
from orchestrator.pipeline.lease import LEASE_FILE
from tests.aws_server import Call
from tests.chaos import troubles
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence
from tests.chaos.happenings import crossed
from tests.chaos.invariants import Violation
from tests.chaos.invariants_of_releases import check_released
from tests.chaos.scenarios import Scenario
from tests.chaos.scenarios_of_people import SLOW_LOOK
from tests.chaos.scenarios_of_runs import use_bucket
from tests.chaos.wire import Disturbance


def _release(stage: Stage, rng: Random) -> list[Evidence]:
    enforced = stage.run()
    kinds = (
        troubles.throttling(0.4),
        troubles.resets(0.25, after=True),
        troubles.resets(0.25, after=False),
        troubles.cut_answers(0.2),
        troubles.server_errors(0.3),
    )
    stage.server.troubles.append(rng.choice(kinds))
    return [enforced, stage.run(Mode.RELEASE)]


def _release_again(stage: Stage) -> list[Violation]:
    again = stage.run(Mode.RELEASE)
    after = stage.run()
    return list(check_released(again, after, stage.server.book, stage.world))


def _release_during_apply(stage: Stage, rng: Random) -> list[Evidence]:
    """Start a release at a random call of an apply, which goes on when the release is over."""
    if rng.random() < 0.5:
        use_bucket(stage)
    stage.server.troubles += [troubles.slow_looks(0.4), troubles.slow_writes(0.1)]
    call = rng.randint(20, 90)
    applied, others = crossed(
        stage.server, stage.run, second=lambda: stage.carry_out(Mode.RELEASE, Cancellation()), call=call
    )
    return as_crossed(stage, [applied, *others])


def _release_in_a_look(stage: Stage, rng: Random) -> list[Evidence]:
    """Start a release while an apply looks at a user to whom it is about to write; the look ends amid the release."""
    person, others = stage.world.pick(rng, "plain"), list[Evidence]()
    release = Thread(target=lambda: others.append(stage.carry_out(Mode.RELEASE, Cancellation())))

    def slow(call: Call, _: Random) -> Disturbance | None:
        if release.ident is not None:
            return SLOW_LOOK if call.action in {"DetachUserPolicy", "RemoveUserFromGroup"} else None
        asked = (call.account_id, call.action, call.parameters.get("UserName"))
        if asked != (person.account_id, "ListMFADevices", person.name) or LEASE_FILE not in stage.archive.files():
            return None
        release.start()
        return SLOW_LOOK

    stage.server.troubles.append(slow)
    applied = stage.run()
    if release.ident is not None:
        release.join()
    return as_crossed(stage, [applied, *others])


def _late_answer(stage: Stage, _: Random) -> list[Evidence]:
    """Have an apply wait at its question while another one enforces everybody, and a release frees them."""
    others: list[Evidence] = []

    def answer(_: object) -> bool:
        others.extend([stage.carry_out(Mode.APPLY, Cancellation()), stage.carry_out(Mode.RELEASE, Cancellation())])
        return True

    late = stage.carry_out(Mode.APPLY, Cancellation(), answer)
    return as_crossed(stage, [*others, late])


def as_crossed(stage: Stage, runs: list[Evidence]) -> list[Evidence]:
    """Return the evidence of runs that crossed: whose digest is whose cannot be told, the freed are not enforced."""
    for run in runs:
        for account in run.report.accounts if run.report else ():
            freed = {(account.id, user.name) for user in account.users if user.outcome is Outcome.RELEASED}
            stage.world.touched |= freed
    return [replace(run, wants_digest=False) for run in runs]


def free_for_good(stage: Stage) -> list[Violation]:
    """Make one more run, which must leave alone whom the release freed: `check_freed` reads all of the book."""
    stage.run()
    return []


RELEASES: tuple[Scenario, ...] = (
    Scenario(name="release while calls fail", drive=_release, finish=_release_again, with_cases=False),
    Scenario(name="release during apply", drive=_release_during_apply, finish=free_for_good, is_mixable=False),
    Scenario(name="release during a look", drive=_release_in_a_look, finish=free_for_good, is_mixable=False),
    Scenario(name="apply answered after its lease ended", drive=_late_answer, finish=free_for_good, is_mixable=False),
)
