"""The fake Slack refuses what Slack refuses."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_slack import FakeSlack, find_fault
from tests.output.slack.sending import BLOCKS, section


def header(text: str, kind: str = "plain_text") -> dict[str, Any]:
    return {"type": "header", "text": {"type": kind, "text": text}}


def table(*rows: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": cell} for cell in row] for row in rows]} | fields


def context(count: int) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "plain_text", "text": "x"}] * count}


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as server:
        yield server


# The fake refuses what Slack refuses.
@pytest.mark.parametrize(
    ("payload", "word"),
    [
        ({"text": "x"}, None),
        ({"text": "x", "blocks": BLOCKS * 50}, None),
        ({"text": "x", "blocks": BLOCKS * 51}, "invalid_blocks"),
        ({"blocks": [section("x" * 3000)]}, None),
        ({"blocks": [section("x" * 3001)]}, "invalid_blocks"),
        ({"blocks": [section("")]}, "invalid_blocks"),
        ({"blocks": [section(" ")]}, "invalid_blocks"),
        ({"blocks": [header("x" * 150)]}, None),
        ({"blocks": [header("x" * 151)]}, "invalid_blocks"),
        ({"blocks": [header("x", "mrkdwn")]}, "invalid_blocks"),
        ({"blocks": [section("x", fields=BLOCKS[0]["text"])]}, "invalid_blocks"),
        ({"blocks": [section("x", fields=[BLOCKS[0]["text"]] * 10)]}, None),
        ({"blocks": [section("x", fields=[BLOCKS[0]["text"]] * 11)]}, "invalid_blocks"),
        ({"blocks": [section("x", fields=[section("x" * 2000)["text"]])]}, None),
        ({"blocks": [section("x", fields=[section("x" * 2001)["text"]])]}, "invalid_blocks"),
        ({"blocks": [context(10)]}, None),
        ({"blocks": [context(11)]}, "invalid_blocks"),
        ({"blocks": [context(0)]}, "invalid_blocks"),
        ({"blocks": [{"type": "divider"}]}, None),
        ({"blocks": [{"type": "marquee"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [section("x", colour="red")]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": "x"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}}]}, "invalid_blocks"),
        ({"blocks": ["x"]}, "invalid_blocks_format"),
        ({"blocks": "x"}, "invalid_arguments"),
        ({"blocks": [section("x" * 2900)] * 4}, None),
        ({"blocks": [section("x" * 3000)] * 4}, "msg_blocks_too_long"),
        ({"blocks": [table(["a"] * 20, *[["b"] * 20] * 99)]}, None),
        ({"blocks": [table(*["a"] * 101)]}, "invalid_blocks"),
        ({"blocks": [table(["a"] * 21)]}, "invalid_blocks"),
        ({"blocks": [table(["a"], column_settings=[{}] * 21)]}, "invalid_blocks"),
        ({"blocks": [table(["a", "b"], ["c"])]}, "invalid_blocks"),
        ({"blocks": [table(["a", ""])]}, "invalid_blocks"),
        ({"blocks": [table()]}, "invalid_blocks"),
        ({"blocks": [{"type": "table", "rows": [[{"type": "mrkdwn", "text": "x"}]]}]}, "invalid_blocks"),
        ({"blocks": [table(*["a" * 10] * 100)]}, None),
        ({"blocks": [table(*[["a" * 101]] * 100)]}, "invalid_blocks"),
        ({"blocks": [table("a"), table("b")]}, "invalid_attachments"),
        ({"blocks": [section("x" * 2900), table(*[["a" * 95]] * 100)]}, "msg_blocks_too_long"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "", "blocks": []}, "no_text"),
        ({}, "no_text"),
    ],
)
def test_the_fake_refuses_what_slack_refuses(payload: dict[str, Any], word: str | None) -> None:
    fault = find_fault(payload)

    assert (fault and fault.word) == word


@pytest.mark.parametrize(
    ("path", "authorization", "body", "answer"),
    [
        ("/services/T/B/wrong", "", b"{}", (404, "no_service")),
        ("/api/chat.postMessage", "", b"{}", (200, "not_authed")),
        ("/api/chat.postMessage", "Bearer xoxb-wrong", b"{}", (200, "invalid_auth")),
    ],
)
def test_the_fake_lets_nobody_in_without_the_secret(
    slack: FakeSlack, path: str, authorization: str, body: bytes, answer: tuple[int, str]
) -> None:
    answered = slack.answer(path, authorization, body)

    assert answered is not None
    assert answered.status == answer[0]
    assert answer[1] in answered.body


def test_the_fake_refuses_what_is_no_json_object(slack: FakeSlack) -> None:
    path = slack.webhook_url.partition("/services")[2]

    for body in (b"{", b"[]", b"\xff"):
        answered = slack.answer(f"/services{path}", "", body)
        assert answered is not None
        assert (answered.status, answered.body) == (400, "invalid_payload")
