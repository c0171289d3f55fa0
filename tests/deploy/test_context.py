"""What follows from the account, organization and Region of a deployment."""

import pytest

from orchestrator.deploy.context import Place
from orchestrator.deploy.parameters import configured_values
from orchestrator.domain.config import Config
from orchestrator.domain.model import Caller, Organization
from tests.builders import make_config


@pytest.mark.parametrize(
    ("partition", "region", "address", "iam_region"),
    [
        (
            "aws",
            "eu-central-1",
            "https://b.s3.eu-central-1.amazonaws.com/k",
            "us-east-1",
        ),
        (
            "aws-us-gov",
            "us-gov-east-1",
            "https://b.s3.us-gov-east-1.amazonaws.com/k",
            "us-gov-west-1",
        ),
        (
            "aws-cn",
            "cn-north-1",
            "https://b.s3.cn-north-1.amazonaws.com.cn/k",
            "cn-north-1",
        ),
        (
            "aws-eusc",
            "eusc-de-east-1",
            "https://b.s3.eusc-de-east-1.amazonaws.eu/k",
            "eusc-de-east-1",
        ),
    ],
)
def test_place_tells_addresses_and_what_a_new_stack_set_needs(
    partition: str, region: str, address: str, iam_region: str
) -> None:
    caller = Caller("999988887777", f"arn:{partition}:iam::999988887777:user/admin", partition)
    place = Place(caller, Organization("o-a1b2c3d4e5", "222233334444", partition), region)

    assert place.address("b", "k") == address
    assert place.known(Config()).at_first == {
        "CallAs": "DELEGATED_ADMIN",
        "StackSetRegion": iam_region,
        "EventsRegion": iam_region,
        "MaxChanges": "100",
    }
    assert place.known(Config()).always == {
        "OrganizationId": "o-a1b2c3d4e5",
        "SecurityAccountId": "999988887777",
        "IamEventBusArn": f"arn:{partition}:events:{region}:999988887777:event-bus/orgmfa-iam",
        **configured_values(Config()),
    }


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("ssm:/security/stop", "/security/stop"),
        ("ssm:/orgmfa/stop", "/orgmfa/stop"),
        ("./stop", None),
        ("/etc/orgmfa/stop", None),
        (None, None),
    ],
)
def test_new_functions_look_at_the_stop_parameter_of_the_configuration(stop: str | None, expected: str | None) -> None:
    caller = Caller("999988887777", "arn:aws:iam::999988887777:user/admin", "aws")
    place = Place(caller, Organization("o-a1b2c3d4e5", "222233334444", "aws"), "eu-central-1")

    assert place.known(make_config(enforcement={"stop": stop})).at_first.get("StopParameterName") == expected
