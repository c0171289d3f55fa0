"""What is said when a deployment has come to its end: what to do next, and what has to be done elsewhere. Pure."""

import shlex
from collections.abc import Iterator, Mapping

from orchestrator.deploy.rollout import Deployed
from orchestrator.deploy.teardown import Inventory
from orchestrator.deploy.templates import BOOTSTRAP, CENTRAL, STACK_SET, Template
from orchestrator.domain.config import Config
from orchestrator.domain.model import Organization

MANAGEMENT_STACK = "orgmfa-management"


def tell_next_steps(
    deployed: Deployed, management: Template, *, config: Config, organization: Organization, region: str
) -> str:
    """Return what to do after a deployment."""
    lines = list(_tell_operators(deployed, config))
    if config.organization.include_management_account:
        lines += ["", *_tell_management(deployed, management, organization=organization, region=region)]
    return "\n".join(lines)


def tell_removed(found: Inventory, organization: Organization) -> str:
    """Return what stays after everything else was taken down, and how to remove that."""
    account_id = organization.management_account_id
    lines = [
        f"Not touched: the stack {MANAGEMENT_STACK} in the management account {account_id}, and the stacks of accounts",
        "that left the organization or the StackSet's OUs. Delete them there by hand.",
    ]
    if found.is_bucket_kept and found.bucket is not None:
        lines += [
            f"The bucket {found.bucket.name} holds the archive, so it stays with its stack. To remove it, empty it",
            "(S3 console, Empty: it deletes all versions), then run orgmfa deploy --delete again.",
        ]
    return "\n".join(lines)


def _tell_operators(deployed: Deployed, config: Config) -> Iterator[str]:
    central = deployed.stacks[CENTRAL]
    role, location = central.outputs.get("OperatorRoleArn"), central.outputs.get("ArchiveLocation", "")
    if role is None:
        yield "Nobody may work with it yet. Name who becomes the operator, by the ARN of a role or user:"
        yield "  orgmfa deploy --parameter OperatorPrincipalArns=ARN"
        yield ""
        role = "the operator's role"
    yield f"Next, as {role}:"
    if config.archive.location.rstrip("/") != location.rstrip("/"):
        yield f"  set archive.location to {location}, which the functions use"
    yield "  orgmfa doctor                            is everything in its place?"
    yield "  orgmfa plan                              what a run would do"
    yield "  orgmfa apply --account 111122223333      one account first"
    if central.parameters.get("Mode") == "apply":
        yield "The functions enforce every day: Mode is apply."
    else:
        yield "  orgmfa deploy --parameter Mode=apply     then the functions enforce too; until then they only plan"


def _tell_management(
    deployed: Deployed, management: Template, *, organization: Organization, region: str
) -> Iterator[str]:
    account_id = organization.management_account_id
    yield f"StackSets never reach the management account {account_id}. There, by hand:"
    parameters = " ".join(
        shlex.quote(f"{name}={value}") for name, value in _management_values(deployed, management).items()
    )
    yield f"  aws cloudformation deploy --stack-name {MANAGEMENT_STACK} --region {region} \\"
    yield "    --template-file stackset/management.yaml --capabilities CAPABILITY_NAMED_IAM \\"
    yield f"    --parameter-overrides {parameters}"
    if deployed.stacks[BOOTSTRAP].parameters.get("ManagementAccountId") != account_id:
        yield "It reads the member template from the bucket; to let it:"
        yield f"  orgmfa deploy --parameter ManagementAccountId={account_id}"
    yield "Or leave that account out: organization.include_management_account: false"


def _management_values(deployed: Deployed, management: Template) -> Mapping[str, str]:
    """Return the parameters of management.yaml that are not its defaults: as in the StackSet, and the event bus."""
    bus = deployed.stacks[CENTRAL].outputs.get("EventBusArn")
    forwarder = {"Forwarder": "on", "EventBusArn": bus} if bus else {}
    values = {**deployed.stacks[STACK_SET].parameters, "MemberRoles": "on", **forwarder}
    return {
        name: values[name]
        for name, parameter in management.parameters.items()
        if name in values and values[name] != parameter.default
    }
