"""Checks of what brings IAM events to the functions: the bus, what has to be taken from the queue, silent accounts.

Nothing but CloudWatch knows how long a message has waited, so the alarms are asked, not the queue. What the caller may
not read is unknown, never a problem; nor is silence: an account may have had nothing to tell.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import takewhile

from orchestrator.doctor.ports import DoctorContext
from orchestrator.doctor.report import Check, CheckName, fine, in_words, problem, unknown
from orchestrator.doctor.scp import statements
from orchestrator.domain.errors import ArchiveError, AwsError, NotFound
from orchestrator.domain.policy_document import read_document
from orchestrator.output.words import some_of
from orchestrator.reports.history import is_whole

BUS, EVENTS_ROLE = "orgmfa-iam", "orgmfa-events"
ALARMS = ("orgmfa-iam-events-waiting", "orgmfa-iam-events-dead-letters", "orgmfa-iam-events-failed")
"""Names in stackset/central.yaml and member_role/events.yaml."""

_NAME = CheckName.IAM_EVENTS
_SILENCE = timedelta(days=7)
_MOST_RUNS = 100
_DEPLOY = "Deploy stackset/central.yaml with IamEvents=on (docs/deploy.md)."


def check_iam_events(organization_id: str, tools: DoctorContext) -> Iterator[Check]:
    """Yield the checks of a deployment with IamEvents=on."""
    try:
        yield _judge_bus(tools.hub.get_bus_policy(BUS), organization_id)
        yield _judge_alarms(tools.hub.get_alarm_states(ALARMS))
    except NotFound:
        yield problem(_NAME, f"there is no event bus {BUS} in this account and Region, though IamEvents is on", _DEPLOY)
    except AwsError as error:
        remedy = "Allow events:DescribeEventBus and cloudwatch:DescribeAlarms to this caller, or look in the console."
        yield unknown(_NAME, in_words(error), remedy)
    try:
        yield _check_silence(tools)
    except ArchiveError as error:
        yield problem(_NAME, str(error), "Mend it: no event is worked on until it can be read.")


def _judge_bus(policy: str, organization_id: str) -> Check:
    """Return whether the bus lets in the accounts of the organization and nobody else."""
    try:
        conditions = [one.get("Condition", {}).get("StringEquals", {}) for one in statements(read_document(policy))]
    except ValueError:
        conditions = []
    if conditions and all(one.get("aws:PrincipalOrgID") == organization_id for one in conditions):
        return fine(_NAME, f"the bus {BUS} lets in accounts of {organization_id} alone")
    return problem(_NAME, f"the bus {BUS} does not let in accounts of {organization_id}, or others too", _DEPLOY)


def _judge_alarms(states: Mapping[str, str]) -> Check:
    """Return whether one of the alarms rings or is missing."""
    told = {name: states.get(name, "missing") for name in ALARMS}
    if bad := [f"{name} is {state}" for name, state in told.items() if state not in {"OK", "INSUFFICIENT_DATA"}]:
        return problem(_NAME, f"alarms: {', '.join(bad)}", "What each tells, and what to do: stackset/README.md.")
    return fine(_NAME, "no event has waited for more than 90 minutes or was given up, as the alarms say")


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
        return fine(_NAME, "events were seen of each account where runs of the last 7 days saw users change")
    message = f"no event was seen in 7 days of accounts where runs saw users change: {some_of(silent, 5)}"
    remedy = (
        "Check there that a trail records management events, and that the rule orgmfa-iam-events is enabled "
        "(docs/deploy.md). Where IamEvents was switched on later than the change, wait."
    )
    return unknown(_NAME, message, remedy)
