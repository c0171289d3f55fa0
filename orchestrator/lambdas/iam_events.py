"""IAM events of CloudTrail, read from the messages of their queue. Pure.

What an event says is foreign text: it only tells which user, or which account's policy, is to be looked at. A message
that cannot be ours (another source, a body that names another account than the one that sent it, no event at all) is
refused: logged and left out. One about something that does not matter is passed over.

Sources: EventBridge User Guide, 'AWS service events delivered via AWS CloudTrail'; CloudTrail User Guide, 'CloudTrail
record contents' (recipientAccountId, userIdentity).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.config import PolicyConfig
from orchestrator.domain.model import EventKind, IamEvent
from orchestrator.lambdas.envelope import ACCOUNT_ID, Refused, read_envelope

SOURCE, DETAIL_TYPE = "aws.iam", "AWS API Call via CloudTrail"
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
_USER_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class IamBatch:
    """The events of a batch, with the message of each; why messages were refused; how many were passed over."""

    events: tuple[tuple[str, IamEvent], ...] = ()
    refused: tuple[str, ...] = ()
    passed_over: int = 0


def read_iam_batch(messages: Iterable[tuple[str, str]], policy: PolicyConfig) -> IamBatch:
    """Return the events in the messages, given as ID and body each; `policy` tells which policy and group are ours."""
    events: list[tuple[str, IamEvent]] = []
    refused: list[str] = []
    passed_over = 0
    for message_id, body in messages:
        try:
            found = _read_event(_envelope(body), policy)
        except Refused as error:
            refused.append(str(error))
            continue
        if found is None:
            passed_over += 1
        else:
            events.append((message_id, found))
    return IamBatch(tuple(events), tuple(refused), passed_over)


def _envelope(body: str) -> dict[str, Any]:
    envelope = read_envelope(body, detail=dict)
    if (envelope.get("source"), envelope.get("detail-type")) != (SOURCE, DETAIL_TYPE):
        raise Refused(f"an event has the source {envelope.get('source')!r:.64}, which is not listed")
    return envelope


def _read_event(envelope: Mapping[str, Any], policy: PolicyConfig) -> IamEvent | None:
    """Return what an event asks to look at, or None where that is nothing."""
    account_id, detail = envelope.get("account"), envelope["detail"]
    if not isinstance(account_id, str) or not ACCOUNT_ID.fullmatch(account_id):
        raise Refused("an event comes from no account")
    said = (detail.get("recipientAccountId"), _part(detail, "userIdentity").get("accountId"))
    if others := [one for one in said if one not in (None, account_id)]:
        raise Refused(f"an event of account {account_id} says that it is of account {others[0]!r:.64}")
    name = str(detail.get("eventName"))
    kind = KIND_BY_NAME.get(name)
    if kind is None or "errorCode" in detail or not _is_ours(kind, _part(detail, "requestParameters"), policy):
        return None
    event_id = next((one for one in (detail.get("eventID"), envelope.get("id")) if isinstance(one, str)), "")
    if not _ID.fullmatch(event_id):
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
    """Return whether an event on a policy or a group is about ours; an event that names neither may be.

    Upper and lower case do not count: IAM takes a name in either (IAM User Guide, 'IAM identifiers', friendly names).
    """
    if kind not in {"undone", "policy"}:
        return True
    arn, group = (
        one.casefold() if isinstance(one, str) else None for one in (asked.get("policyArn"), asked.get("groupName"))
    )
    ours = policy.group.casefold()
    if arn is not None and not arn.endswith(f":policy{policy.path}{policy.name}".casefold()):
        return group == ours and kind == "policy"
    return group is None or group == ours or arn is not None


def _user_name(detail: Mapping[str, Any], name: str) -> str:
    """Return the user that an event is about: named in the request, the answer, or else who called.

    A user who acts on oneself need not be named in the request (IAM API Reference, UserName of DeactivateMFADevice).
    """
    for found in _names(detail):
        if isinstance(found, str):
            if _USER_NAME.fullmatch(found):
                return found
            break
    raise Refused(f"an event {name} names no user")


def _names(detail: Mapping[str, Any]) -> Iterator[object]:
    asked, answered, caller = (_part(detail, key) for key in ("requestParameters", "responseElements", "userIdentity"))
    yield asked.get("newUserName")
    yield asked.get("userName")
    yield answered.get("userName")
    for key in ("user", "loginProfile", "accessKey"):
        yield _part(answered, key).get("userName")
    if caller.get("type") == "IAMUser":
        yield caller.get("userName")


def _part(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


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
