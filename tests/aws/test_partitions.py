import botocore.session
import pytest

from orchestrator.aws.partitions import Partition, describe_partition
from orchestrator.domain.policy_document import PARTITIONS


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("aws", Partition("us-east-1", "aws-global", "amazonaws.com")),
        ("aws-us-gov", Partition("us-gov-west-1", "us-gov-west-1", "amazonaws.com")),
        ("aws-cn", Partition("cn-north-1", "cn-north-1", "amazonaws.com.cn")),
        ("aws-eusc", Partition("eusc-de-east-1", "eusc-de-east-1", "amazonaws.eu")),
    ],
)
def test_facts_of_a_partition(name: str, facts: Partition) -> None:
    assert describe_partition(name) == facts


def test_partitions_are_those_of_botocore_but_for_the_isolated_ones() -> None:
    known = botocore.session.get_session().get_available_partitions()

    assert {name for name in known if not name.startswith("aws-iso")} == set(PARTITIONS)
