"""stackset/README.md and member_role/README.md list every parameter and permission of the templates."""

import json
import re
from collections.abc import Collection
from typing import Any

import pytest

from tests.member_role import rendering as member_role
from tests.stackset.rendering import (
    EVENTS,
    EVERYTHING,
    FOLDER,
    NAMES,
    permissions_of,
    template,
)

pytestmark = pytest.mark.thorough

README = (FOLDER / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_lists_every_parameter_with_its_default(name: str) -> None:
    section = README.split(f"\n### {name}.yaml\n")[1].split("\n#")[0]
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE))
    passed_on = member_role.template()["Parameters"].keys() if "every parameter of `member_role" in section else set()

    assert listed == _defaults(name, but=passed_on)


def test_the_readme_of_the_member_templates_lists_every_parameter_of_the_events() -> None:
    readme = (member_role.FOLDER / "README.md").read_text("utf-8")
    section = readme.split("\n## events.yaml\n")[1].split("\n## ")[0]

    assert dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE)) == _defaults(EVENTS)


def _defaults(name: str, *, but: Collection[str] = ()) -> dict[str, str]:
    return {
        parameter: f"`{declared['Default']}`"
        if declared.get("Default") not in (None, "")
        else _without_default(declared)
        for parameter, declared in template(name)["Parameters"].items()
        if parameter not in but
    }


def _without_default(declared: dict[str, Any]) -> str:
    return "none" if "Default" in declared else "required"


@pytest.mark.parametrize(("role", "listed_as"), [("OrchestratorRole", "orchestrator"), ("OperatorRole", "operator")])
def test_the_readme_lists_every_permission(role: str, listed_as: str) -> None:
    rows = re.findall(r"^\| (both|orchestrator|operator)(?:, with [^|]+)? \| (`\w+:.+?) \|", README, re.MULTILINE)
    listed = {action for who, cell in rows if who in {"both", listed_as} for action in re.findall(r"`(\w+:\w+)`", cell)}

    documents = permissions_of(role, **EVERYTHING, AllowSessionContext="true")
    granted = [statement["Action"] for one in documents for statement in one["Statement"]]

    assert listed == set(re.findall(r"\w+:[A-Z]\w+", json.dumps(granted)))


def test_the_readme_lists_every_permission_of_the_state_machine() -> None:
    section = README.split("`RunMachineRole`, with")[1].split("\n### ")[0]
    listed = {
        action
        for cell in re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
        for action in re.findall(r"`(\w+:\w+)`", cell)
    }

    granted = [
        action
        for document in permissions_of("RunMachineRole", **EVERYTHING)
        for statement in document["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]

    assert listed == set(granted)
