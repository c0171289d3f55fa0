"""Scenarios of guards of others: SCPs that leave a user alone, and a policy simulator that is not clear about them."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from orchestrator.domain.model import Outcome
from tests.aws_server import Answer, Call, error_for
from tests.chaos.driving import Stage
from tests.chaos.evidence import Evidence
from tests.chaos.scenarios import Scenario
from tests.chaos.scenarios_of_switches import due
from tests.chaos.wire import Disturbance, Instead, Trouble
from tests.guarding import ALLOW_ALL, GUARD, SIMULATE, Simulation, deny, document

Users = set[tuple[str, str]]
"""Users by account and name."""

_SCP = Simulation(scps=[GUARD])
_OWN_POLICY = Simulation(policies={"guard": GUARD})
_HALF_AN_SCP = Simulation(scps=[document(deny(Action="s3:*"))])
_MISSING = "<MissingContextValues>"
_NOBODY = Simulation(scps=[ALLOW_ALL])
_UNCLEAR: tuple[Callable[[Call, str], Answer], ...] = (
    lambda call, _: error_for(call, "AccessDenied", status=403),
    lambda call, _: error_for(call, "InvalidInput", status=400),
    lambda _, body: Answer(200, body.replace("implicitDeny<", "deniedAsTomorrow<")),
    lambda _, body: Answer(200, body.replace("allowed<", "allowedAsTomorrow<")),
    lambda _, body: Answer(200, body.replace("OrganizationsDecisionDetail", "WhatTheOrganizationSays")),
    lambda _, body: Answer(200, body.replace(_MISSING, f"{_MISSING}<member>aws:SourceVpc</member>")),
)


def _guarded_by_others(stage: Stage, rng: Random) -> list[Evidence]:
    """Have SCPs guard some accounts, which the configuration accepts, and an unclear simulator perhaps."""
    stage.configure(enforcement={"guarded": "accept"})
    stage.undo.append(stage.configure)
    judges = {account_id: rng.choice([_SCP, _OWN_POLICY, _HALF_AN_SCP, _NOBODY]) for account_id in stage.world.places}
    judges[stage.world.pick(rng, "plain").account_id] = _SCP
    unclear: Users = set()
    stage.server.troubles.append(_simulator(judges, stage, rate=rng.choice([0, 0.3]), unclear=unclear))
    evidence = stage.run()
    expected = {
        (person.account_id, person.name)
        for account_id, count in due(stage.world).items()
        for person in stage.world.places[account_id].people
        if count and person.kind.wanted and judges[account_id] is _SCP
    } - unclear
    defect = evidence.defect or _misjudged(evidence, expected)
    return [replace(evidence, guarded=frozenset(expected), defect=defect)]


def _simulator(judges: dict[str, Simulation], stage: Stage, *, rate: float, unclear: Users) -> Trouble:
    """Answer about guards as the SCPs and policies of each account say; at this rate not clearly, and note of whom."""

    def trouble(call: Call, chance: Random) -> Disturbance | None:
        name = call.parameters.get("PolicySourceArn", "").rpartition("/")[2]
        if call.action != SIMULATE or name in stage.server.cannot_enrol:
            return None
        answer = judges[call.account_id](call)
        if answer is None or "PolicyInputList.member.1" in call.parameters or chance.random() >= rate:
            return Instead(answer) if answer else None
        spoiled = chance.choice(_UNCLEAR)(call, answer.body)
        if spoiled != answer:
            unclear.add((call.account_id, name))
        return Instead(spoiled)

    return trouble


def _misjudged(evidence: Evidence, expected: Users) -> str:
    """Return whom the report wrongly says to be guarded, or wrongly not, if anybody."""
    report = evidence.best_report
    accounts = report.accounts if report else ()
    guarded = {(one.id, user.name) for one in accounts for user in one.users if user.outcome is Outcome.GUARDED}
    if guarded == expected:
        return ""
    return f"guarded wrongly: {sorted(guarded - expected)}; wrongly not: {sorted(expected - guarded)}"


GUARDS: tuple[Scenario, ...] = (
    Scenario(name="guards of others, accepted", drive=_guarded_by_others, is_mixable=False, share=2),
)
