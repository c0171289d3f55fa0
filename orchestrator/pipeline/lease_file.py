"""The file of the lease on writing, `locks/run`: what it says, and what is asked of the store that holds it."""

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.reports.report import UtcTime
from orchestrator.reports.run_files import Store

LEASE_FILE = "locks/run"
ACKNOWLEDGED = "locks/acknowledged"
"""Holds the ID of the release that a run last gave way to."""
LEASE_SECONDS = 120.0


class LeaseStore(Store, Protocol):
    """The files of the archive, with a write that compares first; all raise ArchiveError where they fail."""

    def read_aged(self, name: str) -> tuple[bytes, float]:
        """Return the content of a file, and its age in seconds by the clock of the store, never below 0."""
        ...

    def replace(self, name: str, expected: bytes, content: bytes) -> bool:
        """Write a file in place of one with the expected content, and return whether it had that content."""
        ...


class Holder(BaseModel):
    """Who holds the lease. `until` is for people and earlier versions: the age of the file alone decides."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    until: UtcTime
    is_release: bool = False
    is_given_back: bool = False
    token: str = Field(default_factory=lambda: uuid4().hex)  # so that no two writes are the same

    def has_it(self, age_seconds: float) -> bool:
        """Return whether this run still has the lease when the file is so old."""
        return not self.is_given_back and age_seconds < LEASE_SECONDS


def make_content(run_id: str, *, is_release: bool, is_given_back: bool = False) -> bytes:
    """Return the content of the file for this run, unlike any other."""
    until = datetime.now(UTC) + (timedelta() if is_given_back else timedelta(seconds=LEASE_SECONDS))
    holder = Holder(run_id=run_id, until=until, is_release=is_release, is_given_back=is_given_back)
    return holder.model_dump_json().encode()


def parse_holder(content: bytes) -> Holder | None:
    """Return who holds the lease, or None where the file does not tell."""
    try:
        return Holder.model_validate_json(content)
    except ValidationError:
        return None
