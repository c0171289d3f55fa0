"""What holds for every policy document of every template."""

import json
import re
from collections.abc import Iterator
from typing import Any

import parliament
import pytest

from tests.member_role.rendering import SECURITY
from tests.stackset.permission_samples import KEY, actions
from tests.stackset.rendering import (
    EVERYTHING,
    MANAGEMENT,
    PATHS,
    REGION,
    permissions_of,
    resources,
)

# Everything that parliament says, and why it stays.
EXPLAINED = {
    (
        "MALFORMED",
        "Statement contains neither Resource nor NotResource",
    ): "a trust policy has none: the role that it stands in is the resource",
    (
        "RESOURCE_MISMATCH",
        "[{'action': 'states:DescribeExecution', 'required_format': 'arn:*:states:*:*:express:*:*:*'}]",
    ): "its table knows the executions of Express machines alone; these are Standard",
}
TRUST_POLICIES = {
    "central OperatorRole",
    "central OrchestratorRole",
    "central RunMachineRole",
    "central SchedulerRole",
    "events EventsRole",
    "management ForwarderRole",
}


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every policy document of every template with all its parts, and where it stands."""
    bus = f"arn:aws:events:{REGION}:{SECURITY}:event-bus/orgmfa"
    parts: dict[str, dict[str, str]] = {
        "bootstrap": {"ManagementAccountId": MANAGEMENT, "KmsKeyArn": KEY},
        "central": EVERYTHING,
        "events": {},
        "management": {"Forwarder": "on", "ControlTower": "on", "EventBusArn": bus},
        "stackset": {},
    }
    for name, parameters in parts.items():
        for logical_id, properties in resources(name, **parameters).items():
            for document in policies_in(properties):
                yield f"{name} {logical_id}", document


def policies_in(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "Statement" in node and "Version" not in node:
            yield {"Version": "2012-10-17", "Statement": [node["Statement"]]}
        elif "Statement" in node:
            yield node
        else:
            for value in node.values():
                yield from policies_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from policies_in(value)


def test_the_policy_linter_finds_only_what_is_explained() -> None:
    # The sign-in service is newer than parliament's list of services.
    findings = [
        (where, (finding.issue, str(finding.detail)))
        for where, document in documents()
        for finding in parliament.analyze_policy_string(json.dumps(document)).findings
        if "Unknown action signin:" not in str(finding.detail)
    ]

    assert [(where, finding) for where, finding in findings if finding not in EXPLAINED] == []
    assert {where for where, _ in findings} == TRUST_POLICIES


@pytest.mark.parametrize("role", ["OrchestratorRole", "OperatorRole"])
def test_the_permissions_fit_into_a_role(role: str) -> None:
    long = {"CodeBucket": "b" * 63, "RolePath": "/" + "p" * 64 + "/", "StopParameterName": "/" + "s" * 64}
    found = permissions_of(role, **EVERYTHING | long)

    # IAM user guide, IAM and STS quotas: all inline policies of a role together.
    assert sum(len(json.dumps(document, separators=(",", ":"))) for document in found) <= 10_240


def test_no_template_holds_an_account_id() -> None:
    for name, path in PATHS.items():
        assert not re.search(r"[0-9]{12}", path.read_text("utf-8")), name


def test_no_document_allows_a_wildcard_action() -> None:
    allowing = [
        (where, action)
        for where, document in documents()
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for action in actions({"Statement": [statement]})
        if "*" in action
    ]

    assert allowing == []
