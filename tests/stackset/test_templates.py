"""What holds for all templates: what their parameters take, tags, partitions."""

import json
import re
from collections.abc import Iterator
from typing import Any

import cfnlint.api
import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from orchestrator.aws.partitions import describe_partition
from orchestrator.domain.policy_document import PARTITIONS
from tests.member_role import rendering as member_role
from tests.member_role.rendering import MEMBER, SECURITY
from tests.stackset.rendering import (
    BUCKET,
    BUS,
    EVENTS,
    EVERYTHING,
    IAM_BUS,
    MANAGEMENT,
    NAMES,
    ONE_LINE,
    PATHS,
    PROTECT,
    REGION,
    URL,
    resources,
    template,
)

pytestmark = pytest.mark.thorough
SSO_ROLES = f"arn:aws:iam::{SECURITY}:role/aws-reserved/sso.amazonaws.com"
ALL = [*NAMES, EVENTS]
REGIONS = ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"]


def parameters() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name in ALL:
        for parameter, declared in template(name)["Parameters"].items():
            yield name, parameter, declared


@pytest.mark.parametrize("name", ALL)
def test_cfn_lint_finds_nothing_in_any_partition(name: str) -> None:
    assert cfnlint.api.lint(PATHS[name].read_text("utf-8"), regions=REGIONS) == []


@pytest.mark.parametrize("name", ALL)
def test_the_template_can_be_deployed(name: str) -> None:
    size = len(PATHS[name].read_bytes())

    # CloudFormation API reference, CreateChangeSet: TemplateBody; a template in S3 may have a million bytes.
    assert size <= (1_000_000 if name == "central" else 51_200)


def test_every_parameter_is_described_and_bounded() -> None:
    for name, parameter, declared in parameters():
        bounds = declared.keys() & {"AllowedPattern", "AllowedValues", "MinValue", "MaxValue"}

        assert declared["Description"], (name, parameter)
        assert declared["ConstraintDescription"], (name, parameter)
        assert bounds in ({"AllowedPattern"}, {"AllowedValues"}, {"MinValue", "MaxValue"}), (name, parameter)


def test_every_parameter_takes_its_default() -> None:
    for name, parameter, declared in parameters():
        if "Default" in declared and "AllowedPattern" in declared:
            assert re.fullmatch(declared["AllowedPattern"], declared["Default"]), (name, parameter)


@pytest.mark.parametrize("name", ALL)
def test_the_console_shows_each_parameter_in_one_group(name: str) -> None:
    groups = template(name)["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    shown = [parameter for group in groups for parameter in group["Parameters"]]

    assert sorted(shown) == sorted(template(name)["Parameters"])


def test_a_parameter_of_several_templates_is_the_same_in_each() -> None:
    # One value given to `orgmfa deploy` serves all of them. Some templates take none where others need one.
    def shape(declared: dict[str, Any]) -> tuple[Any, ...]:
        pattern = re.sub(r"^\^\((.*)\)\?\$$", r"^\1$", declared.get("AllowedPattern", ""))
        return (declared["Type"], pattern, declared.get("Default") or None, declared.get("AllowedValues"))

    shapes: dict[str, set[str]] = {}
    declarations = [*parameters(), *(("member", *one) for one in member_role.template()["Parameters"].items())]
    for _, parameter, declared in declarations:
        shapes.setdefault(parameter, set()).add(repr(shape(declared)))

    assert {parameter: found for parameter, found in shapes.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("name", "parameter", "value", "is_taken"),
    [
        ("bootstrap", "KmsKeyArn", "arn:aws-cn:kms:cn-north-1:111122223333:key/0f1e2d3c", True),
        ("bootstrap", "KmsKeyArn", "arn:aws:kms:eu-central-1:111122223333:alias/mine", False),
        ("central", "TimeZone", "Europe/Berlin", True),
        ("central", "TimeZone", "America/Argentina/Buenos_Aires", True),
        ("central", "TimeZone", "Etc/GMT+5", True),
        ("central", "TimeZone", "12:00", False),
        ("central", "StopParameterName", "/security/orgmfa/stop", True),
        ("central", "StopParameterName", "orgmfa-stop", False),
        ("central", "StopParameterName", "/orgmfa/*", False),
        ("central", "OperatorPrincipalArns", "arn:aws:iam::111122223333:role/security-team", True),
        ("central", "OperatorPrincipalArns", "arn:aws:iam::111122223333:user/path/ana", True),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/eu-central-1/AWSReservedSSO_Security_{'?' * 16}", True),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_Security_{'?' * 16}", True),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_Security_0123456789abcdef", True),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/eu-central-1/AWSReservedSSO_Security_*", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_Security_{'?' * 15}*", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_Security_{'?' * 15}", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_Security_{'?' * 17}", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_{'?' * 16}", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/AWSReservedSSO_*", False),
        ("central", "OperatorPrincipalArns", f"{SSO_ROLES}/*", False),
        ("central", "OperatorPrincipalArns", f"arn:aws:iam::{SECURITY}:role/security-*", False),
        ("central", "OperatorPrincipalArns", f"arn:aws:iam::{SECURITY}:role/security-{'?' * 16}", False),
        ("central", "OperatorPrincipalArns", f"arn:aws:iam::{SECURITY}:user/security/*", False),
        ("central", "OperatorPrincipalArns", "arn:aws:iam::111122223333:role/*", False),
        ("central", "OperatorPrincipalArns", "arn:aws:iam::111122223333:root", False),
        ("central", "OperatorPrincipalArns", "arn:aws:iam::*:role/security-team", False),
        ("central", "OperatorPrincipalArns", "*", False),
        ("central", "SlackSecretArn", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:orgmfa/s-a1B2c3", True),
        ("central", "SlackSecretArn", "orgmfa/slack", False),
        ("central", "SlackSecretArn", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:orgmfa/*", False),
        ("central", "NudgeIdentityArn", "arn:aws:ses:eu-central-1:111122223333:identity/acme.com", True),
        ("central", "NudgeIdentityArn", "arn:aws:ses:eu-central-1:111122223333:identity/security@acme.com", True),
        ("central", "NudgeIdentityArn", "arn:aws:ses:eu-central-1:111122223333:identity/*", False),
        ("central", "NudgeIdentityArn", "arn:aws-cn:ses:cn-north-1:111122223333:identity/acme.com", False),
        ("central", "SlackChannel", "C0123456789", True),
        ("central", "SlackChannel", "#security", False),
        ("central", "AlarmEmail", "security@example.com", True),
        ("central", "AlarmEmail", "security", False),
        ("central", "ReservedConcurrency", "2", True),
        ("central", "ReservedConcurrency", "0", False),
        ("central", "ChildReservedConcurrency", "20", True),
        ("central", "ChildReservedConcurrency", "0", False),
        ("central", "CodeKey", "artifacts/orgmfa-0123abcd.zip", True),
        ("central", "StackSetName", "orgmfa-2", True),
        ("central", "StackSetName", "mfa", False),
        ("stackset", "TargetIds", "r-ab12", True),
        ("stackset", "TargetIds", "ou-ab12-11112222", True),
        ("stackset", "TargetIds", "111122223333", False),
        ("stackset", "TargetIds", "", False),
        *(("stackset", "StackSetRegion", describe_partition(one).iam_region, True) for one in PARTITIONS),
        ("stackset", "StackSetRegion", "eusc-de-east-11", False),
        ("stackset", "StackSetRegion", "global", False),
        ("stackset", "TemplateUrl", URL, True),
        *(
            (
                "stackset",
                "TemplateUrl",
                f"https://b.s3.some-region-1.{suffix}/member.yaml",
                True,
            )
            for suffix in sorted({describe_partition(one).suffix for one in PARTITIONS})
        ),
        ("stackset", "TemplateUrl", "https://b.s3.eu-west-1.amazonaws.com.eu/member.yaml", False),
        ("stackset", "TemplateUrl", "https://example.com/member.yaml", False),
        ("stackset", "TemplateUrl", f"s3://{BUCKET}/member.yaml", False),
        ("stackset", "IamEventBusArn", IAM_BUS, True),
        ("stackset", "IamEventBusArn", BUS, False),
        ("events", "IamEventBusArn", "", False),
        *(("stackset", "EventsRegion", describe_partition(one).iam_region, True) for one in PARTITIONS),
        ("management", "EventBusArn", BUS, True),
        ("management", "EventBusArn", f"arn:aws:events:{REGION}:{SECURITY}:rule/orgmfa", False),
        ("management", "ControlPolicyDocument", ONE_LINE, True),
        ("management", "ControlPolicyDocument", json.dumps(PROTECT, indent=2), False),
        ("management", "ControlPolicyTargetIds", "111122223333", True),
        ("management", "ControlPolicyTargetIds", "everybody", False),
    ],
)
def test_a_parameter_takes(name: str, parameter: str, value: str, *, is_taken: bool) -> None:
    pattern = template(name)["Parameters"][parameter]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, value)) is is_taken


@pytest.mark.parametrize("name", NAMES)
def test_every_resource_that_takes_tags_has_ours(name: str) -> None:
    for logical_id, resource in template(name)["Resources"].items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
        takes_tags = "Tags" in schema["properties"]

        tags = resource["Properties"].get("Tags")

        assert tags == ([{"Key": "application", "Value": "orgmfa"}] if takes_tags else None), logical_id


@pytest.mark.parametrize(
    ("partition", "region", "suffix"),
    [(one, describe_partition(one).iam_region, describe_partition(one).suffix) for one in PARTITIONS[1:]],
)
def test_no_arn_is_of_another_partition(partition: str, region: str, suffix: str) -> None:
    everything = {key: value.replace("arn:aws:", f"arn:{partition}:") for key, value in EVERYTHING.items()}
    pseudo = {"Partition": partition, "Region": region, "URLSuffix": suffix}
    rendered = json.dumps(
        [
            resources("bootstrap", ManagementAccountId=MANAGEMENT, **pseudo),
            resources("central", **everything, **pseudo),
            resources(EVENTS, IamEventBusArn=IAM_BUS.replace("arn:aws:", f"arn:{partition}:"), **pseudo),
            resources("management", Forwarder="on", EventBusArn=BUS.replace("arn:aws:", f"arn:{partition}:"), **pseudo),
        ]
    )

    assert set(re.findall(r"arn:([a-z-]+):", rendered)) == {partition}
    assert f"s3.{region}.{suffix}" in rendered
    assert MEMBER not in rendered
