"""The text shown after a deployment or removal: what to do next, and what to do in other accounts."""

import shlex
from collections.abc import Iterator, Mapping

from orchestrator.deploy.context import Place
from orchestrator.deploy.teardown import Inventory
from orchestrator.deploy.templates import BOOTSTRAP, CENTRAL, MANAGEMENT, STACK_SET, read_template
from orchestrator.domain.cloudformation import Stack
from orchestrator.domain.config import Config

MANAGEMENT_STACK, EVENTS_STACK = "orgmfa-management", "orgmfa-management-events"
_OF_EVENTS = ("IamEvents", "IamEventBusArn", "EventsTemplateUrl", "IamEventsScope", "EventsRoleName")
_NAMES = ("RolePath", "PolicyName", "GroupName", "PolicyPath")
"""What the rule for IAM events shares with the member roles."""


def format_next_steps(stacks: Mapping[str, Stack], place: Place, config: Config) -> str:
    """Return what to do after a deployment of these stacks, which are named by template."""
    lines = list(_operator_steps(stacks, config))
    if config.organization.include_management_account:
        lines += ["", *_management_steps(stacks, place)]
    return "\n".join(lines)


def format_leftovers(found: Inventory, place: Place) -> str:
    """Return what remains after a removal, and how to remove that."""
    account_id, stack_set = place.organization.management_account_id, found.stacks.get(STACK_SET)
    has_events = stack_set is not None and stack_set.parameters.get("IamEvents") == "on"
    stacks = f"stacks {MANAGEMENT_STACK} and {EVENTS_STACK}" if has_events else f"stack {MANAGEMENT_STACK}"
    lines = [
        f"Not touched: the {stacks} in the management account {account_id}, and the stacks of accounts",
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
    shared, bus = stacks[STACK_SET].parameters, stacks[CENTRAL].outputs.get("EventBusArn")
    forwarder = {"Forwarder": "on", "EventBusArn": bus} if bus else {}
    members = {name: value for name, value in shared.items() if name not in _OF_EVENTS}
    yield from _management_command(MANAGEMENT_STACK, place.region, {**members, "MemberRoles": "on", **forwarder})
    if shared.get("IamEvents") == "on":
        yield "and in the Region where IAM's events appear:"
        sender = {name: value for name, value in shared.items() if name in _OF_EVENTS + _NAMES}
        yield from _management_command(EVENTS_STACK, shared["EventsRegion"], sender)
    if stacks[BOOTSTRAP].parameters.get("ManagementAccountId") != account_id:
        yield "It reads the member template from the bucket; to let it:"
        yield f"  orgmfa deploy --parameter ManagementAccountId={account_id}"
    yield "Or leave that account out: organization.include_management_account: false"


def _management_command(stack: str, region: str, values: Mapping[str, str]) -> Iterator[str]:
    """Yield the command that deploys management.yaml with these values, as far as they differ from its defaults."""
    declared = read_template(MANAGEMENT).parameters
    given = [
        f"{name}={values[name]}"
        for name in declared
        if values.get(name, declared[name].default) != declared[name].default
    ]
    yield f"  aws cloudformation deploy --stack-name {stack} --region {region} \\"
    yield "    --template-file stackset/management.yaml --capabilities CAPABILITY_NAMED_IAM \\"
    yield f"    --parameter-overrides {shlex.join(given)}"
