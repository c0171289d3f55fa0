"""Ledger of event runs: what they did in the last day, and what nobody has been told of yet.

It is one file, so that a run reads it at once, however many event runs there were. Event runs alone write it, one at a
time (`pipeline.event_run`); a whole run reads it. What a whole run has told of is dropped by the next event run. Pure;
`archive` reads and writes the file.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from pydantic import Field

from orchestrator.domain.records import record_key
from orchestrator.reports.report import AccountReport, Enrolment, EventSummary, FirstSight, Frozen, UtcTime

DAY = timedelta(hours=24)
MAX_SIGHTS = 1000
"""First sights kept of an account; who makes more users than this in a day is met by the daily run."""

MAX_TOLD = 10_000
"""Keys kept of what was told."""

UserKey = tuple[str, str]
"""Account ID and user ID."""


class Undone(Frozen):
    """A user from whom others took EnforceMFA away, by the ID of the event."""

    user: UserKey
    event_id: str


class EventRunNote(Frozen):
    """One event run: whom it enforced, or was about to, and counts of the others."""

    run_id: str
    at: UtcTime
    enforced: tuple[UserKey, ...] = ()
    undone: tuple[Undone, ...] = ()
    planned: int = 0
    held: int = 0
    left: int = 0
    enrolments: tuple[Enrolment, ...] = ()


class EventLedger(Frozen):
    """The ledger. `closed_at` is when the limit of a run was reached; `told` has what was said, by key, and when."""

    runs: tuple[EventRunNote, ...] = ()
    sights: dict[str, tuple[FirstSight, ...]] = Field(default_factory=dict)
    seen: dict[str, UtcTime] = Field(default_factory=dict)
    closed_at: UtcTime | None = None
    told_at: UtcTime | None = None
    told: dict[str, UtcTime] = Field(default_factory=dict)
    waiting: tuple[AccountReport, ...] = ()
    waiting_since: UtcTime | None = None

    def enforced_since(self, moment: datetime) -> Counter[str]:
        """Return how many users were enforced since then, by account ID."""
        return Counter(account_id for note in self.runs if note.at > moment for account_id, _ in note.enforced)

    def undone_since(self, moment: datetime) -> Iterator[tuple[Undone, datetime]]:
        """Yield the users from whom EnforceMFA was taken away since then, and when."""
        return ((one, note.at) for note in self.runs if note.at > moment for one in note.undone)

    def summary(self, since: datetime | None) -> EventSummary | None:
        """Return what event runs did since then; None where there was none, or no whole run before."""
        notes = [note for note in self.runs if since is not None and note.at >= since]
        if not notes:
            return None
        return EventSummary(
            runs=len(notes),
            enforced=sum(len(note.enforced) for note in notes),
            planned=sum(note.planned for note in notes),
            held=sum(note.held for note in notes),
            left=sum(note.left for note in notes),
            enrolments=tuple(one for note in notes for one in note.enrolments),
        )

    def with_note(self, note: EventRunNote) -> "EventLedger":
        """Return the ledger with a note, in place of an earlier one of the same run."""
        others = tuple(one for one in self.runs if one.run_id != note.run_id)
        return self.model_copy(update={"runs": (*others, note)})

    def with_sights(self, account_id: str, sights: Iterable[FirstSight]) -> "EventLedger":
        """Return the ledger with first sights of an account, unless they are known."""
        known = {record_key(one.id, one.name): one for one in self.sights.get(account_id, ())}
        for one in sights:
            known.setdefault(record_key(one.id, one.name), one)
        return self.model_copy(update={"sights": self.sights | {account_id: tuple(known.values())[:MAX_SIGHTS]}})

    def pruned(self, now: datetime, whole_at: datetime | None) -> "EventLedger":
        """Return the ledger without what is older than a day and was told of by the whole run that began then."""
        told_until = whole_at or now - 7 * DAY
        oldest = min(now - DAY, told_until)
        sights = {key: tuple(one for one in kept if one.since >= told_until) for key, kept in self.sights.items()}
        is_told = self.waiting_since is not None and self.waiting_since < told_until
        return self.model_copy(
            update={
                "runs": tuple(note for note in self.runs if note.at >= oldest),
                "sights": {key: kept for key, kept in sights.items() if kept},
                "seen": {key: at for key, at in self.seen.items() if at > now - 30 * DAY},
                "told": dict([one for one in self.told.items() if one[1] >= told_until][-MAX_TOLD:]),
                "waiting": () if is_told else self.waiting,
                "waiting_since": None if is_told else self.waiting_since,
            }
        )
