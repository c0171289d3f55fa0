"""The text shown after a deployment or removal: what to do next, and what to do in other accounts."""

import shlex
from collections.abc import Iterator, Mapping

from orchestrator.deploy.context import Place
from orchestrator.deploy.teardown import Inventory
from orchestrator.deploy.templates import BOOTSTRAP, CENTRAL, MANAGEMENT, STACK_SET, read_template
from orchestrator.domain.cloudformation import Stack
from orchestrator.domain.config import Config

MANAGEMENT_STACK = "orgmfa-management"


def format_next_steps(stacks: Mapping[str, Stack], place: Place, config: Config) -> str:
    """Return what to do after a deployment of these stacks, which are named by template."""
    lines = list(_operator_steps(stacks, config))
    if config.organization.include_management_account:
        lines += ["", *_management_steps(stacks, place)]
    return "\n".join(lines)


def format_leftovers(found: Inventory, place: Place) -> str:
    """Return what remains after a removal, and how to remove that."""
    account_id = place.organization.management_account_id
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


def _operator_steps(stacks: Mapping[str, Stack], config: Config) -> Iterator[str]:
    central = stacks[CENTRAL]
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


def _management_steps(stacks: Mapping[str, Stack], place: Place) -> Iterator[str]:
    account_id = place.organization.management_account_id
    yield f"StackSets never reach the management account {account_id}. There, by hand:"
    parameters = shlex.join(f"{name}={value}" for name, value in _management_values(stacks).items())
    yield f"  aws cloudformation deploy --stack-name {MANAGEMENT_STACK} --region {place.region} \\"
    yield "    --template-file stackset/management.yaml --capabilities CAPABILITY_NAMED_IAM \\"
    yield f"    --parameter-overrides {parameters}"
    if stacks[BOOTSTRAP].parameters.get("ManagementAccountId") != account_id:
        yield "It reads the member template from the bucket; to let it:"
        yield f"  orgmfa deploy --parameter ManagementAccountId={account_id}"
    yield "Or leave that account out: organization.include_management_account: false"


def _management_values(stacks: Mapping[str, Stack]) -> Mapping[str, str]:
    """Return the parameters of management.yaml that differ from its defaults: as in the StackSet, and the event bus."""
    bus = stacks[CENTRAL].outputs.get("EventBusArn")
    forwarder = {"Forwarder": "on", "EventBusArn": bus} if bus else {}
    values = {**stacks[STACK_SET].parameters, "MemberRoles": "on", **forwarder}
    return {
        name: values[name]
        for name, parameter in read_template(MANAGEMENT).parameters.items()
        if name in values and values[name] != parameter.default
    }
