"""Scenarios of a run in steps, as the state machine makes it: batches go lost, calls fail, and the gate holds."""

import json
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

from orchestrator.domain.errors import OrgmfaError
from orchestrator.lambdas import runtime as invocation
from orchestrator.lambdas.step import lambda_handler
from orchestrator.wiring import Hub, utc_now
from tests.aws_server import Call, xml_error
from tests.chaos import troubles
from tests.chaos.driving import FakeContext, Stage, variables
from tests.chaos.evidence import Evidence
from tests.chaos.scenarios import Scenario
from tests.chaos.scenarios_of_runs import use_bucket
from tests.chaos.scenarios_of_switches import at_the_gate, run_calmly_or_not
from tests.chaos.wire import Disturbance, Instead

ALL_THE_TIME = 900.0
TRIES = 2
"""How often the state machine tries a batch before it does without it."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The state machine: calls the steps one after the other, the batches two at a time, and does without lost ones."""

    stage: Stage
    seconds_of_batch: Callable[[], float] = lambda: ALL_THE_TIME

    def run(self) -> dict[str, Any]:
        """Make one apply run and return what its last step returned."""
        name, started = f"chaos-{len(self.stage.server.book.entries)}", utc_now().isoformat()
        asked = {"mode": "apply"}
        selected = self._step("select", execution=name, started=started, input=asked)
        self._map("plan", selected)
        gated = self._step("gate", run_id=selected["run_id"], input=asked)
        if gated["go"]:
            self._map("apply", gated)
        return self._step("merge", run_id=selected["run_id"], input=asked)

    def _map(self, name: str, given: dict[str, Any]) -> None:
        items = json.loads(self.stage.archive.files()[given["batches"].removeprefix("orgmfa/")])
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda item: self._try(name, item), items))

    def _try(self, name: str, item: dict[str, Any]) -> None:
        for _ in range(TRIES):
            try:
                self._step(name, seconds=self.seconds_of_batch(), **item)
            except OrgmfaError as error:
                traceback.print_exception(error, file=sys.stderr)
            else:
                return

    def _step(self, name: str, seconds: float = ALL_THE_TIME, **fields: Any) -> dict[str, Any]:
        return lambda_handler({"step": name} | fields, FakeContext(seconds))


def run_in_steps(
    stage: Stage, seconds_of_batch: Callable[[], float] = lambda: ALL_THE_TIME, *, hub: Hub | None = None
) -> Evidence:
    """Make one run in steps; with a hub it is warm."""

    def run() -> dict[str, Any]:
        if hub is not None:
            invocation._warm["hub"] = hub
        return Machine(stage, seconds_of_batch).run()

    with variables({"ORGMFA_BATCH_SIZE": "2"}):
        return stage.serve(run)


def _while_calls_fail(stage: Stage, rng: Random) -> list[Evidence]:
    kinds = (
        troubles.throttling(rng.uniform(0.05, 0.4)),
        troubles.server_errors(rng.uniform(0.05, 0.3)),
        troubles.resets(rng.uniform(0.05, 0.3), after=False),
        troubles.resets(rng.uniform(0.05, 0.3), after=True),
        troubles.nonsense(rng.uniform(0.02, 0.2)),
    )
    stage.server.troubles.append(rng.choice(kinds))
    return [run_in_steps(stage)]


def _out_of_time(stage: Stage, rng: Random) -> list[Evidence]:
    stage.server.troubles.append(troubles.throttling(0.3))
    return [run_in_steps(stage, lambda: 60 + rng.uniform(0.1, 1.5))]


def _results_lost(stage: Stage, rng: Random) -> list[Evidence]:
    """Have some batches do their work, and not be able to leave what came of it."""
    step, numbers = rng.choice(["plans", "applied"]), rng.sample(range(3), k=rng.randint(1, 2))

    def refuse(call: Call, _: Random) -> Disturbance | None:
        is_part = call.service == "s3" and call.action.startswith("PUT") and f"/{step}/" in call.action
        is_lost = is_part and any(f"{number}." in call.action.rpartition("/")[2] for number in numbers)
        return Instead(xml_error("AccessDenied", "Access Denied", 403)) if is_lost else None

    stage.server.troubles.append(refuse)
    return [run_in_steps(stage)]


def _at_the_limits(stage: Stage, rng: Random) -> list[Evidence]:
    return at_the_gate(lambda stage, rng: run_calmly_or_not(stage, rng, lambda: run_in_steps(stage)))(stage, rng)


IN_STEPS: tuple[Scenario, ...] = (
    Scenario(name="in steps, calls fail", arrange=lambda stage, _: use_bucket(stage), drive=_while_calls_fail, share=2),
    Scenario(name="in steps, out of time", arrange=lambda stage, _: use_bucket(stage), drive=_out_of_time),
    Scenario(name="in steps, results of batches lost", arrange=lambda stage, _: use_bucket(stage), drive=_results_lost),
    Scenario(name="in steps, the gate at its limits", arrange=lambda stage, _: use_bucket(stage), drive=_at_the_limits),
)
