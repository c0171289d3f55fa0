"""Checks of the deployment in the caller's account: schedule, function, service control policies.

What the caller may not read is unknown, never a problem.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from orchestrator.aws.partitions import describe_partition
from orchestrator.doctor.iam_events import BUS, EVENTS_ROLE
from orchestrator.doctor.lock import check_locks
from orchestrator.doctor.ports import DoctorContext
from orchestrator.doctor.report import Check, CheckName, fine, in_words, problem, unknown
from orchestrator.doctor.scp import RegionalCall, is_guard, list_denied, list_denied_calls
from orchestrator.domain.config_file import show_path
from orchestrator.domain.deployed import ControlPolicy, Function, Schedule
from orchestrator.domain.environment import IAM_EVENTS_VARIABLE
from orchestrator.domain.errors import AccessDenied, AwsError, NotFound
from orchestrator.domain.remedies import select_remedy

SCHEDULE_GROUP, SCHEDULE = "orgmfa", "orgmfa-daily"
FUNCTION = "orgmfa-schedule"
"""Names in stackset/central.yaml."""
MODE_VARIABLE, ARCHIVE_VARIABLE = "ORGMFA_ENFORCEMENT_MODE", "ORGMFA_ARCHIVE_LOCATION"

_NAMED = 3
_NO_STACK = "Deploy stackset/central.yaml, or look in its account and Region (AWS_REGION): else nothing runs by itself."
_MODES = {"plan": "it plans, and writes nothing", "apply": "it enforces"}


def check_function(tools: DoctorContext) -> tuple[Check, str | None]:
    """Return the check of the function, and the ARN of the bus of IAM events where the function says they are on."""
    try:
        function = tools.hub.get_function(FUNCTION)
    except AwsError as error:
        return _unread(CheckName.FUNCTION, FUNCTION, error, action="lambda:GetFunctionConfiguration"), None
    place = f"arn:{tools.caller.partition}:events:{tools.region}:{tools.caller.account_id}"
    is_on = function.environment.get(IAM_EVENTS_VARIABLE) == "on"
    return _judge_function(function, tools), f"{place}:event-bus/{BUS}" if is_on else None


def check_deployment(tools: DoctorContext) -> Iterator[Check]:
    """Yield the checks of control policies and schedule."""
    yield from _check_control_policies(tools)
    try:
        yield _judge_schedule(tools.hub.get_schedule(SCHEDULE_GROUP, SCHEDULE))
    except AwsError as error:
        yield _unread(CheckName.SCHEDULE, SCHEDULE, error, action="scheduler:GetSchedule")


def _unread(name: CheckName, resource: str, error: AwsError, *, action: str) -> Check:
    """Return the check of a schedule or function that does not exist here or may not be read."""
    if isinstance(error, NotFound):
        return unknown(name, f"there is no {name} {resource} in this account and Region", _NO_STACK)
    return unknown(name, in_words(error), f"Allow {action} to this caller, or look at the {name} in the console.")


def _judge_schedule(schedule: Schedule) -> Check:
    """Return whether the schedule fires."""
    when = f"{schedule.expression} {schedule.time_zone}"
    if schedule.is_enabled:
        return fine(CheckName.SCHEDULE, f"{SCHEDULE} is enabled: {when}")
    remedy = "Enable it in EventBridge Scheduler: until then nothing runs by itself."
    return problem(CheckName.SCHEDULE, f"{SCHEDULE} is disabled ({when})", remedy)


def _judge_function(function: Function, tools: DoctorContext) -> Check:
    """Return whether the function can be invoked and shares the archive, which records releases; and its mode."""
    name = CheckName.FUNCTION
    if not function.is_usable:
        remedy = "Look at it in the Lambda console, then deploy stackset/central.yaml again."
        return problem(name, f"{FUNCTION} could not be made or updated: Lambda reports it as failed", remedy)
    theirs, ours = function.environment.get(ARCHIVE_VARIABLE, ""), tools.config.archive.location
    if theirs and theirs.rstrip("/") != ours.rstrip("/"):
        message = (
            f"{FUNCTION} keeps its archive in {theirs}, this configuration in {show_path(ours)}: "
            "it would undo releases made here"
        )
        return problem(name, message, f"Set archive.location to {theirs}.")
    mode = function.environment.get(MODE_VARIABLE, "")
    does = _MODES.get(mode, "it does as enforcement.mode in its package says")
    return fine(name, f"{FUNCTION} is deployed: {does}")


def _check_control_policies(tools: DoctorContext) -> Iterator[Check]:
    """Yield which SCPs may deny calls of a run, where one guards EnforceMFA, and where one of ours blocks users.

    The first cannot be certain, and no run fails by the second, so they are never a problem.
    """
    name = CheckName.SCP
    try:
        policies = tools.hub.list_control_policies()
        suspects = [words for policy in policies if (words := _suspect(policy, tools))]
        rest = [_judge_guards(policies, tools), *check_locks(policies, tools)]
    except AccessDenied as error:
        remedy = (
            "Allow organizations:ListPolicies, DescribePolicy and ListTargetsForPolicy to this caller, or look through "
            "the SCPs for denies of iam: actions."
        )
        yield unknown(name, in_words(error), remedy)
        return
    except AwsError as error:
        yield unknown(name, in_words(error), select_remedy(error))
        return
    if suspects:
        roles = tools.config.member_role
        remedy = f"Where runs are to work there, exempt the roles {roles.name} and {roles.release_name}."
        if tools.event_bus is not None:
            remedy += f" Where IAM events are to come from there, {EVENTS_ROLE} and stacksets-exec-* too."
        yield unknown(name, "; ".join(suspects), remedy)
    else:
        count = f"none of {len(policies)} SCPs denies" if policies else "no SCP denies"
        yield fine(name, f"{count} a call of a run unconditionally; denies with conditions are not judged")
    yield from rest


def _judge_guards(policies: Sequence[ControlPolicy], tools: DoctorContext) -> Check:
    """Return whether an SCP keeps all member accounts from turning EnforceMFA into a grant for those who have it."""
    guarded: dict[str, str] = {}
    for policy in policies:
        with suppress(ValueError):  # told by the check of the SCPs
            if is_guard(policy.document, _run_resources(tools)[1]):
                guarded |= tools.hub.list_targets(policy.id)
    what = f"{tools.config.policy.name} from being rewritten by whoever may edit policies there"
    if any(target.startswith("r-") for target in guarded):
        return fine(CheckName.GUARD, f"an SCP on the root keeps {what}, but for the roles that it spares")
    where = f"outside of {_some(list(guarded.values()))} no SCP" if guarded else "no SCP"
    remedy = "Attach member_role/protect.scp.json to the root (docs/deploy.md): else they could have it grant anything."
    return unknown(CheckName.GUARD, f"{where} keeps {what}", remedy)


def _suspect(policy: ControlPolicy, tools: DoctorContext) -> str:
    """Return which calls a control policy may deny and where, or an empty text."""
    try:
        denied = [
            *list_denied(policy.document, tools.run_actions, _run_resources(tools)),
            *list_denied_calls(policy.document, _event_calls(tools)),
        ]
    except ValueError:
        return f"the SCP {policy.name} cannot be read"
    if not denied or not (targets := tools.hub.list_targets(policy.id)):
        return ""
    return f"the SCP {policy.name} may deny {_some(denied)} in {_some(list(targets.values()))}"


def _event_calls(tools: DoctorContext) -> list[RegionalCall]:
    """Return what has to be allowed in an account for its IAM events to come: making the rule, sending to the bus."""
    if tools.event_bus is None:
        return []
    in_account = f"arn:{tools.caller.partition}:{{}}:{{}}:{tools.caller.account_id}:{{}}".format
    region, path = describe_partition(tools.caller.partition).iam_region, tools.config.member_role.path
    deployer, sender = (in_account("iam", "", f"role{name}") for name in ("/stacksets-exec-0", f"{path}{EVENTS_ROLE}"))
    rule = in_account("events", region, "rule/orgmfa-iam-events")
    return [
        RegionalCall("events:PutRule", region, deployer, rule),
        RegionalCall("events:PutEvents", tools.region, sender, tools.event_bus),
    ]


def _run_resources(tools: DoctorContext) -> list[str]:
    """Return the ARNs of one resource of each kind that a run reads or writes."""
    roles, policy = tools.config.member_role, tools.config.policy
    names = (
        "user/somebody",
        f"policy{policy.path}{policy.name}",
        f"group{policy.path}{policy.group}",
        f"role{roles.path}{roles.name}",
    )
    return [f"arn:{tools.caller.partition}:iam::{tools.caller.account_id}:{name}" for name in names]


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
