"""Checks of the deployment in the caller's account; what may not be read is unknown, and silence is no problem."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import takewhile

from orchestrator.doctor.ports import DoctorContext
from orchestrator.doctor.report import Check, CheckName, fine, in_words, problem, unknown
from orchestrator.domain.config_file import show_path
from orchestrator.domain.deployed import Function
from orchestrator.domain.environment import IAM_EVENTS_VARIABLE
from orchestrator.domain.errors import ArchiveError, AwsError, NotFound
from orchestrator.domain.policy_document import read_statements
from orchestrator.output.words import some_of
from orchestrator.reports.history import is_whole

SCHEDULE_GROUP, SCHEDULE, FUNCTION = "orgmfa", "orgmfa-daily", "orgmfa-schedule"
BUS, EVENTS_ROLE = "orgmfa-iam", "orgmfa-events"
ALARMS = ("orgmfa-iam-events-waiting", "orgmfa-iam-events-dead-letters", "orgmfa-iam-events-failed")
"""Names in stackset/central.yaml and member_role/events.yaml."""
MODE_VARIABLE, ARCHIVE_VARIABLE = "ORGMFA_ENFORCEMENT_MODE", "ORGMFA_ARCHIVE_LOCATION"

_EVENTS = CheckName.IAM_EVENTS
_SILENCE = timedelta(days=7)
_MOST_RUNS = 100
_NO_STACK = "Deploy stackset/central.yaml, or look in its account and Region (AWS_REGION): else nothing runs by itself."
_NO_EVENTS = "Deploy stackset/central.yaml with IamEvents=on (docs/deploy.md)."
_MODES = {"plan": "it plans, and writes nothing", "apply": "it enforces"}


def check_function(tools: DoctorContext) -> tuple[Check, str | None]:
    """Return the check of the function, and the ARN of the bus of IAM events where the function says they are on."""
    try:
        function = tools.hub.get_function(FUNCTION)
    except AwsError as error:
        return _unread(CheckName.FUNCTION, FUNCTION, error, action="lambda:GetFunctionConfiguration"), None
    bus = f"arn:{tools.caller.partition}:events:{tools.region}:{tools.caller.account_id}:event-bus/{BUS}"
    is_on = function.environment.get(IAM_EVENTS_VARIABLE) == "on"
    return _judge_function(function, tools), bus if is_on else None


def check_schedule(tools: DoctorContext) -> Check:
    """Return whether the schedule fires."""
    try:
        schedule = tools.hub.get_schedule(SCHEDULE_GROUP, SCHEDULE)
    except AwsError as error:
        return _unread(CheckName.SCHEDULE, SCHEDULE, error, action="scheduler:GetSchedule")
    when = f"{schedule.expression} {schedule.time_zone}"
    if schedule.is_enabled:
        return fine(CheckName.SCHEDULE, f"{SCHEDULE} is enabled: {when}")
    remedy = "Enable it in EventBridge Scheduler: until then nothing runs by itself."
    return problem(CheckName.SCHEDULE, f"{SCHEDULE} is disabled ({when})", remedy)


def _unread(name: CheckName, resource: str, error: AwsError, *, action: str) -> Check:
    if isinstance(error, NotFound):
        return unknown(name, f"there is no {name} {resource} in this account and Region", _NO_STACK)
    return unknown(name, in_words(error), f"Allow {action} to this caller, or look at the {name} in the console.")


def _judge_function(function: Function, tools: DoctorContext) -> Check:
    """Return whether the function can be invoked and shares the archive, which records releases; and its mode."""
    name = CheckName.FUNCTION
    if not function.is_usable:
        remedy = "Look at it in the Lambda console, then deploy stackset/central.yaml again."
        return problem(name, f"{FUNCTION} could not be made or updated: Lambda reports it as failed", remedy)
    theirs, ours = function.environment.get(ARCHIVE_VARIABLE, ""), tools.config.archive.location
    if theirs and theirs.rstrip("/") != ours.rstrip("/"):
        where = f"{FUNCTION} keeps its archive in {theirs}, this configuration in {show_path(ours)}"
        return problem(name, f"{where}: it would undo releases made here", f"Set archive.location to {theirs}.")
    mode = function.environment.get(MODE_VARIABLE, "")
    return fine(name, f"{FUNCTION} is deployed: {_MODES.get(mode, 'it does as enforcement.mode in its package says')}")


def check_iam_events(organization_id: str, tools: DoctorContext) -> Iterator[Check]:
    """Yield the checks of a deployment with IamEvents=on: the bus, the alarms, silent accounts."""
    try:
        yield _judge_bus(tools.hub.get_bus_policy(BUS), organization_id)
        yield _judge_alarms(tools.hub.get_alarm_states(ALARMS))
    except NotFound:
        yield problem(
            _EVENTS, f"there is no event bus {BUS} in this account and Region, though IamEvents is on", _NO_EVENTS
        )
    except AwsError as error:
        remedy = "Allow events:DescribeEventBus and cloudwatch:DescribeAlarms to this caller, or look in the console."
        yield unknown(_EVENTS, in_words(error), remedy)
    try:
        yield _check_silence(tools)
    except ArchiveError as error:
        yield problem(_EVENTS, str(error), "Mend it: no event is worked on until it can be read.")


def _judge_bus(policy: str, organization_id: str) -> Check:
    try:
        conditions = [one.get("Condition", {}).get("StringEquals", {}) for one in read_statements(policy)]
    except ValueError:
        conditions = []
    if conditions and all(one.get("aws:PrincipalOrgID") == organization_id for one in conditions):
        return fine(_EVENTS, f"the bus {BUS} lets in accounts of {organization_id} alone")
    return problem(_EVENTS, f"the bus {BUS} does not let in accounts of {organization_id}, or others too", _NO_EVENTS)


def _judge_alarms(states: Mapping[str, str]) -> Check:
    """Return whether an alarm rings or is missing; CloudWatch alone knows how long a message waits in the queue."""
    told = {name: states.get(name, "missing") for name in ALARMS}
    if bad := [f"{name} is {state}" for name, state in told.items() if state not in {"OK", "INSUFFICIENT_DATA"}]:
        return problem(_EVENTS, f"alarms: {', '.join(bad)}", "What each tells, and what to do: stackset/README.md.")
    return fine(_EVENTS, "no event has waited for more than 90 minutes or was given up, as the alarms say")


def _check_silence(tools: DoctorContext) -> Check:
    """Return the accounts of which no event was seen, though daily runs saw what an event should have told of."""
    since, seen = tools.now() - _SILENCE, tools.archive.read_ledger().seen
    recent = takewhile(lambda head: head.started_at > since, tools.archive.heads(_MOST_RUNS))
    changes = [head.changes for head in recent if is_whole(head) and head.changes]
    told = {
        user.account_id: f"{user.account_alias or user.account_name} ({user.account_id})"
        for one in changes
        for user in (*one.enrolled, *one.enforcement_undone)
    }
    silent = [title for account_id, title in told.items() if account_id not in seen or seen[account_id] < since]
    if not silent:
        return fine(_EVENTS, "events were seen of each account where runs of the last 7 days saw users change")
    message = f"no event was seen in 7 days of accounts where runs saw users change: {some_of(silent, 5)}"
    remedy = (
        "Check there that a trail records management events, and that the rule orgmfa-iam-events is enabled "
        "(docs/deploy.md). Where IamEvents was switched on later than the change, wait."
    )
    return unknown(_EVENTS, message, remedy)
