import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lambdas.queue_events import EventBatch, read_new_accounts
from tests.onboarding_events import HUB, MANAGEMENT, control_tower_event, create_account_event, stack_set_event

ACCOUNT_ID = "444455556666"
TRUSTED = frozenset({HUB, MANAGEMENT})


def read(*events: Any) -> EventBatch[tuple[str, str]]:
    bodies = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return read_new_accounts(bodies, trusted_account_ids=TRUSTED, stack_set_name="orgmfa")


@pytest.mark.parametrize(
    "event",
    [
        stack_set_event(ACCOUNT_ID),
        stack_set_event(ACCOUNT_ID, owner=MANAGEMENT),
        control_tower_event(ACCOUNT_ID),
        create_account_event(ACCOUNT_ID),
    ],
)
def test_new_account_is_read_from_each_kind_of_event(event: dict[str, Any]) -> None:
    news = read(event)

    assert news == EventBatch(((event["id"], ACCOUNT_ID),))


def test_account_is_that_of_the_stack_and_not_that_of_the_stack_set() -> None:
    assert [account_id for _, account_id in read(stack_set_event(ACCOUNT_ID)).found] == [ACCOUNT_ID]


@pytest.mark.parametrize(
    "event",
    [
        stack_set_event(ACCOUNT_ID, stack_set="somebody-elses"),
        stack_set_event(ACCOUNT_ID, stack_set="orgmfa-other"),
        stack_set_event(ACCOUNT_ID, action="DELETE"),
        stack_set_event(ACCOUNT_ID, action="UPDATE"),
        stack_set_event(ACCOUNT_ID, detailed_status="RUNNING"),
        stack_set_event(ACCOUNT_ID, detailed_status="FAILED"),
        stack_set_event(ACCOUNT_ID) | {"detail-type": "CloudFormation Stack Status Change"},
        stack_set_event(ACCOUNT_ID) | {"detail": None},
        control_tower_event(ACCOUNT_ID, "FAILED"),
        control_tower_event(ACCOUNT_ID) | {"detail": {"eventName": "UpdateManagedAccount"}},
    ],
)
def test_event_that_is_no_news_is_passed_over(event: dict[str, Any]) -> None:
    assert read(event) == EventBatch(passed_over=1)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("not json", "not JSON"),
        ("[]", "no EventBridge event"),
        ("{}", "no EventBridge event"),
        ('{"id": 1, "source": "x", "account": "y"}', "no EventBridge event"),
        (stack_set_event(ACCOUNT_ID, account="666677778888"), "666677778888"),
        (stack_set_event(ACCOUNT_ID, source="evil.source"), "evil.source"),
        (control_tower_event("not-an-account"), "names no account"),
    ],
)
def test_event_that_cannot_be_ours_is_refused_with_the_reason(event: Any, words: str) -> None:
    news = read(event)

    assert news.found == ()
    assert words in news.refused[0]


EVENT_ID = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"


@pytest.mark.parametrize(
    "event_id",
    [EVENT_ID, EVENT_ID.upper(), "00000000-0000-0000-0000-000000000000", "f" * 8 + "-ffff" * 3 + "-" + "f" * 12],
)
def test_id_of_any_version_is_taken(event_id: str) -> None:
    assert read(stack_set_event(ACCOUNT_ID) | {"id": event_id}) == EventBatch(((event_id, ACCOUNT_ID),))


def all_but_ids() -> st.SearchStrategy[object]:
    near = st.sampled_from(
        [
            "",
            " ",
            EVENT_ID + "\n",
            " " + EVENT_ID,
            EVENT_ID[:-1],
            EVENT_ID + "0",
            EVENT_ID.replace("-", ""),
            EVENT_ID.replace("6", "g", 1),
            EVENT_ID.replace("6", "\u0666", 1),
            EVENT_ID.replace("6", "\ud800", 1),
            "{" + EVENT_ID + "}",
            f"{EVENT_ID} {EVENT_ID}",
        ]
    )
    anything = st.text(st.characters()) | st.text(st.characters(categories=["Cs"]), min_size=1)
    others = st.none() | st.booleans() | st.integers() | st.lists(st.just(EVENT_ID), max_size=2)
    return near | anything | others


@given(all_but_ids(), st.sampled_from([stack_set_event, control_tower_event, create_account_event]))
def test_event_with_another_id_is_refused_and_does_not_take_its_batch_along(event_id: object, make: Any) -> None:
    odd = make("111122223333") | {"id": event_id}

    news = read(odd, stack_set_event(ACCOUNT_ID), odd)

    assert [account_id for _, account_id in news.found] == [ACCOUNT_ID]
    assert len(news.refused) == 2
    assert all("ID" in told or "no EventBridge event" in told for told in news.refused)
    "".join(news.refused).encode()


@pytest.mark.parametrize("make", [stack_set_event, control_tower_event, create_account_event])
def test_account_id_in_digits_of_another_script_is_none(make: Any) -> None:
    event = make("\u0661" * 12) | {"id": EVENT_ID}

    assert "names no" in read(event).refused[0]


def test_refused_message_does_not_hide_the_news_beside_it() -> None:
    news = read("{", stack_set_event(ACCOUNT_ID), stack_set_event(ACCOUNT_ID, source="evil"))

    assert [account_id for _, account_id in news.found] == [ACCOUNT_ID]
    assert len(news.refused) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.text()
    | JSON.map(json.dumps)
    | JSON.map(lambda detail: json.dumps(stack_set_event(ACCOUNT_ID) | {"detail": detail}))
)
def test_no_message_whatever_breaks_the_batch(body: str) -> None:
    news = read(body)

    assert len(news.found) + len(news.refused) + news.passed_over == 1
