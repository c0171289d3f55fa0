"""The envelope of an event of EventBridge, read from the message of a queue. Pure."""

import json
import re
from typing import Any

ACCOUNT_ID = re.compile(r"[0-9]{12}")


class Refused(ValueError):
    """A message that cannot be ours; the text says why."""


def read_envelope(body: str, **kinds: type) -> dict[str, Any]:
    """Return the event in a message, in which each of these keys holds a value of that type; Refused where none is."""
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("a message is not JSON") from None
    if not isinstance(envelope, dict) or not all(isinstance(envelope.get(key), kind) for key, kind in kinds.items()):
        raise Refused("a message is no EventBridge event")
    return envelope
