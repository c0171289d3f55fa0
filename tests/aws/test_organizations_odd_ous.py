"""OUs of which Organizations says less than it does today, or whose names no text file can hold."""

import json
from typing import Any

import pytest

from orchestrator.aws.clients import make_clients
from orchestrator.aws.organizations import Directory
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import Malformed
from tests.aws_server import MANAGEMENT, Answer, AwsServer, Call
from tests.organization import SampleOrganization


def make_directory() -> Directory:
    return Directory(make_clients(connections=4).organizations, Retrier(Cancellation(), sleep=lambda _: None))


def as_json(body: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps(body), "application/x-amz-json-1.1")


@pytest.mark.parametrize(
    ("bodies", "field"),
    [
        ({"ListAccountsForParent": {"Accounts": [{"Name": "payments"}]}}, "Account.Id"),
        (
            {"ListOrganizationalUnitsForParent": {"OrganizationalUnits": [{"Name": "production"}]}},
            "OrganizationalUnit.Id",
        ),
    ],
)
def test_entry_under_an_ou_without_its_id_is_malformed_and_no_defect(
    aws: AwsServer, bodies: dict[str, dict[str, Any]], field: str
) -> None:
    production = SampleOrganization(aws).add_ou("production")
    aws.faults.append(lambda call: as_json(bodies[call.action]) if call.action in bodies else None)

    with pytest.raises(Malformed, match=field):
        list(make_directory().list_accounts([production]))


@pytest.mark.parametrize("named", [(), (MANAGEMENT,)])
def test_half_a_surrogate_pair_in_the_name_of_an_ou_becomes_a_question_mark(
    aws: AwsServer, named: tuple[str, ...]
) -> None:
    unit = {"Id": "ou-exam-production0", "Name": "a\ud800b"}

    def serve(call: Call) -> Answer | None:
        below, above = call.parameters.get("ParentId"), call.parameters.get("ChildId")
        bodies: dict[str, dict[str, Any]] = {
            "ListRoots": {"Roots": [{"Id": "r-exam"}]},
            "ListOrganizationalUnitsForParent": {"OrganizationalUnits": [unit] if below == "r-exam" else []},
            "ListAccountsForParent": {"Accounts": [] if below == "r-exam" else [{"Id": MANAGEMENT}]},
            "ListParents": {"Parents": [{"Id": unit["Id"] if above == MANAGEMENT else "r-exam"}]},
            "DescribeOrganizationalUnit": {"OrganizationalUnit": unit},
        }
        return as_json(bodies[call.action])

    aws.faults.append(serve)
    directory = make_directory()

    directory.find_ou_paths(named, Cancellation())

    assert directory.placement(MANAGEMENT).ou == "Root/a?b"
