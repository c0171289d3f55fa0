"""Facts of each partition of AWS, as botocore has them: Regions, and the suffix of host names."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.loaders import create_loader


@dataclass(frozen=True, slots=True)
class Partition:
    """Facts of a partition: the Region that IAM is signed for, where STS answers for all Regions, its DNS suffix."""

    iam_region: str
    global_sts_region: str
    suffix: str


@cache
def describe_partition(name: str) -> Partition:
    """Return the facts of one of the partitions that orgmfa is made for (`domain.policy_document.PARTITIONS`)."""
    data: Any = create_loader().load_data  # not of a session: that would ask for a profile, which may not exist
    facts = next(one["outputs"] for one in data("partitions")["partitions"] if one["id"] == name)
    services = next(one["services"] for one in data("endpoints")["partitions"] if one["partition"] == name)
    endpoints = services.get("iam", {}).get("endpoints", {}).values()
    region = next((one["credentialScope"]["region"] for one in endpoints), facts["implicitGlobalRegion"])
    return Partition(region, services.get("sts", {}).get("partitionEndpoint", region), facts["dnsSuffix"])
