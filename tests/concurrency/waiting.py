"""Waits that fail after `LONG` seconds, and what became of each item."""

from collections.abc import Iterable
from threading import Event
from typing import Any

from orchestrator.concurrency.pool import TaskResult

LONG = 30.0


def wait_for(event: Event) -> None:
    assert event.wait(LONG), "what this waits for never happened"


def told(done: Iterable[TaskResult[Any, Any]]) -> dict[Any, TaskResult[Any, Any]]:
    """Return what became of each item; an item that is told twice fails."""
    found: dict[Any, TaskResult[Any, Any]] = {}
    for one in done:
        assert one.item not in found
        found[one.item] = one
    return found
