"""Events of new accounts, read from the messages of the onboarding queue. Pure.

A message that cannot be ours (another source, an account that is not trusted, no event at all) is refused: logged and
left out, so that the queue does not deliver the messages beside it again. A message about something else (another
StackSet, another action, not successful) is passed over.

Sources: CloudFormation User Guide, 'EventBridge events for StackSets'; Control Tower User Guide, 'Lifecycle events'.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.lambdas.envelope import ACCOUNT_ID, Refused, read_envelope

STACK_INSTANCE = ("aws.cloudformation", "CloudFormation StackSet StackInstance Status Change")
SERVICE_EVENT = "AWS Service Event via CloudTrail"
# By source and event name: the key of the outcome, and the path to the account ID in it.
_NEW_ACCOUNT_EVENTS = {
    ("aws.controltower", "CreateManagedAccount"): ("createManagedAccountStatus", ("account", "accountId")),
    ("aws.organizations", "CreateAccountResult"): ("createAccountStatus", ("accountId",)),
}
_EVENT_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# [0-9], for \d means the digits of every script.
_STACK_ID = re.compile(r"arn:[\w-]+:cloudformation:[\w-]+:(?P<account_id>[0-9]{12}):stack/.+")
_STACK_SET = re.compile(r"arn:[\w-]+:cloudformation:[\w-]+:[0-9]{12}:stackset/(?P<name>[^:/]+)(:.*)?")


@dataclass(frozen=True, slots=True)
class OnboardingBatch:
    """The new accounts in a batch of messages, by event ID; why messages were refused; how many were passed over."""

    account_id_by_event_id: dict[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    passed_over: int = 0


def read_batch(bodies: Iterable[str], *, trusted_account_ids: frozenset[str], stack_set_name: str) -> OnboardingBatch:
    """Return the new accounts in the bodies of a batch of messages.

    `trusted_account_ids` are the accounts whose events count: the function's own and the management account.
    """
    accounts: dict[str, str] = {}
    refused: list[str] = []
    passed_over = 0
    for body in bodies:
        try:
            envelope = _envelope(body, trusted_account_ids)
            account_id = _new_account(envelope, stack_set_name)
            _check_id(envelope["id"])
        except Refused as error:
            refused.append(str(error))
            continue
        if account_id is None:
            passed_over += 1
        else:
            accounts[envelope["id"]] = account_id
    return OnboardingBatch(accounts, tuple(refused), passed_over)


def _envelope(body: str, trusted_account_ids: frozenset[str]) -> dict[str, Any]:
    envelope = read_envelope(body, id=str, source=str, account=str)
    if envelope["account"] not in trusted_account_ids:
        raise Refused(
            f"event {envelope['id'][:64]!r} comes from account {envelope['account'][:12]!r}, which may not speak to us"
        )
    return envelope


def _check_id(event_id: str) -> None:
    """Raise Refused where an ID is none of EventBridge's: what cannot be noted as handled would come again for days."""
    if not _EVENT_ID.fullmatch(event_id):
        raise Refused(f"event {event_id[:64]!r} has an ID that is not of the form 8-4-4-4-12 hexadecimal digits")


def _new_account(envelope: Mapping[str, Any], stack_set_name: str) -> str | None:
    """Return the account that is ready according to an event, or None where the event is about something else."""
    source, kind = envelope["source"], envelope.get("detail-type")
    detail = envelope.get("detail")
    detail = detail if isinstance(detail, dict) else {}
    if (source, kind) == STACK_INSTANCE:
        return _from_stack_set(detail, stack_set_name)
    if kind == SERVICE_EVENT and (found := _NEW_ACCOUNT_EVENTS.get((source, str(detail.get("eventName"))))):
        return _from_service_event(detail, *found)
    if any(source == known for known, _ in (STACK_INSTANCE, *_NEW_ACCOUNT_EVENTS)):
        return None
    raise Refused(f"event {envelope['id'][:64]!r} has the source {source[:64]!r}, which is not listed")


def _from_stack_set(detail: Mapping[str, Any], stack_set_name: str) -> str | None:
    stack_set = _STACK_SET.fullmatch(str(detail.get("stack-set-arn")))
    if stack_set is None or stack_set["name"] != stack_set_name:
        return None
    if detail.get("action") != "CREATE" or _dig(detail, ("status-details", "detailed-status")) != "SUCCEEDED":
        return None
    stack = _STACK_ID.fullmatch(str(detail.get("stack-id")))
    if stack is None:
        raise Refused("an event of our StackSet names no stack, and so no account")
    return stack["account_id"]


def _from_service_event(detail: Mapping[str, Any], status_key: str, path: Sequence[str]) -> str | None:
    status = _dig(detail, ("serviceEventDetails", status_key))
    if not isinstance(status, dict) or status.get("state") != "SUCCEEDED":
        return None
    account_id = _dig(status, path)
    if not isinstance(account_id, str) or not ACCOUNT_ID.fullmatch(account_id):
        raise Refused(f"an event {detail.get('eventName')!r} names no account")
    return account_id


def _dig(value: Any, path: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
