"""A Slack with people in it: users.lookupByEmail, users.info and direct messages; else as tests/fake_slack.py."""

import json
from urllib.parse import parse_qsl

from tests.fake_slack import Answer, FakeSlack


class SlackOfPeople(FakeSlack):
    """Knows people by member ID; `told` are the direct messages, as (member ID, payload)."""

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[str, dict[str, object]] = {}
        self.told: list[tuple[str, dict[str, object]]] = []

    def add(self, member_id: str, email: str, **changes: object) -> None:
        self.people[member_id] = {"id": member_id, "profile": {"email": email}} | changes

    def _judge(self, path: str, authorization: str, body: bytes) -> Answer:
        asked = dict(parse_qsl(body.decode()))
        found: dict[str, object] | None = None
        if path == "/api/users.info":
            found = self.people.get(asked["user"])
        elif path == "/api/users.lookupByEmail":
            found = next((one for one in self.people.values() if one["profile"] == {"email": asked["email"]}), None)
        elif path == "/api/chat.postMessage" and json.loads(body).get("channel", "").startswith(("U", "W")):
            payload = json.loads(body)
            if payload["channel"] not in self.people:
                return _answer({"ok": False, "error": "channel_not_found"})
            self.told.append((payload["channel"], payload))
            return _answer({"ok": True, "ts": "1"})
        else:
            return super()._judge(path, authorization, body)
        return _answer({"ok": True, "user": found} if found else {"ok": False, "error": "users_not_found"})


def _answer(said: dict[str, object]) -> Answer:
    return Answer(200, json.dumps(said), {"Content-Type": "application/json"})
