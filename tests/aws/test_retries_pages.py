"""Pages of a list call that say oddly whether another one follows."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.domain.errors import Malformed

ENDLESS = 50


def answering(*pages: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """Return a list call that answers these pages one after the other, the last one for ever."""
    left: Iterator[dict[str, Any]] = iter(pages)

    def list_users(**_: str) -> dict[str, Any]:
        return next(left, pages[-1])

    return list_users


@pytest.mark.parametrize(
    "page",
    [
        {"Users": ["a"], "NextToken": "t"},
        {"Users": [], "NextToken": "t"},
        {"Users": [], "IsTruncated": True, "Marker": "t"},
        {"Users": [], "Marker": "t"},
    ],
)
def test_list_whose_page_names_itself_as_the_next_one_is_no_endless_one(page: dict[str, Any]) -> None:
    pages = Retrier(Cancellation()).pages(answering(page))

    with pytest.raises(Malformed, match="names itself as the next one"):
        list(islice(pages, ENDLESS))


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ({"IsTruncated": True, "Marker": "m"}, ["a", "b"]),
        ({"Marker": "m"}, ["a", "b"]),
        ({"IsTruncated": False, "Marker": "m"}, ["a"]),
        ({"Marker": ""}, ["a"]),
        ({}, ["a"]),
    ],
)
def test_marker_without_word_of_truncation_is_followed(first: dict[str, Any], expected: list[str]) -> None:
    method = answering({"Users": ["a"], **first}, {"Users": ["b"], "IsTruncated": False})

    assert list(Retrier(Cancellation()).entries(method, "Users")) == expected


def test_truncated_page_without_a_marker_is_malformed() -> None:
    method = answering({"Users": ["a"], "IsTruncated": True})

    with pytest.raises(Malformed, match="lacks Marker"):
        list(islice(Retrier(Cancellation()).entries(method, "Users"), ENDLESS))
