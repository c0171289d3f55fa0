"""Scenarios of what holds a run back: the stop switch, and the gate at its very limits."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from moto.backends import get_backend

from tests.aws_server import MANAGEMENT, Answer, Call
from tests.chaos import troubles
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence
from tests.chaos.happenings import at_call
from tests.chaos.scenarios import Drive, Scenario
from tests.chaos.wire import Disturbance, Instead
from tests.chaos.world import World


def set_stop(stage: Stage, rng: Random, call: int) -> None:
    """Have somebody set the stop switch in SSM at this call; or have it answer nonsense from then on."""
    stage.configure(enforcement={"stop": "ssm:/orgmfa/stop"}, concurrency={"workers": rng.choice([1, 3])})
    ssm: Any = get_backend("ssm")[MANAGEMENT]["eu-central-1"]

    def put(value: str) -> None:
        ssm.put_parameter("/orgmfa/stop", "", value, "String", "", "", True, [], "text", None, None)

    def spoil(call: Call, chance: Random) -> Disturbance | None:
        words = chance.choice([" ", "null", "{", "[]", '{"Parameter": {}}'])
        return Instead(Answer(200, words, troubles.JSON)) if call.action == "GetParameter" else None

    put("go")
    is_set = rng.random() < 0.6

    def act() -> None:
        stage.server.book.stop_set_at = len(stage.server.book.entries)
        if is_set:
            put("stop")
        else:
            stage.server.troubles.append(spoil)

    stage.server.happenings.append(at_call(call, act))

    def undo() -> None:
        stage.server.book.stop_set_at = None
        put("go")

    stage.undo.append(undo)


def due(world: World) -> Counter[str]:
    """Return how many users a run without faults enforces, by account ID."""
    places = (place for place in world.places.values() if place.is_entered and place.has_role and place.has_policy)
    return Counter(person.account_id for place in places for person in place.people if person.kind.wanted)


def counted(world: World) -> Counter[str]:
    """Return how many users count for the limit of an account: those who cannot enrol are told only after it."""
    people = (person for account_id in due(world) for person in world.places[account_id].people)
    return Counter(person.account_id for person in people if person.kind.wanted or person.kind.cannot_enrol)


def at_the_gate(drive: Drive) -> Drive:
    """Have a run meet limits that its plan just keeps, or just breaks."""

    def act(stage: Stage, rng: Random) -> list[Evidence]:
        wanted, planned = due(stage.world), counted(stage.world)
        per_account = rng.choice([max(planned.values()) - 1, max(planned.values()), 100])
        fitting = {account_id: count for account_id, count in wanted.items() if planned[account_id] <= per_account}
        per_run = rng.choice([100, max(0, sum(fitting.values()) + rng.choice([-1, 0, 1]))])
        stage.configure(limits={"max_changes_per_account": per_account, "max_changes_per_run": per_run})
        stage.undo.append(stage.configure)
        evidence = drive(stage, rng)
        expected = fitting if sum(fitting.values()) <= per_run else {}
        return [replace(one, defect=one.defect or _missed(one, stage, expected)) for one in evidence]

    return act


def _missed(evidence: Evidence, stage: Stage, expected: dict[str, int]) -> str:
    """Return how what was written differs from what the gate lets through, if it does; a disturbed run may do less."""
    effects = stage.server.book.effects(evidence.run_id)
    written = Counter(account_id for account_id, _ in {(entry.call.account_id, entry.user_name) for entry in effects})
    if dict(written) == expected or (stage.server.troubles and written <= Counter(expected)):
        return ""
    return f"the gate lets {expected} through, and written was {dict(written)}"


def run_calmly_or_not(stage: Stage, rng: Random, run: Callable[[], Evidence] | None = None) -> list[Evidence]:
    """Make a run with or without calls that fail."""
    if rng.random() < 0.5:
        stage.server.troubles.append(rng.choice([troubles.throttling(0.3), troubles.resets(0.2, after=True)]))
    return [run() if run else stage.run()]


def _ask_on_demand(stage: Stage, rng: Random) -> list[Evidence]:
    """Have an event ask for a run over all accounts, with a lower limit, which the plan just keeps or breaks."""
    wanted = due(stage.world)
    most = sum(wanted.values()) + rng.choice([-1, 0, 1])
    stage.configure(limits={"max_changes_per_account": most + 1, "max_changes_per_run": most + 1})
    stage.undo.append(stage.configure)
    stage.world.most_per_account = stage.world.most_per_run = most
    accounts = [place.id for place in stage.world.places.values() if place.is_entered]
    evidence = stage.invoke({"accounts": accounts, "mode": "apply", "max_changes": most})
    fitting = {account_id: count for account_id, count in wanted.items() if counted(stage.world)[account_id] <= most}
    expected = fitting if sum(fitting.values()) <= most else {}
    defect = evidence.defect or _missed(evidence, stage, expected)
    return [replace(evidence, asked=frozenset(accounts), defect=defect)]


SWITCHES: tuple[Scenario, ...] = (
    Scenario(
        name="stop switch set or unreadable in mid-run",
        arrange=lambda stage, rng: set_stop(stage, rng, rng.randint(60, 160)),
        is_mixable=False,
        share=2,
    ),
    Scenario(name="the gate at its limits", drive=at_the_gate(run_calmly_or_not), is_mixable=False, share=2),
    Scenario(name="the gate at the limit of an event", drive=_ask_on_demand, is_mixable=False),
)
