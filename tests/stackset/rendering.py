"""Renders the templates of stackset/ as CloudFormation would, for the tests beside this file.

Stands on the resolver of the member template, and adds what these templates use beyond it.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from cfnlint.decode import decode

from tests.member_role import rendering as member_role
from tests.member_role.rendering import ORGANIZATION, SECURITY, Resolver

FOLDER = Path(__file__).parents[2] / "stackset"
NAMES = ("bootstrap", "central", "management", "stackset")
EVENTS = "events"
"""The template of member_role/ that the second StackSet deploys, which is rendered here like the others."""
PATHS = {name: FOLDER / f"{name}.yaml" for name in NAMES} | {EVENTS: member_role.FOLDER / "events.yaml"}

# o-a1b2c3d4e5
# |-- management 222233334444   the management account
# |-- security   999988887777   orgmfa runs here
# `-- member     111122223333   a member account
MANAGEMENT = "222233334444"
REGION = "eu-central-1"
BUCKET = "orgmfa-bootstrap-bucket-1abcdefgh"
URL = f"https://{BUCKET}.s3.{REGION}.amazonaws.com/artifacts/member-0123.yaml"
BUS = f"arn:aws:events:{REGION}:{SECURITY}:event-bus/orgmfa"
IAM_BUS = f"arn:aws:events:{REGION}:{SECURITY}:event-bus/orgmfa-iam"
IAM_QUEUE = "orgmfa-iam-events"
PROTECT = json.loads((member_role.FOLDER / "protect.scp.json").read_text("utf-8"))
ONE_LINE = json.dumps(PROTECT, separators=(",", ":"))

REQUIRED = {
    "bootstrap": {},
    "central": {"OrganizationId": ORGANIZATION, "CodeBucket": BUCKET, "CodeKey": "artifacts/orgmfa-0123.zip"},
    "events": {"IamEventBusArn": IAM_BUS},
    "management": {},
    "stackset": {
        "OrganizationId": ORGANIZATION,
        "SecurityAccountId": SECURITY,
        "TargetIds": "r-ab12",
        "TemplateUrl": URL,
    },
}
# Step Functions developer guide, Logging: what sets up the delivery.
TO_DELIVER_LOGS = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}
NO_VALUE = object()
PSEUDO: dict[str, Any] = {
    "AWS::AccountId": SECURITY,
    "AWS::NoValue": NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}
# Every part of central.yaml, so that a test sees all there is.
EVERYTHING = {
    "OperatorPrincipalArns": f"arn:aws:iam::{SECURITY}:role/security-team",
    "SlackSecretArn": f"arn:aws:secretsmanager:{REGION}:{SECURITY}:secret:orgmfa/slack-a1B2c3",
    "KmsKeyArns": f"arn:aws:kms:{REGION}:{SECURITY}:key/0f1e2d3c-0000-1111-2222-333344445555",
    "NudgeIdentityArn": f"arn:aws:ses:{REGION}:{SECURITY}:identity/acme.com",
    "Onboarding": "on",
    "ControlTower": "on",
    "ForwarderBus": "on",
    "ManagementAccountId": MANAGEMENT,
    "IamEvents": "on",
    "AlarmEmail": "security@example.com",
    "SecurityHub": "on",
    "EventBusName": "security",
    "Scale": "distributed",
    "ChildReservedConcurrency": "20",
}
# What GetAtt of an ARN comes to, below arn:PARTITION:SERVICE:REGION:ACCOUNT:
ARNS = {
    "AWS::Events::ApiDestination": "events:{region}:{account}:api-destination/{id}",
    "AWS::Events::EventBus": "events:{region}:{account}:event-bus/{Name}",
    "AWS::Events::Rule": "events:{region}:{account}:rule/{id}",
    "AWS::IAM::Role": "iam::{account}:role/{id}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{FunctionName}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{LogGroupName}:*",
    "AWS::SNS::Topic": "sns:{region}:{account}:{id}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{id}",
    "AWS::StepFunctions::StateMachine": "states:{region}:{account}:stateMachine:{StateMachineName}",
}
# The IAM events of stackset.yaml and management.yaml.
SENDING = {"IamEvents": "on", "IamEventBusArn": IAM_BUS, "EventsTemplateUrl": URL.replace("member-", "events-")}
# Whose Ref is its ARN.
KNOWN_BY_ARN = {"AWS::SNS::Topic", "AWS::StepFunctions::StateMachine"}


@cache
def template(name: str) -> dict[str, Any]:
    """Return a template with its short tags in long form."""
    read, problems = decode(str(PATHS[name]))
    assert not problems
    assert isinstance(read, dict)
    return read


def resources(name: str, **parameters: str) -> dict[str, Any]:
    """Return the resources that exist under these parameters, by logical ID: their properties, everything resolved.

    Parameters not named have their defaults, or a sample where they have none; `Partition`, `Region`, `URLSuffix` and
    `AccountId` stand for the pseudo parameters.
    """
    pseudo = PSEUDO | {f"AWS::{key}": parameters.pop(key) for key in list(parameters) if f"AWS::{key}" in PSEUDO}
    resolver = StackResolver(template(name), REQUIRED[name] | parameters, pseudo)
    return {
        logical_id: resolver.resolve(resource.get("Properties", {}))
        for logical_id, resource in template(name)["Resources"].items()
        if "Condition" not in resource or resolver.holds(resource["Condition"])
    }


def functions() -> dict[str, dict[str, Any]]:
    """Return the functions of central.yaml with all its parts, by logical ID."""
    deployed = resources("central", **EVERYTHING)
    return {name: one for name, one in deployed.items() if name.endswith("Function")}


def alarms(**given: str) -> dict[str, dict[str, Any]]:
    """Return the alarms of central.yaml under these parameters, by logical ID."""
    return {name: one for name, one in resources("central", **given).items() if name.endswith("Alarm")}


def permissions_of(role: str, **parameters: str) -> list[dict[str, Any]]:
    """Return the policy documents of a role of central.yaml, by its logical ID: those in it, and those that name it."""
    deployed = resources("central", **parameters)
    elsewhere = [one for one in deployed.values() if role in one.get("Roles", ())]
    return [policy["PolicyDocument"] for policy in [*deployed[role]["Policies"], *elsewhere]]


def definition(**parameters: str) -> dict[str, Any]:
    """Return what the state machine of a distributed run does, in the Amazon States Language."""
    machine = resources("central", Scale="distributed", **parameters)["RunMachine"]
    read: dict[str, Any] = json.loads(machine["DefinitionString"])
    return read


class StackResolver(Resolver):
    """Resolves intrinsic functions in one template; a Ref of a resource is its logical ID."""

    def __init__(self, read: dict[str, Any], parameters: dict[str, str], pseudo: dict[str, Any]) -> None:
        self.read = read
        self.values = dict(pseudo)
        for name, declared in read["Parameters"].items():
            value = parameters.get(name, declared.get("Default"))
            assert value is not None, f"the parameter {name} has no default"
            is_list = declared["Type"] == "CommaDelimitedList"
            self.values[name] = [one.strip() for one in value.split(",")] if is_list else value
        assert not parameters.keys() - read["Parameters"].keys()
        for name in read["Resources"]:
            self.values.setdefault(name, name)

    def holds(self, condition: str) -> bool:
        """Return whether a condition of the template is true."""
        return bool(self.resolve(self.read["Conditions"][condition]))

    def resolve(self, node: Any) -> Any:
        """Return the node with its functions replaced by their values, and what has no value left out."""
        value = super().resolve(node)
        if isinstance(value, list):
            return [one for one in value if one is not NO_VALUE]
        if isinstance(value, dict):
            return {key: one for key, one in value.items() if one is not NO_VALUE}
        return value

    def resolve_ref(self, name: str) -> Any:
        """Return the value of a parameter, or the logical ID of a resource; of a topic or state machine, its ARN."""
        declared = self.read["Resources"].get(name, {})
        return self._arn(name) if declared.get("Type") in KNOWN_BY_ARN else self.values[name]

    def resolve_sub(self, text: str) -> str:
        """Return the text with its variables replaced, the ARNs of resources among them."""
        return super().resolve_sub(re.sub(r"\$\{(\w+)\.Arn\}", lambda found: self._arn(found[1]), text))

    def resolve_getatt(self, argument: list[str]) -> str:
        """Return an attribute of a resource: its ARN or its name."""
        logical_id, attribute = argument
        if attribute == "QueueName":
            return str(self.read["Resources"][logical_id]["Properties"].get("QueueName", logical_id))
        return self._arn(logical_id) if attribute == "Arn" else logical_id

    def resolve_and(self, conditions: list[Any]) -> bool:
        """Return whether all hold."""
        return all(self.resolve(one) for one in conditions)

    def resolve_or(self, conditions: list[Any]) -> bool:
        """Return whether one holds."""
        return any(self.resolve(one) for one in conditions)

    def resolve_condition(self, name: str) -> bool:
        """Return whether a condition that another names is true."""
        return self.holds(name)

    def _arn(self, logical_id: str) -> str:
        resource = self.read["Resources"][logical_id]
        properties = {key: value for key, value in resource["Properties"].items() if isinstance(value, str)}
        places = {"region": self.values["AWS::Region"], "account": self.values["AWS::AccountId"]}
        places["id"] = properties.get("QueueName", logical_id)
        return f"arn:{self.values['AWS::Partition']}:" + ARNS[resource["Type"]].format(**places, **properties)
