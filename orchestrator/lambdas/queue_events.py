"""Events of the two queues, of new accounts and of IAM, read from their messages. Pure.

A message that cannot be ours (another source, an account that is not trusted, a body that names another account than
the one that sent it, no event at all) is refused: logged and left out, so that the queue does not deliver the messages
beside it again. A message about something else is passed over. What an IAM event says is foreign text: it only tells
which user, or which account's policy, is to be looked at.

Sources: CloudFormation User Guide, 'EventBridge events for StackSets'; Control Tower User Guide, 'Lifecycle events';
EventBridge User Guide, 'AWS service events delivered via AWS CloudTrail'; CloudTrail User Guide, 'CloudTrail record
contents' (recipientAccountId, userIdentity).
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from orchestrator.domain.config import PolicyConfig
from orchestrator.domain.model import EventKind, IamEvent

T = TypeVar("T")
M = TypeVar("M")

STACK_INSTANCE = ("aws.cloudformation", "CloudFormation StackSet StackInstance Status Change")
SERVICE_EVENT = "AWS Service Event via CloudTrail"
IAM_CALL = ("aws.iam", "AWS API Call via CloudTrail")
# By source and event name: the path to the outcome in the details, and from there to the account.
_NEW_ACCOUNT_EVENTS = {
    ("aws.controltower", "CreateManagedAccount"): ("createManagedAccountStatus", ("account",)),
    ("aws.organizations", "CreateAccountResult"): ("createAccountStatus", ()),
}
KIND_BY_NAME: Mapping[str, EventKind] = {
    "CreateLoginProfile": "sign_in",
    "DeactivateMFADevice": "sign_in",
    "UpdateUser": "sign_in",
    "CreateUser": "sign_in",
    "CreateAccessKey": "sign_in",
    "UpdateAccessKey": "sign_in",
    "DetachUserPolicy": "undone",
    "RemoveUserFromGroup": "undone",
    "AttachGroupPolicy": "policy",
    "CreatePolicyVersion": "policy",
    "DeleteGroup": "policy",
    "DeletePolicy": "policy",
    "DeletePolicyVersion": "policy",
    "DetachGroupPolicy": "policy",
    "PutGroupPolicy": "policy",
    "SetDefaultPolicyVersion": "policy",
    "UpdateGroup": "policy",
    "EnableMFADevice": "enrolled",
}
# [0-9], for \d means the digits of every script.
_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_EVENT_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_STACK_ID = re.compile(r"arn:[\w-]+:cloudformation:[\w-]+:(?P<account_id>[0-9]{12}):stack/.+")
_STACK_SET = re.compile(r"arn:[\w-]+:cloudformation:[\w-]+:[0-9]{12}:stackset/(?P<name>[^:/]+)(:.*)?")
_USER_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}")
_IAM_EVENT_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_MAX_TEXT = 200


class Refused(ValueError):
    """A message that cannot be ours; the text says why."""


@dataclass(frozen=True, slots=True)
class EventBatch(Generic[T]):
    """What a batch of messages asks for, message by message; why messages were refused; how many were passed over."""

    found: tuple[T, ...] = ()
    refused: tuple[str, ...] = ()
    passed_over: int = 0

    @property
    def left_out(self) -> dict[str, int]:
        """How many messages were left out, for the result of the function."""
        return {"passed_over": self.passed_over, "refused": len(self.refused)}


def _read_each(messages: Iterable[M], read: Callable[[M], T | None]) -> EventBatch[T]:
    read_so_far: list[T | None] = []
    refused: list[str] = []
    for message in messages:
        try:
            read_so_far.append(read(message))
        except Refused as error:
            refused.append(str(error))
    found = tuple(event for event in read_so_far if event is not None)
    return EventBatch(found, tuple(refused), passed_over=len(read_so_far) - len(found))


def _read_envelope(body: str, **kinds: type) -> dict[str, Any]:
    """Return the event in a message, in which each of these keys holds a value of that type; Refused where none is."""
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("a message is not JSON") from None
    if not isinstance(envelope, dict) or not all(isinstance(envelope.get(key), kind) for key, kind in kinds.items()):
        raise Refused("a message is no EventBridge event")
    return envelope


def _part(value: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return the object at a path of keys; an empty one where there is none."""
    for key in keys:
        found = value.get(key)
        value = found if isinstance(found, dict) else {}
    return value


# -- New accounts


def read_new_accounts(
    bodies: Iterable[str], *, trusted_account_ids: frozenset[str], stack_set_name: str
) -> EventBatch[tuple[str, str]]:
    """Return the new accounts in messages, each as the ID of its event and its own; only trusted accounts may tell."""

    def read(body: str) -> tuple[str, str] | None:
        envelope = _read_envelope(body, id=str, source=str, account=str)
        event_id: str = envelope["id"]
        event = f"event {event_id[:64]!r}"
        if envelope["account"] not in trusted_account_ids:
            raise Refused(f"{event} comes from account {envelope['account'][:12]!r}, which may not speak to us")
        account_id = _new_account(envelope, stack_set_name, event)
        if not _EVENT_ID.fullmatch(event_id):  # what cannot be noted as handled would come again for days
            raise Refused(f"{event} has an ID that is not of the form 8-4-4-4-12 hexadecimal digits")
        return None if account_id is None else (event_id, account_id)

    return _read_each(bodies, read)


def _new_account(envelope: Mapping[str, Any], stack_set_name: str, event: str) -> str | None:
    """Return the account that is ready according to an event, or None where the event is about something else."""
    source, kind, detail = envelope["source"], envelope.get("detail-type"), _part(envelope, "detail")
    if (source, kind) == STACK_INSTANCE:
        return _from_stack_set(detail, stack_set_name)
    if kind == SERVICE_EVENT and (found := _NEW_ACCOUNT_EVENTS.get((source, str(detail.get("eventName"))))):
        return _from_service_event(detail, *found)
    if any(source == known for known, _ in (STACK_INSTANCE, *_NEW_ACCOUNT_EVENTS)):
        return None
    raise Refused(f"{event} has the source {source[:64]!r}, which is not listed")


def _from_stack_set(detail: Mapping[str, Any], stack_set_name: str) -> str | None:
    stack_set = _STACK_SET.fullmatch(str(detail.get("stack-set-arn")))
    if stack_set is None or stack_set["name"] != stack_set_name:
        return None
    if detail.get("action") != "CREATE" or _part(detail, "status-details").get("detailed-status") != "SUCCEEDED":
        return None
    stack = _STACK_ID.fullmatch(str(detail.get("stack-id")))
    if stack is None:
        raise Refused("an event of our StackSet names no stack, and so no account")
    return stack["account_id"]


def _from_service_event(detail: Mapping[str, Any], status_key: str, path: Sequence[str]) -> str | None:
    status = _part(detail, "serviceEventDetails", status_key)
    if status.get("state") != "SUCCEEDED":
        return None
    account_id = _part(status, *path).get("accountId")
    if not isinstance(account_id, str) or not _ACCOUNT_ID.fullmatch(account_id):
        raise Refused(f"an event {detail.get('eventName')!r} names no account")
    return account_id


# -- IAM


def read_iam_events(messages: Iterable[tuple[str, str]], policy: PolicyConfig) -> EventBatch[tuple[str, IamEvent]]:
    """Return the events in the messages, given as ID and body each, with the IDs; `policy` tells what is ours."""

    def read(message: tuple[str, str]) -> tuple[str, IamEvent] | None:
        message_id, body = message
        event = _read_iam_event(_read_envelope(body, detail=dict), policy)
        return None if event is None else (message_id, event)

    return _read_each(messages, read)


def _read_iam_event(envelope: Mapping[str, Any], policy: PolicyConfig) -> IamEvent | None:
    """Return what an event asks to look at, or None where that is nothing."""
    if (envelope.get("source"), envelope.get("detail-type")) != IAM_CALL:
        raise Refused(f"an event has the source {envelope.get('source')!r:.64}, which is not listed")
    account_id, detail = envelope.get("account"), envelope["detail"]
    if not isinstance(account_id, str) or not _ACCOUNT_ID.fullmatch(account_id):
        raise Refused("an event comes from no account")
    said = (detail.get("recipientAccountId"), _part(detail, "userIdentity").get("accountId"))
    if others := [one for one in said if one not in (None, account_id)]:
        raise Refused(f"an event of account {account_id} says that it is of account {others[0]!r:.64}")
    name = str(detail.get("eventName"))
    kind = KIND_BY_NAME.get(name)
    if kind is None or "errorCode" in detail or not _is_ours(kind, _part(detail, "requestParameters"), policy):
        return None
    event_id = next((one for one in (detail.get("eventID"), envelope.get("id")) if isinstance(one, str)), "")
    if not _IAM_EVENT_ID.fullmatch(event_id):
        raise Refused(f"an event {name} of account {account_id} has no ID")
    return IamEvent(
        id=event_id,
        kind=kind,
        account_id=account_id,
        name=name,
        at=_time(detail.get("eventTime"), envelope.get("time")),
        user_name=None if kind == "policy" else _user_name(detail, name),
        device=_text(_part(detail, "requestParameters").get("serialNumber")),
        address=_text(detail.get("sourceIPAddress")),
    )


def _is_ours(kind: EventKind, asked: Mapping[str, Any], policy: PolicyConfig) -> bool:
    """Return whether an event on a policy or a group is about ours; an event that names neither may be."""
    # Upper and lower case do not count: IAM takes a name in either (IAM User Guide, 'IAM identifiers', friendly names).
    if kind not in {"undone", "policy"}:
        return True
    named = (asked.get("policyArn"), asked.get("groupName"))
    arn, group = (one.casefold() if isinstance(one, str) else None for one in named)
    ours = policy.group.casefold()
    if arn is not None and not arn.endswith(f":policy{policy.path}{policy.name}".casefold()):
        return group == ours and kind == "policy"
    return group is None or group == ours or arn is not None


def _user_name(detail: Mapping[str, Any], name: str) -> str:
    """Return the user that an event is about: named in the request, the answer, or else who called."""
    # A user who acts on oneself need not be named in the request (IAM API Reference, UserName of DeactivateMFADevice).
    asked, answered, caller = (_part(detail, key) for key in ("requestParameters", "responseElements", "userIdentity"))
    names = [asked.get("newUserName"), asked.get("userName"), answered.get("userName")]
    names += [_part(answered, key).get("userName") for key in ("user", "loginProfile", "accessKey")]
    if caller.get("type") == "IAMUser":
        names.append(caller.get("userName"))
    found = next((one for one in names if isinstance(one, str)), "")
    if not _USER_NAME.fullmatch(found):
        raise Refused(f"an event {name} names no user")
    return found


def _text(value: object) -> str | None:
    """Return the beginning of a text as UTF-8 can hold it: JSON may escape half a character."""
    return value[:_MAX_TEXT].encode(errors="replace").decode() if isinstance(value, str) else None


def _time(*texts: object) -> datetime:
    """Return the first of these that is a time; one long ago where none is, which nothing goes by."""
    for text in texts:
        try:
            time = datetime.fromisoformat(str(text))
            if time.tzinfo is not None:
                return time.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return datetime(1970, 1, 1, tzinfo=UTC)
